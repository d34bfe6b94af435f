import Foundation
import Gateway
import Testing

@testable import linkbms

/// What the button says became of the WiFi.
@Suite struct WiFiResetTests {
  @Test func theWayToAnotherNetworkIsSaid() async throws {
    let folder = try RunFolder()
    let tool = folder.path + "/nmcli"
    func fake(_ device: String) throws -> NetworkManager {
      try writeProgram(
        tool, "#!/bin/sh\ncase \"$*\" in *TYPE,DEVICE*) echo \(device);; *HWADDR*) echo 02:00:00:00:00:0A;; esac\n")
      return NetworkManager(tool: tool, interfaces: folder.path)
    }
    let pages = "http://1.2.3.4:8080/wifi"
    #expect(
      await WiFiReset(manager: try fake("wifi:wlan0"), pages: pages).run()
        == "the WiFi is forgotten; to choose another: connect to the WiFi LinkBMS-000A and open \(pages)")
    #expect(
      await WiFiReset(manager: try fake("ethernet:eth0"), pages: pages).run()
        == "the WiFi is forgotten; there is no network to choose another: this machine has no WiFi; the pages are reached by cable")
    #expect(
      await WiFiReset(manager: NetworkManager(tool: "/nowhere/nmcli"), pages: pages).run()
        .hasPrefix("the WiFi is not forgotten: this system has no NetworkManager; there is no network to choose another: "))
    #expect(await WiFiReset(manager: try fake("wifi:wlan0")).run().hasSuffix("(--http :8080) are needed to choose another"))
  }

  @Test(arguments: ["short", "with blank here", ""])
  func aPasswordThatIsNoneIsRefusedBeforeAnythingIsClosed(password: String) throws {
    let folder = try RunFolder()
    let file = folder.path + "/password"
    try (password + "\n").write(toFile: file, atomically: true, encoding: .utf8)
    let result = try linkbmsTests.run(
      BuiltProgram.path,
      [
        "run", "--config", folder.config, "--chain", "tap+tcp://127.0.0.1:1", "--http", "127.0.0.1:0", "--setup-password-file",
        file,
      ])
    #expect(result.status == 2 && result.errors.contains("--setup-password-file \(file): expected a line of 8 to 63"), "\(result)")
  }
}

import Foundation
import HostIO
import Testing

/// Interfaces as the kernel shows them, in a folder of the test's own.
@Suite struct NetworkInterfaceTests {
  @Test func onlyCablesAndRadiosAreListed() throws {
    let folder = try Folder()
    for (name, type, folders) in [
      ("lo", 772, []), ("eth0", 1, ["device"]), ("can0", 280, ["device"]), ("vcan0", 280, []), ("docker0", 1, []), ("veth1", 1, []),
      ("tun0", 65_534, []), ("wlan0", 1, ["device", "wireless"]), ("wlan1", 1, ["device", "phy80211"]),
    ] as [(String, Int, [String])] {
      let place = folder.path + "/" + name
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
      for own in folders { try FileManager.default.createDirectory(atPath: place + "/" + own, withIntermediateDirectories: true) }
      try "\(type)\n".write(toFile: place + "/type", atomically: true, encoding: .utf8)
      try (name == "wlan1" ? "0\n" : "1\n").write(toFile: place + "/carrier", atomically: true, encoding: .utf8)
    }
    let found = NetworkInterface.all(below: folder.path)
    #expect(found.map(\.name) == ["eth0", "wlan0", "wlan1"])
    #expect(found.map(\.isWireless) == [false, true, true])
    #expect(found.map(\.hasCarrier) == [true, true, false])
  }
}

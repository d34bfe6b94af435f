import Foundation
import Testing

/// `export` as scripts use it.
@Suite struct ExportTests {
  /// Dictionaries have another order in each process: the file must not.
  @Test func thePluginIsTheSameInEveryProcess() throws {
    let first = try run(BuiltProgram.path, ["export", "wireshark"])
    let second = try run(BuiltProgram.path, ["export", "wireshark"])
    #expect(first.status == 0 && first.errors.isEmpty && first.output.hasPrefix("-- LinkBMS for Wireshark"))
    #expect(first.output == second.output)
  }

  @Test func aChosenProtocolIsAloneAndStandsInThePreference() throws {
    let result = try run(BuiltProgram.path, ["export", "wireshark", "--protocol", "sofar", "--variant", "sofar2"])
    #expect(result.status == 0)
    #expect(result.output.contains("local default_profile = \"sofar/sofar2\""))
    #expect(result.output.contains("    name = \"sofar\"") && !result.output.contains("    name = \"goodwe\""))
  }

  @Test func aCaptureSetsThePreferences() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let capture = root.appendingPathComponent("Captures/two-buses/capture.log").path
    let result = try run(BuiltProgram.path, ["export", "wireshark", "--for", capture])
    #expect(result.output.contains("local default_buses = \"can0=pylontech-hv/pylon-sofar; can1=goodwe-byd/goodwe-byd\""))
  }

  @Test(
    arguments: [
      (["--protocol", "sofr"], "linkbms: --protocol: found \"sofr\", expected one of"),
      (["--variant", "sofar2"], "linkbms: --variant: needs the protocol it belongs to"),
      (["--protocol", "sofar", "--variant", "x"], "linkbms: --variant: found \"x\", expected one of"),
      (["--dbc", "/no/such.dbc"], "linkbms: /no/such.dbc: cannot open: No such file"),
      (["--dbc", "a.dbc", "--protocol", "sofar"], "linkbms: --dbc: a plain DBC has no protocols"),
      (["--for", "/no/such.log"], "linkbms: /no/such.log: cannot open: No such file"),
      (["/no/such/folder/out.lua"], "linkbms: cannot write /no/such/folder/out.lua: No such file"),
    ] as [([String], String)])
  func mistakesAreNamed(arguments: [String], errors: String) throws {
    let result = try run(BuiltProgram.path, ["export", "wireshark"] + arguments)
    #expect(result.status == 2 && result.output.isEmpty && result.errors.hasPrefix(errors), "\(result)")
  }
}

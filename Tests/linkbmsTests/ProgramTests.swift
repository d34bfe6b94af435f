import Foundation
import Testing

/// The program as scripts use it: words in, status and text out.
@Suite struct ProgramTests {
  @Test(
    arguments: [
      (["--version"], 0, "linkbms 0.1.0\n", ""),
      (["version"], 0, "linkbms 0.1.0\n", ""),
      (["version", "--version"], 0, "linkbms 0.1.0\n", ""),
      (["--help"], 0, "OVERVIEW: ", ""),
      (["help", "shell"], 0, "OVERVIEW: ", ""),
      (["shell", "-h"], 0, "OVERVIEW: ", ""),
      (["manual"], 0, ".TH LINKBMS 1", ""),
      (["completions", "bash"], 0, "#!/bin/bash", ""),
      (["completions", "zsh"], 0, "#compdef linkbms", ""),
      (["completions", "fish"], 0, "function ", ""),
      (["completions"], 2, "", "linkbms: Missing expected argument '<shell>'\n"),
      (["completions", "tcsh"], 2, "", "linkbms: The value 'tcsh' is invalid"),
      (
        ["convert", "x", "--to", "vcd"], 2, "",
        "linkbms: The value 'vcd' is invalid for '--to <format>'. Please provide one of the following:\n  - candump\n"
      ),
      (["compare", "x", "--engine", "--tolerance", "0.2"], 2, "", "linkbms: --tolerance: does not go with --engine\n"),
      (["compare", "x", "--engine", "--format", "json"], 2, "", "linkbms: --format json: does not go with --engine\n"),
      (["--wrong"], 2, "", "linkbms: Unknown option '--wrong'\n"),
      (["version", "extra"], 2, "", "linkbms: Unexpected argument 'extra'\n"),
      (["verison"], 2, "", "linkbms: there is no command or file 'verison'; did you mean 'version'?\n"),
      (["/no/such/file"], 2, "", "linkbms: there is no command or file '/no/such/file'"),
      (["shell", "/no/such/file"], 2, "", "linkbms: /no/such/file: No such file or directory\n"),
      (["shell", "-c", "echo a; nonsense; echo b"], 2, "a\n", "linkbms: -c:1: there is no command 'nonsense'"),
      (["-c", "quit 9"], 9, "", ""),
      (["shell", "-x", "/no/such/script"], 2, "", "linkbms: /no/such/script: No such file or directory\n"),
    ] as [([String], Int32, String, String)])
  func answers(arguments: [String], status: Int32, output: String, errors: String) throws {
    let result = try run(BuiltProgram.path, arguments)
    #expect(result.status == status, "\(arguments): \(result)")
    #expect(result.output.hasPrefix(output), "\(arguments): \(result.output)")
    #expect(errors.isEmpty ? result.errors.isEmpty : result.errors.hasPrefix(errors), "\(arguments): \(result.errors)")
  }

  @Test(
    arguments: [
      ("echo a\nversion\n", 0, "a\nlinkbms 0.1.0\n"),
      ("echo no newline at the end", 0, "no newline at the end\n"),
      ("", 0, ""),
      ("echo a\nnonsense\necho b\n", 2, "a\n"),
      ("set onerror continue\nnonsense\necho b\n", 2, "b\n"),
      ("echo a\nquit 5\necho b\n", 5, "a\n"),
      ("apropos zzz\necho b\n", 1, "b\n"),
    ] as [(String, Int32, String)])
  func takesCommandsFromAPipe(script: String, status: Int32, output: String) throws {
    let result = try run(BuiltProgram.path, [], input: script)
    #expect(result.status == status && result.output == output, "\(script): \(result)")
  }

  @Test(arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)] as [(Int32, Int32)])
  func aSignalEndsAScriptWith128PlusItsNumber(signal: Int32, status: Int32) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: BuiltProgram.path)
    process.arguments = ["shell", "-c", "! echo started\nsleep 20\necho not-this"]
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "started\n")
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == status)
    #expect(output.fileHandleForReading.readDataToEndOfFile().isEmpty)
  }

  @Test func aReaderThatLeavesIsNoError() throws {
    let line = "set -o pipefail; '\(BuiltProgram.path)' manual | head -1; '\(BuiltProgram.path)' manual | true"
    let result = try run("/bin/bash", ["-c", line])
    #expect(result.status == 0 && result.errors.isEmpty, "\(result)")
  }

  @Test func aFullDiskIsSaid() throws {
    let result = try run("/bin/bash", ["-c", "'\(BuiltProgram.path)' manual > /dev/full"])
    #expect(result.status == 2)
    #expect(result.errors == "linkbms: cannot write standard output: No space left on device\n")
  }

  @Test func completionScriptsAreAcceptedByBash() throws {
    let line = "source <('\(BuiltProgram.path)' completions bash) && complete -p linkbms"
    let result = try run("/bin/bash", ["-c", line])
    #expect(result.status == 0 && result.output.contains("linkbms"), "\(result)")
  }
}

/// The controller at the command line.
@Suite struct ControllerCommandTests {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  @Test func theManualsPageIsShown() throws {
    let result = try run(BuiltProgram.path, ["simulate", "--quiet", Self.root + "/Captures/scenarios/manual-page.yaml"])
    #expect(result.status == 0)
    for part in [
      "327.6", "328.3", "384.0", "297.6", "25.0", "50.0", "96", "14.6", "-106.1", "-98.0", "-88.1", "RUNNING", "3.426↓", "Cell 11",
    ] {
      #expect(result.output.contains(part), "\(part)")
    }
  }

  @Test func aRecordingReplaysBitForBitAndAChangeIsFound() throws {
    let path = "/tmp/linkbms-replay-\(UInt64.random(in: 0...UInt64.max)).pcapng"
    defer { for name in [path, path + ".log"] { unlink(name) } }
    let scenario = Self.root + "/Captures/scenarios/power-cut.yaml"
    #expect(try run(BuiltProgram.path, ["simulate", "--quiet", "--record", path, scenario]).status == 0)
    let same = try run(BuiltProgram.path, ["replay", path, "--through-engine"])
    #expect(same.status == 0 && same.output.contains("every output as recorded"))
    // One cell of one scan reads 10 mV more.
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let middle = bytes.count / 2
    // A scan packet begins with kind 2, chain 0, 4 modules, 48 cells.
    var scan = middle
    while scan < bytes.count - 10, bytes[scan..<scan + 4] != [2, 0, 4, 48] { scan += 1 }
    #expect(scan < bytes.count - 10)
    bytes[scan + 8] = 0xFF
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let changed = try run(BuiltProgram.path, ["replay", path, "--through-engine"])
    #expect(changed.status == 1 && changed.output.contains("the first is step"), "\(changed.output)")
    #expect(try run(BuiltProgram.path, ["replay", Self.root + "/Captures/scenarios/start.yaml", "--through-engine"]).status == 2)
  }

  @Test func aConfigurationIsChangedWholeOrNotAtAll() throws {
    let path = "/tmp/linkbms-config-\(UInt64.random(in: 0...UInt64.max)).yaml"
    defer { for name in [path, path + ".previous"] { unlink(name) } }
    let bad = try run(BuiltProgram.path, ["config", "set", "bms1-slaves=12", "--file", path])
    #expect(
      bad.status == 2 && bad.errors.contains("cell-count: found 8, expected 96") && !FileManager.default.fileExists(atPath: path))
    #expect(
      try run(BuiltProgram.path, ["config", "set", "bms1-slaves=12", "cell-count=96", "bms1-sensors.3=4,5", "--file", path]).status
        == 0)
    #expect(try run(BuiltProgram.path, ["config", "preset", "li-ion", "--file", path]).status == 0)
    let shown = try run(BuiltProgram.path, ["config", "show", "cell-charge-disable", "cell-count", "--file", path])
    #expect(shown.output.contains("4.1 V") && shown.output.contains("96"))
    let diff = try run(BuiltProgram.path, ["config", "diff", "--file", path])
    #expect(diff.status == 1 && diff.output.contains("cell-charge-disable: 3.55 V → 4.1 V"))
    #expect(try run(BuiltProgram.path, ["config", "check", path]).status == 0)
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacing("capacity: 100", with: "capacity: 1000").write(toFile: path, atomically: true, encoding: .utf8)
    let broken = try run(BuiltProgram.path, ["config", "check", path])
    #expect(broken.status == 1 && broken.output.contains("checksum: found"))
    #expect(try run(BuiltProgram.path, ["config", "set", "capacity=50", "--file", path]).status == 2, "nothing is overwritten")
    #expect(
      try run(BuiltProgram.path, ["config", "set", "capacty=50", "--file", path + "x"]).errors.contains("did you mean \"capacity\"")
    )
  }
}

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

import Foundation
import Testing

/// The prompt as a person sees it. The cases are in `PseudoTerminal/prompt.py`, which needs python3 with pexpect.
@Suite struct PseudoTerminalTests {
  @Test func thePromptBehavesInATerminal() throws {
    guard try run("/usr/bin/env", ["python3", "-c", "import pexpect"]).status == 0 else {
      print("SKIPPED: the prompt was not tried in a terminal; install python3-pexpect")
      #expect(ProcessInfo.processInfo.environment["CI"] == nil, "python3-pexpect is missing")
      return
    }
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("PseudoTerminal/prompt.py").path
    let result = try run("/usr/bin/env", ["python3", script, BuiltProgram.path])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }.count > 15, "\(result.output)")
  }

  /// Commissioning from the first question to the last, on sound plants and on one for each mistake.
  @Test func commissioningFindsEachMistakeAtItsStep() throws {
    guard try run("/usr/bin/env", ["python3", "-c", "import pexpect"]).status == 0 else {
      print("SKIPPED: commissioning was not tried in a terminal; install python3-pexpect")
      #expect(ProcessInfo.processInfo.environment["CI"] == nil, "python3-pexpect is missing")
      return
    }
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let script = folder.appendingPathComponent("PseudoTerminal/commission.py").path
    let result = try run("/usr/bin/env", ["python3", script, BuiltProgram.path, CommissioningRig.folder.path])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }.count >= 30, "\(result.output)")
  }
}

/// The program as built beside the tests.
enum BuiltProgram {
  static var path: String {
    URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("linkbms").path
  }
}

/// Runs a program with an input; its status, standard output and standard error together where `merged`.
func run(_ program: String, _ arguments: [String], input: String = "") throws -> (status: Int32, output: String, errors: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  let (entry, output, errors) = (Pipe(), Pipe(), Pipe())
  (process.standardInput, process.standardOutput, process.standardError) = (entry, output, errors)
  try process.run()
  entry.fileHandleForWriting.write(Data(input.utf8))
  try entry.fileHandleForWriting.close()
  let shown = output.fileHandleForReading.readDataToEndOfFile()
  let said = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: shown, as: UTF8.self), String(decoding: said, as: UTF8.self))
}

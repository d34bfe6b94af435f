import Analysis
import ArgumentParser
import Bus
import Formats

/// `replay`: a recording once more, through this build's engine.
struct ReplayCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Give a recording's inputs to the controller again and compare what comes out, bit for bit.",
    discussion: HelpText.discussion(
      "Exit status: 0 every output is as recorded; 1 there are differences, or the file is damaged; 2 could not read it.",
      examples: [("linkbms replay run.pcapng --through-engine", "was the file or the engine changed?")]))

  @Argument(help: ArgumentHelp("A recording of simulate --record.", valueName: "file"), completion: .file())
  var file: String
  @Flag(help: "Through the controller engine of this build.")
  var throughEngine = false

  func validate() throws {
    guard throughEngine else { throw ValidationError("say where to: --through-engine") }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    var capture = try CaptureInput(path: file, format: nil)
    var replay = EngineReplay()
    while try capture.readWindow(into: &replay) { if world.isInterrupted { break } }
    for problem in replay.problems { world.note("linkbms: \(capture.name): \(problem)") }
    guard replay.starts > 0 else {
      throw WorldError(message: "\(capture.name): found no engine records, expected a recording of simulate --record")
    }
    guard let first = replay.first else {
      try world.print("\(capture.name): \(replay.steps) steps, every output as recorded")
      return replay.problems.isEmpty ? .done : .findings
    }
    try world.print("\(capture.name): \(replay.differing) of \(replay.steps) steps differ; the first is step \(first.step)")
    let start = Double(first.time.nanoseconds) / 1e9
    try world.print("  time \(start) s")
    for text in first.texts { try world.print("  " + text) }
    return .findings
  }
}

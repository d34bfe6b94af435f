import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO
import Simulation

/// `fault-matrix`: every link fault against every protocol (tools/faultmatrix).
struct FaultMatrixCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "fault-matrix",
    abstract: "Inject every link fault into every protocol and see whether the diagnosis names it.",
    discussion: HelpText.discussion(
      "Prints a table in Markdown. Exit status: 0 at least 95 % of the runs are named and no clean run has a finding of severity "
        + "warning or error; 1 otherwise.",
      examples: [
        ("linkbms fault-matrix --seeds 1-20 --clean 200", "the table of Captures/README.md"),
        ("linkbms fault-matrix --only sofar1 --fault byte-order --keep /tmp", "one cell, with its captures"),
      ]),
    shouldDisplay: false)

  @Option(help: ArgumentHelp("Seeds for each cell.", valueName: "first-last")) var seeds = "1-20"
  @Option(help: ArgumentHelp("Clean runs for each protocol.", valueName: "n")) var clean: UInt64 = 200
  @Option(help: ArgumentHelp("Virtual seconds of a run.", valueName: "s")) var seconds = 120.0
  @Option(help: ArgumentHelp("Only this protocol or variant; repeatable.", valueName: "name")) var only: [String] = []
  @Option(help: ArgumentHelp("Only this fault; repeatable.", valueName: "name")) var fault: [String] = []
  @Option(help: ArgumentHelp("Write the capture of each miss to this folder.", valueName: "folder")) var keep: String?

  mutating func run(in world: inout some World) throws -> ExitStatus {
    let parts = seeds.split(separator: "-").compactMap { UInt64($0) }
    guard let first = parts.first, let last = parts.last, first <= last else {
      throw WorldError(message: "--seeds: expected first-last")
    }
    var options = DefinitionOptions()
    options.dissectors = nil
    let matrix = FaultMatrix(library: try world.library(options), book: try RuleBookFile.read(nil), seconds: seconds)
    let entries = matrix.entries(only)
    let kinds = LinkFault.Kind.allCases.filter { fault.isEmpty || fault.contains($0.rawValue) }
    guard !entries.isEmpty, !kinds.isEmpty else { throw WorldError(message: "--only, --fault: nothing has that name") }
    try world.print("| fault | " + entries.map(\.name).joined(separator: " | ") + " |")
    try world.print("|---|" + entries.map { _ in "---" }.joined(separator: "|") + "|")
    var (named, runs) = (0, 0)
    var reasons: [String: [String]] = [:]
    var misses: [String] = []
    for kind in kinds {
      var cells: [String] = []
      for entry in entries {
        let outcome = matrix.outcome(kind, entry, seeds: first...last)
        if let reason = outcome.reason {
          reasons["\(kind.rawValue): \(reason)", default: []].append(entry.name)
          cells.append("–")
          continue
        }
        named += outcome.named
        runs += outcome.runs
        cells.append("\(outcome.named)/\(outcome.runs)")
        for (rule, miss) in outcome.misses.sorted(by: { $0.key < $1.key }) {
          misses.append("\(kind.rawValue) in \(entry.name): \(rule) first in \(miss.count), such as seed \(miss.seed)")
          if let keep { try self.keep(matrix, kind, entry, miss.seed, keep) }
        }
        if world.isInterrupted { return .findings }
      }
      try world.print("| \(kind.rawValue) | " + cells.joined(separator: " | ") + " |")
      try world.flush()
    }
    var alarms: [String] = []
    if clean > 0 {
      var cells: [String] = []
      for entry in entries {
        let found = matrix.falseAlarms(entry, seeds: 1...clean)
        cells.append("\(found.count)/\(clean)")
        for alarm in found.prefix(3) { alarms.append("\(entry.name) seed \(alarm.seed): \(alarm.rules.joined(separator: "; "))") }
      }
      try world.print("| *clean runs with a finding* | " + cells.joined(separator: " | ") + " |")
    }
    try world.print("")
    for (reason, names) in reasons.sorted(by: { $0.key < $1.key }) {
      try world.print("– \(reason) (\(names.joined(separator: ", ")))")
    }
    let share = runs == 0 ? 1 : Double(named) / Double(runs)
    try world.print(
      "\n\(named) of \(runs) runs named at once (\(Int(share * 1000) / 10).\(Int(share * 1000) % 10) %), \(alarms.count == 0 ? "no" : "some") clean run with a finding"
    )
    for miss in misses { world.note("miss: \(miss)") }
    for alarm in alarms { world.note("clean: \(alarm)") }
    return share >= 0.95 && alarms.isEmpty ? .done : .findings
  }

  private func keep(_ matrix: FaultMatrix, _ kind: LinkFault.Kind, _ entry: FaultMatrix.Entry, _ seed: UInt64, _ folder: String)
    throws
  {
    var fault = LinkFault(kind)
    switch kind {
    case .frozen, .busOff, .clockJump, .foreignTraffic, .ignoresLimits: fault.at = 8 + Double(seed % 7)
    case .zerosAtStart: fault.until = 2.5 + Double(seed % 3)
    case .restart: fault.at = 20 + Double(seed % 5)
    default: break
    }
    let records = matrix.run(entry, [fault], seed: seed).records
    var writer = CandumpWriter()
    var buffer = ByteBuffer()
    writer.addBus(BusID(0), named: "can0", into: &buffer)
    for record in records { writer.write(record, into: &buffer) }
    try OutputFile.write(
      buffer.withBytes { String(decoding: $0, as: UTF8.self) }, to: "\(folder)/\(kind.rawValue)-\(entry.name)-\(seed).log")
  }
}

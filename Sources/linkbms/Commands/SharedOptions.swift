import Analysis
public import ArgumentParser
public import Formats

/// `--format`.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable { case text, json, csv }

extension CaptureFormat: ExpressibleByArgument {}

/// A format in which captures can be written.
struct WritableFormat: ExpressibleByArgument {
  let format: CaptureFormat

  init?(argument: String) {
    guard let format = CaptureFormat(rawValue: argument), format.isWritable else { return nil }
    self.format = format
  }

  static var allValueStrings: [String] { CaptureFormat.allCases.filter(\.isWritable).map(\.rawValue) }
  static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

/// Options of every command that reads captures.
struct InputOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Read the capture as this format instead of recognising it.", valueName: "format"))
  var from: CaptureFormat?
  @Flag(help: "Say which format was recognised, and why.")
  var explain = false
  @Flag(help: "Stop at the first damaged line or block.")
  var strict = false
  @Option(name: [.short, .long], help: ArgumentHelp("Cores to use where the order of the output allows it.", valueName: "n"))
  var jobs: Int?
}

/// Live buses in place of files.
struct LiveInput: ParsableArguments {
  @Option(
    name: .customLong("live"),
    help: ArgumentHelp("Listen to this live bus instead of reading a FILE; repeatable.", valueName: "iface"))
  var interfaces: [String] = []
  @Option(name: .customLong("for"), help: ArgumentHelp("Listen for so long: 10s, 5m, 1h; else until Ctrl-C.", valueName: "time"))
  var duration: String?

  /// Whether a bus was named.
  var isWanted: Bool { !interfaces.isEmpty }

  /// Buses and files do not go together.
  func check(_ files: [String]) throws {
    if isWanted, !files.isEmpty { throw ValidationError("--live and a FILE: give one of them") }
    if duration != nil, !isWanted { throw ValidationError("--for: needs --live IFACE") }
  }

  /// The buses, open for listening.
  /// - Parameters:
  ///   - usual: how long to listen where nobody said it; `nil` = until told.
  ///   - taps: whether taps on chains and PDU may be among them.
  func context(
    _ command: String, usual: String? = nil, taps: Bool = false, in world: inout some World
  ) throws(WorldError) -> JobContext {
    let time = try (duration ?? usual).map { text throws(WorldError) in try DurationText.required(text, "--for") }
    let ports = try world.live.listen(interfaces, taps: taps)
    let context = JobContext("\(command) --live \(interfaces.joined(separator: " "))", ports)
    context.duration_ns = time
    return context
  }
}

/// The filters of `decode`.
struct FilterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Only this bus; repeatable.", valueName: "name"))
  var bus: [String] = []
  @Option(help: ArgumentHelp("Only this message; repeatable.", valueName: "name"))
  var message: [String] = []
  @Option(help: ArgumentHelp("From this time on: seconds as in the capture, or +seconds from its first record.", valueName: "time"))
  var start: String?
  @Option(help: ArgumentHelp("Up to this time.", valueName: "time"))
  var end: String?
  @Flag(help: "Only frames whose payload differs from the one before with the same ID.")
  var changed = false
  @Option(
    name: [.customShort("f"), .customLong("filter")],
    help: ArgumentHelp("Only IDs that pass candump's filter words: id:mask, id~mask, #errormask, j.", valueName: "word"))
  var idFilter: [String] = []
  @Option(
    name: .customLong("where"),
    help: ArgumentHelp(
      "Only frames for which this holds, such as 'PackVoltage > 400 and CellVoltageMin < 3' or 'any fault'.",
      valueName: "expression"))
  var expression: String?
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Stop after so many frames.", valueName: "frames"))
  var count: UInt64?

  func selection() throws(WorldError) -> Selection {
    var selection = Selection()
    selection.buses = Set(bus)
    selection.messages = Set(message)
    selection.start = try FilterOptions.bound(start, "--start")
    selection.end = try FilterOptions.bound(end, "--end")
    selection.changedOnly = changed
    selection.limit = count
    if !idFilter.isEmpty {
      do throws(IDFilter.Mistake) { selection.ids = try IDFilter(idFilter) } catch {
        throw WorldError(message: "--filter: found \"\(error.word)\", expected \(error.expected)")
      }
    }
    if let expression {
      do throws(FilterExpression.Mistake) { selection.expression = try FilterExpression.parse(expression) } catch {
        throw WorldError(
          message: "--where: \(error)\n  \(expression)\n  \(String(repeating: " ", count: max(0, error.column - 1)))^")
      }
    }
    return selection
  }

  private static func bound(_ text: String?, _ option: String) throws(WorldError) -> Selection.TimeBound? {
    guard var text else { return nil }
    let isRelative = text.hasPrefix("+")
    if isRelative { text.removeFirst() }
    let time = text.withUTF8 { bytes -> Int64? in
      var cursor = ByteCursor(UnsafeRawBufferPointer(bytes))
      guard let time = cursor.seconds(), cursor.isAtEnd else { return nil }
      return time.nanoseconds
    }
    guard let time else {
      throw WorldError(
        message: "\(option): found \"\(text)\", expected seconds such as 1700000000.5, or +12.5 from the first record")
    }
    return isRelative ? .relative(time) : .absolute(time)
  }
}

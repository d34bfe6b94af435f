import Analysis
import Bus
import Formats
import HostIO

/// `monitor`: a table of what passes, drawn again and again. It never sends.
final class MonitorJob: LiveJob {
  let context: JobContext
  private let library: DefinitionLibrary
  private let style: TextStyle
  private let terminal: Terminal
  private var table: MonitorTable
  private var identifier: LiveIdentifier?
  private var view = LiveView()
  private var nextDraw_ns: Int64 = 0
  private var hasNewFrames = false

  /// From picture to picture for a person, and for a file or a pipe.
  static let interval_ns: Int64 = 250_000_000
  static let snapshot_ns: Int64 = 1_000_000_000

  init(_ context: JobContext, chooser: TableChooser?, library: DefinitionLibrary, _ terminal: Terminal) {
    self.context = context
    self.library = library
    self.terminal = terminal
    style = TextStyle(usesColour: terminal.usesColour)
    let buses = context.ports.map(\.name)
    table = MonitorTable(buses: buses, chooser: chooser)
    if chooser == nil { identifier = LiveIdentifier(library, buses: buses) }
    context.input = .keys
    context.needsForeground = terminal.isTerminal
  }

  var nextWake_ns: Int64 { min(nextDraw_ns, identifier?.nextWake_ns ?? .max) }

  func begin(_ now: LiveTime) {
    nextDraw_ns = now.monotonic_ns &+ (terminal.isTerminal ? 0 : MonitorJob.snapshot_ns)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    identifier?.take(record, now.monotonic_ns)
    table.add(record, now.monotonic_ns)
    hasNewFrames = true
  }

  func wake(_ now: LiveTime) {
    if let verdicts = identifier?.look(now.monotonic_ns) {
      identifier?.dropEarly()
      table.name(by: TableChooser(verdicts, library))
    }
    guard now.monotonic_ns >= nextDraw_ns else { return }
    nextDraw_ns = now.monotonic_ns &+ (terminal.isTerminal ? MonitorJob.interval_ns : MonitorJob.snapshot_ns)
    draw(now)
  }

  func take(key: UInt8, _ now: LiveTime) {
    switch UnicodeScalar(key) {
    case "q": context.isDone = true
    case "h": table.isHeld.toggle()
    case "n": table.notch()
    case "c": table.clear()
    default: return
    }
    nextDraw_ns = now.monotonic_ns
  }

  func finish(_ now: LiveTime) {
    // What came since the last snapshot would be missing in a file.
    if !terminal.isTerminal, hasNewFrames { draw(now) }
  }

  private func draw(_ now: LiveTime) {
    guard terminal.isTerminal else {
      for line in table.lines(now.monotonic_ns, style, mark: { $0 + "*" }) { context.output.print(line) }
      context.output.print("")
      hasNewFrames = false
      return
    }
    guard !table.isHeld else { return }
    let style = style
    let lines = table.lines(now.monotonic_ns, style) { style.usesColour ? style.alarming($0) + " " : $0 + "*" }
    let help = style.dim("q quit  h hold  n notch (what moves now is not marked any more)  c clear")
    context.output.data.pointee.append(string: view.draw(lines + [help], columns: terminal.columns, rows: terminal.rows))
  }
}

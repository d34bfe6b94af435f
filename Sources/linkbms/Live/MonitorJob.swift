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
  /// What stands on the terminal, without the line of keys.
  private var shown: [String] = []
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
    case "h": hold(now)
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
    shown = table.lines(now.monotonic_ns, style, columns: terminal.asItIsNow.columns) {
      style.usesColour ? style.alarming($0) + " " : $0 + "*"
    }
    show(shown, keys: "q quit  h hold  n notch (what moves now is not marked any more)  c clear")
  }

  /// Holds the picture, or lets it go on. What is held says so in its first line, which is seen in the lowest window, too.
  private func hold(_ now: LiveTime) {
    if shown.isEmpty { draw(now) }
    table.isHeld.toggle()
    guard table.isHeld else { return }
    let held = "HELD: this is how it was when h was pressed; counting goes on, and h shows what passes again"
    show([style.warning(held)] + shown.dropFirst(), keys: "q quit  h go on  n notch  c clear")
  }

  private func show(_ lines: [String], keys: String) {
    let window = terminal.asItIsNow
    let text = view.draw(lines + [style.dim(keys)], columns: window.columns, rows: window.rows)
    context.output.data.pointee.append(string: text)
  }
}

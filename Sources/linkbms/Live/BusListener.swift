import Analysis
import Bus
import Formats
import HostIO
import Protocols

/// The live bus that a session has open: the latest frame of each ID, and the frames of the last moments for `wait` and `expect`.
///
/// It is a job like any other, so that it hears while the prompt waits.
final class BusListener: LiveJob {
  let context: JobContext
  private let library: DefinitionLibrary
  private var table: DecodeTable
  /// Goes up each time that names get another meaning.
  private(set) var tableNumber = 0
  private var identifier: LiveIdentifier?
  private var latest: [UInt32: (number: Int, record: CANRecord)] = [:]
  private var recent = FrameRing(capacity: 8192)
  /// Number of the first frame that counts for the next `wait` or `expect`.
  private var mark = 0
  /// By ID: number of the first frame behind those that an `expect` has used up.
  private var unused: [UInt32: Int] = [:]

  /// More different IDs than any protocol has: noise must not fill the memory.
  private static let mostIDs = 4096

  init(_ context: JobContext, chooser: TableChooser?, library: DefinitionLibrary) {
    self.context = context
    self.library = library
    table = chooser?.fallback ?? DecodeTable(PlanCompiler().finish())
    if chooser == nil { identifier = LiveIdentifier(library, buses: context.ports.map(\.name)) }
  }

  /// The bus's name.
  var name: String { context.buses }
  /// Whether it is known what is spoken.
  var isIdentified: Bool { identifier == nil || identifier?.isDecided == true }
  var nextWake_ns: Int64 { identifier?.nextWake_ns ?? .max }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    identifier?.take(record, now.monotonic_ns)
    // A frame without data says nothing of what its message would.
    let hasData = !record.frame.flags.contains(.remote) && !record.frame.flags.contains(.error)
    if hasData, latest.count < BusListener.mostIDs || latest[record.frame.id.rawValue] != nil {
      latest[record.frame.id.rawValue] = (recent.total, record)
    }
    recent.add(record, now.monotonic_ns)
  }

  func wake(_ now: LiveTime) {
    guard let verdicts = identifier?.look(now.monotonic_ns) else { return }
    identifier?.dropEarly()
    table = TableChooser(verdicts, library).table(forBus: name)
    tableNumber += 1
  }

  /// Gives the bus back.
  func close() { for port in context.ports { port.close() } }

  // MARK: Asking

  /// Frames heard so far.
  var heard: Int { recent.total }

  /// A statement ended that began when so many frames had been heard: what came since counts for the next one, so that the answer to a
  /// `send` is not missed by the `expect` behind it.
  func statementEnded(beganAt heard: Int) { mark = max(mark, heard) }

  /// Frames that count for the present statement, from this number on, oldest first.
  func counting(from number: Int) -> [(number: Int, record: CANRecord)] { recent.records(from: max(mark, number)) }

  /// Whether a frame that counts may still be used: neither it nor one of its ID behind it has been.
  func isUnused(_ number: Int, _ record: CANRecord) -> Bool { number >= unused[record.frame.id.rawValue] ?? 0 }

  /// A frame was expected and came: of its ID only later ones count for the next statement. Other messages may have come in any order.
  func used(_ number: Int, _ record: CANRecord) { unused[record.frame.id.rawValue] = number + 1 }

  /// A frame was waited for and came: what counts for the next statement came behind it.
  func waitedFor(_ number: Int) { mark = max(mark, number + 1) }

  /// What an ID means here.
  func slot(of record: CANRecord) -> Int { table.slot(of: record.frame) ?? -1 }

  /// The name of the message that a frame is.
  func messageName(_ record: CANRecord) -> String? {
    let slot = slot(of: record)
    return slot < 0 ? nil : table.dissection.messages[table.messageIndex(ofSlot: slot)].name
  }

  /// An expression over this bus.
  func filter(
    _ expression: FilterExpression, _ option: String, _ question: CompiledFilter.Question
  ) throws(WorldError) -> CompiledFilter {
    if isIdentified, let mistake = CompiledFilter.unknownNames(expression, [table]).first {
      throw WorldError(message: "\(option): \(mistake)")
    }
    return CompiledFilter(expression, table: table, busName: name, question)
  }

  /// A filter that has seen the latest frame of each ID, and whether it holds now; `nil` = that cannot be said yet.
  func informed(_ filter: CompiledFilter) -> (filter: CompiledFilter, holds: Bool?) {
    var filter = filter
    let inOrder = latest.values.sorted { $0.number < $1.number }.map(\.record)
    for record in inOrder { _ = filter.judge(record, slot: slot(of: record)) }
    guard let last = inOrder.last else { return (filter, nil) }
    return (filter, filter.verdict(at: last, slot: slot(of: last)))
  }

  /// A filter that knows what had come before the frames that count for the present statement.
  func informedBefore(_ filter: CompiledFilter) -> CompiledFilter {
    var filter = filter
    let kept = recent.records(from: 0)
    let first = kept.first?.number ?? 0
    for (number, record) in latest.values.sorted(by: { $0.number < $1.number }) where number < first {
      _ = filter.judge(record, slot: slot(of: record))
    }
    for (number, record) in kept where number < mark { _ = filter.judge(record, slot: slot(of: record)) }
    return filter
  }

  /// The latest value of a signal as text without its unit; `nil` if the bus has no such signal.
  func value(ofSignal name: String) throws(WorldError) -> String? {
    let indices = table.dissection.signals.indices.filter { table.dissection.signals[$0].name == name }
    guard !indices.isEmpty else { return nil }
    for (_, record) in latest.values.sorted(by: { $0.number > $1.number }) {
      let slot = slot(of: record)
      guard slot >= 0 else { continue }
      let place = table.slots[slot]
      for index in indices where (Int(place.first)..<Int(place.end)).contains(index) {
        guard let raw = table.raw(index, slot: slot, in: record.frame) else { continue }
        let info = table.dissection.signals[index]
        let plan = table.dissection.plan.signals[index]
        if info.isText { return ValueText.ascii(raw, plan) }
        if let label = info.labels[raw] { return label }
        return ValueText.number(of: raw, plan)
      }
    }
    throw WorldError(message: "\(name): no value has come on \(self.name) yet; 'wait for' a message that carries it")
  }

  /// Names of the messages that are known here.
  var messageNames: [String] { table.dissection.messages.map(\.name) }
  /// Names of the signals that are known here; none until it is known what is spoken.
  var signalNames: [String] { table.dissection.signals.map(\.name) }
}

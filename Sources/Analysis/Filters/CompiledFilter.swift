public import Bus
import Formats
import Protocols

/// An expression bound to the definitions of a bus.
///
/// Signals of other messages keep their last value: the expression is judged at every frame that carries at least one of its signals,
/// with the latest values of the others. A frame that carries none passes only if the expression names fields alone. `any` asks for flags
/// of the frame, or where they stand, for those of the latest frame of any ID.
public struct CompiledFilter: Sendable {
  /// What is asked.
  public enum Question: Sendable {
    /// Which frames to take: what has not come is false.
    case frames
    /// Whether a frame fulfils a condition: what has not come leaves it open, also behind `not`.
    case condition
    /// How things stand: as `condition`, and a flag stands until a frame of its own ID says otherwise.
    case standing
  }

  private let expression: FilterExpression
  private let table: DecodeTable
  private let busName: String
  /// By name: the signals of that name in the plan, and the last value of any of them.
  private var signals: [String: Latest] = [:]
  /// By slot: the severities of the flags that its latest frame carries, and of those that are set. `nil` where only the frame counts.
  private var flags: [Int: Flags]?
  private let question: Question

  private struct Flags: Sendable {
    var carried: Set<String> = []
    var set: Set<String> = []
  }

  private struct Latest: Sendable {
    var indices: Set<Int>
    var value: Double?
    var label: String?
  }

  /// Binds it; names that are neither signals nor fields have no value (`unknownNames`).
  public init(_ expression: FilterExpression, table: DecodeTable, busName: String, _ question: Question = .frames) {
    self.expression = expression
    self.table = table
    self.busName = busName
    self.question = question
    if question == .standing, expression.asksForFlags { flags = [:] }
    for (name, _) in expression.names where FilterExpression.Field(rawValue: name) == nil {
      let indices = table.dissection.signals.indices.filter { table.dissection.signals[$0].name == name }
      signals[name] = Latest(indices: Set(indices))
    }
  }

  /// Names in the expression that no definition of any bus knows.
  public static func unknownNames(_ expression: FilterExpression, _ tables: [DecodeTable]) -> [FilterExpression.Mistake] {
    let known = Set(tables.flatMap { $0.dissection.signals.map(\.name) })
    return expression.names.filter { FilterExpression.Field(rawValue: $0.name) == nil && !known.contains($0.name) }.map {
      name, column in
      let fields = FilterExpression.Field.allCases.map(\.rawValue)
      return .init(
        column: column, found: "\"\(name)\"", expected: "a signal or a field" + NearestName.hint(name, in: known.sorted() + fields))
    }
  }

  /// Whether a frame passes.
  /// - Parameter slot: what its ID means; −1 if nothing.
  public mutating func matches(_ record: CANRecord, slot: Int) -> Bool { judge(record, slot: slot) ?? false }

  /// Whether the expression holds at a frame; `nil` at one that carries none of its signals and therefore says nothing. But for `frames`
  /// `nil` also as long as that depends on a value that has not come yet.
  public mutating func judge(_ record: CANRecord, slot: Int) -> Bool? {
    guard learn(record, slot: slot) || signals.isEmpty && flags == nil else { return nil }
    return question == .frames ? truth(expression, record, slot) : verdict(at: record, slot: slot)
  }

  /// Whether the expression holds for everything that was learnt; `nil` where that depends on a value that has not come yet. Fields of a
  /// frame are those of `record`.
  public func verdict(at record: CANRecord, slot: Int) -> Bool? { verdict(expression, record, slot) }

  private func verdict(_ expression: FilterExpression, _ record: CANRecord, _ slot: Int) -> Bool? {
    switch expression {
    case .binary(.or, let left, let right):
      let (left, right) = (verdict(left, record, slot), verdict(right, record, slot))
      return left == true || right == true ? true : left == nil || right == nil ? nil : false
    case .binary(.and, let left, let right):
      let (left, right) = (verdict(left, record, slot), verdict(right, record, slot))
      return left == false || right == false ? false : left == nil || right == nil ? nil : true
    case .not(let inner): return verdict(inner, record, slot).map { !$0 }
    case .flag(let severity):
      if hasFlag(severity, record, slot) { return true }
      return isKnown(severity) ? false : nil
    case .binary, .number, .text, .name, .byte:
      return isKnown(expression) ? truth(expression, record, slot) : nil
    }
  }

  private func isKnown(_ expression: FilterExpression) -> Bool {
    switch expression {
    case .name(let name, _): signals[name].map { $0.value != nil } ?? true
    case .not(let inner): isKnown(inner)
    case .binary(_, let left, let right): isKnown(left) && isKnown(right)
    case .flag(let severity): isKnown(severity)
    case .number, .text, .byte: true
    }
  }

  /// Whether a frame has come that can carry flags of that severity. A frame that is looked at by itself says everything about itself.
  private func isKnown(_ severity: String?) -> Bool {
    guard let flags else { return true }
    return flags.values.contains { severity.map($0.carried.contains) ?? !$0.carried.isEmpty }
  }

  /// Names of signals in the expression of which no value has come yet.
  public var awaited: [String] { signals.filter { $0.value.value == nil }.map(\.key).sorted() }

  /// Flags that it asks for and that no frame so far can carry, as they are asked for: `any fault`.
  public var awaitedFlags: [String] { awaitedFlags(expression) }

  private func awaitedFlags(_ expression: FilterExpression) -> [String] {
    switch expression {
    case .flag(let severity): isKnown(severity) ? [] : ["any \(severity ?? "flag")"]
    case .not(let inner): awaitedFlags(inner)
    case .binary(_, let left, let right): awaitedFlags(left) + awaitedFlags(right)
    case .number, .text, .name, .byte: []
    }
  }

  /// Takes over the values that a frame carries; whether there were any.
  private mutating func learn(_ record: CANRecord, slot: Int) -> Bool {
    guard slot >= 0 else { return false }
    var carries = false
    let place = table.slots[slot]
    if flags != nil, let own = flags(of: record, slot: slot) {
      flags?[slot] = own
      carries = true
    }
    for index in Int(place.first)..<Int(place.end) {
      let info = table.dissection.signals[index]
      guard signals[info.name]?.indices.contains(index) == true, let raw = table.raw(index, slot: slot, in: record.frame) else {
        continue
      }
      carries = true
      let plan = table.dissection.plan.signals[index]
      signals[info.name]?.value = plan.physical(raw)
      signals[info.name]?.label = info.isText ? ValueText.ascii(raw, plan) : info.labels[raw]
    }
    return carries
  }

  // MARK: Evaluation

  private enum Value {
    case number(Double)
    case text(String)
    /// A number that has a label too.
    case labelled(Double, String)
    case nothing
  }

  private func truth(_ expression: FilterExpression, _ record: CANRecord, _ slot: Int) -> Bool {
    switch expression {
    case .binary(.or, let left, let right): truth(left, record, slot) || truth(right, record, slot)
    case .binary(.and, let left, let right): truth(left, record, slot) && truth(right, record, slot)
    case .not(let inner): !truth(inner, record, slot)
    case .flag(let severity): hasFlag(severity, record, slot)
    case .binary(let kind, let left, let right): compare(kind, value(left, record, slot), value(right, record, slot))
    case .number, .text, .name, .byte:
      switch value(expression, record, slot) {
      case .number(let number), .labelled(let number, _): number != 0
      case .text(let text): !text.isEmpty
      case .nothing: false
      }
    }
  }

  private func compare(_ kind: FilterExpression.Operator, _ left: Value, _ right: Value) -> Bool {
    func ordered<T: Comparable>(_ a: T, _ b: T) -> Bool {
      switch kind {
      case .equal: a == b
      case .notEqual: a != b
      case .less: a < b
      case .lessOrEqual: a <= b
      case .greater: a > b
      case .greaterOrEqual: a >= b
      case .or, .and, .plus, .minus, .times, .divided: false
      }
    }
    switch (left, right) {
    case (.number(let a), .number(let b)), (.labelled(let a, _), .number(let b)), (.number(let a), .labelled(let b, _)),
      (.labelled(let a, _), .labelled(let b, _)):
      return CompiledFilter.isArithmetic(kind) ? arithmetic(kind, a, b) != 0 : ordered(a, b)
    case (.text(let a), .text(let b)), (.labelled(_, let a), .text(let b)), (.text(let a), .labelled(_, let b)):
      return ordered(a, b)
    case (.nothing, _), (_, .nothing), (.text, .number), (.number, .text): return false
    }
  }

  private static func isArithmetic(_ kind: FilterExpression.Operator) -> Bool {
    switch kind {
    case .plus, .minus, .times, .divided: true
    default: false
    }
  }

  private func arithmetic(_ kind: FilterExpression.Operator, _ a: Double, _ b: Double) -> Double {
    switch kind {
    case .plus: a + b
    case .minus: a - b
    case .times: a * b
    case .divided: a / b
    default: .nan
    }
  }

  private func value(_ expression: FilterExpression, _ record: CANRecord, _ slot: Int) -> Value {
    switch expression {
    case .number(let number): return .number(number)
    case .text(let text): return .text(text)
    case .byte(let index): return index < record.frame.payloadLength ? .number(Double(record.frame.byte(index))) : .nothing
    case .name(let name, _):
      if let latest = signals[name] {
        guard let value = latest.value else { return .nothing }
        return latest.label.map { .labelled(value, $0) } ?? .number(value)
      }
      return FilterExpression.Field(rawValue: name).map { field($0, record, slot) } ?? .nothing
    case .binary(let kind, let left, let right) where CompiledFilter.isArithmetic(kind):
      guard let a = number(value(left, record, slot)), let b = number(value(right, record, slot)) else { return .nothing }
      return .number(arithmetic(kind, a, b))
    case .binary, .not, .flag: return .number(truth(expression, record, slot) ? 1 : 0)
    }
  }

  private func number(_ value: Value) -> Double? {
    switch value {
    case .number(let number), .labelled(let number, _): number
    case .text, .nothing: nil
    }
  }

  private func field(_ field: FilterExpression.Field, _ record: CANRecord, _ slot: Int) -> Value {
    let frame = record.frame
    let message = slot >= 0 ? table.dissection.messages[table.messageIndex(ofSlot: slot)] : nil
    func flag(_ isSet: Bool) -> Value { .number(isSet ? 1 : 0) }
    switch field {
    case .id: return .labelled(Double(frame.id.number), FrameText.text(frame.id))
    case .bus: return .text(busName)
    case .dir: return record.direction == .unknown ? .nothing : .text(record.direction == .received ? "rx" : "tx")
    case .message: return message.map { .text($0.name) } ?? .nothing
    case .sender: return message?.sender.map { .text($0.rawValue) } ?? .nothing
    case .protocolName: return message?.protocolName.map { .text($0) } ?? .nothing
    case .length: return .number(Double(frame.length))
    case .address:
      return slot >= 0 && table.dissection.plan.slots[slot].hasAddress
        ? .number(Double(table.dissection.plan.slots[slot].address)) : .nothing
    case .error: return flag(frame.flags.contains(.error))
    case .remote: return flag(frame.flags.contains(.remote))
    case .fd: return flag(frame.flags.contains(.fd))
    case .extended: return flag(frame.id.isExtended)
    }
  }

  /// The flags of a frame by their severity; `nil` for one that has none.
  private func flags(of record: CANRecord, slot: Int) -> Flags? {
    var flags = Flags()
    let place = table.slots[slot]
    for index in Int(place.first)..<Int(place.end) {
      guard let flag = table.dissection.signals[index].flag, let raw = table.raw(index, slot: slot, in: record.frame) else {
        continue
      }
      flags.carried.insert(flag.severity.rawValue)
      if flag.isSet(raw) { flags.set.insert(flag.severity.rawValue) }
    }
    return flags.carried.isEmpty ? nil : flags
  }

  private func hasFlag(_ severity: String?, _ record: CANRecord, _ slot: Int) -> Bool {
    if let flags { return flags.values.contains { severity.map($0.set.contains) ?? !$0.set.isEmpty } }
    guard slot >= 0 else { return false }
    let place = table.slots[slot]
    return (Int(place.first)..<Int(place.end)).contains { index in
      guard let flag = table.dissection.signals[index].flag, severity == nil || flag.severity.rawValue == severity,
        let raw = table.raw(index, slot: slot, in: record.frame)
      else { return false }
      return flag.isSet(raw)
    }
  }
}

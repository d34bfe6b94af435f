import Formats
import Protocols

/// One message with every way in which its signals are read.
struct WiresharkMessage {
  var name: String
  var sender: Side?
  var comment: String?
  /// Every form of every signal, each once.
  var signals: [WiresharkSignal]
  /// Readings that make a difference to this message, by index.
  var dimensions: [Int]
  /// For each combination of those (the last changes fastest): signals by index, in order; `nil` where the message does not exist.
  var layouts: [[Int]?]
}

/// A signal of a message in one form.
struct WiresharkSignal: Equatable {
  /// How Wireshark holds a value.
  enum FieldType: String { case uint32, int32, uint64, int64, double, string }

  /// Last part of the field's name.
  var field: String
  var type: FieldType
  var info: SignalInfo
  var plan: SignalPlan
  /// The multiplexor's place in the layout, from 0, and its values; `nil` for a signal that is always there.
  var selector: (place: Int, ranges: [ClosedRange<UInt64>])?

  /// First byte and number of bytes that the signal touches, and the bits to shift them right: what `SignalPlan` says of a 64-bit
  /// window, said of the fewest bytes.
  var span: (first: Int, count: Int, shift: Int) {
    let low = Int(plan.shift) % 8
    let count = (low + Int(plan.width) + 7) / 8
    let lowest = Int(plan.byteOffset) + (plan.isBigEndian ? 7 - Int(plan.shift) / 8 : Int(plan.shift) / 8)
    return (plan.isBigEndian ? lowest - count + 1 : lowest, count, low)
  }

  static func == (one: WiresharkSignal, other: WiresharkSignal) -> Bool {
    var plan = other.plan
    // Where the ranges stand in the plan's common list is no property of the signal.
    plan.firstRange = one.plan.firstRange
    return one.field == other.field && one.plan == plan && one.selector?.place == other.selector?.place
      && one.selector?.ranges == other.selector?.ranges && one.info.name == other.info.name && one.info.unit == other.info.unit
      && one.info.labels == other.info.labels && one.info.flag == other.info.flag && one.info.isText == other.info.isText
  }

  /// The narrowest type that holds every value of this form.
  var ownType: FieldType {
    if info.isText { return .string }
    let isUnscaledInteger = plan.encoding.rawValue < 2 && plan.factor == 1 && plan.offset == 0
    guard (plan.isExact && plan.decimals == 0) || isUnscaledInteger else { return .double }
    guard plan.isExact, plan.width <= 32 else {
      return isUnscaledInteger ? (plan.encoding == .signed ? .int64 : .uint64) : .double
    }
    // Exact forms stay below 2^62 by construction.
    let top = Int64(plan.mask >> (plan.encoding == .signed ? 1 : 0))
    let bottom = plan.encoding == .signed ? -top - 1 : 0
    let ends = [bottom &* plan.numerator &+ plan.addend, top &* plan.numerator &+ plan.addend].sorted()
    if ends[0] >= 0, ends[1] <= Int64(UInt32.max) { return .uint32 }
    if ends[0] >= Int64(Int32.min), ends[1] <= Int64(Int32.max) { return .int32 }
    return .double
  }

  /// A type for values of both.
  static func joined(_ one: FieldType, _ other: FieldType) -> FieldType {
    if one == other { return one }
    let integers: Set<FieldType> = [.uint32, .int32]
    // 4294967295 and −1 fit into no 32 bits together; a double holds both exactly.
    return integers.contains(one) && integers.contains(other) ? .double : one == .string ? .string : .double
  }
}

extension WiresharkMessage {
  /// Gathers the layouts of one message, combination by combination.
  struct Builder {
    private let info: MessageInfo
    private var signals: [WiresharkSignal] = []
    /// By name, so that several forms need not be compared with all.
    private var forms: [String: [Int]] = [:]
    private var layouts: [[Int]?]

    init(_ info: MessageInfo, combinations: Int) {
      self.info = info
      layouts = Array(repeating: nil, count: combinations)
    }

    mutating func add(_ dissection: DissectionPlan, message: Int, combination: Int) {
      let plan = dissection.plan.messages[message]
      let range = Int(plan.firstSignal)..<Int(plan.firstSignal + plan.signalCount)
      var layout: [Int] = []
      var taken: Set<String> = []
      for index in range {
        let signal = dissection.plan.signals[index]
        let info = dissection.signals[index]
        // Text and numbers cannot share a field, nor can two signals of one layout.
        var field =
          LuaText.fieldName(info.name)
          + (info.isText && forms[info.name]?.contains { !signals[$0].info.isText } == true ? "_text" : "")
        var copy = 2
        while taken.contains(field) {
          field = LuaText.fieldName(info.name) + "_\(copy)"
          copy += 1
        }
        taken.insert(field)
        var entry = WiresharkSignal(field: field, type: .double, info: info, plan: signal)
        if signal.multiplexor >= 0 {
          let ranges = Int(signal.firstRange)..<Int(signal.firstRange) + Int(signal.rangeCount)
          entry.selector = (Int(signal.multiplexor), Array(dissection.plan.multiplexRanges[ranges]))
        }
        entry.type = entry.ownType
        let known = forms[info.name] ?? []
        if let same = known.first(where: { signals[$0] == entry }) {
          layout.append(same)
        } else {
          forms[info.name] = known + [signals.count]
          layout.append(signals.count)
          signals.append(entry)
        }
      }
      if combination < layouts.count { layouts[combination] = layout }
    }

    /// - Parameter sizes: options of each reading.
    func finish(sizes: [Int]) -> WiresharkMessage {
      var types: [String: WiresharkSignal.FieldType] = [:]
      for signal in signals {
        types[signal.field] = types[signal.field].map { WiresharkSignal.joined($0, signal.type) } ?? signal.type
      }
      var signals = signals
      for index in signals.indices { signals[index].type = types[signals[index].field] ?? .double }
      let dimensions = sizes.indices.filter { matters($0, sizes) }
      var kept: [[Int]?] = []
      for combination in layouts.indices
      where digits(combination, sizes).enumerated().allSatisfy({ dimensions.contains($0.offset) || $0.element == 0 }) {
        kept.append(layouts[combination])
      }
      return WiresharkMessage(
        name: info.name, sender: info.sender, comment: info.comment, signals: signals, dimensions: dimensions, layouts: kept)
    }

    /// Whether any two combinations that differ in this reading alone differ in the layout.
    private func matters(_ dimension: Int, _ sizes: [Int]) -> Bool {
      let step = sizes[(dimension + 1)...].reduce(1, *)
      return layouts.indices.contains { combination in
        let digit = combination / step % sizes[dimension]
        return digit > 0 && layouts[combination] != layouts[combination - digit * step]
      }
    }

    private func digits(_ combination: Int, _ sizes: [Int]) -> [Int] {
      var rest = combination
      var result: [Int] = []
      for size in sizes.reversed() {
        result.append(rest % size)
        rest /= size
      }
      return result.reversed()
    }
  }
}

public import Bus
import Protocols

/// Builds frames from values: the other direction of the same plan.
public struct MessageEncoder: Sendable {
  /// A value that was given and could not be sent as it is.
  public enum Issue: Error, Sendable, Hashable {
    case unknownMessage(String)
    case unknownSignal(String)
    /// Outside what the field can hold: the nearest value it can was sent.
    case saturated(signal: String, wanted: Double, sent: Double)
    /// Not present with the multiplexor's value.
    case notSelected(String)
    /// A text for a signal that is none, or the reverse.
    case wrongKind(String)
    /// A text of more than so many bytes.
    case tooLong(signal: String, bytes: Int)
    /// No ID of the message carries that address: the lowest was taken. `known` is what they carry, `nil` for none.
    case noSuchAddress(UInt8, known: ClosedRange<UInt8>?)
  }

  private let dissection: DissectionPlan

  /// Encodes messages of this plan.
  public init(_ dissection: DissectionPlan) { self.dissection = dissection }

  /// A frame of `message` with `values`; what is not given stays 0.
  /// - Parameters:
  ///   - address: for messages whose ID carries one; the lowest if `nil`.
  ///   - length: payload bytes; the definition's if `nil`.
  /// - Returns: the frame and everything that could not be sent as asked; `nil` for an unknown message.
  public func frame(
    _ message: String, values: [(signal: String, value: Sidecar.Expected)], address: UInt8? = nil, length: Int? = nil
  ) -> (frame: CANFrame, issues: [Issue])? {
    let plan = dissection.plan
    let candidates = plan.slots.filter { dissection.messages[Int($0.message)].name == message }
    let wanted = address.flatMap { number in candidates.first { $0.hasAddress && $0.address == number } }
    guard let slot = wanted ?? candidates.first else { return nil }
    let layout = plan.messages[Int(slot.message)]
    let range = Int(layout.firstSignal)..<Int(layout.firstSignal + layout.signalCount)
    var frame = CANFrame()
    frame.id = slot.id
    frame.length = UInt8(clamping: length ?? Int(layout.length))
    if frame.length > 8 { frame.flags = .fd }
    var issues: [Issue] = []
    if let address, wanted == nil { issues.append(.noSuchAddress(address, known: candidates.addresses)) }
    for (name, value) in values {
      guard let index = range.first(where: { dissection.signals[$0].name == name }) else {
        issues.append(.unknownSignal(name))
        continue
      }
      switch bits(of: value, signal: index) {
      case .success(let raw):
        store(raw.bits, plan.signals[index], in: &frame)
        if let issue = raw.issue { issues.append(issue) }
      case .failure(let issue): issues.append(issue)
      }
    }
    return (frame, issues)
  }

  /// The raw bits of a value, saturated to what the field holds, and that it was.
  /// - Parameter index: the signal, by its place in the plan.
  public func bits(of value: Sidecar.Expected, signal index: Int) -> Result<(bits: UInt64, issue: Issue?), Issue> {
    let plan = dissection.plan.signals[index]
    let info = dissection.signals[index]
    switch value {
    case .text(let text):
      if info.isText {
        let bytes = Int(plan.width) / 8
        if text.utf8.count > bytes { return .failure(.tooLong(signal: info.name, bytes: bytes)) }
        return .success((ascii(text, plan), nil))
      }
      guard let labelled = info.labels.first(where: { $0.value == text })?.key else { return .failure(.wrongKind(info.name)) }
      return .success((UInt64(bitPattern: labelled) & plan.mask, nil))
    case .number(let number):
      switch plan.encoding {
      case .float32: return .success((UInt64(Float((number - plan.offset) / plan.factor).bitPattern), nil))
      case .float64: return .success((((number - plan.offset) / plan.factor).bitPattern, nil))
      case .unsigned, .signed: return .success(integer(number, plan, info.name))
      }
    }
  }

  private func integer(_ number: Double, _ plan: SignalPlan, _ name: String) -> (bits: UInt64, issue: Issue?) {
    let wanted = plan.factor == 0 ? 0 : ((number - plan.offset) / plan.factor).rounded()
    let isSigned = plan.encoding == .signed
    let highest = isSigned ? Double(plan.mask >> 1) : Double(plan.mask)
    let lowest = isSigned ? -Double(plan.mask >> 1) - 1 : 0
    let held = min(max(wanted.isNaN ? 0 : wanted, lowest), highest)
    let bits: UInt64
    if held >= 9.2e18 {
      bits = isSigned ? plan.mask >> 1 : (held >= 1.8446744073709551e19 ? .max : UInt64(held))
    } else {
      bits = UInt64(bitPattern: held <= -9.2e18 ? .min : Int64(held))
    }
    let issue: Issue? = held == wanted ? nil : .saturated(signal: name, wanted: number, sent: held * plan.factor + plan.offset)
    return (bits & plan.mask, issue)
  }

  private func ascii(_ text: String, _ plan: SignalPlan) -> UInt64 {
    var bits: UInt64 = 0
    let count = Int(plan.width) / 8
    for (place, byte) in text.utf8.prefix(count).enumerated() {
      let shift = plan.isBigEndian ? (count - 1 - place) * 8 : place * 8
      bits |= UInt64(byte) << UInt64(shift)
    }
    return bits
  }

  /// Puts raw bits into the payload.
  private func store(_ bits: UInt64, _ plan: SignalPlan, in frame: inout CANFrame) {
    var word: UInt64 = 0
    for index in 0..<8 { word |= UInt64(frame.byte(Int(plan.byteOffset) + index)) << UInt64(index * 8) }
    if plan.isBigEndian { word = word.byteSwapped }
    word = word & ~(plan.mask << UInt64(plan.shift)) | (bits & plan.mask) << UInt64(plan.shift)
    if plan.isBigEndian { word = word.byteSwapped }
    for index in 0..<8 { frame.setByte(Int(plan.byteOffset) + index, UInt8(truncatingIfNeeded: word >> UInt64(index * 8))) }
  }
}

extension Sequence<MessageSlot> {
  /// The addresses that their IDs carry; `nil` where they carry none.
  var addresses: ClosedRange<UInt8>? {
    var range: ClosedRange<UInt8>?
    for slot in self where slot.hasAddress {
      let known = range ?? slot.address...slot.address
      range = Swift.min(known.lowerBound, slot.address)...Swift.max(known.upperBound, slot.address)
    }
    return range
  }
}

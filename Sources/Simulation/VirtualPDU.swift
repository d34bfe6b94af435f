public import Controller

/// A simulated LinkPDU: contactors that take time, the precharge circuit, and sensors with offset and noise.
public struct VirtualPDU: Sendable {
  /// How a main contactor can be broken.
  public enum Defect: Equatable, Sendable { case none, welded, stuckOpen }

  /// State of the negative, precharge and positive switches.
  private var isClosed: InlineArray<3, Bool> = [false, false, false]
  /// When each will have moved, s; the order that moves it.
  private var due: InlineArray<3, Double> = [0, 0, 0]
  private var ordered: InlineArray<3, Bool> = [false, false, false]
  /// Defect of the negative contactor.
  public var negativeDefect = Defect.none
  /// Defect of the positive contactor.
  public var positiveDefect = Defect.none
  /// The output is shorted: precharge does not get it up.
  public var isOutputShorted = false
  /// V at the inverter's side.
  public private(set) var output = 0.0
  /// Offset of the current sensor, A.
  public var currentOffset = 0.0
  /// Share by which V-in is measured too high.
  public var inputGain = 1.0
  /// Share by which V-out is measured too high.
  public var outputGain = 1.0
  /// The current sensor is the wrong way round.
  public var isCurrentReversed = false
  /// Share by which the current is measured too high.
  public var currentGain = 1.0
  /// Noise of the current sensor, A.
  public var currentNoise = 0.02

  static let travel = 0.05
  /// Ω and F: 0.15 s to 63 %.
  static let prechargeResistance = 100.0
  static let capacitance = 0.0015
  /// The inverter's own draw empties its capacitors, s.
  static let bleed = 8.0

  /// Everything open.
  public init() {}

  /// Whether the battery is on the inverter.
  public var isConnected: Bool { isClosed[0] && isClosed[2] }

  /// Gives the switches their orders and lets time pass.
  public mutating func step(_ contactors: Contactors, input: Double, now: Double, seconds: Double) {
    let orders = [contactors.contains(.negative), contactors.contains(.precharge), contactors.contains(.positive)]
    for index in 0..<3 {
      if ordered[index] != orders[index] {
        ordered[index] = orders[index]
        due[index] = now + VirtualPDU.travel
      }
      if isClosed[index] != ordered[index], now >= due[index] { isClosed[index] = ordered[index] }
    }
    apply(negativeDefect, to: 0)
    apply(positiveDefect, to: 2)
    if isOutputShorted {
      output = input * 0.02
    } else if isConnected {
      output = input
    } else if isClosed[0], isClosed[1] {
      output += (input - output) * min(1, seconds / (VirtualPDU.prechargeResistance * VirtualPDU.capacitance))
    } else {
      output -= output * min(1, seconds / VirtualPDU.bleed)
    }
  }

  private mutating func apply(_ defect: Defect, to index: Int) {
    switch defect {
    case .none: break
    case .welded: isClosed[index] = true
    case .stuckOpen: isClosed[index] = false
    }
  }

  /// What the sensors say, as raw readings: 1 mA and 10 mV a count, as the factory calibration has it.
  public func read(current: Double, input: Double, into readings: inout Readings, random: inout SplitMix64) {
    let sensed = (isCurrentReversed ? -current : current) * currentGain + currentOffset + currentNoise * random.normal()
    readings.currentRaw = Int32(clamping: Int64((sensed * 1000).rounded()))
    readings.inputRaw = Int32(clamping: Int64((input * inputGain * 100).rounded()))
    readings.outputRaw = Int32(clamping: Int64((output * outputGain * 100).rounded()))
    readings.arrived.insert(.pdu)
  }
}

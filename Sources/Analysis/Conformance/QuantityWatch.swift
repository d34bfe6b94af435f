import Bus
import Formats
import Protocols

/// The battery's values as they go by, held against one another: what lasts, what jumps, what contradicts. Values are thousandths.
struct QuantityWatch: Sendable {
  /// A condition that counts when it lasts.
  struct Lasting: Sendable {
    private var isHolding = false
    private var since = IDFacts.Mark()
    /// The longest it lasted, ns, where that began and ended.
    private(set) var longest: Int64 = 0
    private(set) var began = IDFacts.Mark()
    private(set) var ended = IDFacts.Mark()
    /// How often it held.
    private(set) var count: UInt64 = 0
    /// What a person should read of the worst moment.
    var value: Int64 = 0
    /// The payload that says so, as it was when the longest time began.
    private(set) var evidence: UInt64?
    private var sinceEvidence: UInt64?

    @inline(__always) mutating func observe(
      _ holds: Bool, _ mark: IDFacts.Mark, value: @autoclosure () -> Int64 = 0, shownBy head: @autoclosure () -> UInt64? = nil
    ) {
      // Nearly everything that is looked for does not hold nearly always.
      guard holds else {
        isHolding = false
        return
      }
      hold(mark, value(), head())
    }

    @inline(never) private mutating func hold(_ mark: IDFacts.Mark, _ value: Int64, _ head: UInt64?) {
      count &+= 1
      if !isHolding {
        isHolding = true
        since = mark
        sinceEvidence = head
      }
      if mark.time &- since.time >= longest {
        longest = mark.time &- since.time
        began = since
        ended = mark
        evidence = sinceEvidence
        self.value = value
      }
    }

    func lasted(_ seconds: Double) -> Bool { count > 0 && Double(longest) >= seconds * 1e9 }
  }

  /// First, lowest and highest value of a quantity.
  struct Extent: Sendable {
    var count: UInt64 = 0
    var first: Int64 = 0
    var lowest: Int64 = .max
    var highest: Int64 = .min
    var began = IDFacts.Mark()
    /// Zeros before the first other value.
    var leadingZeros: UInt64 = 0
    var firstOther = IDFacts.Mark()
    /// Jumps over half of the plausible range, and values beyond it.
    var jumps: UInt64 = 0
    var firstJump = IDFacts.Mark()
    var jumpFrom: Int64 = 0
    var jumpTo: Int64 = 0
    var strange: UInt64 = 0
  }

  private var extents: [Extent]
  private var ranges: [ClosedRange<Int64>?]
  /// What a value costs nothing more than: inside what was seen and what is possible, and near the one before.
  private struct Usual: Sendable {
    var last: Int64 = 0
    var lowest: Int64 = .max
    var highest: Int64 = .min
    /// Steps up to this are no jump.
    var step: Int64 = .max
    /// Changes since the extent was brought up to date.
    var count: UInt64 = 0

    /// Takes a value that is nothing special.
    @inline(__always) mutating func take(_ value: Int64) -> Bool {
      guard value >= lowest, value <= highest, (value &- last).magnitude <= step.magnitude else { return false }
      last = value
      count &+= 1
      return true
    }
  }
  /// By raw quantity, in place: an array would be asked for every value whether it is ours alone.
  private var usual: InlineArray<64, Usual> = InlineArray(repeating: Usual())
  private var known: UInt64 = 0

  /// The latest values.
  var now: QuantityValues {
    var values = QuantityValues()
    for quantity in Quantity.allCases { values[quantity] = value(quantity) }
    return values
  }

  @inline(__always) private func value(_ quantity: Quantity) -> Int64? {
    known & 1 << UInt64(quantity.rawValue) != 0 ? usual[Int(quantity.rawValue)].last : nil
  }

  @inline(__always) private func isTrue(_ quantity: Quantity) -> Bool {
    known & 1 << UInt64(quantity.rawValue) != 0 && usual[Int(quantity.rawValue)].last != 0
  }

  @inline(__always) private mutating func note(_ quantity: Quantity, _ value: Int64) {
    usual[Int(quantity.rawValue)].last = value
    known |= 1 << UInt64(quantity.rawValue)
  }

  private(set) var overCharge = Lasting()
  private(set) var overDischarge = Lasting()
  private(set) var chargeAtZero = Lasting()
  private(set) var dischargeAtZero = Lasting()
  private(set) var chargeBarred = Lasting()
  private(set) var dischargeBarred = Lasting()
  private(set) var crossedLimits = Lasting()
  private(set) var tinyChargeVoltage = Lasting()
  private(set) var lowChargeVoltage = Lasting()
  private(set) var stale = Lasting()
  private(set) var noTerminalVoltage = Lasting()
  private(set) var halfTerminalVoltage = Lasting()
  private(set) var cellVoltageOff = Lasting()
  private(set) var markAgainstLimit = Lasting()
  private(set) var alarmAgainstCells = Lasting()
  /// Cycles in which status word and current agree or not.
  private(set) var directionAgrees: UInt64 = 0
  private(set) var directionDiffers: UInt64 = 0
  private(set) var firstDifference = IDFacts.Mark()
  /// Cycles in which pack voltage is 10 or 100 times that of its cells, or a tenth.
  private(set) var scaledCycles: UInt64 = 0
  private(set) var scaleFactor = 1.0
  private(set) var cycles: UInt64 = 0
  /// Cycles in which pack voltage and cells differ beyond the tolerance.
  private(set) var differingCycles: UInt64 = 0
  private(set) var firstDiffering = IDFacts.Mark()
  /// Steps of the state of charge beyond the threshold.
  private(set) var socSteps: UInt64 = 0
  private(set) var firstSocStep = IDFacts.Mark()
  private(set) var socStep: (from: Int64, to: Int64) = (0, 0)
  private(set) var pinned = Lasting()
  private var lastSoc: (value: Int64, time: Int64)?
  private var tuple: (v: Int64, i: Int64, s: Int64, high: Int64, low: Int64) = (.min, .min, .min, .min, .min)
  private(set) var fellAway: UInt64 = 0
  private(set) var firstFall = IDFacts.Mark()
  private var wasUp: Int64?

  private let limits: Limits
  /// Cells in series, where somebody said it or the identity does.
  var cells: Int64?

  /// Thresholds, once looked up.
  struct Limits: Sendable {
    var share = 0.05
    var amperes = 2.0
    var zeroAmperes = 1.0
    var chargeVolts = 1.0
    var below = 0.1
    var staleAmperes = 5.0
    var directionAmperes = 5.0
    var terminalShare = 0.1
    var prechargeShare = 0.9
    var openSeconds = 2.0
    var lowestCell = 2.0
    var highestCell = 4.4
    var difference = 0.08
    var socStep = 5.0
    var socSeconds = 10.0
    var scaleTolerance = 0.03

    init(_ book: RuleBook, _ name: String?) {
      func value(_ rule: RuleID, _ key: String) -> Double { book.threshold(rule, key, for: name) }
      share = value(.R26, "share")
      amperes = value(.R26, "amperes")
      zeroAmperes = value(.R26, "zeroAmperes")
      chargeVolts = value(.R19, "volts")
      below = value(.R19, "below")
      staleAmperes = value(.R23, "amperes")
      directionAmperes = value(.R17, "amperes")
      terminalShare = value(.R24, "share")
      prechargeShare = value(.R25, "share")
      openSeconds = value(.R25, "open")
      lowestCell = value(.R20, "lowest")
      highestCell = value(.R20, "highest")
      difference = value(.R20, "difference")
      socStep = value(.R22, "step")
      socSeconds = value(.R22, "seconds")
      scaleTolerance = value(.R13a, "tolerance")
    }
  }

  init(_ definition: Definition?, _ book: RuleBook) {
    limits = Limits(book, definition?.protocolName)
    extents = [Extent](repeating: Extent(), count: Quantity.allCases.count)
    ranges = [ClosedRange<Int64>?](repeating: nil, count: Quantity.allCases.count)
    for (name, signal) in definition?.sidecar.quantities ?? [:] {
      guard let quantity = Quantity(name: name), let range = definition?.sidecar.plausible[signal] else { continue }
      ranges[Int(quantity.rawValue)] = Int64(range.lowerBound * 1000)...Int64(range.upperBound * 1000)
    }
  }

  func extent(_ quantity: Quantity) -> Extent {
    var extent = extents[Int(quantity.rawValue)]
    extent.count &+= usual[Int(quantity.rawValue)].count
    return extent
  }

  /// A value that a frame carries, by raw quantity.
  @inline(__always) mutating func set(_ index: Int, _ value: Int64, _ mark: IDFacts.Mark) {
    if !usual[index & 63].take(value) { setUnusual(index, value, mark) }
    if index == QuantityWatch.soc { step(value, mark) }
  }

  private static let soc = Int(Quantity.soc.rawValue)

  @inline(never) private mutating func setUnusual(_ index: Int, _ value: Int64, _ mark: IDFacts.Mark) {
    let last = usual[index].last
    let before = extents[index]
    if before.count == 0 {
      extents[index].first = value
      extents[index].began = mark
    } else if let range = ranges[index] {
      let width = range.upperBound - range.lowerBound
      let step = value > last ? value - last : last - value
      if step > width / 2 {
        if extents[index].jumps == 0 {
          extents[index].firstJump = mark
          extents[index].jumpFrom = last
          extents[index].jumpTo = value
        }
        extents[index].jumps &+= 1
      }
    }
    if let range = ranges[index], !range.contains(value) { extents[index].strange &+= 1 }
    extents[index].count &+= 1
    let isLeading = before.leadingZeros == before.count
    if value == 0, isLeading { extents[index].leadingZeros &+= 1 }
    if value != 0, isLeading { extents[index].firstOther = mark }
    extents[index].lowest = min(before.lowest, value)
    extents[index].highest = max(before.highest, value)
    usual[index].last = value
    known |= 1 << UInt64(index)
    // The zeros at the start are counted one by one; what is impossible always is.
    if !isLeading || value != 0 {
      let possible = ranges[index] ?? -1_000_000_000_000...1_000_000_000_000
      usual[index].lowest = max(extents[index].lowest, possible.lowerBound)
      usual[index].highest = min(extents[index].highest, possible.upperBound)
      if let range = ranges[index] { usual[index].step = (range.upperBound - range.lowerBound) / 2 }
    }
  }

  private mutating func step(_ value: Int64, _ mark: IDFacts.Mark) {
    if let last = lastSoc, value != last.value, Double(((value &- last.value).magnitude)) > limits.socStep * 1000,
      Double(mark.time &- last.time) < limits.socSeconds * 1e9
    {
      if socSteps == 0 {
        firstSocStep = mark
        socStep = (last.value, value)
      }
      socSteps &+= 1
    }
    lastSoc = (value, mark.time)
    pinned.observe(value >= 99_000 && (self.value(.packCurrent) ?? 0) < -5_000, mark)
  }

  /// The payloads that now carry the limits and the pack's voltage: what a finding shows.
  struct Carriers: Sendable {
    var charge: UInt64?
    var discharge: UInt64?
    var chargeVoltage: UInt64?
    var voltage: UInt64?
  }

  /// Everything of one cycle is known: judge it.
  mutating func judge(_ mark: IDFacts.Mark, _ shown: Carriers) {
    cycles &+= 1
    let voltage = value(.packVoltage)
    let current = value(.packCurrent)
    let charge = value(.chargeCurrentLimit)
    let discharge = value(.dischargeCurrentLimit)
    judgeLimits(current, charge, discharge, mark, shown)
    if let top = value(.chargeVoltageLimit) {
      if let bottom = value(.dischargeVoltageLimit), top > 0 || bottom > 0 {
        crossedLimits.observe(
          top <= bottom && Double(top) > limits.chargeVolts * 1000, mark, value: top, shownBy: shown.chargeVoltage)
      }
      tinyChargeVoltage.observe(Double(top) <= limits.chargeVolts * 1000, mark, value: top, shownBy: shown.chargeVoltage)
      if let voltage {
        lowChargeVoltage.observe(
          Double(top) < Double(voltage) * (1 - limits.below) && (charge ?? 0) > 0 && Double(top) > limits.chargeVolts * 1000, mark,
          value: top, shownBy: shown.chargeVoltage)
      }
    }
    judgeFreshness(voltage, current, mark, shown)
    judgeTerminal(voltage, charge, discharge, mark)
    judgeCells(voltage, mark)
    if let current, isTrue(.charging) != isTrue(.discharging), Double(abs(current)) > limits.directionAmperes * 1000 {
      if (current > 0) == isTrue(.charging) {
        directionAgrees &+= 1
      } else {
        if directionDiffers == 0 { firstDifference = mark }
        directionDiffers &+= 1
      }
    }
    // A mark that allows what the limit forbids is as bad as the reverse.
    markAgainstLimit.observe(
      isTrue(.chargeForbidden) && (charge ?? 0) > 0 || isTrue(.dischargeForbidden) && (discharge ?? 0) > 0, mark)
  }

  private mutating func judgeLimits(
    _ current: Int64?, _ charge: Int64?, _ discharge: Int64?, _ mark: IDFacts.Mark, _ shown: Carriers
  ) {
    if let charge, let current {
      let room = max(limits.amperes * 1000, limits.share * Double(charge))
      overCharge.observe(charge > 0 && Double(current) > Double(charge) + room, mark, value: current)
      chargeAtZero.observe(charge == 0 && Double(current) > limits.zeroAmperes * 1000, mark, value: current)
    }
    if let discharge, let current {
      let room = max(limits.amperes * 1000, limits.share * Double(discharge))
      overDischarge.observe(discharge > 0 && Double(-current) > Double(discharge) + room, mark, value: current)
      dischargeAtZero.observe(discharge == 0 && Double(-current) > limits.zeroAmperes * 1000, mark, value: current)
    }
    chargeBarred.observe(charge == 0 || isTrue(.chargeForbidden), mark, shownBy: shown.charge)
    dischargeBarred.observe(discharge == 0 || isTrue(.dischargeForbidden), mark, shownBy: shown.discharge)
  }

  private mutating func judgeFreshness(_ voltage: Int64?, _ current: Int64?, _ mark: IDFacts.Mark, _ shown: Carriers) {
    guard let voltage, let current else { return }
    // Where cells are sent they have to stand still as well: in calm weather the pack's own voltage may.
    let next = (
      v: voltage, i: current, s: value(.soc) ?? 0, high: value(.cellVoltageMax) ?? 0, low: value(.cellVoltageMin) ?? 0
    )
    stale.observe(next == tuple && Double(abs(current)) > limits.staleAmperes * 1000, mark, value: voltage, shownBy: shown.voltage)
    tuple = next
  }

  private mutating func judgeTerminal(_ voltage: Int64?, _ charge: Int64?, _ discharge: Int64?, _ mark: IDFacts.Mark) {
    guard let voltage, voltage > 0, let terminal = value(.inverterVoltage) else { return }
    let share = Double(terminal) / Double(voltage)
    let isActive = (charge ?? 0) > 0 || (discharge ?? 0) > 0
    noTerminalVoltage.observe(isActive && share < limits.terminalShare, mark, value: terminal)
    halfTerminalVoltage.observe(share >= limits.terminalShare && share < limits.prechargeShare, mark, value: terminal)
    if share >= limits.prechargeShare {
      if wasUp == nil { wasUp = mark.time }
    } else if share < 0.5, let up = wasUp {
      if Double(mark.time &- up) < limits.openSeconds * 1e9 {
        if fellAway == 0 { firstFall = mark }
        fellAway &+= 1
      }
      wasUp = nil
    }
  }

  private mutating func judgeCells(_ voltage: Int64?, _ mark: IDFacts.Mark) {
    guard let voltage, voltage > 0 else { return }
    let count = cells ?? value(.cellCount).map { $0 / 1000 }
    guard let count, count > 0 else { return }
    let each = Double(voltage) / 1000 / Double(count)
    cellVoltageOff.observe(each < limits.lowestCell || each > limits.highestCell, mark, value: Int64(each * 1000))
    guard let high = value(.cellVoltageMax), let low = value(.cellVoltageMin), high > 0 else { return }
    let mean = Double(high + low) / 2000
    let ratio = each / mean
    // Nearly always both say the same.
    let isNear = ratio > 0.5 && ratio < 2
    for factor in isNear ? [] : [10.0, 100, 0.1, 0.01] where abs(ratio / factor - 1) <= limits.scaleTolerance {
      scaledCycles &+= 1
      scaleFactor = factor
    }
    let isBelow = each < Double(low) / 1000 * (1 - limits.difference)
    let isAbove = each > Double(high) / 1000 * (1 + limits.difference)
    if isBelow || isAbove {
      if differingCycles == 0 { firstDiffering = mark }
      differingCycles &+= 1
    }
    // An over-voltage alarm beside cells far below what the battery itself calls full, or the reverse.
    if let top = value(.chargeVoltageLimit), let bottom = value(.dischargeVoltageLimit), top > bottom {
      let full = Double(top) / 1000 / Double(count)
      let empty = Double(bottom) / 1000 / Double(count)
      let isHighWrong = (isTrue(.overvoltageAlarm) || isTrue(.overvoltageProtection)) && Double(high) / 1000 < full * 0.9
      let isLowWrong = (isTrue(.undervoltageAlarm) || isTrue(.undervoltageProtection)) && Double(low) / 1000 > empty * 1.12
      alarmAgainstCells.observe(isHighWrong || isLowWrong, mark, value: isHighWrong ? high : low)
    }
  }

  /// A yes-or-no quantity.
  mutating func set(_ quantity: Quantity, _ isTrue: Bool) { note(quantity, isTrue ? 1000 : 0) }
}

import Bus
import Formats
import Protocols

/// Values that contradict one another or the site: R13a to R26 (diagnostics.md §5).
extension BusJudge {
  mutating func valueRules() {
    lengths()
    names()
    guard watch.values.cycles > 0 else { return }
    wraps()
    direction()
    chargeVoltage()
    obeyed()
    freshness()
    identity()
    limitZero()
    terminal()
    consistency()
    stateOfCharge()
    rating()
  }

  private func carrier(_ quantity: Quantity) -> IDFacts? {
    guard let link = watch.link, let binding = link.handshake.bindings.first(where: { $0.quantity == quantity }) else { return nil }
    return watch.facts(link.dissection.messages[Int(binding.message)].name).first
  }

  /// What every other rule about values would only repeat.
  private var isGarbled: Bool { findings.contains { $0.rule == .R16 && $0.severity == .error || $0.rule == .R09b } }

  // MARK: R14, R15

  private mutating func lengths() {
    guard let link = watch.link else { return }
    for facts in watch.ids where facts.slot >= 0 {
      let wanted = link.dissection.plan.messages[Int(link.dissection.plan.slots[facts.slot].message)].length
      guard facts.shortest != wanted || facts.longest != wanted else { continue }
      let found = facts.shortest == facts.longest ? "\(facts.shortest)" : "\(facts.shortest) to \(facts.longest)"
      add(
        .R14, "\(hex(facts.id)) \(watch.message(facts) ?? "") has \(found) bytes", count: facts.count, facts: facts,
        expected: "\(wanted) bytes")
      return
    }
  }

  private mutating func names() {
    guard let link = watch.link else { return }
    let plan = link.dissection.plan
    for facts in watch.ids where facts.slot >= 0 {
      let message = plan.messages[Int(plan.slots[facts.slot].message)]
      for signal in Int(message.firstSignal)..<Int(message.firstSignal + message.signalCount) {
        guard link.dissection.signals[signal].isText, plan.signals[signal].multiplexor < 0 else { continue }
        let bytes = (0..<Int(plan.signals[signal].width / 8)).map { place -> UInt8 in
          let shift =
            plan.signals[signal].isBigEndian
            ? 64 - Int(plan.signals[signal].shift) - 8 * (place + 1) : Int(plan.signals[signal].shift) + place * 8
          let word = plan.signals[signal].isBigEndian ? facts.head.byteSwapped >> UInt64(56 - shift) : facts.head >> UInt64(shift)
          return plan.signals[signal].isBigEndian
            ? UInt8(truncatingIfNeeded: facts.head >> UInt64(shift)) : UInt8(truncatingIfNeeded: word)
        }
        let content = bytes.prefix { $0 != 0 }
        let odd = content.filter { $0 < 0x20 || $0 > 0x7E }.count
        guard !content.isEmpty, Double(odd) > threshold(.R15, "share") * Double(content.count) else { continue }
        add(
          .R15,
          "\(hex(facts.id)) \(link.dissection.signals[signal].name) is no text: \(odd) of \(content.count) characters cannot be printed",
          facts: facts, expected: "ASCII, filled up with zeros or blanks")
        return
      }
    }
  }

  // MARK: R16, R13a

  private mutating func wraps() {
    let times = UInt64(threshold(.R16, "times"))
    let watched: [Quantity] = [
      .packVoltage, .packCurrent, .soc, .chargeVoltageLimit, .dischargeVoltageLimit, .cellVoltageMax, .cellVoltageMin,
      .cellTemperatureMax,
      .packTemperature, .chargeCurrentLimit, .dischargeCurrentLimit,
    ]
    var jumped: [(quantity: Quantity, extent: QuantityWatch.Extent)] = []
    var strange: [(quantity: Quantity, extent: QuantityWatch.Extent)] = []
    for quantity in watched {
      let extent = watch.values.extent(quantity)
      // A limit may go from nothing to everything and back; zeros at the start are another rule.
      let isLimit = [.chargeCurrentLimit, .dischargeCurrentLimit, .chargeVoltageLimit, .dischargeVoltageLimit].contains(quantity)
      let allowed: UInt64 = (extent.leadingZeros > 0 ? 1 : 0) + (isLimit ? 2 : 0)
      let isCurrentLimit = quantity == .chargeCurrentLimit || quantity == .dischargeCurrentLimit
      if !isCurrentLimit, extent.jumps > allowed, extent.jumps - allowed >= times { jumped.append((quantity, extent)) }
      let known = extent.count - min(extent.count, extent.leadingZeros)
      if extent.strange > extent.leadingZeros, Double(extent.strange - extent.leadingZeros) < 0.5 * Double(max(1, known)) {
        strange.append((quantity, extent))
      }
    }
    if let (quantity, extent) = jumped.max(by: { $0.extent.jumps < $1.extent.jumps }) {
      let unit = quantity.unit
      add(
        .R16,
        "\(quantity.name) jumps from \(text(extent.jumpFrom, unit)) to \(text(extent.jumpTo, unit)) in one step"
          + (jumped.count > 1 ? ", and \(jumped.count - 1) more values jump" : ""), first: extent.firstJump,
        count: jumped.reduce(0) { $0 + $1.extent.jumps }, facts: carrier(quantity),
        expected: "no step over half of the plausible range")
    } else if strange.reduce(UInt64(0), { $0 + $1.extent.strange }) >= UInt64(threshold(.R16, "noise")),
      let (quantity, extent) = strange.max(by: { $0.extent.strange < $1.extent.strange })
    {
      add(
        .R16,
        "\(quantity.name) is now and then outside of what is possible (\(text(extent.lowest, quantity.unit)) to \(text(extent.highest, quantity.unit)), \(extent.strange) of \(extent.count) changes)",
        first: extent.began, count: extent.strange, facts: carrier(quantity), expected: "values of a battery")
    }
    if watch.values.scaledCycles >= UInt64(threshold(.R13a, "cycles")) {
      add(
        .R13a,
        "the pack's voltage is \(watch.values.scaleFactor == 10 ? "10" : watch.values.scaleFactor == 100 ? "100" : watch.values.scaleFactor == 0.1 ? "a 10th of" : "a 100th of") × that of its cells together: \(text(watch.values.now[.packVoltage], "V"))",
        count: watch.values.scaledCycles, facts: carrier(.packVoltage), expected: "cells × cell voltage")
    }
  }

  // MARK: R17

  private mutating func direction() {
    let agrees = watch.values.directionAgrees
    let differs = watch.values.directionDiffers
    guard !isGarbled, differs >= UInt64(threshold(.R17, "cycles")),
      Double(differs) > threshold(.R17, "share") * Double(agrees + differs)
    else {
      return
    }
    add(
      .R17,
      "the current says \(watch.values.now.isTrue(.charging) ? "discharging" : "charging") where the status says the other, in \(differs) of \(agrees + differs) cycles",
      first: watch.values.firstDifference, count: differs, facts: carrier(.packCurrent), expected: "positive while charging")
  }

  // MARK: R19

  private mutating func chargeVoltage() {
    let values = watch.values
    let lasting = threshold(.R19, "seconds")
    if isGarbled { return }
    if values.tinyChargeVoltage.lasted(lasting), !isZeroStart(values.tinyChargeVoltage) {
      add(
        .R19, "charge voltage \(text(values.tinyChargeVoltage.value, "V")) for \(seconds(values.tinyChargeVoltage.longest))",
        first: values.tinyChargeVoltage.began, last: values.tinyChargeVoltage.ended, count: values.tinyChargeVoltage.count,
        facts: carrier(.chargeVoltageLimit), head: values.tinyChargeVoltage.evidence,
        expected: "the real limit, also while charging is barred")
    } else if values.crossedLimits.lasted(lasting) {
      add(
        .R19,
        "charge voltage \(text(values.crossedLimits.value, "V")) is not above the discharge voltage \(text(values.now[.dischargeVoltageLimit], "V"))",
        first: values.crossedLimits.began, last: values.crossedLimits.ended, count: values.crossedLimits.count,
        facts: carrier(.chargeVoltageLimit), head: values.crossedLimits.evidence, expected: "charge voltage above discharge voltage"
      )
    } else if values.lowChargeVoltage.lasted(lasting) {
      add(
        .R19,
        "charge voltage \(text(values.lowChargeVoltage.value, "V")) is far below the pack's \(text(values.now[.packVoltage], "V")) while charging is allowed",
        severity: .warning, first: values.lowChargeVoltage.began, last: values.lowChargeVoltage.ended,
        count: values.lowChargeVoltage.count, facts: carrier(.chargeVoltageLimit), head: values.lowChargeVoltage.evidence,
        expected: "charge voltage above the pack's voltage")
    }
  }

  private func isZeroStart(_ lasting: QuantityWatch.Lasting) -> Bool {
    watch.values.extent(.chargeVoltageLimit).leadingZeros > 0 && lasting.longest < 30_000_000_000
  }

  // MARK: R26

  private mutating func obeyed() {
    if isGarbled { return }
    let values = watch.values
    let cases: [(QuantityWatch.Lasting, Double, String, Quantity)] = [
      (values.chargeAtZero, threshold(.R26, "zeroSeconds"), "charging is allowed 0 A", .chargeCurrentLimit),
      (values.dischargeAtZero, threshold(.R26, "zeroSeconds"), "discharging is allowed 0 A", .dischargeCurrentLimit),
      (values.overCharge, threshold(.R26, "seconds"), "the charge limit is passed", .chargeCurrentLimit),
      (values.overDischarge, threshold(.R26, "seconds"), "the discharge limit is passed", .dischargeCurrentLimit),
    ]
    guard let (lasting, _, what, quantity) = cases.filter({ $0.0.lasted($0.1) }).max(by: { $0.0.longest < $1.0.longest }) else {
      return
    }
    let limit = what.hasSuffix("0 A") ? "" : " of \(text(watch.values.now[quantity], "A"))"
    add(
      .R26, "\(what)\(limit), and \(text(abs(lasting.value), "A")) flow, for \(seconds(lasting.longest))", first: lasting.began,
      last: lasting.ended, count: lasting.count, facts: carrier(.packCurrent), expected: "current within the limit")
  }

  // MARK: R23

  private mutating func freshness() {
    if isGarbled { return }
    let values = watch.values
    if values.stale.lasted(threshold(.R23, "seconds")) {
      add(
        .R23,
        "voltage \(text(values.stale.value, "V")), current and state of charge unchanged for \(seconds(values.stale.longest)) at \(text(values.now[.packCurrent], "A"))",
        first: values.stale.began, last: values.stale.ended, count: values.stale.count, facts: carrier(.packVoltage),
        head: values.stale.evidence, expected: "values that move while current flows")
    }
    for quantity in [Quantity.packVoltage, .chargeVoltageLimit] {
      let extent = values.extent(quantity)
      guard extent.leadingZeros > 0, extent.leadingZeros < extent.count,
        Double(extent.firstOther.time &- extent.began.time) < 60e9, let facts = carrier(quantity)
      else { continue }
      add(
        .R23, "the first frames carry 0 V as \(quantity.name), until \(moment(extent.firstOther))", first: extent.began,
        last: extent.firstOther, count: extent.leadingZeros, facts: facts, head: facts.firstHead,
        expected: "nothing is sent before it is measured")
      return
    }
  }

  // MARK: R20

  private mutating func identity() {
    if isGarbled { return }
    let values = watch.values
    let cycles = UInt64(threshold(.R20, "cycles"))
    let cells = values.cells ?? values.now[.cellCount].map { $0 / 1000 }
    let isScaled = findings.contains { $0.rule == .R13a }
    if let cells, let said = values.now[.cellCount], site.cells != nil, said / 1000 != cells {
      add(
        .R20, "the identity says \(said / 1000) cells, the battery has \(cells)", facts: carrier(.cellCount),
        expected: "\(cells) cells")
    } else if let said = values.now[.capacity], let real = site.capacity_Ah, abs(Double(said) / 1000 - real) > 0.1 * real {
      add(
        .R20, "the identity says \(text(said, "Ah")), the battery has \(real.description) Ah", facts: carrier(.capacity),
        expected: "\(real.description) Ah", fix: "fill in the capacity on the battery side")
    } else if values.now[.cellCount] == 120_000, values.now[.capacity] == 37_000 {
      add(
        .R20, "the identity says 120 cells and 37 Ah: the defaults of a program", facts: carrier(.cellCount),
        expected: "this battery's own")
    } else if !isScaled, values.cellVoltageOff.lasted(0), values.cellVoltageOff.count >= cycles, let cells {
      add(
        .R20, "\(text(values.now[.packVoltage], "V")) ÷ \(cells) cells = \(text(values.cellVoltageOff.value, "V")) a cell",
        first: values.cellVoltageOff.began, last: values.cellVoltageOff.ended, count: values.cellVoltageOff.count,
        facts: carrier(.cellCount) ?? carrier(.packVoltage), expected: "2.0 to 4.4 V a cell")
    } else if !isScaled, values.differingCycles >= cycles, let cells {
      add(
        .R20,
        "\(cells) cells of \(text(values.now[.cellVoltageMin], "V")) to \(text(values.now[.cellVoltageMax], "V")) do not add up to \(text(values.now[.packVoltage], "V"))",
        first: values.firstDiffering, count: values.differingCycles, facts: carrier(.packVoltage), expected: "within 8 %")
    }
  }

  // MARK: R18

  private mutating func limitZero() {
    if isGarbled { return }
    let values = watch.values
    let lasting = threshold(.R18, "seconds")
    for (barred, word) in [(values.chargeBarred, "charging"), (values.dischargeBarred, "discharging")] where barred.lasted(lasting)
    {
      let reason = self.reason(isCharging: word == "charging")
      add(
        .R18,
        "\(word) is barred for \(seconds(barred.longest)) from \(moment(barred.began)): \(reason ?? "no reason visible in the frames")",
        first: barred.began, last: barred.ended, count: barred.count,
        facts: carrier(word == "charging" ? .chargeCurrentLimit : .dischargeCurrentLimit), head: barred.evidence,
        expected: "a reason in the battery's own values")
    }
  }

  /// Why a direction is barred, as far as the frames tell.
  private func reason(isCharging: Bool) -> String? {
    let values = watch.values
    if let link = watch.link, let worst = watch.flags.max(by: { ($0.value.count, $1.key) < ($1.value.count, $0.key) }) {
      let info = link.dissection.signals[worst.key]
      return "\(info.flag?.severity.rawValue ?? "flag") \"\(info.flag?.text ?? info.name)\" is set (\(worst.value.count) ×)"
    }
    if isCharging, values.extent(.soc).highest >= 99_000 {
      return "state of charge up to \(text(values.extent(.soc).highest, "%"))"
    }
    if !isCharging, values.extent(.soc).lowest <= 5_000 {
      return "state of charge down to \(text(values.extent(.soc).lowest, "%"))"
    }
    for quantity in [Quantity.cellTemperatureMin, .cellTemperatureMax, .packTemperature] where values.extent(quantity).count > 0 {
      let extent = values.extent(quantity)
      if extent.lowest < 5_000 { return "temperature down to \(text(extent.lowest, "°C"))" }
      if extent.highest > 45_000 { return "temperature up to \(text(extent.highest, "°C"))" }
    }
    let both = values.chargeBarred.count > 0 && values.dischargeBarred.count > 0
    return both ? "both directions: the contactors are most likely open" : nil
  }

  // MARK: R24, R25

  private mutating func terminal() {
    let values = watch.values
    if values.noTerminalVoltage.lasted(threshold(.R24, "seconds")) {
      add(
        .R24,
        "the battery says \(text(values.now[.packVoltage], "V")) and allows current; the inverter measures \(text(values.noTerminalVoltage.value, "V"))",
        first: values.noTerminalVoltage.began, last: values.noTerminalVoltage.ended, count: values.noTerminalVoltage.count,
        facts: carrier(.inverterVoltage), expected: "the pack's voltage at the inverter's terminals")
    }
    if values.halfTerminalVoltage.lasted(threshold(.R25, "seconds")) {
      add(
        .R25,
        "the inverter's side reached \(text(values.halfTerminalVoltage.value, "V")) of \(text(values.now[.packVoltage], "V")) and no more for \(seconds(values.halfTerminalVoltage.longest))",
        first: values.halfTerminalVoltage.began, last: values.halfTerminalVoltage.ended, count: values.halfTerminalVoltage.count,
        facts: carrier(.inverterVoltage), expected: "90 % within the precharge time")
    } else if values.fellAway > 0 {
      add(
        .R25, "the inverter's side came up and fell away within \(threshold(.R25, "open")) s (\(values.fellAway) ×)",
        first: values.firstFall, count: values.fellAway, facts: carrier(.inverterVoltage), expected: "contactors that stay closed")
    }
  }

  // MARK: R21

  private mutating func consistency() {
    if isGarbled { return }
    let values = watch.values
    let lasting = threshold(.R21, "seconds")
    if values.markAgainstLimit.lasted(lasting), values.markAgainstLimit.count >= UInt64(threshold(.R21, "cycles")) {
      add(
        .R21, "a direction is forbidden while its limit is above 0, for \(seconds(values.markAgainstLimit.longest))",
        first: values.markAgainstLimit.began, last: values.markAgainstLimit.ended, count: values.markAgainstLimit.count,
        facts: carrier(.chargeCurrentLimit), expected: "mark and limit together")
    } else if values.alarmAgainstCells.lasted(lasting), values.alarmAgainstCells.count >= UInt64(threshold(.R21, "cycles")) {
      add(
        .R21, "a voltage alarm is set at \(text(values.alarmAgainstCells.value, "V")) a cell, far from the limit: bits swapped?",
        first: values.alarmAgainstCells.began, last: values.alarmAgainstCells.ended, count: values.alarmAgainstCells.count,
        facts: carrier(.cellVoltageMax), expected: "alarm bits that fit the values")
    }
  }

  // MARK: R22, R19a

  private mutating func stateOfCharge() {
    if isGarbled { return }
    let values = watch.values
    if values.socSteps > 0 {
      add(
        .R22, "state of charge steps from \(text(values.socStep.from, "%")) to \(text(values.socStep.to, "%"))",
        first: values.firstSocStep,
        count: values.socSteps, facts: carrier(.soc), expected: "no step beyond \(threshold(.R22, "step")) %")
    } else if values.pinned.lasted(threshold(.R22, "pinned")) {
      add(
        .R22, "state of charge stays at 99 % and more for \(seconds(values.pinned.longest)) while discharging",
        first: values.pinned.began,
        count: values.pinned.count, facts: carrier(.soc))
    }
  }

  private mutating func rating() {
    let inverter = site.inverter.flatMap { book.inverters[$0] }
    let quirk = watch.link?.definition.sidecar.handshake.quirks["faultsAboveAmperes"]
    let most = inverter?.maxAmperes ?? quirk ?? threshold(.R19a, "amperes")
    for quantity in [Quantity.dischargeCurrentLimit, .chargeCurrentLimit] {
      let highest = watch.values.extent(quantity)
      guard highest.count > 0, Double(highest.highest) > most * 1000, !isGarbled else { continue }
      add(
        .R19a, "\(quantity.name) up to \(text(highest.highest, "A")), this inverter takes at most \(most) A",
        facts: carrier(quantity),
        expected: "at most \(most) A")
      return
    }
  }
}

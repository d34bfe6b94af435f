import Bus
import Formats
import Protocols
import Protocols

/// Turns what was watched on one bus into findings. The rules themselves are in the extensions: link, timing, values.
struct BusJudge {
  let watch: BusWatch
  let library: DefinitionLibrary
  let book: RuleBook
  let site: SiteFacts
  var findings: [Finding] = []

  init(_ watch: BusWatch, _ run: ConformanceRun) {
    self.watch = watch
    library = run.library
    book = run.book
    site = run.site
  }

  /// All findings of this bus, before suppression.
  static func findings(_ watch: BusWatch, _ run: ConformanceRun) -> [Finding] {
    var judge = BusJudge(watch, run)
    judge.linkRules()
    judge.timingRules()
    judge.readingRules()
    judge.valueRules()
    return judge.findings
  }

  // MARK: What all rules use

  var protocolName: String? { watch.identification.protocolName }

  func threshold(_ rule: RuleID, _ name: String) -> Double { book.threshold(rule, name, for: protocolName) }

  /// Adds a finding; its severity is the rule book's unless another is given.
  mutating func add(
    _ rule: RuleID, _ text: String, severity: FindingSeverity? = nil, first: IDFacts.Mark? = nil, last: IDFacts.Mark? = nil,
    count: UInt64 = 1, facts: IDFacts? = nil, head: UInt64? = nil, expected: String? = nil, fix: String? = nil
  ) {
    var finding = Finding(rule, severity ?? book.severity(rule, for: protocolName), bus: watch.name, text)
    finding.first = (first ?? facts?.first).map(mark)
    finding.last = (last ?? facts?.last).map(mark)
    finding.count = max(1, count)
    if let facts {
      finding.frame = frame(facts, head ?? facts.head)
      finding.decoded = decoded(facts, head ?? facts.head)
    }
    finding.expected = expected
    finding.fix = fix
    findings.append(finding)
  }

  func mark(_ mark: IDFacts.Mark) -> RecordMark { RecordMark(record: mark.record, time: Timestamp(nanoseconds: mark.time)) }

  /// Seconds since the bus's first record: `12.345 s`.
  func moment(_ mark: IDFacts.Mark) -> String { seconds(mark.time &- (watch.first?.time ?? 0)) }

  func seconds(_ nanoseconds: Int64) -> String {
    let milliseconds = nanoseconds / 1_000_000
    return ValueText.decimal(milliseconds, decimals: 3).trimmedZeros + " s"
  }

  /// Thousandths with a unit.
  func text(_ value: Int64?, _ unit: String) -> String {
    guard let value else { return "–" }
    return ValueText.decimal(value, decimals: 3).trimmedZeros + (unit.isEmpty ? "" : " \(unit)")
  }

  /// An ID as candump writes it.
  func hex(_ id: ArbitrationID) -> String {
    let digits = String(id.number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
  }

  func frame(_ facts: IDFacts, _ head: UInt64) -> String {
    var text = hex(facts.id) + "#"
    for place in 0..<min(8, Int(facts.longest)) {
      let byte = UInt8(truncatingIfNeeded: head >> UInt64(place * 8))
      text += (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
    return text
  }

  /// `Limits: ChargeVoltageLimit 681.6 V, …` under the readings that were taken.
  func decoded(_ facts: IDFacts, _ head: UInt64) -> String? {
    guard facts.slot >= 0, let link = watch.link else { return nil }
    let plan = link.dissection.plan
    let message = plan.messages[Int(plan.slots[facts.slot].message)]
    var parts: [String] = []
    for signal in Int(message.firstSignal)..<Int(message.firstSignal + message.signalCount) {
      let info = link.dissection.signals[signal]
      let layout = plan.signals[signal]
      guard Int(layout.bytesNeeded) <= Int(facts.longest), layout.byteOffset == 0, layout.multiplexor < 0, !info.isText else {
        continue
      }
      let raw = layout.raw(head, swapped: head.byteSwapped)
      if info.flag != nil || layout.width == 1 {
        if raw != 0 { parts.append(info.name) }
      } else if let label = info.labels[raw] {
        parts.append("\(info.name) \(label)")
      } else {
        parts.append("\(info.name) \(text(layout.thousandths(raw: raw, scale: 1000), info.unit))")
      }
    }
    let name = watch.message(facts) ?? ""
    return parts.isEmpty ? name : "\(name): \(parts.prefix(8).joined(separator: ", "))"
  }

  /// A protocol as people know it.
  func title(_ name: String?) -> String {
    guard let name else { return "an unknown protocol" }
    return library.definition(name)?.sidecar.title ?? name
  }

  /// Definitions that speak the same frames: one extends the other, or both extend a third.
  func isSameFamily(_ one: String?, _ other: String?) -> Bool {
    func root(_ name: String?) -> String? {
      var name = name
      var steps = 0
      while steps < 8, let base = name.flatMap({ library.definition($0)?.sidecar.extends }) {
        name = base
        steps += 1
      }
      return name
    }
    return root(one) == root(other)
  }
}

extension String {
  /// Without zeros behind the point: `12.300` is `12.3`.
  var trimmedZeros: String {
    guard contains(".") else { return self }
    var text = self
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
}

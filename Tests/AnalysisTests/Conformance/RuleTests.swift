import Bus
import Formats
import Protocols
import Simulation
import Testing

@testable import Analysis

/// A conversation made to measure, and what the rules say of it.
struct Talk {
  static let book: RuleBook = {
    let (book, problems) = RuleBook.parse(Shipped.files.first { $0.path == "rules.yaml" }?.text ?? "", path: "rules.yaml")
    precondition(problems.isEmpty, "\(problems)")
    return book
  }()

  var records: [CANRecord]

  /// A healthy battery: 192 cells, values that move a little.
  static func values(_ time: Double) -> QuantityValues {
    var values = QuantityValues()
    let wave = Int64((time * 10).truncatingRemainder(dividingBy: 7)) * 100
    values[.packVoltage] = 633_600 + wave
    values[.packCurrent] = 12_000 + wave
    values[.packTemperature] = 24_000
    values[.soc] = 55_000
    values[.soh] = 99_000
    values[.chargeVoltageLimit] = 681_600
    values[.dischargeVoltageLimit] = 556_800
    values[.chargeCurrentLimit] = 25_000
    values[.dischargeCurrentLimit] = 50_000
    values[.cellVoltageMax] = 3_310
    values[.cellVoltageMin] = 3_295
    values[.cellTemperatureMax] = 25_000
    values[.cellTemperatureMin] = 23_000
    values[.moduleVoltageMax] = 26_400
    values[.moduleVoltageMin] = 26_390
    values[.moduleTemperatureMax] = 25_000
    values[.moduleTemperatureMin] = 23_000
    values[.cellCount] = 192_000
    values[.moduleCount] = 24_000
    values[.cellsPerModule] = 8_000
    values[.nominalVoltage] = 614_000
    values[.capacity] = 100_000
    values[.remainingCapacity] = 55_000
    values[.energyCapacity] = 61_400
    values[.modulesOf48V] = 13_000
    values.set(.live, true)
    values.set(.ready, true)
    values.set(.charging, true)
    return values
  }

  init(
    _ variant: String = "pylon-deye", seconds: Double = 60, faults: [LinkFault] = [],
    change: (inout QuantityValues, Double) -> Void = { _, _ in },
    inverter: (Double) -> QuantityValues = { time in
      var values = QuantityValues()
      values[.inverterVoltage] = 633_000
      values[.inverterCurrent] = -12_000
      return values
    }
  ) {
    let definition = Shipped.library.definitions.first { $0.sidecar.variants.contains { $0.name == variant } }
    guard let link = definition?.link(variant: variant), var world = LinkWorld(link, faults: faults, seed: 3) else {
      preconditionFailure("no variant \(variant)")
    }
    records = []
    for step in 1...Int(seconds * 10) {
      let time = Double(step) / 10
      var values = Talk.values(time)
      change(&values, time)
      world.run(until: Int64(step) * 100_000, battery: values, inverter: inverter(time))
      records += world.takeRecords()
    }
  }

  init(records: [CANRecord]) { self.records = records }

  /// Seconds since the start of the talk.
  static func time(_ record: CANRecord) -> Double { Double(record.time.nanoseconds - LinkWorld.epoch_ns) / 1e9 }

  /// The same with records changed or left out.
  func changed(_ change: (CANRecord, Double) -> [CANRecord]) -> Talk {
    Talk(records: records.flatMap { change($0, Talk.time($0)) })
  }

  /// One record a moment later or with another payload.
  static func copy(_ record: CANRecord, after seconds: Double = 0, _ change: (inout CANFrame) -> Void = { _ in }) -> CANRecord {
    var copy = record
    copy.time = Timestamp(nanoseconds: record.time.nanoseconds + Int64(seconds * 1e9))
    change(&copy.frame)
    return copy
  }

  func diagnosis(_ site: SiteFacts = SiteFacts()) -> Diagnosis {
    let sorted = records.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    return Talk.diagnosis(sorted, site)
  }

  static func diagnosis(_ records: [CANRecord], _ site: SiteFacts = SiteFacts()) -> Diagnosis {
    var census = TrafficCensus()
    census.busAppeared(BusID(0), named: "can0")
    for record in records { census.receive(record) }
    var run = ConformanceRun(Shipped.library, book, site, verdicts: ProtocolIdentifier(Shipped.library).identify(census))
    run.busAppeared(BusID(0), named: "can0")
    for record in records { run.receive(record) }
    return run.diagnose()
  }

  /// Rules that were found, notes of what is fine aside.
  func rules(_ site: SiteFacts = SiteFacts()) -> Set<RuleID> { Set(diagnosis(site).findings.map(\.rule)).subtracting([.R27]) }
}

extension CANFrame {
  /// 16 bits, least significant byte first.
  mutating func setWord(_ place: Int, _ value: Int) {
    setByte(place, UInt8(value & 0xFF))
    setByte(place + 1, UInt8(value >> 8 & 0xFF))
  }
  static func error(_ bits: UInt32, _ bytes: [UInt8] = []) -> CANFrame {
    var frame = CANFrame(id: ArbitrationID(rawValue: bits), length: 8, head: 0)
    for (place, byte) in bytes.enumerated() { frame.setByte(place, byte) }
    frame.flags = .error
    return frame
  }
}

/// Each rule on both sides of its threshold (diagnostics.md §5; thresholds in Dissectors/rules.yaml).
@Suite struct RuleTests {
  private func errors(_ count: Int, _ bits: UInt32, _ bytes: [UInt8] = [], every seconds: Double = 0.05) -> [CANRecord] {
    (0..<count).map {
      CANRecord(
        time: Timestamp(nanoseconds: LinkWorld.epoch_ns + Int64(Double($0) * seconds * 1e9)), frame: .error(bits, bytes))
    }
  }

  @Test(arguments: [
    "pylon-std", "pylon-deye", "deye-hv", "goodwe", "goodwe-byd", "byd-hvm", "sofar1", "sofar2", "growatt-hv", "pylon-11bit",
  ])
  func aHealthyLinkHasNoFinding(variant: String) {
    let diagnosis = Talk(variant, seconds: 90).diagnosis()
    #expect(diagnosis.findings.map(\.rule) == [.R27], "\(variant): \(diagnosis.findings.map(\.text))")
    #expect(diagnosis.verdict.hasPrefix("the link is fine") && !diagnosis.hasErrors)
  }

  @Test func r00TimeStepsBack() {
    let talk = Talk()
    func jumped(by seconds: Double) -> Diagnosis {
      Talk.diagnosis(talk.records.map { Talk.time($0) > 30 ? Talk.copy($0, after: -seconds) : $0 })
    }
    #expect(jumped(by: 12).findings.first?.rule == .R00)
    // Interfaces interleaved within a millisecond are no step.
    #expect(!jumped(by: 0.0005).findings.contains { $0.rule == .R00 })
  }

  @Test func r02aNobodyAcknowledges() {
    #expect(Talk(records: errors(5, 0x20, every: 0.2)).rules().contains(.R02a))
    #expect(!Talk(records: errors(20, 0x20, every: 0.3)).rules().contains(.R02a))
  }

  @Test func r02bWrongBitRate() {
    #expect(Talk(records: errors(10, 0x8)).rules().contains(.R02b))
    #expect(!Talk(records: errors(9, 0x8)).rules().contains(.R02b))
    // One good frame says that the rate fits.
    #expect(!Talk(records: errors(40, 0x8) + Talk(seconds: 2).records.suffix(1)).rules().contains(.R02b))
  }

  @Test func r02cCountersAndBusOff() {
    let talk = Talk()
    func with(_ counter: UInt8, class bits: UInt32 = 0x204) -> Set<RuleID> {
      Talk(records: talk.records + [Talk.copy(talk.records[50]) { $0 = .error(bits, [0, 4, 0, 0, 0, 0, counter, 0]) }]).rules()
    }
    #expect(with(96).contains(.R02c) && !with(95).contains(.R02c))
    #expect(with(0, class: 0x40).contains(.R02c))
  }

  @Test func r01TwoProtocols() {
    let battery = Talk("sofar1", seconds: 20).records.filter { $0.frame.id.number != 0x605 }
    let polls = Talk("pylon-deye", seconds: 20).records.filter { $0.frame.id.number == 0x4200 }
    let diagnosis = Talk(records: battery + polls).diagnosis()
    #expect(diagnosis.findings.first?.rule == .R01, "\(diagnosis.verdict)")
    #expect(diagnosis.verdict.hasPrefix("the inverter asks in Pylontech high voltage, the battery side speaks Sofar"))
    // Two frames are too few to say what an inverter asks.
    #expect(!Talk(records: battery + polls.prefix(2)).rules().contains(.R01))
    // What was said of the site counts as well.
    var site = SiteFacts()
    site.inverter = "growatt"
    #expect(Talk("sofar1").rules(site).contains(.R01) && !Talk("growatt-hv").rules(site).contains(.R01))
  }

  @Test func r02RequestsUnanswered() {
    let talk = Talk(seconds: 40)
    func silent(from: Double, to: Double) -> Set<RuleID> {
      talk.changed { record, time in time > from && time < to && record.frame.id.number != 0x4200 ? [] : [record] }.rules()
    }
    #expect(silent(from: 20.0, to: 23.9).contains(.R02))
    #expect(!silent(from: 20.0, to: 21.9).contains(.R02))
    // Nobody at all: three polls are enough, two are not.
    let polls = talk.records.filter { $0.frame.id.number == 0x4200 && $0.frame.head == 0 }
    #expect(Talk(records: Array(polls.prefix(3))).rules().contains(.R02))
    #expect(!Talk(records: Array(polls.prefix(2))).rules().contains(.R02))
    #expect(Talk(records: polls).diagnosis().findings.first?.expected?.contains("Totals and 8 more") ?? false)
    #expect(Talk(records: []).rules() == [.R02], "an empty bus is no answer either")
  }

  @Test func r03SetIncomplete() {
    func without(_ id: UInt32, until end: Double = .infinity) -> Set<RuleID> {
      Talk().changed { record, time in record.frame.id.number == id && time < end ? [] : [record] }.rules()
    }
    #expect(without(0x4220).contains(.R03))
    // Missing now and then is another rule, and a frame that may be missing is none.
    #expect(!without(0x4220, until: 30).contains(.R03) && without(0x4220, until: 30).contains(.R06))
    #expect(without(0x4290).isEmpty)
  }

  @Test func r04AddressAndSearch() {
    let talk = Talk("sofar1")
    // 0x605 byte 0 is the battery that is meant.
    let other = talk.changed { record, _ in
      record.frame.id.number == 0x605 ? [Talk.copy(record) { $0.setByte(0, 1) }] : [record]
    }
    #expect(other.diagnosis().findings.first?.rule == .R04 && other.diagnosis().verdict.contains("asks battery 1"))
    #expect(talk.rules().isEmpty)
    var site = SiteFacts()
    site.inverter = "deye"
    #expect(Talk("pylon-sofar").rules(site).contains(.R04) && !Talk("deye-hv").rules(site).contains(.R04))
    // The identity is asked for each second although it is answered.
    let searching = Talk(faults: [LinkFault(.wrongAddress)])
    #expect(searching.rules() == [.R04])
  }

  @Test func r04aWidth() {
    func flipped(_ count: Int) -> Set<RuleID> {
      var left = count
      return Talk("goodwe").changed { record, _ in
        guard record.frame.id.number != 0x420, record.frame.id.number != 0x425 else {
          return [
            Talk.copy(record) {
              $0.id = .standard(0x420); $0.head = 0x5648_5454_4142_5747
            }
          ]
        }
        left -= 1
        return left >= 0 ? [Talk.copy(record) { $0.id = .extended($0.id.number) }] : []
      }.rules()
    }
    #expect(flipped(3).contains(.R04a) && !flipped(1).contains(.R04a))
    let cut = Talk().changed { record, _ in
      record.frame.id.number == 0x4200 ? [record] : [Talk.copy(record) { $0.id = .standard($0.id.number & 0x7FF) }]
    }
    #expect(cut.rules().contains(.R04a))
  }

  @Test func r05KeepAlive() {
    func paused(_ seconds: Double) -> Set<RuleID> {
      Talk().changed { record, time in record.frame.id.number == 0x4200 && time > 20 && time < 20 + seconds ? [] : [record] }
        .changed { record, time in record.frame.id.number != 0x4200 && time > 20.5 && time < 20 + seconds ? [] : [record] }.rules()
    }
    #expect(paused(3.9).contains(.R05) && !paused(1.9).contains(.R05))
  }

  @Test func r06Period() {
    func paused(_ seconds: Double) -> Set<RuleID> {
      Talk("sofar1").changed { record, time in
        record.frame.id.number == 0x351 && time > 20.5 && time < 20.5 + seconds ? [] : [record]
      }.rules()
    }
    #expect(paused(3.2).contains(.R06) && !paused(2.2).contains(.R06))
    func slow(_ keep: Int) -> Set<RuleID> {
      var number = 0
      return Talk("goodwe").changed { record, _ in
        guard record.frame.id.number == 0x456 else { return [record] }
        number += 1
        return number % keep == 0 ? [record] : []
      }.rules()
    }
    #expect(slow(2).contains(.R06) && !slow(1).contains(.R06))
  }

  @Test func r07IdentityNotSentAgain() {
    let talk = Talk("goodwe-byd", seconds: 60, faults: [LinkFault(.restart, at: 20)])
    #expect(talk.rules().contains(.R07), "\(talk.diagnosis().findings.map(\.text))")
    #expect(Talk("goodwe-byd", seconds: 60, faults: [LinkFault(.restart, at: 20, amount: 0)]).rules().isEmpty)
  }

  @Test func r09ForeignTraffic() {
    func with(_ ids: Int, every seconds: Double) -> Set<RuleID> {
      let talk = Talk(seconds: 30)
      let strange = (0..<ids).flatMap { id in
        (0..<Int(30 / seconds)).map { step in
          CANRecord(
            time: Timestamp(nanoseconds: LinkWorld.epoch_ns + Int64(Double(step) * seconds * 1e9)),
            frame: CANFrame(id: .standard(0x4A0 + UInt32(id)), length: 8, head: UInt64(step)))
        }
      }
      return Talk(records: talk.records + strange).rules()
    }
    #expect(with(3, every: 0.5).contains(.R09) && !with(2, every: 0.5).contains(.R09) && !with(5, every: 2).contains(.R09))
  }

  @Test func r09bTwoSenders() {
    func doubled(_ count: Int) -> Set<RuleID> {
      var left = count
      return Talk("sofar1").changed { record, _ in
        guard record.frame.id.number == 0x356, left > 0 else { return [record] }
        left -= 1
        return [record, Talk.copy(record, after: 0.2) { $0.setWord(0, 5000) }]
      }.rules()
    }
    #expect(doubled(60).contains(.R09b) && !doubled(5).contains(.R09b))
    // Once too often in each answer.
    let answers = Talk().changed { record, _ in
      record.frame.id.number == 0x4210 ? [record, Talk.copy(record, after: 0.001) { $0.setWord(2, 0) }] : [record]
    }
    #expect(answers.rules().contains(.R09b))
  }

  @Test func r10AndItsKinByReading() {
    func diagnosis(_ kind: LinkFault.Kind, _ variant: String = "pylon-std") -> Diagnosis {
      Talk(variant, faults: [LinkFault(kind)]).diagnosis()
    }
    let order = diagnosis(.byteOrder)
    #expect(order.findings.first?.rule == .R10 && order.findings.first?.text.contains("is read as") ?? false)
    #expect(diagnosis(.missingOffset).findings.first?.rule == .R10b)
    // A known dialect is no error unless the inverter is known to read it otherwise.
    #expect(Talk("be-default").diagnosis().findings.allSatisfy { $0.severity == .note })
    var site = SiteFacts()
    site.inverter = "deye"
    #expect(Talk("be-default").rules(site).isSuperset(of: [.R10, .R10b]))
    // Temperatures 100 °C too low, as sent without the offset.
    let cold = Talk("pylon-std").changed { record, _ in
      record.frame.id.number == 0x4211 ? [Talk.copy(record) { $0.setWord(4, 240) }] : [record]
    }
    #expect(cold.rules().contains(.R11))
    // The other sign of the discharge limit is a note.
    let sign = Talk("pylon-std").changed { record, _ in
      record.frame.id.number == 0x4221 ? [Talk.copy(record) { $0.setWord(6, 30_500) }] : [record]
    }.diagnosis()
    #expect(sign.findings.allSatisfy { $0.severity == .note }, "\(sign.findings.map(\.text))")
  }

  /// Currents without an offset have no sign of the discharge limit either: that is no difference to a variant.
  @Test func theNearestVariantDiffersInWhatMatters() throws {
    let cold = Talk("be-default").changed { record, _ in
      // Temperatures of cells and modules without their offset, 25.0 and 23.0 °C, most significant byte first.
      guard [0x4240, 0x4270].contains(record.frame.id.number) else { return [record] }
      return [
        Talk.copy(record) {
          $0.setWord(0, 0xFA00)
          $0.setWord(2, 0xE600)
        }
      ]
    }.diagnosis()
    let identification = try #require(cold.buses.first?.identification)
    #expect(identification.variant == "be-default" && identification.readings.keys.sorted() == ["cellTemperatureOffset"])
    // The dialect itself is a note and no fault.
    #expect(cold.findings.first?.rule == .R11)
    #expect(!cold.findings.contains { $0.severity > .note && $0.rule != .R11 }, "\(cold.findings.map(\.text))")
  }

  /// There are senders whose names keep address 0 while everything else has another, and their links work (pylontech-hv.md §4.12).
  @Test func namesUnderAnotherAddressAreNoMix() {
    let talk = Talk("pylon-sofar", seconds: 30)
    #expect(talk.records.contains { $0.frame.id.number == 0x7331 })
    func moved(_ ids: Set<UInt32>) -> Set<RuleID> {
      talk.changed { record, _ in
        ids.contains(record.frame.id.number)
          ? [Talk.copy(record) { $0.id = ArbitrationID(rawValue: $0.id.rawValue & ~0xF) }] : [record]
      }.rules()
    }
    #expect(!moved([0x7331, 0x7341]).contains(.R04))
    #expect(moved([0x4221]).contains(.R04))
  }

  @Test func r13aTenTimesOff() {
    func times(_ cycles: Double) -> Set<RuleID> {
      Talk(seconds: 60) { values, time in if time < cycles { values[.cellVoltageMax] = 331; values[.cellVoltageMin] = 330 } }
        .rules()
    }
    #expect(times(61).contains(.R13a), "\(times(61))")
    #expect(!times(7).contains(.R13a))
  }

  @Test func r14LengthAndR15Name() {
    let short = Talk().changed { record, _ in
      record.frame.id.number == 0x4280 ? [Talk.copy(record) { $0.length = 2 }] : [record]
    }.diagnosis()
    #expect(short.findings.contains { $0.rule == .R14 && $0.severity == .note })
    func named(_ bytes: [UInt8]) -> Set<RuleID> {
      Talk("pylon-std").changed { record, _ in
        record.frame.id.number == 0x7341
          ? [Talk.copy(record) { for (place, byte) in bytes.enumerated() { $0.setByte(place, byte) } }] : [record]
      }.rules()
    }
    #expect(named([0x90, 0xF1, 0x03, 0x48]).contains(.R15) && !named([0x90, 0x48, 0x48, 0x48]).contains(.R15))
  }

  @Test func r16Wrap() {
    func jump(to raw: Int) -> Set<RuleID> {
      Talk(seconds: 40).changed { record, time in
        record.frame.id.number == 0x4210 && time > 20 && time < 20.9 ? [Talk.copy(record) { $0.setWord(0, raw) }] : [record]
      }.rules()
    }
    // Plausible are 40…1000 V: half of that is 480 V.
    #expect(jump(to: 1000).contains(.R16) && !jump(to: 2000).contains(.R16))
  }

  @Test func r08NothingChangesAfterTheBatterySideWasSetOtherwise() {
    // The battery side speaks Sofar for 15 s, then what the Deye asks for; the inverter asks as before and takes nothing.
    func talk(after seconds: Double, amperes: Int64 = 0, news: Bool = false) -> Diagnosis {
      let still: (inout QuantityValues, Double) -> Void = { values, _ in
        values[.packCurrent] = amperes
        values.set(.charging, false)
      }
      let before = Talk("sofar1", seconds: 15, faults: [LinkFault(.silentInverter)], change: still)
      var after = Talk("deye-hv", seconds: 15.5 + seconds, faults: [LinkFault(.silentBattery, until: 15.5)], change: still)
      if news {
        after.records += after.records.filter { Talk.time($0) > 20 && $0.frame.id.number == 0x4200 }.map {
          Talk.copy($0, after: 0.5) { $0.id = .extended(0x8200) }
        }
      }
      return Talk(records: before.records + after.records).diagnosis()
    }
    let found = talk(after: 20)
    #expect(
      found.findings.contains { $0.rule == .R08 && $0.severity == .note },
      "\(found.findings.map(\.text)) \(found.buses[0].identification.others)")
    #expect(found.findings.contains { $0.text.contains("changed from Sofar") }, "\(found.findings.map(\.text))")
    // Looked at for less than ten seconds, with current flowing, or with a question that is new.
    #expect(!talk(after: 8).findings.contains { $0.rule == .R08 })
    #expect(!talk(after: 20, amperes: 1_200).findings.contains { $0.rule == .R08 })
    #expect(!talk(after: 20, news: true).findings.contains { $0.rule == .R08 })
  }

  @Test func r27TheLinkIsFineOrNot() {
    #expect(Talk(seconds: 40).diagnosis().findings.map(\.rule) == [.R27])
    // Anything above a note, and it is not said.
    let without = Talk(seconds: 40).changed { record, _ in record.frame.id.number == 0x4220 ? [] : [record] }.diagnosis()
    #expect(!without.findings.contains { $0.rule == .R27 } && without.findings.contains { $0.severity > .note })
  }

  @Test func r28BesideAReference() {
    func beside(_ talk: Talk, _ reference: Talk) -> Diagnosis {
      func profile(_ talk: Talk) -> TraceProfile {
        var census = TrafficCensus()
        census.busAppeared(BusID(0), named: "can0")
        for record in talk.records { census.receive(record) }
        var profile = TraceProfile(Shipped.library, ProtocolIdentifier(Shipped.library).identify(census)[0])
        profile.busAppeared(BusID(0), named: "can0")
        for record in talk.records { profile.receive(record) }
        return profile
      }
      var run = ConformanceRun(Shipped.library, Talk.book, SiteFacts(), verdicts: [profile(talk).identification])
      run.busAppeared(BusID(0), named: "can0")
      for record in talk.records { run.receive(record) }
      return run.diagnose(besides: [("can0", TraceComparison(profile(reference), profile(talk)))])
    }
    let good = Talk(seconds: 30)
    #expect(beside(good, good).findings.map(\.rule) == [.R27])
    let other = Talk(seconds: 30) { values, _ in values[.chargeVoltageLimit] = 700_000 }
    let finding = beside(other, good).findings.first { $0.rule == .R28 }
    #expect(finding?.text == "unlike the reference: 00004220 Limits: ChargeVoltageLimit is 700 V, in the reference 681.6 V")
  }

  @Test func ofTwoBatteriesTheFirstIsFollowed() {
    let one = Talk(seconds: 30)
    // The same again from address 1, a few volts higher.
    let both = one.changed { record, _ in
      guard (0x4210...0x4290).contains(record.frame.id.number), record.frame.id.number & 15 == 0 else { return [record] }
      let other = Talk.copy(record, after: 0.001) { frame in
        frame.id = .extended(frame.id.number + 1)
        if frame.id.number == 0x4211 { frame.setByte(1, frame.byte(1) + 1) }
      }
      return [record, other]
    }
    func figures(_ talk: Talk) -> [String] { talk.diagnosis().buses[0].figures.map { "\($0)" } }
    #expect(figures(both) == figures(one) && !figures(one).isEmpty)
    #expect(both.diagnosis().buses[0].frames > one.diagnosis().buses[0].frames)
  }

  @Test func anInverterThatMeansAnotherBatteryIsNotShownOnline() {
    let diagnosis = Talk("sofar1", seconds: 60, faults: [LinkFault(.wrongAddress)]).diagnosis()
    #expect(diagnosis.findings.first?.rule == .R04)
    let inverter = diagnosis.buses[0].timeline.filter { $0.side == .inverter }
    #expect(inverter.count == 1 && inverter[0].text.contains("R04") && inverter[0].phase == "waiting", "\(inverter)")
  }

  @Test func r17Direction() {
    func wrong(_ amperes: Int64) -> Set<RuleID> {
      Talk(seconds: 40) { values, _ in
        values[.packCurrent] = -amperes
        values.set(.charging, true)
      }.rules()
    }
    #expect(wrong(5_200).contains(.R17) && !wrong(4_800).contains(.R17))
  }

  @Test func r18WhyNothingIsAllowed() {
    func barred(_ seconds: Double) -> Diagnosis {
      Talk(seconds: 60) { values, time in
        if time > 20, time < 20 + seconds {
          values[.chargeCurrentLimit] = 0
          values[.packCurrent] = -3_000
          values.set(.charging, false)
          values.set(.chargeForbidden, true)
          values.set(.overvoltageAlarm, true)
          values[.cellVoltageMax] = 3_600
        }
      }.diagnosis()
    }
    let finding = barred(15).findings.first { $0.rule == .R18 }
    #expect(
      finding?.severity == .note && finding?.text.contains("single cell high voltage") ?? false,
      "\(barred(15).findings.map(\.text))")
    #expect(!barred(8).findings.contains { $0.rule == .R18 })
  }

  @Test func r19ChargeVoltage() {
    func voltage(_ volts: Int64) -> Set<RuleID> {
      Talk { values, time in if time > 20 { values[.chargeVoltageLimit] = volts } }.rules()
    }
    #expect(voltage(100).contains(.R19) && voltage(1_000).contains(.R19))
    #expect(voltage(556_800).contains(.R19), "not above the discharge voltage")
    // More than a tenth below the pack.
    #expect(voltage(569_000).contains(.R19) && !voltage(572_000).contains(.R19))
  }

  @Test func r19aOverRating() {
    func limit(_ amperes: Int64) -> Set<RuleID> {
      Talk("deye-hv") { values, _ in values[.dischargeCurrentLimit] = amperes }.rules()
    }
    #expect(limit(150_000).contains(.R19a) && !limit(149_900).contains(.R19a))
  }

  @Test func r20Identity() {
    func cells(_ count: Int64) -> Set<RuleID> { Talk { values, _ in values[.cellCount] = count * 1000 }.rules() }
    // 633.6 V over 192 cells of 3.30 V; 8 % off is the limit.
    #expect(cells(120).contains(.R20) && cells(220).contains(.R20) && !cells(200).contains(.R20))
    var site = SiteFacts()
    site.capacity_Ah = 120
    #expect(Talk().rules(site).contains(.R20))
    site.capacity_Ah = 105
    #expect(!Talk().rules(site).contains(.R20))
    site.cells = 96
    #expect(Talk().rules(site).contains(.R20))
  }

  @Test func r21Consistency() {
    func forbidden(_ seconds: Double) -> Set<RuleID> {
      Talk { values, time in if time > 20, time < 20 + seconds { values.set(.chargeForbidden, true) } }.rules()
    }
    #expect(forbidden(6).contains(.R21) && !forbidden(1.5).contains(.R21))
    let alarm = Talk { values, time in
      values.set(.overvoltageAlarm, true)
      values[.cellVoltageMax] = 3_100
      values[.cellVoltageMin] = 3_090
      values[.packVoltage] = 594_000 + Int64(time * 100)
    }
    #expect(alarm.rules().contains(.R21))
  }

  @Test func r22StateOfCharge() {
    func step(_ percent: Int64) -> Set<RuleID> {
      Talk { values, time in if time > 30 { values[.soc] = 55_000 + percent * 1000 } }.rules()
    }
    #expect(step(6).contains(.R22) && !step(5).contains(.R22))
  }

  @Test func r23StaleAndZero() {
    func frozen(_ seconds: Double, _ amperes: Int64 = 12_000) -> Set<RuleID> {
      Talk(seconds: 100) { values, time in
        if time > 10, time < 10 + seconds {
          values[.packVoltage] = 633_000
          values[.packCurrent] = amperes
        }
      }.rules()
    }
    #expect(frozen(63).contains(.R23) && !frozen(55).contains(.R23) && !frozen(80, 4_900).contains(.R23))
    let zeros = Talk { values, time in if time < 3 { values[.packVoltage] = 0 } }
    #expect(zeros.rules().contains(.R23))
  }

  @Test func r24AndR25Terminals() {
    func terminal(_ volts: @escaping (Double) -> Int64) -> Set<RuleID> {
      Talk(
        "goodwe",
        inverter: { time in
          var values = QuantityValues()
          values[.inverterVoltage] = volts(time)
          return values
        }
      ).rules()
    }
    #expect(terminal { $0 > 20 && $0 < 27 ? 400 : 633_000 }.contains(.R24))
    #expect(!terminal { $0 > 20 && $0 < 23 ? 400 : 633_000 }.contains(.R24))
    // 90 % of the pack within ten seconds.
    #expect(terminal { $0 > 20 && $0 < 35 ? 500_000 : 633_000 }.contains(.R25))
    #expect(!terminal { $0 > 20 && $0 < 28 ? 500_000 : 633_000 }.contains(.R25))
  }

  @Test func r26LimitNotObeyed() {
    func current(_ amperes: Int64, for seconds: Double, limit: Int64 = 25_000) -> Set<RuleID> {
      Talk(seconds: 100) { values, time in
        values[.chargeCurrentLimit] = limit
        values[.packCurrent] = 3_000 + Int64(time) * 10
        if limit == 0 { values[.packCurrent] = 0 }
        if time > 20, time < 20 + seconds { values[.packCurrent] = amperes + Int64(time) % 3 * 100 }
      }.rules()
    }
    // 25 A + max(2 A, 5 %), for 30 s.
    #expect(
      current(27_500, for: 33).contains(.R26) && !current(27_500, for: 25).contains(.R26)
        && !current(26_700, for: 60).contains(.R26))
    #expect(current(1_200, for: 13, limit: 0).contains(.R26) && !current(1_200, for: 8, limit: 0).contains(.R26))
    #expect(!current(800, for: 60, limit: 0).contains(.R26))
  }

  @Test func oneCauseIsOneFinding() {
    // A battery of another protocol explains its silence; the rules that it explains are named.
    let talk = Talk(faults: [LinkFault(.missingMember)])
    let findings = talk.diagnosis().findings.filter { $0.severity > .note }
    #expect(findings.count == 1 && findings[0].rule == .R03, "\(findings.map(\.text))")
    #expect(findings[0].frame == nil && findings[0].expected != nil && findings[0].count > 5)
  }

  @Test func theTimelineShowsBothSides() {
    let report = Talk(seconds: 20).diagnosis().buses[0]
    #expect(report.timeline.contains { $0.side == .inverter && $0.phase == "online" })
    #expect(report.timeline.contains { $0.side == .battery && $0.phase == "online" })
    #expect(report.figures.contains { $0.name == "packVoltage" && $0.range.hasSuffix(" V") })
  }

  @Test func theRuleBookIsWholeAndItsMistakesAreSaid() {
    #expect(RuleID.allCases.allSatisfy { !Talk.book[$0].why.isEmpty && !Talk.book[$0].name.isEmpty })
    #expect(RuleID.allCases.allSatisfy { !Talk.book[$0].fix.isEmpty && !Talk.book[$0].causes.isEmpty })
    let text = "rules:\n  R99: { name: x }\n  R10: { severity: terrible, tresholds: {} }\nfoo: 1\n"
    let problems = RuleBook.parse(text, path: "rules.yaml").problems.map(\.text)
    #expect(problems.contains { $0.contains("unknown rule \"R99\"") } && problems.contains { $0.contains("severity") })
    #expect(problems.contains { $0.contains("tresholds") } && problems.contains { $0.contains("foo") })
    #expect(problems.contains { $0.contains("R11 is missing") })
  }

  @Test func noRecordsOfAnyKindTrap() {
    let seed = UInt64.random(in: 0...(.max))
    var random = SplitMix64(seed: seed)
    let talk = Talk(seconds: 10)
    for _ in 0..<30 {
      let records = talk.records.map { record -> CANRecord in
        var record = record
        if random.below(4) == 0 { record.frame.head = random.next() }
        if random.below(8) == 0 { record.frame.id = ArbitrationID(rawValue: UInt32(truncatingIfNeeded: random.next())) }
        if random.below(8) == 0 { record.time = Timestamp(nanoseconds: Int64(bitPattern: random.next())) }
        if random.below(8) == 0 { record.frame.length = UInt8(random.below(65)) }
        if random.below(20) == 0 { record.frame.flags = .init(rawValue: UInt8(random.below(32))) }
        return record
      }
      #expect(Talk.diagnosis(records).records == UInt64(records.count), "seed \(seed)")
    }
  }
}

import Bus
import Formats
import Simulation
import Testing

@testable import Analysis

@Suite struct TraceComparisonTests {
  private func profile(_ talk: Talk) -> TraceProfile {
    let records = talk.records.sorted { $0.time < $1.time }
    var census = TrafficCensus()
    census.busAppeared(BusID(0), named: "can0")
    for record in records { census.receive(record) }
    var profile = TraceProfile(Shipped.library, ProtocolIdentifier(Shipped.library).identify(census)[0])
    profile.busAppeared(BusID(0), named: "can0")
    for record in records { profile.receive(record) }
    return profile
  }
  private func compare(_ a: Talk, _ b: Talk, tolerance: Double = 0.5) -> TraceComparison {
    TraceComparison(profile(a), profile(b), tolerance: tolerance)
  }
  private let good = Talk(seconds: 30)

  @Test func aCaptureIsLikeItself() {
    let comparison = compare(good, good)
    #expect(comparison.differences.isEmpty && comparison.parting == nil && comparison.stepCount > 300)
  }

  @Test func valuesThatMoveAreNotCompared() {
    let other = Talk(seconds: 30) { values, time in values[.packVoltage] = 620_000 + Int64(time * 300) }
    #expect(compare(good, other).differences.isEmpty, "\(compare(good, other).differences)")
  }

  @Test func aValueThatStandsStillOrRunsElsewhereIsTold() {
    let still = Talk(seconds: 30) { values, _ in values[.packVoltage] = 633_000 }
    let kinds = compare(good, still).differences
    #expect(kinds.contains { $0.kind == .course && $0.text.contains("PackVoltage stands still at 633 V") }, "\(kinds)")
    // A battery with half the cells; two thirds as many are no news.
    let elsewhere = Talk(seconds: 30) { values, time in values[.packVoltage] = 300_000 + Int64(time * 100) }
    #expect(compare(good, elsewhere).differences.contains { $0.kind == .course && $0.text.contains("PackVoltage runs from 300") })
    let near = Talk(seconds: 30) { values, time in values[.packVoltage] = 420_000 + Int64(time * 100) }
    #expect(!compare(good, near).differences.contains { $0.kind == .course })
  }

  @Test func whatIsMissingMoreSlowerShorterOrSetOtherwiseIsSaid() {
    func kinds(_ talk: Talk) -> [TraceComparison.Difference] { compare(good, talk).differences }
    let missing = kinds(good.changed { record, _ in record.frame.id.number == 0x4280 ? [] : [record] })
    #expect(missing.contains { $0.kind == .missing && $0.id == "00004280" && $0.text.contains("Permissions") })
    #expect(missing.contains { $0.kind == .order && $0.text.contains("the reference says 00004280 Permissions") })
    let more = kinds(
      good.changed { record, _ in
        record.frame.id.number == 0x4280 ? [record, Talk.copy(record) { $0.id = .extended(0x5555) }] : [record]
      })
    #expect(more.contains { $0.kind == .more && $0.id == "00005555" })
    let short = kinds(
      good.changed { record, _ in record.frame.id.number == 0x4280 ? [Talk.copy(record) { $0.length = 2 }] : [record] })
    #expect(short.map(\.kind) == [.length])
    let set = kinds(Talk(seconds: 30) { values, _ in values[.chargeVoltageLimit] = 700_000 })
    #expect(set.map(\.text) == ["00004220 Limits: ChargeVoltageLimit is 700 V, in the reference 681.6 V"])
    var number = 0
    let slow = good.changed { record, _ in
      guard record.frame.id.number == 0x4210 else { return [record] }
      number += 1
      return number % 2 == 0 ? [record] : []
    }
    #expect(compare(good, slow).differences.contains { $0.kind == .period })
    #expect(!compare(good, slow, tolerance: 2).differences.contains { $0.kind == .period })
  }

  @Test func thePartingIsWhereItHappens() {
    // From 12 s on the identity is not answered any more.
    let silent = good.changed { record, time in time > 12 && record.frame.id.number != 0x4200 ? [] : [record] }
    let parting = compare(good, silent).parting
    #expect(parting.map { $0.seconds > 11.5 && $0.seconds < 14 } ?? false, "\(String(describing: parting))")
    let other = compare(Talk("goodwe-byd", seconds: 20), Talk("goodwe-byd", seconds: 20, faults: [LinkFault(.silentBattery)]))
    #expect(other.parting != nil && other.differences.contains { $0.kind == .missing && $0.text.contains("Limits") })
  }

  @Test func anotherProtocolIsSaidFirst() {
    let comparison = compare(good, Talk("sofar1", seconds: 30))
    #expect(comparison.differences.first?.kind == .protocolName)
    #expect(comparison.parting?.steps == 0)
  }
}

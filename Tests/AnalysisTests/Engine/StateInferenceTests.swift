import Bus
import Formats
import Protocols
import Simulation
import Testing

@testable import Analysis

/// What the frames to an inverter say of the controller behind them.
@Suite struct StateInferenceTests {
  private func infer(_ seconds: Double = 60, _ change: @escaping (inout QuantityValues, Double) -> Void) -> StateInference {
    let talk = Talk("pylon-deye", seconds: seconds, change: change)
    let definition = Shipped.library.definitions.first { $0.sidecar.variants.contains { $0.name == "pylon-deye" } }
    var inference = StateInference(definition?.link(variant: "pylon-deye"), bus: "can0")
    inference.busAppeared(BusID(0), named: "can0")
    for record in talk.records { inference.receive(record) }
    return inference
  }

  /// Both limits, ramped as a controller does: 5 A a second from a time on.
  private func ramp(_ values: inout QuantityValues, _ time: Double, from start: Double) {
    let amperes = Int64(max(0, time - start) * 4_900)
    values[.chargeCurrentLimit] = min(25_000, amperes)
    values[.dischargeCurrentLimit] = min(50_000, amperes)
    values.set(.chargeForbidden, amperes == 0)
    values.set(.dischargeForbidden, amperes == 0)
    if amperes == 0 { values[.packCurrent] = 0 }
  }

  @Test func aSoundControllerChecksRampsAndRuns() {
    let inference = infer { values, time in ramp(&values, time, from: 8) }
    #expect(inference.changes.map(\.status) == [.checking, .running])
    #expect(inference.oddities.isEmpty, "\(inference.oddities)")
    #expect(inference.cycles > 40)
  }

  @Test func aLimitThatJumpsIsNotPlausible() {
    let inference = infer { values, time in
      ramp(&values, time, from: 8)
      if time > 30, time < 35 { values[.chargeCurrentLimit] = 5_000 }
    }
    #expect(inference.oddities.map(\.text) == ["a limit rises faster than 5 A a second (§5)"])
  }

  @Test func protectionKeepsTheContactorsOpenForTenSeconds() {
    func protected(for seconds: Double, limit: Int64 = 0, amperes: Int64 = 0) -> StateInference {
      infer { values, time in
        ramp(&values, time, from: 1)
        guard time > 25 else { return }
        ramp(&values, time, from: 28 + seconds)
        if time < 25 + seconds {
          values.set(.overvoltageProtection, true)
          values[.chargeCurrentLimit] = limit
          values.set(.chargeForbidden, limit == 0)
          values[.packCurrent] = amperes
        }
      }
    }
    let sound = protected(for: 12)
    #expect(sound.changes.map(\.status) == [.checking, .running, .protecting, .checking, .running])
    #expect(sound.oddities.isEmpty, "\(sound.oddities)")
    #expect(protected(for: 5).oddities.contains { $0.text.contains("before its 10 s") })
    #expect(protected(for: 12, limit: 3_000).oddities.contains { $0.text.contains("a limit above 0 A in PROTECT") })
    #expect(protected(for: 12, amperes: 1_500).oddities.contains { $0.text.contains("more than 1 A for over 3 s in PROTECT") })
    #expect(!protected(for: 12, amperes: 900).oddities.contains { $0.text.contains("more than 1 A") })
  }

  @Test func limitsAndMarksBelongTogether() {
    func forbidden(for seconds: Double) -> StateInference {
      infer { values, time in
        ramp(&values, time, from: 1)
        if time > 30, time < 30 + seconds { values.set(.chargeForbidden, true) }
      }
    }
    #expect(forbidden(for: 8).oddities.contains { $0.text.contains("contradict for over 3 s") })
    #expect(forbidden(for: 2).oddities.isEmpty)
  }

  @Test func inWarningNoMoreThanHalfIsAllowed() {
    func warned(_ amperes: Int64) -> StateInference {
      infer { values, time in
        ramp(&values, time, from: 1)
        if time > 30 {
          values.set(.overvoltageAlarm, true)
          values[.chargeCurrentLimit] = min(amperes, 25_000)
          values[.dischargeCurrentLimit] = min(amperes, 50_000)
        }
      }
    }
    #expect(warned(12_000).oddities.isEmpty && warned(12_000).changes.last?.status == .warning)
    #expect(warned(20_000).oddities.contains { $0.text.contains("above half") })
  }

  @Test func aBusWithoutABatteryShowsNothing() {
    var inference = StateInference(nil, bus: "can0")
    inference.busAppeared(BusID(0), named: "can0")
    inference.receive(CANRecord(time: Timestamp(nanoseconds: 0), frame: CANFrame(id: .standard(1), length: 8, head: 1)))
    #expect(inference.cycles == 0 && inference.changes.isEmpty)
  }
}

import Protocols
import Bus
import Formats
import Testing

@testable import Analysis

/// What is kept of each value: most go a short way, and what the short way leaves out has to be the same.
@Suite struct QuantityWatchTests {
  private func watch() -> QuantityWatch { QuantityWatch(Shipped.library.definition("pylontech-hv"), Talk.book) }

  private func set(_ watch: inout QuantityWatch, _ quantity: Quantity, _ values: [Int64]) {
    for (index, value) in values.enumerated() {
      watch.set(Int(quantity.rawValue), value, .init(record: UInt64(index + 1), time: Int64(index) * 1_000_000_000))
    }
  }

  @Test func everyValueIsCountedAndTheExtremesAreKept() {
    var watch = watch()
    set(&watch, .packVoltage, [0, 0, 400_000, 410_000, 405_000, 406_000, 390_000, 400_000])
    let extent = watch.extent(.packVoltage)
    #expect((extent.count, extent.first, extent.lowest, extent.highest) == (8, 0, 0, 410_000))
    #expect((extent.leadingZeros, extent.firstOther.record) == (2, 3))
    #expect(watch.now[.packVoltage] == 400_000 && watch.now[.packCurrent] == nil)
  }

  @Test func aJumpInsideOfWhatWasSeenIsOne() throws {
    let range = try #require(Shipped.library.definition("pylontech-hv")?.sidecar.plausible["PackVoltage"])
    let (low, high) = (Int64(range.lowerBound * 1000) + 1000, Int64(range.upperBound * 1000) - 1000)
    var watch = watch()
    // Up in small steps, then down at once and up again: neither leaves what was seen.
    set(&watch, .packVoltage, Array(stride(from: low, through: high, by: Int((high - low) / 8))) + [high, low, high])
    let extent = watch.extent(.packVoltage)
    #expect((extent.jumps, extent.strange, extent.jumpFrom, extent.jumpTo) == (2, 0, high, low))
    #expect(extent.firstJump.record > 9)
  }

  @Test func whatIsImpossibleCountsEachTime() throws {
    let range = try #require(Shipped.library.definition("pylontech-hv")?.sidecar.plausible["PackVoltage"])
    let above = Int64(range.upperBound * 1000) + 1000
    var watch = watch()
    set(&watch, .packVoltage, [400_000, above, above, 400_000, above])
    #expect((watch.extent(.packVoltage).strange, watch.extent(.packVoltage).count) == (3, 5))
  }
}

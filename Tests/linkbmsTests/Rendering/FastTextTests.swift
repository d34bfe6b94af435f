import Analysis
import Bus
import Testing

@testable import linkbms

@Suite struct FastTextTests {
  private let tables = DigitTables.shared

  /// What a pen wrote.
  private func text(_ body: (Pen) -> Pen) -> String {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
    defer { memory.deallocate() }
    let end = body(memory)
    return String(decoding: UnsafeRawBufferPointer(start: memory, count: end - memory), as: UTF8.self)
  }

  @Test func integersAreWrittenAsSwiftWritesThem() {
    var values: [UInt64] = [0, 9, 10, 99, 100, 999, 1000, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000, .max, .max - 1]
    var power: UInt64 = 1
    for _ in 0..<19 {
      values += [power - 1, power, power + 1]
      power *= 10
    }
    values += [power - 1, power, power + 1]
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = SeededGenerator(seed)
    for bits in 0..<64 { values.append(UInt64.random(in: 0...(.max), using: &random) >> UInt64(bits)) }
    for value in values { #expect(text { tables.put(value, at: $0) } == String(value)) }
  }

  @Test(arguments: [
    (Int64(2469), UInt8(1), "246.9"), (-123, 1, "-12.3"), (5, 1, "0.5"), (-5, 1, "-0.5"), (0, 1, "0.0"), (3295, 3, "3.295"),
    (5, 3, "0.005"), (-1, 3, "-0.001"), (12_345, 2, "123.45"), (7, 2, "0.07"), (7, 0, "7"), (-7, 0, "-7"), (123_456, 5, "1.23456"),
    (1, 6, "0.000001"), (.max, 0, "9223372036854775807"), (.min, 0, "-9223372036854775808"),
  ])
  func decimalsAreExact(mantissa: Int64, decimals: UInt8, expected: String) {
    #expect(text { tables.put(mantissa, decimals: decimals, at: $0) } == expected)
    #expect(ValueText.decimal(mantissa, decimals: Int(decimals)) == expected)
  }

  @Test(arguments: [
    (Int64(1_700_000_000_123_456_000), TimePrecision.microseconds, 10, "1700000000.123456"),
    (8_651_000, .microseconds, 10, "         0.008651"), (8_651_000, .microseconds, 0, "0.008651"),
    (1_700_000_000_123_456_789, .nanoseconds, 0, "1700000000.123456789"), (1_500_000_000, .tenths, 0, "1.5"),
    (2_000_000_000, .seconds, 0, "2"), (-1_250_000_000, .milliseconds, 0, "-1.250"),
    (99_999_999_999_999_999, .microseconds, 10, "  99999999.999999"),
  ])
  func timesKeepTheDigitsOfTheirSource(nanoseconds: Int64, precision: TimePrecision, width: Int, expected: String) {
    var time = TimeText()
    for _ in 0..<2 {
      #expect(text { time.put(Timestamp(nanoseconds: nanoseconds), precision, width: width, tables: tables, at: $0) } == expected)
    }
  }

  @Test(arguments: [
    (ArbitrationID.standard(0x7FF), false, "7FF"), (.standard(0), false, "000"), (.standard(0x35C), false, "35C"),
    (.extended(0x4210), false, "00004210"), (.extended(0x1FFF_FFFF), false, "1FFFFFFF"), (.standard(4), true, "20000004"),
  ])
  func identifiersShowTheirWidth(id: ArbitrationID, isError: Bool, expected: String) {
    var frame = CANFrame(id: id, length: 0, head: 0)
    if isError { frame.flags = .error }
    #expect(text { tables.putID(frame, at: $0) } == expected)
  }

  @Test func textsOfAnyLengthAreCopiedWhole() {
    let pool = TextPool()
    let texts = (0..<80).map { String(repeating: "x", count: $0) + "|" }
    let prepared = texts.map(pool.add)
    pool.seal()
    for (text, place) in zip(texts, prepared) { #expect(self.text { put(place, of: pool.base, at: $0) } == text) }
  }
}

/// A small seeded generator, so that a printed seed repeats a run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

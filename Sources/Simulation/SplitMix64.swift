/// Random numbers from a seed, the same on every machine (Steele, Lea, Flood 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// - Parameter seed: any number; equal seeds give equal sequences.
  public init(seed: UInt64) { state = seed }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Evenly from 0 up to 1.
  public mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
  /// Evenly between two bounds.
  public mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }
  /// About normally distributed around 0 with deviation 1: the sum of twelve even ones.
  public mutating func normal() -> Double {
    var sum = -6.0
    for _ in 0..<12 { sum += unit() }
    return sum
  }
  /// 0 ..< count; 0 for an empty range.
  public mutating func below(_ count: Int) -> Int { count > 0 ? Int(next() % UInt64(count)) : 0 }
}

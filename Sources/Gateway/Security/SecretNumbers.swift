/// The system's random numbers, for what nobody may guess.
///
/// Not `SystemRandomNumberGenerator` itself: that has no size, and `inout` to something without a size is an address of nothing. Programs
/// never follow it, ThreadSanitizer does and ends them (tools/sanitize thread).
struct SecretNumbers: RandomNumberGenerator {
  private var drawn: UInt64 = 0

  mutating func next() -> UInt64 {
    drawn &+= 1
    return .random(in: .min ... .max)
  }
}

/// From raw readings of the PDU to amperes and volts. Source: spec/controller.md §8.
public enum Calibration {
  /// Whether two points are closer than 5 % of full scale, all in one unit: such a line is guesswork.
  public static func areTooClose(_ one: Int32, _ other: Int32, fullScale: Int32) -> Bool {
    (Int64(one) - Int64(other)).magnitude * 20 < UInt64(fullScale.magnitude)
  }

  /// Linear through two points; clamped to Int32, `y0` if both raw points are one.
  public static func linear(_ raw: Int32, _ x0: Int32, _ y0: Int32, _ x1: Int32, _ y1: Int32) -> Int32 {
    let run = Int64(x1) - Int64(x0)
    guard run != 0 else { return y0 }
    let product = (Int64(raw) - Int64(x0)).multipliedReportingOverflow(by: Int64(y1) - Int64(y0))
    guard !product.overflow else { return raw < x0 ? .min : .max }
    // Rounded to the nearest: truncating would show 24.999 A for 25 A.
    let half = run.magnitude / 2
    let magnitude = (product.partialValue.magnitude &+ half) / run.magnitude
    let rounded = Int64(clamping: magnitude)
    return Int32(clamping: Int64(y0) &+ ((product.partialValue < 0) != (run < 0) ? 0 &- rounded : rounded))
  }

  /// Current in mA.
  public static func current(_ raw: Int32, _ configuration: Configuration) -> Int32 {
    linear(
      raw, configuration[.currentLowRaw], configuration[.currentLow], configuration[.currentHighRaw], configuration[.currentHigh])
  }

  /// V-in in mV.
  public static func input(_ raw: Int32, _ configuration: Configuration) -> Int32 {
    linear(raw, 0, 0, configuration[.inputHighRaw], configuration[.inputHigh])
  }

  /// V-out in mV.
  public static func output(_ raw: Int32, _ configuration: Configuration) -> Int32 {
    linear(raw, 0, 0, configuration[.outputHighRaw], configuration[.outputHigh])
  }

  /// A point that a person gives: the raw reading now, and what a good instrument shows.
  public enum Point: Equatable, Sendable {
    /// The low point of the current, mA. Alone it shifts the offset: the high point moves with it.
    case currentLow(raw: Int32, milliamperes: Int32)
    case currentHigh(raw: Int32, milliamperes: Int32)
    case input(raw: Int32, millivolts: Int32)
    case output(raw: Int32, millivolts: Int32)
  }

  /// The configuration with a point put in, or `nil` if it is refused as too close to the other or to zero.
  public static func applying(_ point: Point, to configuration: Configuration) -> Configuration? {
    var changed = configuration
    switch point {
    case .currentLow(let raw, let milliamperes):
      // The slope stays: what a zero point tells is the offset.
      let run = configuration[.currentHighRaw] &- configuration[.currentLowRaw]
      let rise = configuration[.currentHigh] &- configuration[.currentLow]
      changed[.currentLowRaw] = raw
      changed[.currentLow] = milliamperes
      changed[.currentHighRaw] = raw &+ run
      changed[.currentHigh] = milliamperes &+ rise
    case .currentHigh(let raw, let milliamperes):
      guard !areTooClose(configuration[.currentLow], milliamperes, fullScale: 80_000), raw != configuration[.currentLowRaw] else {
        return nil
      }
      changed[.currentHighRaw] = raw
      changed[.currentHigh] = milliamperes
    case .input(let raw, let millivolts):
      guard !areTooClose(0, millivolts, fullScale: 800_000), raw != 0 else { return nil }
      changed[.inputHighRaw] = raw
      changed[.inputHigh] = millivolts
    case .output(let raw, let millivolts):
      guard !areTooClose(0, millivolts, fullScale: 800_000), raw != 0 else { return nil }
      changed[.outputHighRaw] = raw
      changed[.outputHigh] = millivolts
    }
    return changed
  }
}

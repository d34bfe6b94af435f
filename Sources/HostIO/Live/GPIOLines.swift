private import CGPIO
private import Glibc

/// Lines of a GPIO chip, taken through libgpiod: nobody else can use them until they are given back.
///
/// A class, because it is one open device. A call takes as long as the chip does; one behind I²C may take milliseconds.
public final class GPIOLines {
  /// How a line is taken.
  public struct Line: Sendable {
    /// Its number on the chip.
    public var number: UInt32
    /// It drives, and begins inactive; else it is read.
    public var isOutput: Bool
    /// Active at 0 V.
    public var isActiveLow: Bool
    /// The chip's resistor to its supply (`true`) or to 0 V; `nil` = as it is.
    public var pullsUp: Bool?
    /// A line.
    public init(number: UInt32, isOutput: Bool, isActiveLow: Bool, pullsUp: Bool?) {
      self.number = number
      self.isOutput = isOutput
      self.isActiveLow = isActiveLow
      self.pullsUp = pullsUp
    }
  }

  private let lines: OpaquePointer
  private let chip: String
  private let numbers: [UInt32]

  /// Takes lines.
  /// - Parameter chip: `gpiochip0` or a path.
  public init(chip: String, _ wanted: [Line]) throws(PortError) {
    self.chip = chip
    numbers = wanted.map(\.number)
    let path = chip.contains("/") ? chip : "/dev/" + chip
    let flags = wanted.map { line -> UInt32 in
      var bits: Int = 0
      if line.isOutput { bits |= GPIO_LINES_OUTPUT }
      if line.isActiveLow { bits |= GPIO_LINES_ACTIVE_LOW }
      if let up = line.pullsUp { bits |= up ? GPIO_LINES_PULL_UP : GPIO_LINES_PULL_DOWN }
      return UInt32(bits)
    }
    var failed = 0
    guard let opened = gpio_lines_open(path, numbers, flags, wanted.count, &failed) else {
      throw GPIOLines.problem(chip, failed < 0 ? nil : wanted[min(failed, wanted.count - 1)].number, errno)
    }
    lines = opened
  }

  deinit { gpio_lines_close(lines) }

  /// Whether a line is active.
  /// - Parameter place: in the order in which they were taken.
  public func isActive(_ place: Int) throws(PortError) -> Bool {
    let value = gpio_lines_get(lines, place)
    guard value >= 0 else { throw GPIOLines.problem(chip, numbers.indices.contains(place) ? numbers[place] : nil, errno) }
    return value == 1
  }

  /// Why the chip is not there any more; `nil` = it is. A driver that cannot read an output says another error, which means nothing here.
  public var absence: PortError? {
    guard gpio_lines_get(lines, 0) < 0, errno == ENODEV || errno == ENXIO else { return nil }
    return GPIOLines.problem(chip, numbers.first, errno)
  }

  /// Drives a line.
  public func set(_ place: Int, _ isActive: Bool) throws(PortError) {
    guard gpio_lines_set(lines, place, isActive ? 1 : 0) == 0 else {
      throw GPIOLines.problem(chip, numbers.indices.contains(place) ? numbers[place] : nil, errno)
    }
  }

  private static func problem(_ chip: String, _ line: UInt32?, _ code: Int32) -> PortError {
    let name = line.map { "\(chip) line \($0)" } ?? chip
    switch code {
    case ENOENT where line == nil, ENODEV where line == nil:
      return .refused(chip, reason: "there is no such GPIO chip; gpiodetect lists those that are there")
    case EACCES, EPERM:
      return .notPermitted(name, needs: "the right to use \(chip): root, or the group gpio where the system has one")
    case EBUSY: return .refused(name, reason: "another program or the kernel uses this line; gpioinfo says who")
    case EINVAL where line != nil: return .refused(name, reason: "there is no such line, or it cannot do that; gpioinfo lists them")
    case ENOTTY where line == nil, EINVAL where line == nil: return .refused(chip, reason: "is no GPIO chip; gpiodetect lists them")
    default: return .system(HostError(name, attempt: "use", code: code))
    }
  }
}

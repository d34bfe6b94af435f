/// What the master's digital lines are connected to: four outputs, four inputs and the reset button (spec/controller.md §1). The manual
/// gives them no meaning but the button's, so whoever wires them does.
public struct GPIOWiring: Sendable, Equatable {
  /// What an output shows. Outputs drive lamps, relays and chargers; contactors are the PDU's alone.
  public enum Output: String, Sendable, CaseIterable {
    /// Both main contactors are ordered closed.
    case running
    /// The battery may be charged.
    case charge
    /// The battery may be discharged.
    case discharge
    /// Something keeps the contactors open that does not belong to a start: an error status, or a doubt.
    case fault
  }

  /// What an input does. None of them closes anything.
  public enum Input: String, Sendable, CaseIterable {
    /// While it is active the contactors stay open.
    case open
    /// What it says is logged, nothing else.
    case watch
  }

  /// One line of the chip.
  public struct Line: Sendable, Equatable {
    /// Its number on the chip.
    public var number: UInt32
    /// Active at 0 V.
    public var isActiveLow = false
    /// The chip's own resistor.
    public var pull: Pull?
  }

  /// A resistor inside the chip.
  public enum Pull: String, Sendable {
    case up = "pull-up"
    case down = "pull-down"
  }

  /// Why words are no wiring.
  public struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    /// For a person.
    public var description: String
  }

  /// In the order in which they were named.
  public private(set) var outputs: [(use: Output, line: Line)] = []
  /// In the order in which they were named; numbered from 1 for a person.
  public private(set) var inputs: [(use: Input, line: Line)] = []
  /// The reset button.
  public private(set) var button: Line?

  /// Lines of each kind (spec/controller.md §1).
  public static let most = 4

  /// Reads words such as `running=17`, `open=22:low:pull-up`, and for the button `27:low:pull-up`.
  public init(outputs: [String], inputs: [String], button: String?) throws(Problem) {
    self.outputs = try outputs.map { text throws(Problem) in try GPIOWiring.use(text, "--gpio-output") }
    self.inputs = try inputs.map { text throws(Problem) in try GPIOWiring.use(text, "--gpio-input") }
    self.button = try button.map { text throws(Problem) in try GPIOWiring.line(text[...], text, "--gpio-reset-button") }
    for (option, count) in [("--gpio-output", outputs.count), ("--gpio-input", inputs.count)] where count > GPIOWiring.most {
      throw Problem(description: "\(option): found \(count), expected at most \(GPIOWiring.most)")
    }
    var numbers: Set<UInt32> = []
    for line in lines where !numbers.insert(line.number).inserted {
      throw Problem(description: "GPIO line \(line.number): is named twice, expected each line once")
    }
    var uses: Set<Output> = []
    for (use, _) in self.outputs where !uses.insert(use).inserted {
      throw Problem(description: "--gpio-output: \(use.rawValue) is named twice, expected each use once")
    }
    for (_, line) in self.outputs where line.pull != nil {
      throw Problem(description: "--gpio-output: found \(line.pull?.rawValue ?? ""), expected it at inputs only")
    }
  }

  /// Outputs, inputs, button: the order in which a chip is asked for them.
  public var lines: [Line] { outputs.map(\.line) + inputs.map(\.line) + (button.map { [$0] } ?? []) }

  /// Whether nothing is connected.
  public var isEmpty: Bool { outputs.isEmpty && inputs.isEmpty && button == nil }

  private static func use<Use: RawRepresentable & CaseIterable>(
    _ text: String, _ option: String
  ) throws(Problem) -> (use: Use, line: Line) where Use.RawValue == String {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let use = Use(rawValue: String(parts[0])) else {
      let uses = Use.allCases.map(\.rawValue).joined(separator: ", ")
      throw Problem(
        description: "\(option): found \"\(text)\", expected USE=LINE with one of \(uses), such as \(uses.prefix { $0 != "," })=17")
    }
    return (use, try line(parts[1], text, option))
  }

  private static func line(_ words: Substring, _ text: String, _ option: String) throws(Problem) -> Line {
    let parts = words.split(separator: ":", omittingEmptySubsequences: false)
    guard let first = parts.first, let number = UInt32(first), number < 4096 else {
      throw Problem(description: "\(option): found \"\(text)\", expected the number of a line of the chip; gpioinfo lists them")
    }
    var line = Line(number: number)
    for word in parts.dropFirst() {
      if word == "low", !line.isActiveLow {
        line.isActiveLow = true
      } else if let pull = Pull(rawValue: String(word)), line.pull == nil {
        line.pull = pull
      } else {
        throw Problem(description: "\(option): found \"\(word)\" in \"\(text)\", expected low, pull-up or pull-down, each once")
      }
    }
    return line
  }

  /// By what is connected where.
  public static func == (one: GPIOWiring, other: GPIOWiring) -> Bool {
    one.button == other.button && one.outputs.elementsEqual(other.outputs) { $0 == $1 }
      && one.inputs.elementsEqual(other.inputs) { $0 == $1 }
  }
}

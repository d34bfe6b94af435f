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

    /// `22:low:pull-up`.
    var word: String {
      let ends: [String?] = [isActiveLow ? "low" : nil, pull?.rawValue]
      return ([String(number)] + ends.compactMap { $0 }).joined(separator: ":")
    }
  }

  /// A resistor inside the chip.
  public enum Pull: String, Sendable {
    case up = "pull-up"
    case down = "pull-down"
  }

  /// Where a word stands, from 0.
  public enum Place: Sendable, Equatable {
    case output(Int)
    case input(Int)
    case button
  }

  /// What the words are called for a person: options of a command, or keys of a file.
  public struct Names: Sendable, Equatable {
    /// Of the outputs.
    public var outputs: String
    /// Of the inputs.
    public var inputs: String
    /// Of the reset button.
    public var button: String
    /// Names.
    public init(outputs: String, inputs: String, button: String) {
      self.outputs = outputs
      self.inputs = inputs
      self.button = button
    }

    /// On a command line.
    public static let options = Names(outputs: "--gpio-output", inputs: "--gpio-input", button: "--gpio-reset-button")
  }

  /// Why words are no wiring.
  public struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
    /// The word that is wrong; of two that do not go together, the second.
    public var place: Place
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

  private init() {}

  /// The same outputs and inputs, and no button.
  public var withoutButton: GPIOWiring {
    var wiring = self
    wiring.button = nil
    return wiring
  }

  /// Reads words such as `running=17`, `open=22:low:pull-up`, and for the button `27:low:pull-up`.
  public init(outputs: [String], inputs: [String], button: String?) throws(Problem) {
    let (wiring, problems) = GPIOWiring.read(outputs: outputs, inputs: inputs, button: button)
    if let problem = problems.first { throw problem }
    self = wiring
  }

  /// The same, with everything that is wrong; the wiring may be used where nothing is.
  public static func read(
    outputs: [String], inputs: [String], button: String?, as names: Names = .options
  ) -> (wiring: GPIOWiring, problems: [Problem]) {
    var wiring = GPIOWiring()
    var places: [Place] = []
    var problems: [Problem] = []
    for (index, text) in outputs.enumerated() {
      do throws(Problem) {
        wiring.outputs.append(try use(text, names.outputs, .output(index)))
        places.append(.output(index))
      } catch { problems.append(error) }
    }
    for (index, text) in inputs.enumerated() {
      do throws(Problem) {
        wiring.inputs.append(try use(text, names.inputs, .input(index)))
        places.append(.input(index))
      } catch { problems.append(error) }
    }
    if let button {
      do throws(Problem) {
        wiring.button = try line(button[...], button, names.button, .button)
        places.append(.button)
      } catch { problems.append(error) }
    }
    for (name, place, count) in [
      (names.outputs, Place.output(most), outputs.count), (names.inputs, Place.input(most), inputs.count),
    ] where count > most {
      problems.append(Problem(place: place, description: "\(name): found \(count), expected at most \(most)"))
    }
    return (wiring, problems + wiring.conflicts(places, names))
  }

  /// What does not go together.
  /// - Parameter places: of `lines`.
  private func conflicts(_ places: [Place], _ names: Names) -> [Problem] {
    var problems: [Problem] = []
    var numbers: Set<UInt32> = []
    for (line, place) in zip(lines, places) where !numbers.insert(line.number).inserted {
      let text = "GPIO line \(line.number): is named twice, expected each line once"
      problems.append(Problem(place: place, description: text))
    }
    var uses: Set<Output> = []
    for (output, place) in zip(outputs, places) {
      if !uses.insert(output.use).inserted {
        let text = "\(names.outputs): \(output.use.rawValue) is named twice, expected each use once"
        problems.append(Problem(place: place, description: text))
      }
      if let pull = output.line.pull {
        let text = "\(names.outputs): found \(pull.rawValue), expected it at inputs only"
        problems.append(Problem(place: place, description: text))
      }
    }
    return problems
  }

  /// The outputs as words that are read again as the same.
  public var outputWords: [String] { outputs.map { "\($0.use.rawValue)=\($0.line.word)" } }
  /// The inputs as such words.
  public var inputWords: [String] { inputs.map { "\($0.use.rawValue)=\($0.line.word)" } }
  /// The reset button as such a word.
  public var buttonWord: String? { button?.word }

  /// Outputs, inputs, button: the order in which a chip is asked for them.
  public var lines: [Line] { outputs.map(\.line) + inputs.map(\.line) + (button.map { [$0] } ?? []) }

  /// Whether nothing is connected.
  public var isEmpty: Bool { outputs.isEmpty && inputs.isEmpty && button == nil }

  private static func use<Use: RawRepresentable & CaseIterable>(
    _ text: String, _ name: String, _ place: Place
  ) throws(Problem) -> (use: Use, line: Line) where Use.RawValue == String {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let use = Use(rawValue: String(parts[0])) else {
      let uses = Use.allCases.map(\.rawValue).joined(separator: ", ")
      throw Problem(
        place: place,
        description: "\(name): found \"\(text)\", expected USE=LINE with one of \(uses), such as \(uses.prefix { $0 != "," })=17")
    }
    return (use, try line(parts[1], text, name, place))
  }

  private static func line(_ words: Substring, _ text: String, _ name: String, _ place: Place) throws(Problem) -> Line {
    let parts = words.split(separator: ":", omittingEmptySubsequences: false)
    guard let first = parts.first, let number = UInt32(first), number < 4096 else {
      throw Problem(
        place: place, description: "\(name): found \"\(text)\", expected the number of a line of the chip; gpioinfo lists them")
    }
    var line = Line(number: number)
    for word in parts.dropFirst() {
      if word == "low", !line.isActiveLow {
        line.isActiveLow = true
      } else if let pull = Pull(rawValue: String(word)), line.pull == nil {
        line.pull = pull
      } else {
        throw Problem(
          place: place,
          description: "\(name): found \"\(word)\" in \"\(text)\", expected low, pull-up or pull-down, each once")
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

import Controller
import Testing

@testable import Formats

@Suite struct GPIOSectionTests {
  /// As somebody wrote it.
  private static let lines = """
    # The lines of the cabinet's computer.
    gpio:
      chip: gpiochip0        # the 40-pin header
      outputs:
        - running=17
    # the lamp at the door
        - fault=4:low
      inputs: [open=22:low:pull-up, "watch=23"]

      reset-button: 27:low:pull-up

    """

  /// The same as the program writes it.
  private static let plain = """
    gpio:
      chip: 'gpiochip0'
      outputs:
        - running=17
        - fault=4:low
      inputs:
        - open=22:low:pull-up
        - watch=23
      reset-button: 27:low:pull-up

    """

  private func section(_ chip: String = "gpiochip0") throws -> GPIOSection {
    GPIOSection(
      chip: chip,
      wiring: try GPIOWiring(
        outputs: ["running=17", "fault=4:low"], inputs: ["open=22:low:pull-up", "watch=23"], button: "27:low:pull-up"))
  }

  // MARK: Reading

  @Test func theSectionIsReadBesideTheTable() throws {
    let reading = ConfigurationFile.parse("version: 1\ncapacity: 50\n" + Self.lines)
    #expect(reading.complaints.isEmpty && reading.gpioProblem == nil, "\(reading)")
    #expect(try reading.gpio == section())
    #expect(reading.configuration[.capacity] == ConfigurationItem.capacity.value("50"))
    #expect(ConfigurationFile.parse("version: 1\n" + Self.plain).gpio == reading.gpio)
    #expect(
      reading.gpio?.summary
        == "chip gpiochip0, outputs running=17,fault=4:low, inputs open=22:low:pull-up,watch=23, reset-button 27:low:pull-up")
    #expect(ConfigurationFile.parse("version: 1\n").gpio == nil)
  }

  @Test(arguments: ["outputs: [charge=0]", "inputs: [watch=0]", "reset-button: 0", "reset-button: 0\n  outputs: []"])
  func eachKindOfLineMayBeLeftOut(part: String) {
    let reading = ConfigurationFile.parse("version: 1\ngpio:\n  chip: /dev/gpiochip1\n  \(part)\n")
    #expect(reading.complaints.isEmpty, "\(reading)")
    #expect(reading.gpio?.chip == "/dev/gpiochip1" && reading.gpio?.wiring.lines.map(\.number) == [0])
  }

  @Test(
    arguments: [
      (
        "  chip: gpiochip0\n  output: [running=1]\n",
        [
          "line 4: gpio, output: found an unknown key, expected one of chip, outputs, inputs, reset-button (did you mean \"outputs\"?)"
        ]
      ),
      ("  chip: gpiochip0\n", ["line 2: gpio: found no line, expected outputs, inputs or reset-button"]),
      (
        "  outputs: [running=1]\n",
        ["line 2: gpio, chip: found none, expected the chip of these lines; gpiodetect lists those that are there"]
      ),
      (
        "  chip: gpiochip0\n  outputs:\n    - running=1\n    - runing=2\n    - fault=1\n",
        [
          "line 6: gpio, outputs: found \"runing=2\", expected USE=LINE with one of running, charge, discharge, fault, such as running=17",
          "line 7: GPIO line 1: is named twice, expected each line once",
        ]
      ),
      ("  chip: gpiochip0\n  inputs: open=22\n", ["line 4: gpio, inputs: found \"open=22\", expected a list"]),
      (
        "  chip: [a]\n  reset-button: {a: b}\n",
        ["line 3: gpio, chip: found a list, expected a text", "line 4: gpio, reset-button: found a mapping, expected a text"]
      ),
      (
        "  chip: \"gpio chip\"\n  reset-button: x\n",
        [
          "line 3: gpio, chip: found \"gpio chip\", expected the name of a chip such as gpiochip0, or its path",
          "line 4: gpio, reset-button: found \"x\", expected the number of a line of the chip; gpioinfo lists them",
        ]
      ),
      (
        "  chip: gpiochip0\n  inputs: [watch=1, watch=2, watch=3, watch=4, watch=5]\n",
        ["line 4: gpio, inputs: found 5, expected at most 4"]
      ),
      ("  chip: gpiochip0\n  outputs: [running=1:pull-up]\n", ["line 4: gpio, outputs: found pull-up, expected it at inputs only"]),
    ] as [(String, [String])])
  func whatIsWrongIsNamedWithItsLine(body: String, complaints: [String]) {
    let text = "version: 1\ngpio:\n" + body
    let reading = ConfigurationFile.parse(text)
    #expect(reading.complaints == complaints)
    #expect(reading.gpio == nil && reading.gpioProblem?.description == complaints.first)
    // It stays, and so does everything else in its file.
    #expect(throws: ConfigurationFile.Problem.self) { try ConfigurationFile.text(Configuration(), replacing: text) }
  }

  /// Where it cannot be told whether there is a section, nobody may take it for none.
  @Test(arguments: [
    "version: 1\ngpio: gpiochip0\n", "version: 1\ngpio:\n", "version: 1\ngpio:\nchip: gpiochip0\n", "version: 1\ngpio: {}\n",
    "version: 1\ngpoi:\n  chip: gpiochip0\n  reset-button: 1\n", "version: 1\nversion: 1\ngpio:\n  chip: gpiochip0\n",
    "a: [\ngpio:\n", "- gpio\n", "\tGPIO: 1\n", "version: 1\ngpio-input: open=22:low\n", "version: 1\nGPIO_Lines: 22\n",
    "version: 1\ninputs: [open=22:low]\n", "version: 1\ninput: open=22:low\n",
  ])
  func whatMayBeASectionIsNeverOverwritten(text: String) {
    let reading = ConfigurationFile.parse(text)
    #expect(reading.gpio == nil && reading.gpioProblem != nil && !reading.problems.isEmpty, "\(reading)")
    #expect(throws: ConfigurationFile.Problem.self) { try ConfigurationFile.text(Configuration(), replacing: text) }
  }

  @Test(arguments: ["", "a: [", "version: 1\ncapacitty: 5\n", "version: 1\n# no gpio\n", "- a\n"])
  func whatIsNoSectionIsReplaced(text: String) throws {
    #expect(ConfigurationFile.parse(text).gpioProblem == nil)
    #expect(try ConfigurationFile.text(Configuration(), replacing: text) == ConfigurationFile.text(Configuration()))
  }

  // MARK: Saving

  @Test(arguments: [
    ("", ""), ("version: 1\n", ""), ("", "version: 1\n"), ("# mine\nversion: 1\ncapacity: 50\n\n\n", "\n\n"),
    ("version: 1\n", "bms2-slaves: 0\n"), ("---\nversion: 1\n", "\n# about the next\n\ncell-count: 8\n"),
    ("version: 1\n", "...\n# behind it\n"), (ConfigurationFile.text(Configuration()), ""),
    (ConfigurationFile.text(Configuration()) + "\n\n", "\n"),
    ("# LinkBMS configuration. Change it with `linkbms config set`, which keeps the checksum right.\n", "version: 1\n"),
  ])
  func savingKeepsTheSectionAsItStands(before: String, after: String) throws {
    let old = before + Self.lines + after
    let configuration = Configuration(preset: .liIon)
    let text = try ConfigurationFile.text(configuration, replacing: old)
    #expect(text == ConfigurationFile.text(configuration) + "\n" + Self.lines)
    let reading = ConfigurationFile.parse(text)
    #expect(reading.configuration == configuration && reading.hasChecksum && reading.problems.isEmpty, "\(reading)")
    #expect(try reading.gpio == section())
    // A hundred saves are as good as one.
    #expect(try ConfigurationFile.text(configuration, replacing: text) == text)
  }

  @Test func remarksAroundItAreKept() throws {
    let mine = "# first\n\n# second\n" + Self.lines + "# at the end\n  # and further in\n"
    let text = try ConfigurationFile.text(Configuration(), replacing: "version: 1\n" + mine)
    #expect(text == ConfigurationFile.text(Configuration()) + "\n" + mine)
    #expect(try ConfigurationFile.text(Configuration(), replacing: text) == text)
    // Ends of lines as another system writes them.
    let foreign = ("version: 1\n" + mine).replacing("\n", with: "\r\n")
    #expect(try ConfigurationFile.text(Configuration(), replacing: foreign) == text)
  }

  /// Its lines are not its own there: what it says is kept.
  @Test func aSectionThatIsWovenIntoTheRestKeepsWhatItSays() throws {
    let flow =
      "{version: 1, gpio: {chip: gpiochip0, outputs: [running=17, fault=4:low], inputs: [open=22:low:pull-up, watch=23], "
      + "reset-button: 27:low:pull-up}}\n"
    #expect(try ConfigurationFile.parse(flow).gpio == section())
    let text = try ConfigurationFile.text(Configuration(), replacing: flow)
    #expect(text == ConfigurationFile.text(Configuration()) + "\n" + Self.plain)
    #expect(try ConfigurationFile.text(Configuration(), replacing: text) == text)

    let anchored = "version: 1\ncapacity: &n 17\ngpio:\n  chip: gpiochip0\n  reset-button: *n\n"
    let kept = try ConfigurationFile.text(Configuration(), replacing: anchored)
    #expect(ConfigurationFile.parse(kept).gpio?.wiring.buttonWord == "17", "\(kept)")

    let quoted = "{version: 1, gpio: {chip: \"/dev/it's:#\", reset-button: 1}}\n"
    let again = try ConfigurationFile.text(Configuration(), replacing: quoted)
    #expect(ConfigurationFile.parse(again).gpio?.chip == "/dev/it's:#", "\(again)")
  }

  /// The checksum guards the table; lines are written by hand.
  @Test func aChangedLineIsNoDamage() throws {
    let text = try ConfigurationFile.text(Configuration(), replacing: "version: 1\n" + Self.lines)
    let changed = text.replacing("running=17", with: "running=18")
    #expect(changed != text && ConfigurationFile.parse(changed).complaints.isEmpty)
    #expect(!ConfigurationFile.parse(text.replacing("capacity: 100 ", with: "capacity: 101 ")).problems.isEmpty)
  }

  @Test func garbageLosesNothing() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    let whole = Array((ConfigurationFile.text(Configuration()) + "\n" + Self.lines).utf8)
    let begin = whole.count - Self.lines.utf8.count
    var kept = 0
    for round in 0..<400 {
      var bytes = whole
      for _ in 0...Int(random.next() % 3) {
        // Mostly where it hurts.
        let first = round % 4 == 0 ? 0 : begin
        let place = first + Int(random.next() % UInt64(bytes.count - first))
        switch random.next() % 3 {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        default: bytes.insert(Array("#:[]{}-=\n &*'\"\r1".utf8)[Int(random.next() % 16)], at: place)
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      let reading = ConfigurationFile.parse(text)
      guard let saved = try? ConfigurationFile.text(reading.configuration, replacing: text) else {
        #expect(reading.gpioProblem != nil, "seed \(seed)\n\(text)")
        continue
      }
      kept += reading.gpio == nil ? 0 : 1
      #expect(reading.gpioProblem == nil && ConfigurationFile.parse(saved).gpio == reading.gpio, "seed \(seed)\n\(text)")
      #expect((try? ConfigurationFile.text(reading.configuration, replacing: saved)) == saved, "seed \(seed)\n\(text)")
    }
    #expect(kept > 20, "seed \(seed)")
  }
}

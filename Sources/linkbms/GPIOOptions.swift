import ArgumentParser
import Formats
import HostIO

/// The master's digital lines: four outputs, four inputs, the reset button.
struct GPIOOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The chip of the digital lines; gpiodetect lists those that are there. Chip and lines may stand in the section gpio of --config "
        + "instead, as 'linkbms config --help' says; what one of these options names wins over what the section says of it.",
      valueName: "gpiochipN"))
  var gpio: String?
  @Option(
    help: ArgumentHelp(
      "An output, at most four: running (contactors closed), charge, discharge (allowed now), fault. LINE is its number on the chip, "
        + "with :low where 0 V is active.", valueName: "use=line[:low]"))
  var gpioOutput: [String] = []
  @Option(
    help: ArgumentHelp(
      "An input, at most four: open (contactors stay open while it is active: wire it so that a broken wire is active) or watch (is "
        + "logged). With :low where 0 V is active, :pull-up or :pull-down for the chip's resistor.",
      valueName: "use=line[:low][:pull-up]"))
  var gpioInput: [String] = []
  @Option(
    help: ArgumentHelp(
      "The reset button: held for 5 to 10 s it forgets the WiFi of the pages and opens LinkBMS-xxxx to choose another, for 20 s it resets the BMS: the contactors open and "
        + "everything is measured anew.", valueName: "line[:low][:pull-up]"))
  var gpioResetButton: String?

  /// What was given, for a unit file.
  var given: [String] {
    var words = gpio.map { ["--gpio", $0] } ?? []
    for output in gpioOutput { words += ["--gpio-output", output] }
    for input in gpioInput { words += ["--gpio-input", input] }
    if let gpioResetButton { words += ["--gpio-reset-button", gpioResetButton] }
    return words
  }

  /// What can be said before a file is read.
  /// - Parameter hasFile: a configuration's file may say the rest.
  func check(hasFile: Bool) throws(ValidationError) {
    let wiring: GPIOWiring
    do throws(GPIOWiring.Problem) {
      wiring = try GPIOWiring(outputs: gpioOutput, inputs: gpioInput, button: gpioResetButton)
    } catch { throw ValidationError(error.description) }
    if !hasFile, let missing = missing(wiring) { throw ValidationError(missing) }
  }

  /// What is used: of the chip, the outputs, the inputs and the button each what the options name, else what the section says; `nil` =
  /// no lines.
  /// - Parameter file: where the section stands.
  func lines(over section: GPIOSection?, of file: String) throws(WorldError) -> GPIOSection? {
    let (wiring, problems) = GPIOWiring.read(
      outputs: gpioOutput.isEmpty ? section?.wiring.outputWords ?? [] : gpioOutput,
      inputs: gpioInput.isEmpty ? section?.wiring.inputWords ?? [] : gpioInput,
      button: gpioResetButton ?? section?.wiring.buttonWord)
    if let problem = problems.first {
      // Each alone is right.
      let place = section == nil ? "" : "; the options and the section gpio of \(file) do not go together"
      throw WorldError(message: problem.description + place)
    }
    if let lost = lostInput(of: section, in: wiring) {
      throw WorldError(
        message: "--gpio-input: found \(gpioInput.joined(separator: ", ")), which takes the place of all inputs of the section "
          + "gpio of \(file); expected \(lost) among them: it keeps the contactors open. Name it, too, or take it out of the file")
    }
    if section == nil, let missing = missing(wiring) { throw WorldError(message: "\(missing); \(file) has no section gpio") }
    return (gpio ?? section?.chip).map { GPIOSection(chip: $0, wiring: wiring) }
  }

  /// An input of the section that keeps the contactors open, of which the wiring knows nothing.
  private func lostInput(of section: GPIOSection?, in wiring: GPIOWiring) -> String? {
    guard let section else { return nil }
    let kept = wiring.inputs.filter { $0.use == .open }.map(\.line)
    for (input, word) in zip(section.wiring.inputs, section.wiring.inputWords)
    where input.use == .open && !kept.contains(where: { $0.number == input.line.number }) {
      return word
    }
    return nil
  }

  /// What options need that no file completes.
  private func missing(_ wiring: GPIOWiring) -> String? {
    if gpio == nil { return wiring.isEmpty ? nil : "--gpio: found none, expected the chip of these lines" }
    return wiring.isEmpty ? "--gpio: needs --gpio-output, --gpio-input or --gpio-reset-button" : nil
  }

  /// Takes the lines; outputs are off.
  /// - Parameter file: where a chip stands that no option names.
  func open(_ lines: GPIOSection?, of file: String) throws -> RunGPIO? {
    guard let lines else { return nil }
    return try GPIOOptions.open(lines, at: gpio == nil ? "\(file): \(GPIOSection.key)" : "--gpio")
  }

  /// Takes the lines; outputs are off.
  /// - Parameter place: who names the chip.
  static func open(_ lines: GPIOSection, at place: String) throws(WorldError) -> RunGPIO {
    do throws(PortError) { return try RunGPIO(chip: lines.chip, lines.wiring) } catch {
      throw WorldError(message: "\(place): \(error.description)")
    }
  }
}

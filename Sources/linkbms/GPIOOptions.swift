import ArgumentParser
import HostIO
import Runtime

/// The master's digital lines: four outputs, four inputs, the reset button.
struct GPIOOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The chip of the digital lines; gpiodetect lists those that are there.", valueName: "gpiochipN"))
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

  /// What is connected; `nil` = no lines are used.
  func wiring() throws(ValidationError) -> GPIOWiring? {
    let wiring: GPIOWiring
    do throws(GPIOWiring.Problem) {
      wiring = try GPIOWiring(outputs: gpioOutput, inputs: gpioInput, button: gpioResetButton)
    } catch { throw ValidationError(error.description) }
    guard gpio != nil else {
      guard wiring.isEmpty else { throw ValidationError("--gpio: found none, expected the chip of these lines") }
      return nil
    }
    guard !wiring.isEmpty else { throw ValidationError("--gpio: needs --gpio-output, --gpio-input or --gpio-reset-button") }
    return wiring
  }

  /// Takes the lines; outputs are off.
  func open() throws -> RunGPIO? {
    guard let gpio, let wiring = try wiring() else { return nil }
    do throws(PortError) { return try RunGPIO(chip: gpio, wiring) } catch {
      throw WorldError(message: "--gpio: \(error.description)")
    }
  }
}

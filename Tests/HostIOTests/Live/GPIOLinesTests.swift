import Testing

@testable import HostIO

/// Chips that are none; real lines are in tools/vm-test.d/gpio.sh.
@Suite struct GPIOLinesTests {
  @Test(arguments: [
    ("gpiochip4711", "there is no such GPIO chip; gpiodetect lists"), ("/nowhere/chip", "there is no such GPIO chip"),
    ("/dev/null", "is no GPIO chip"), ("/etc/passwd", "is no GPIO chip"),
  ])
  func whatIsNoChipIsNamed(chip: String, words: String) {
    let error = #expect(throws: PortError.self) {
      _ = try GPIOLines(chip: chip, [.init(number: 1, isOutput: false, isActiveLow: false, pullsUp: nil)])
    }
    #expect(error?.description.contains(words) ?? false, "\(error?.description ?? "")")
  }
}

import Analysis
import Bus
import Controller
import Formats
import Gateway
import HostIO
import Logging
import Runtime

/// What people ask for on the pages. Nothing here closes a contactor: a reset and a configuration are commands to the engine, which
/// goes its own way through CHECKING.
extension RunLoop {
  /// Shows the pages the last step, and does what people asked for.
  mutating func showPages() {
    guard pages != nil else { return }
    if let why = pages?.newProblem() { say(.error, "the pages are gone: \(why); the controller goes on without them") }
    for line in pages?.takeNews() ?? [] { say(.notice, "pages: \(line)") }
    let snapshot = Snapshot(runtime.engine, runtime.readings, time_ns: runtime.time_ns)
    let before_ns = PortPoller.now_ns
    let wallClock_ns = PortPoller.wallClock_ns
    let now_ns = PortPoller.now_ns
    // Two clocks that were not read together say nothing.
    let offset_ns = now_ns - before_ns < 1_000_000 ? wallClock_ns &- now_ns : nil
    let commands = pages?.exchange(snapshot, now_ns: now_ns, wallOffset_ns: offset_ns)
    for command in commands ?? [] { obey(command) }
  }

  private mutating func obey(_ command: GatewayCommand) {
    guard !isStopping else { return refuse("the command", "the run is ending") }
    switch command {
    case .reset:
      runtime.reset()
      answer("reset BMS: the contactors open, and everything is measured anew")
    // A hold of the run's own must not be ended by a page, and the engine knows only one.
    case .hold, .release: refuse("hold or release", "a run knows neither; stop it where the contactors are to stay open")
    case .configure(let configuration): save(configuration)
    }
  }

  /// Saves a configuration that may be taken over; it is taken over when it is on the disk.
  private mutating func save(_ configuration: Configuration) {
    // It would wait behind the state.
    if isDiskSilent { return refuse("the configuration", RunLoop.silence) }
    guard pages?.saving == nil else { return refuse("the configuration", "another one is being saved; try again") }
    let other = otherBattery(configuration)
    if let other {
      guard isForNextStart(other) else { return refuse("the configuration", words(other)) }
    } else if let why = runtime.refusal(of: configuration) {
      return refuse("the configuration", why)
    }
    pages?.isForNextStart = other != nil
    pages?.saving = configuration
    guard let path = configurationPath else { return saved(nil) }
    let bytes = Array(ConfigurationFile.text(configuration).utf8)
    files.submit(RunPages.configurationFile) { try AtomicFile.write(bytes, to: path) }
  }

  /// What makes the battery or its inverter another one: a program that runs never takes that over (`ControllerRuntime.refusal`).
  private func otherBattery(_ configuration: Configuration) -> ConfigurationItem? {
    guard !runtime.lacksConfiguration, configuration.violationCount == 0 else { return nil }
    let old = runtime.engine.configuration
    let items: [ConfigurationItem] = [.inverterProtocol, .bms1Slaves, .bms2Slaves, .bms1Cells, .bms2Cells, .cellCount]
    return items.first { configuration[$0] != old[$0] }
  }

  /// Whether it may be saved for the next start. Not another protocol: with buses on the command line that do not go with it the program
  /// would not start any more, and there would be no page to put that right.
  private func isForNextStart(_ item: ConfigurationItem) -> Bool {
    item != .inverterProtocol && configurationPath != nil && runtime.ordered.isEmpty && runtime.engine.outputs.contactors.isEmpty
  }

  /// What there is to do instead.
  private func words(_ item: ConfigurationItem) -> String {
    let what = "\(item.row.key) differs: the battery or its inverter is another, and that is asked for at the start only"
    guard let path = configurationPath else { return what + "; start the program again with a file in which it stands (--config)" }
    return what + "; edit \(path) and start the program again"
  }

  /// What became of a configuration's file.
  mutating func saved(_ failure: String?) {
    guard let configuration = pages?.saving else {
      // The file that was put back.
      if let failure { say(.error, "pages: the configuration's file cannot be put back: \(failure)") }
      return
    }
    pages?.saving = nil
    if let failure { return refuse("the configuration", "it cannot be saved: \(failure)") }
    let place = configurationPath.map { "saved in \($0)" } ?? "kept until the end of the run"
    if pages?.isForNextStart ?? false {
      pages?.isFileAhead = true
      return answer("configuration \(place): in force when the program is started again, for it is another battery's")
    }
    guard let why = takeOver(configuration) else {
      let instead = (pages?.isFileAhead ?? false) ? "; what was saved for the next start is replaced by it" : ""
      pages?.isFileAhead = false
      return answer("configuration \(place) and taken over\(instead)")
    }
    // The contactors have closed while the disk was written: the next start must not work by what was refused.
    if let path = configurationPath {
      files.submit(RunPages.configurationFile) { try AtomicFile.write(try InputFile.bytes(of: path + ".previous"), to: path) }
    }
    refuse("the configuration", why)
  }

  private mutating func answer(_ text: String) {
    say(.notice, "pages: \(text)")
    pages?.answer("\(Self.stamp) \(text)")
  }

  private mutating func refuse(_ what: String, _ why: String) {
    say(.warning, "pages: \(what) is refused: \(why)")
    pages?.answer("\(Self.stamp) \(what) is refused: \(why)")
  }

  private static var stamp: String { CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns)).description }
}

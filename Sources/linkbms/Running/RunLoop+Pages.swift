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
    guard pages?.saving == nil else { return refuse("the configuration", "another one is being saved; try again") }
    if let why = runtime.refusal(of: configuration) { return refuse("the configuration", why) }
    pages?.saving = configuration
    guard let path = configurationPath else { return saved(nil) }
    let bytes = Array(ConfigurationFile.text(configuration).utf8)
    files.submit(RunPages.configurationFile) { try AtomicFile.write(bytes, to: path) }
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
    guard let why = runtime.configure(configuration) else {
      return answer("configuration \(configurationPath.map { "saved in \($0)" } ?? "kept until the end of the run") and taken over")
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

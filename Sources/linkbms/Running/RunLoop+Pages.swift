import Analysis
import Bus
import Controller
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

  private mutating func obey(_ order: NumberedCommand) {
    guard !isStopping else { return refuse(order.number, "the command", "the run is ending") }
    switch order.command {
    case .reset:
      runtime.reset()
      answer(order.number, "reset BMS: the contactors open, and everything is measured anew")
    // A hold of the run's own must not be ended by a page, and the engine knows only one.
    case .hold, .release:
      refuse(order.number, "hold or release", "a run knows neither; stop it where the contactors are to stay open")
    case .configure: save(order, "configuration")
    case .calibrate: save(order, "calibration")
    }
  }

  /// Saves a configuration that may be taken over; it is taken over when it is on the disk.
  private mutating func save(_ order: NumberedCommand, _ noun: String) {
    // It would wait behind the state.
    if isDiskSilent { return refuse(order.number, "the \(noun)", RunLoop.silence) }
    guard let changes = pages?.changes, pages?.saving == nil else {
      return refuse(order.number, "the \(noun)", "another one is being saved; try again")
    }
    var isCalibration = false
    if case .calibrate = order.command { isCalibration = true }
    let saving: RunPages.Saving
    switch changes.verdict(on: order.command, runtime.changeRules) {
    case nil: return
    case .refused(let refusal)?: return refuse(order.number, "the \(noun)", refusal.reason, item: refusal.item)
    case .takeOver(let wanted)?:
      saving = RunPages.Saving(number: order.number, noun: noun, configuration: wanted, isCalibration: isCalibration)
    case .forNextStart(let wanted, let other)?:
      saving = RunPages.Saving(number: order.number, noun: noun, configuration: wanted, other: other)
    }
    pages?.saving = saving
    guard let path = changes.path else { return saved(nil) }
    let (wanted, lines) = (saving.configuration, changes.lines)
    files.submit(RunPages.configurationFile) { try ConfigurationOutput.write(wanted, to: path, lines: lines) }
  }

  /// What became of a configuration's file.
  mutating func saved(_ failure: String?) {
    guard let saving = pages?.saving else { return }
    pages?.saving = nil
    let (number, what, path) = (saving.number, "the \(saving.noun)", pages?.changes.path)
    if let failure { return refuse(number, what, "it cannot be saved: \(failure)") }
    reader.fileHasChanged()
    let place = "\(saving.noun) " + (path.map { "saved in \($0)" } ?? "kept until the end of the run")
    if let other = saving.other {
      pages?.isFileAhead = true
      let why = other == .inverterProtocol ? "it is for another inverter" : "it is another battery's"
      return answer(number, "\(place): in force when the program is started again, for \(why)")
    }
    guard let why = putInForce(saving) else {
      let instead = (pages?.isFileAhead ?? false) ? "; what was saved for the next start is replaced by it" : ""
      pages?.isFileAhead = false
      return answer(number, "\(place) and taken over\(instead)")
    }
    // The contactors have closed while the disk was written: the next start must not work by what was refused.
    if let path {
      files.submit(RunPages.formerFile) { try AtomicFile.write(try InputFile.bytes(of: path + ".previous"), to: path) }
    }
    refuse(number, what, why)
  }

  private mutating func putInForce(_ saving: RunPages.Saving) -> String? {
    saving.isCalibration ? runtime.configure(saving.configuration, isCalibration: true) : takeOver(saving.configuration)
  }

  private mutating func answer(_ number: UInt64, _ text: String) {
    say(.notice, "pages: \(text)")
    pages?.answer(CommandAnswer(number: number, text: "\(Self.stamp) \(text)"))
  }

  private mutating func refuse(_ number: UInt64, _ what: String, _ why: String, item: ConfigurationItem? = nil) {
    say(.warning, "pages: \(what) is refused: \(why)")
    let refusal = CommandRefusal(item: item, reason: why)
    pages?.answer(CommandAnswer(number: number, text: "\(Self.stamp) \(what) is refused: \(why)", refusal: refusal))
  }

  private static var stamp: String { CalendarTime(Timestamp(nanoseconds: PortPoller.wallClock_ns)).description }
}

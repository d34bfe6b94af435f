import HostIO

/// What a front end has of live buses: how they are opened, who may send, and the jobs in the background.
///
/// A class: the prompt's loop, its commands and its completer look at the same jobs.
final class LiveHub {
  /// One job of the prompt.
  struct Entry {
    var number: Int
    var job: any LiveJob
  }

  /// How an address becomes an open bus; tests put buses of their own here.
  /// The second word: whether nothing at all is wanted of the adapter but listening, not even an acknowledgement.
  var open: (_ address: String, _ listenOnly: Bool) throws -> any BusPort
  /// Whether an address can be that of a bus on which is sent; tests put their own here.
  var examine: (_ address: String) throws(WorldError) -> Void = LiveHub.lookUp
  /// How the address of a tap becomes an open line that is only listened to.
  var openTap: (_ address: String) throws -> TapPort = { address in try TapPort(LineAddress(address)) }
  /// Whether sending needs `arm` first: at the prompt and in scripts.
  let needsArm: Bool
  /// Buses on which may be sent, as they were typed.
  private(set) var armed: Set<String> = []
  /// Jobs in the background, oldest first.
  private(set) var jobs: [Entry] = []
  /// The bus that the session listens to beside its jobs.
  private(set) var listener: BusListener?
  /// Jobs that ended and have something to show.
  private var ended: [Entry] = []
  /// What else has to be said.
  private var news: [String] = []
  /// The worst that ended jobs came to.
  private(set) var worst = ExitStatus.done

  init(needsArm: Bool) {
    self.needsArm = needsArm
    // Jobs beside one another may work with one adapter.
    let sharing = PortSharing()
    open = { address, listenOnly in try sharing.open(try PortAddress(address), listenOnly: listenOnly) }
  }

  // MARK: Opening

  /// Opens buses to listen.
  /// - Parameter taps: whether taps on chains and PDU may be among them. They come last: a CAN port's place is its bus's number.
  func listen(_ addresses: [String], taps: Bool = false) throws(WorldError) -> [any BusPort] {
    let lines = addresses.filter { LineAddress.isMeant(by: $0) }
    if !taps, let line = lines.first {
      throw WorldError(
        message: "\(line): found a tap on chains and PDU, expected a CAN bus: \(PortAddress.expected); taps are for capture, "
          + "decode --live, chain --live, run and commission")
    }
    let ordered = addresses.filter { !LineAddress.isMeant(by: $0) } + lines
    if let twice = LiveHub.repeated(ordered) {
      throw WorldError(message: "\(twice): is named twice: each of its frames would count twice")
    }
    var ports: [any BusPort] = []
    for address in ordered {
      do {
        if LineAddress.isMeant(by: address) {
          ports.append(try openTap(address))
        } else {
          ports.append(try open(address, true))
        }
      } catch {
        for port in ports { port.close() }
        throw WorldError(message: "\(error)")
      }
    }
    return NamedPort.distinct(ports, ordered)
  }

  /// An address that stands there for the second time, however it is written. An interface with another filter is another one.
  private static func repeated(_ addresses: [String]) -> String? {
    var seen: Set<PortAddress> = []
    var words: Set<String> = []
    return addresses.first { address in
      guard words.insert(address).inserted else { return true }
      guard let address = try? PortAddress(address) else { return false }
      return !seen.insert(address).inserted
    }
  }

  /// Opens a bus to send on, if that was allowed.
  func openToSend(_ address: String) throws(WorldError) -> any BusPort {
    guard !needsArm || isArmed(address) else {
      throw WorldError(message: "\(address) is not armed: nothing is sent on it before 'arm \(address)'")
    }
    do { return try open(address, false) } catch { throw WorldError(message: "\(error)") }
  }

  /// Allows sending on a bus.
  func arm(_ address: String) { armed.insert(address) }

  /// Whether that was allowed, however the address is written.
  func isArmed(_ address: String) -> Bool { armed.contains { LiveHub.areSame($0, address) } }

  /// Forbids it again; jobs that send there end.
  func disarm(_ address: String, _ now: LiveTime) {
    armed = armed.filter { !LiveHub.areSame($0, address) }
    for entry in jobs where entry.job.context.sendsOn.contains(where: { LiveHub.areSame($0, address) }) { end(entry, now) }
  }

  /// Whether two addresses are those of one bus, whatever else they ask for.
  static func areSame(_ one: String, _ other: String) -> Bool {
    guard one != other else { return true }
    guard let one = try? PortAddress(one), let other = try? PortAddress(other) else { return false }
    return one.withoutOptions == other.withoutOptions
  }

  /// Refuses an address that is none, or whose interface or device is not there.
  static func lookUp(_ address: String) throws(WorldError) {
    do throws(PortError) {
      switch try PortAddress(address) {
      case .socketCAN(let interface, _, _): _ = try CANInterface(interface)
      case .slcan(let device, _, _, _): if !InputFile.exists(device) { throw .absent(device) }
      case .pcap(let interface, _): throw .refused(address, reason: "only listens; for sending use \(interface)")
      case .socketcand, .multicast: break
      }
    } catch {
      throw WorldError(message: "\(error)" + hint(address, CANInterface.all().map(\.name)))
    }
  }

  /// What was meant by an address that is none, where that can be guessed; else what there is.
  static func hint(_ address: String, _ interfaces: [String]) -> String {
    if let near = Suggestion.closest(to: address, in: interfaces) { return " (did you mean \"\(near)\"?)" }
    return interfaces.isEmpty ? "" : " (CAN interfaces here: \(interfaces.joined(separator: ", ")))"
  }

  // MARK: Background

  /// What a prompt waits for beside keys.
  var waits: (descriptors: [Int32], until_ns: Int64) { (descriptors, due_ns) }

  /// Descriptors to wait for.
  var descriptors: [Int32] { all.flatMap { $0.context.ports.map(\.descriptor) } }

  private var all: [any LiveJob] { (listener.map { [$0] } ?? []) + jobs.map(\.job) }

  /// Listens to this bus instead of the one before.
  func listen(with next: BusListener?, _ now: LiveTime) {
    listener?.stop(now)
    listener = next
    next?.start(now)
  }

  /// When one of the jobs wants to be looked at.
  var due_ns: Int64 { all.map(\.due_ns).min() ?? .max }

  /// Waits for descriptors, for the jobs or for a moment, whichever comes first.
  /// - Returns: which of the descriptors are readable, in their order.
  func wait(_ wanted: [Int32], until_ns: Int64) -> [Bool] {
    let ready = PortPoller.wait(wanted + descriptors, until_ns: min(until_ns, due_ns))
    waited(.now)
    return Array(ready.prefix(wanted.count))
  }

  /// Puts a job into the background; its number.
  func add(_ job: any LiveJob, _ now: LiveTime) -> Int {
    let number = (jobs.last?.number ?? 0) + 1
    lookedAfter(now)
    jobs.append(Entry(number: number, job: job))
    job.start(now)
    return number
  }

  /// Hands to every job what came for it, and clears away those that are done.
  func pump(_ now: LiveTime) {
    lookedAfter(now)
    if let listener {
      listener.pump(now)
      if listener.context.isDone {
        if let failure = listener.context.failure { news.append("linkbms: \(failure.message)") }
        listen(with: nil, now)
      }
    }
    for entry in jobs {
      entry.job.pump(now)
      entry.job.context.endIfUnwritten()
      if entry.job.context.isDone { end(entry, now) }
    }
  }

  /// Writes what jobs have for files of their own: the terminal is somebody else's just now.
  func writeFiles() { for job in all { job.context.output.writeFile() } }

  /// Ends a job; `nil` = there is none of that number.
  func stop(_ number: Int, _ now: LiveTime) -> Bool {
    guard let entry = jobs.first(where: { $0.number == number }) else { return false }
    end(entry, now)
    return true
  }

  /// Ends all jobs, the latest first.
  func stopAll(_ now: LiveTime) { for entry in jobs.reversed() { end(entry, now) } }

  private func end(_ entry: Entry, _ now: LiveTime) {
    guard let index = jobs.firstIndex(where: { $0.number == entry.number }) else { return }
    jobs.remove(at: index)
    entry.job.stop(now)
    let context = entry.job.context
    context.endIfUnwritten()
    worst = max(worst, context.failure?.status ?? context.status)
    ended.append(entry)
  }

  // MARK: Standing still

  /// Up to when somebody looked after the jobs, or waited for them: monotonic ns.
  private var cared_ns: Int64 = 0
  /// The longest time since `statementBegins` in which nobody did.
  private var standstill_ns: Int64 = 0

  /// Whether there is anything to be looked after.
  var isBusy: Bool { !jobs.isEmpty || listener != nil }

  /// From here on it counts.
  func statementBegins(_ now: LiveTime) {
    cared_ns = now.monotonic_ns
    standstill_ns = 0
  }

  /// Somebody waited for the jobs until now: nothing that they wanted was left lying.
  func waited(_ now: LiveTime) { cared_ns = now.monotonic_ns }

  private func lookedAfter(_ now: LiveTime) {
    if !jobs.isEmpty { standstill_ns = max(standstill_ns, now.monotonic_ns &- cared_ns) }
    cared_ns = now.monotonic_ns
  }

  /// How long the jobs stood still at the longest; tells it once.
  func takeStandstill() -> Int64 {
    defer { standstill_ns = 0 }
    return standstill_ns
  }

  // MARK: News

  /// Whether something is to be said of jobs that ended.
  var hasNews: Bool { !news.isEmpty || !ended.isEmpty }

  /// What jobs have to show, as whole lines.
  func takeNews() -> String {
    var text = ""
    for job in all { text += job.context.output.takeText() }
    for entry in ended {
      text += entry.job.context.output.takeText() + entry.epitaph + "\n"
      entry.job.context.output.file?.close()
    }
    ended.removeAll()
    for line in news { text += line + "\n" }
    news.removeAll()
    return text
  }

  /// The same into a world: data as data, the rest for the person.
  func drain(into world: inout some World) throws(WorldError) {
    for job in all { try job.context.output.drain(into: &world) }
    while !ended.isEmpty {
      let entry = ended.removeFirst()
      try entry.job.context.output.drain(into: &world)
      entry.job.context.output.file?.close()
      world.note(entry.epitaph)
    }
    for line in news { world.note(line) }
    news.removeAll()
  }
}

extension LiveHub.Entry {
  /// What is said when it is over.
  fileprivate var epitaph: String {
    let title = job.context.title
    return job.context.failure.map { "linkbms: [\(number)] \(title): \($0.message)" } ?? "linkbms: [\(number)] ended: \(title)"
  }
}

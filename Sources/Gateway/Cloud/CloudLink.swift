import Analysis
import Controller
private import Dispatch
private import Synchronization

/// The master's side of LinkCloud and of Home Assistant: state each ten seconds, minutes and events through a queue on disk, the
/// discovery message, a last will. The control loop has nothing to do with it: it looks into the mailbox like every page.
public final class CloudLink: Sendable {
  /// Seconds between two states.
  static let stateEvery = 10
  /// Messages under way at one time.
  static let window = 20

  private struct State {
    var collector = MinuteCollector()
    var lastSequence: UInt64 = 0
    var lastEvent: UInt64 = 0
    var ticks = 0
    var lastStatus: String?
    /// The last that was handed to the broker.
    var sent: Int64 = 0
    /// Under way: number of the MQTT message → of the entry.
    var pending: [Int32: Int64] = [:]
    var arrived: [Int64] = []
    /// Arrivals that were told before `publish` had returned.
    var early: Set<Int32> = []
    /// A pass of `sendWaiting` is on its way.
    var isAwake = false
    var dropped = 0
    var problem: String?
    /// What the master's own history has that the queue has never had is in the queue.
    var hasCaughtUp = false
    /// What the queue has never had, as it was before this run's first minute; `nil` = not looked up yet.
    var gap: Range<Int64>?
    /// Why that is not in the queue yet.
    var gapProblem: String?
  }

  private let hub: SnapshotHub
  private let outbox: Outbox
  /// Why the queue is not on the disk although a file was named; `nil` where it is, or was to be in memory.
  public let queueProblem: String?
  private let history: (any HistoryStore)?
  private let topics: CloudTopics
  private let discovery: [UInt8]
  private let name: String
  private let state = Mutex(State())
  private let broker = Mutex<Broker?>(nil)
  private let queue = DispatchQueue(label: "linkbms.cloud", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to connect.
  /// - Parameters:
  ///   - name: the device's name in topics: letters, digits, point, hyphen, underscore.
  ///   - queue: the file of what has not arrived; `nil` keeps it in memory, as does a file that cannot be opened.
  ///   - history: the master's own. Of what it has since the last minute of the queue, the queue gets what is missing: minutes that were
  ///     written there just before a kill, or while no cloud was asked for. A queue that never had a minute gets nothing.
  ///   - version: the program's.
  ///   - page: the address of the master's pages, for Home Assistant's link to them.
  public init(
    hub: SnapshotHub, broker options: BrokerOptions, name: String, queue path: String?, history: (any HistoryStore)? = nil,
    version: String, page: String? = nil
  ) throws(GatewayError) {
    guard CloudTopics.isName(name) else {
      throw GatewayError("found the name \"\(name)\", expected letters, digits, point, hyphen and underscore, at most 64")
    }
    self.hub = hub
    self.name = name
    self.history = history
    let opened = try CloudLink.openQueue(path)
    outbox = opened.outbox
    queueProblem = opened.problem
    topics = CloudTopics(name)
    discovery = Array(HomeAssistantDiscovery.message(name, topics: topics, version: version, page: page).text.utf8)
    timer = DispatchSource.makeTimerSource(queue: queue)
    var callbacks = Broker.Callbacks()
    callbacks.connected = { [weak self] broker in self?.connected(broker) }
    callbacks.disconnected = { [weak self] in self?.hub.update { $0.isCloudConnected = false } }
    callbacks.arrived = { [weak self] number in self?.arrived(number) }
    callbacks.received = { [weak self] topic, payload, _ in
      guard topic == HomeAssistantDiscovery.statusTopic, payload == Array("online".utf8), let self else { return true }
      self.queue.async { self.announce() }
      return true
    }
    let made = try Broker(
      options, name: "linkbms-\(name)", will: (topics.availability, "offline"), keeps: true, callbacks: callbacks)
    broker.withLock { $0 = made }
    timer.schedule(deadline: .now(), repeating: .milliseconds(1000), leeway: .milliseconds(100))
    timer.setEventHandler { [weak self] in self?.tick(at: .now) }
    timer.activate()
  }

  /// A queue in memory is better than none, and than a master that does not start. The file stays as it is: what is in it may be saved.
  private static func openQueue(_ path: String?) throws(GatewayError) -> (outbox: Outbox, problem: String?) {
    guard let path else { return (try Outbox(path: nil), nil) }
    do throws(GatewayError) { return (try Outbox(path: path), nil) } catch {
      let why = "\(error.description); until the next start the queue is in memory, and what has not arrived by then is lost"
      return (try Outbox(path: nil), why)
    }
  }

  /// Why the broker is not connected or a message was lost, for a person; `nil` while all is well.
  public var problem: String? {
    let (text, dropped, gap) = state.withLock { ($0.problem, $0.dropped, $0.gapProblem) }
    if let text { return text }
    if dropped > 0 { return "\(dropped) messages were lost: the queue was full" }
    return broker.withLock { $0?.problem } ?? gap
  }

  /// Messages that wait for the broker.
  public var waiting: Int { outbox.count }

  /// Minutes that only the master's history had are in the queue.
  var hasCaughtUp: Bool { state.withLock { $0.hasCaughtUp } }

  /// Arrivals that belong to no entry of the queue, and are still remembered.
  var strangers: Int { state.withLock { $0.early.count } }

  /// Says goodbye and keeps what has not arrived.
  public func stop() {
    timer.cancel()
    queue.finish { [self] in
      let rest = state.withLock { $0.collector.take() }
      if let rest { keep([(topics.minute, rest.bytes)], historyUntil: rest.times.last) }
      sendWaiting()
    }
    let current = broker.withLock { broker in
      defer { broker = nil }
      return broker
    }
    if let current {
      current.publish(topics.availability, Array("offline".utf8), reliably: true, retain: true)
      current.close()
    }
    hub.update { $0.isCloudConnected = false }
  }

  // MARK: On libmosquitto's thread

  private func connected(_ broker: Broker) {
    hub.update { $0.isCloudConnected = true }
    broker.subscribe(HomeAssistantDiscovery.statusTopic)
    broker.publish(topics.availability, Array("online".utf8), reliably: true, retain: true)
    broker.publish(HomeAssistantDiscovery.topic(name), discovery, reliably: true, retain: true)
    state.withLock { $0.ticks = 0 }
    wake()
  }

  private func arrived(_ number: Int32) {
    // Half a window at a time: a transaction for each message would wear out an SD card.
    let isTime = state.withLock { state in
      if let id = state.pending.removeValue(forKey: number) {
        state.arrived.append(id)
      } else {
        state.early.insert(number)
      }
      return state.pending.isEmpty || state.arrived.count >= CloudLink.window / 2
    }
    if isTime { wake() }
  }

  /// Sends what waits now, not at the next tick: a queue of days is gone in seconds, and a master that lives for a second only gets on
  /// with it all the same. One pass for however much has arrived until it begins.
  private func wake() {
    let isFirst = state.withLock { state in
      defer { state.isAwake = true }
      return !state.isAwake
    }
    if isFirst { queue.async { [weak self] in self?.sendWaiting() } }
  }

  // MARK: On the queue

  private func announce() {
    guard let broker = broker.withLock({ $0 }), broker.isConnected else { return }
    broker.publish(HomeAssistantDiscovery.topic(name), discovery, reliably: true, retain: true)
    state.withLock { $0.ticks = 0 }
  }

  private func tick(at now: ContinuousClock.Instant) {
    let moment = hub.moment(at: now)
    if let snapshot = moment.snapshot { catchUp(before: snapshot.time_ns / 1_000_000_000) }
    var messages: [(topic: String, payload: [UInt8])] = []
    var historyUntil: Int64?
    var isStateDue = false
    state.withLock { state in
      for event in moment.events where event.number > state.lastEvent {
        state.lastEvent = event.number
        let text = EventText(event.configuration).event(event.event.kind)
        let value = JSONValue.object([
          "text": .string(text), "time": .string(DataJSON.time(event.event.time_ns)), "time_ns": .int(event.event.time_ns),
        ])
        messages.append((topics.event, Array(value.text.utf8)))
      }
      if moment.sequence != state.lastSequence, let snapshot = moment.snapshot {
        state.lastSequence = moment.sequence
        if let record = state.collector.add(snapshot) {
          messages.append((topics.minute, record.bytes))
          historyUntil = record.times.last
        }
      }
      // At once where the status has changed: an automation waits for it.
      let status = moment.current?.outputs.status.word
      isStateDue = state.ticks % CloudLink.stateEvery == 0 || status != state.lastStatus
      state.lastStatus = status
      state.ticks += 1
    }
    keep(messages, historyUntil: historyUntil)
    if isStateDue, let broker = broker.withLock({ $0 }), broker.isConnected {
      broker.publish(topics.state, DataJSON.bytes(moment), reliably: false, retain: true)
    }
    sendWaiting()
  }

  /// Puts what only the master's own history has into the queue, once, before this run's first minute is in either: both write each
  /// minute for themselves, and a kill can come between the two.
  /// A history that cannot be read yet is asked again with each tick.
  /// - Parameter now: the first second of this run, with the first call.
  private func catchUp(before now: Int64) {
    guard let history, !state.withLock({ $0.hasCaughtUp }) else { return }
    do throws(GatewayError) {
      // Looked up once: this run's own minutes move the end of what the queue has had.
      let gap: Range<Int64>
      if let known = state.withLock({ $0.gap }) { gap = known } else { gap = try findGap(before: now) }
      state.withLock { $0.gap = gap }
      if !gap.isEmpty {
        // A minute that reaches into this run is in the queue by itself.
        let missing = try history.records(device: HistoryKeeper.own, in: gap)
          .filter { $0.start >= gap.lowerBound && $0.times.last ?? .max < gap.upperBound }.suffix(Outbox.room)
        if let last = missing.last {
          keep(missing.map { (topics.minute, $0.bytes) }, historyUntil: last.times.last, fillsGap: true)
        }
      }
      state.withLock { state in
        state.hasCaughtUp = true
        state.gapProblem = nil
      }
    } catch {
      // Apart from the problem that the next message ends.
      state.withLock { $0.gapProblem = "minutes of the history cannot be queued yet: \(error.description)" }
    }
  }

  private func findGap(before now: Int64) throws(GatewayError) -> Range<Int64> {
    guard let until = try outbox.historyUntil(), until + 1 < now else { return 0..<0 }
    return until + 1..<now
  }

  /// - Parameter fillsGap: whether they are from before this run. Until those are in, what it has itself does not move the mark past them:
  ///   the next start has to find what is missing.
  private func keep(_ messages: [(topic: String, payload: [UInt8])], historyUntil: Int64?, fillsGap: Bool = false) {
    guard !messages.isEmpty else { return }
    let marks = fillsGap || history == nil || state.withLock { $0.hasCaughtUp }
    do throws(GatewayError) {
      let lost = try outbox.add(messages, historyUntil: marks ? historyUntil : nil)
      state.withLock { state in
        state.dropped += lost
        state.problem = nil
      }
    } catch { state.withLock { $0.problem = error.description } }
  }

  private func sendWaiting() {
    let arrived = state.withLock { state in
      state.isAwake = false
      defer { state.arrived = [] }
      return state.arrived
    }
    do throws(GatewayError) { try outbox.remove(arrived) } catch {
      // Once more with the next tick.
      return state.withLock { state in
        state.arrived += arrived
        state.problem = error.description
      }
    }
    defer {
      let isTime = state.withLock { state in
        // Whatever is left there is the arrival of something that is not in the queue; its number comes again one day.
        state.early = []
        return !state.arrived.isEmpty && (state.pending.isEmpty || state.arrived.count >= CloudLink.window / 2)
      }
      if isTime { wake() }
    }
    do throws(GatewayError) {
      guard let broker = broker.withLock({ $0 }), broker.isConnected else { return }
      let (sent, free) = state.withLock { ($0.sent, CloudLink.window - $0.pending.count) }
      guard free > 0 else { return }
      for entry in try outbox.next(after: sent, limit: free) {
        guard let number = broker.publish(entry.topic, entry.payload, reliably: true, retain: false) else { return }
        state.withLock { state in
          state.sent = entry.id
          if state.early.remove(number) != nil { state.arrived.append(entry.id) } else { state.pending[number] = entry.id }
        }
      }
    } catch { state.withLock { $0.problem = error.description } }
  }
}

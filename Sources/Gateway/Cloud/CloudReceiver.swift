private import Dispatch
private import FoundationEssentials
private import HostIO
private import Synchronization

/// LinkCloud's side: takes what any number of masters say and puts it into a store.
public final class CloudReceiver: Sendable {
  private let store: any HistoryStore
  private let broker = Mutex<Broker?>(nil)
  private let facts = Mutex<[String: DeviceFacts]>([:])
  private let counters = Mutex((taken: 0, refused: 0, problem: String?.none))
  private let queue = DispatchQueue(label: "linkbms.cloud.store", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer
  /// Devices that are remembered: names from the network must not fill the memory.
  static let room = 10_000
  /// A payload of more bytes is none of ours.
  static let most = 64 * 1024

  /// Begins to connect.
  /// - Parameter name: of this receiver at the broker, which keeps messages for it while it is away.
  public init(store: any HistoryStore, broker options: BrokerOptions, name: String = "linkbms-cloud") throws(GatewayError) {
    self.store = store
    let known = try store.devices()
    facts.withLock { facts in for device in known { facts[device.name] = device } }
    timer = DispatchSource.makeTimerSource(queue: queue)
    var callbacks = Broker.Callbacks()
    callbacks.connected = { broker in
      for kind in ["minute", "event", "state", "availability"] { broker.subscribe("linkbms/+/\(kind)") }
    }
    callbacks.received = { [weak self] topic, payload, isRetained in
      self?.take(topic, payload, at: CloudReceiver.now(), isRetained: isRetained) ?? false
    }
    let made = try Broker(options, name: name, will: nil, keeps: true, callbacks: callbacks)
    broker.withLock { $0 = made }
    timer.schedule(deadline: .now() + 60, repeating: 60)
    timer.setEventHandler { [weak self] in self?.tidy() }
    timer.activate()
  }

  /// Whether the broker is connected.
  public var isConnected: Bool { broker.withLock { $0?.isConnected ?? false } }
  /// Why it is not, or what could not be kept.
  public var problem: String? { counters.withLock { $0.problem } ?? broker.withLock { $0?.problem } }
  /// Messages that were kept, and those that were none of ours.
  public var counts: (taken: Int, refused: Int) { counters.withLock { ($0.taken, $0.refused) } }

  /// Ends.
  public func stop() {
    timer.cancel()
    let current = broker.withLock { broker in
      defer { broker = nil }
      return broker
    }
    current?.close()
    queue.sync { tidy() }
  }

  static func now() -> Int64 { PortPoller.wallClock_ns / 1_000_000_000 }

  /// Every device with its last state.
  func devices() -> [DeviceFacts] { facts.withLock { Array($0.values) } }

  /// Takes a message. On libmosquitto's thread: what the store has not taken yet holds up the next one.
  /// - Returns: whether it is done with. `false` = the store could not keep it: the broker must not hear that it has arrived.
  @discardableResult
  func take(_ topic: String, _ payload: [UInt8], at now: Int64, isRetained: Bool = false) -> Bool {
    guard payload.count <= CloudReceiver.most, let (device, kind) = CloudTopics.parse(topic),
      facts.withLock({ $0[device] != nil || $0.count < CloudReceiver.room })
    else { return refuse() }
    do throws(GatewayError) {
      switch kind {
      case "minute":
        guard let record = MinuteRecord(payload) else { return refuse() }
        try store.append([record], events: [], device: device)
        isKept()
        remember(device, now) { _ in }
      case "event":
        guard let event = try? JSONDecoder().decode(EventMessage.self, from: Data(payload)), event.text.utf8.count <= 500 else {
          return refuse()
        }
        try store.append([], events: [HistoryEvent(time_ns: event.time_ns, text: event.text)], device: device)
        isKept()
      case "state":
        guard (try? JSONDecoder().decode(DeviceState.self, from: Data(payload))) != nil else { return refuse() }
        remember(device, now, isRetained: isRetained) { $0.state = String(decoding: payload, as: UTF8.self) }
      case "availability": remember(device, nil) { $0.isOnline = payload == Array("online".utf8) }
      default: return refuse()
      }
      counters.withLock { $0.taken += 1 }
      return true
    } catch {
      counters.withLock { $0.problem = error.description }
      return false
    }
  }

  /// The store works: what it could not do before is over.
  private func isKept() { counters.withLock { $0.problem = nil } }

  private struct EventMessage: Decodable {
    var text: String
    var time_ns: Int64
  }

  /// What is none of ours is done with: it would be no better the next time.
  private func refuse() -> Bool {
    counters.withLock { $0.refused += 1 }
    return true
  }

  private func remember(_ device: String, _ now: Int64?, isRetained: Bool = false, _ change: (inout DeviceFacts) -> Void) {
    facts.withLock { facts in
      var own = facts[device] ?? DeviceFacts(name: device, state: "", heard: 0, isOnline: true)
      // What the broker has kept is no sign of life: who is gone for good would be heard with every start.
      if let now, !isRetained || own.heard == 0 { own.heard = now }
      change(&own)
      facts[device] = own
    }
  }

  /// Once a minute: states go to the disk, what is old goes from it.
  private func tidy() {
    do throws(GatewayError) {
      for device in devices() { try store.note(device) }
      try store.prune(before: CloudReceiver.now() - HistoryStoreLimits.keep)
      isKept()
    } catch { counters.withLock { $0.problem = error.description } }
  }
}

/// What the overview reads of a device's `data.json`.
struct DeviceState: Decodable {
  var connected: Bool?
  var status: String?
  var reason: String?
  var time: String?
  var SOC: Double?
  var PAc: Double?
  var PTV: Double?
  var CMn: Double?
  var CMx: Double?
  var DV: Double?
  var CTx: Double?

  init() {}
  init(_ text: String) { self = (try? JSONDecoder().decode(DeviceState.self, from: Data(text.utf8))) ?? DeviceState() }
}

private import CMosquitto
private import Synchronization

/// Where the broker is and how one gets in.
public struct BrokerOptions: Sendable {
  /// A name or number.
  public var host = "127.0.0.1"
  /// 1883, with TLS 8883.
  public var port = 1883
  /// A file of certificates that are trusted; given, the connection is encrypted and the broker's name checked.
  public var authorities: String?
  /// User and password, where the broker wants them.
  public var user: String?
  /// Its password.
  public var password: String?
  /// A broker on this machine.
  public init() {}

  /// Reads `HOST`, `HOST:PORT`, `[::1]:1883`.
  public init?(_ text: String, isSecure: Bool) {
    self.init()
    port = isSecure ? 8883 : 1883
    if text.hasPrefix("[") || text.split(separator: ":", omittingEmptySubsequences: false).count == 2 {
      guard let address = GatewayAddress(text), address.port > 0, !text.hasPrefix(":") else { return nil }
      (host, port) = (address.host, address.port)
    } else {
      guard !text.isEmpty, !text.contains(":") else { return nil }
      host = text
    }
  }
}

/// A connection to an MQTT broker through libmosquitto, which has a thread of its own and connects again by itself.
final class Broker: Sendable {
  /// What happens on libmosquitto's thread.
  struct Callbacks: Sendable {
    var connected: @Sendable (Broker) -> Void = { _ in }
    var disconnected: @Sendable () -> Void = {}
    /// A message of QoS 1 has arrived at the broker.
    var arrived: @Sendable (Int32) -> Void = { _ in }
    /// A message is here; `isRetained`: the broker has kept it from before, maybe for long.
    /// - Returns: whether it is done with. `false` = it must come again: it is not acknowledged, and the connection ends.
    var received: @Sendable (_ topic: String, _ payload: [UInt8], _ isRetained: Bool) -> Bool = { _, _, _ in true }
  }

  // libmosquitto locks for itself; the handle is made in `init` and given back in `close`.
  private nonisolated(unsafe) let handle: OpaquePointer
  private let callbacks: Callbacks
  private let online = Atomic(false)
  private let problemText = Mutex<String?>(nil)
  private let isClosed = Atomic(false)

  /// Begins to connect; whether it works is told to `callbacks`.
  /// - Parameters:
  ///   - name: the client's name; of two with one name the broker throws one out.
  ///   - will: said by the broker when this client is gone.
  ///   - keeps: whether the broker keeps what comes while this client is away.
  init(
    _ options: BrokerOptions, name: String, will: (topic: String, text: String)?, keeps: Bool, callbacks: Callbacks
  ) throws(GatewayError) {
    guard mqtt_load() else {
      throw GatewayError("MQTT: found no libmosquitto.so.1, expected it: install the package libmosquitto1")
    }
    guard let handle = mqtt_new(name, !keeps, nil) else { throw GatewayError("MQTT: no memory") }
    self.handle = handle
    self.callbacks = callbacks
    let place = "MQTT \(options.host):\(options.port)"
    func check(_ code: Int32, _ what: String) throws(GatewayError) {
      guard code != MOSQ_ERR_SUCCESS.rawValue.signed else { return }
      throw GatewayError("\(place): \(what): \(String(cString: mqtt_strerror(code)))")
    }
    if let will {
      let bytes = Array(will.text.utf8)
      try check(mqtt_will_set(handle, will.topic, Int32(bytes.count), bytes, 1, true), "last will")
    }
    if let user = options.user { try check(mqtt_username_pw_set(handle, user, options.password), "user") }
    if let authorities = options.authorities {
      try check(mqtt_tls_set(handle, authorities), "certificates \(authorities)")
    }
    mqtt_settings(handle, 1, 30, 20)
    // The callbacks hold this object without counting it: `close` ends the thread before it goes.
    mqtt_callbacks(
      handle, Unmanaged.passUnretained(self).toOpaque(),
      { _, owner, code in Broker.of(owner)?.didConnect(code) }, { _, owner, code in Broker.of(owner)?.didDisconnect(code) },
      { _, owner, message in
        guard let broker = Broker.of(owner) else { return }
        broker.callbacks.arrived(message)
      },
      { _, owner, message in
        guard let broker = Broker.of(owner), let message = message?.pointee, let topic = message.topic, message.payloadlen >= 0
        else {
          return
        }
        let payload = UnsafeRawBufferPointer(start: message.payload, count: message.payload == nil ? 0 : Int(message.payloadlen))
        // libmosquitto 2.0 has the acknowledgement ready before it asks us, and sends it when we return.
        if !broker.callbacks.received(String(cString: topic), Array(payload), message.retain) { mqtt_cut(broker.handle) }
      })
    try check(mqtt_loop_start(handle), "thread")
    // A broker that is not there yet is none of our business: the thread tries again.
    mqtt_connect_async(handle, options.host, Int32(options.port), 30)
  }

  deinit { close() }

  private static func of(_ owner: UnsafeMutableRawPointer?) -> Broker? {
    owner.map { Unmanaged<Broker>.fromOpaque($0).takeUnretainedValue() }
  }

  private func didConnect(_ code: Int32) {
    guard code == 0 else {
      problemText.withLock { $0 = String(cString: mqtt_connack_string(code)) }
      return
    }
    problemText.withLock { $0 = nil }
    online.store(true, ordering: .releasing)
    callbacks.connected(self)
  }

  private func didDisconnect(_ code: Int32) {
    online.store(false, ordering: .releasing)
    if code != 0 { problemText.withLock { $0 = $0 ?? String(cString: mqtt_strerror(code)) } }
    callbacks.disconnected()
  }

  /// Whether the broker is connected.
  var isConnected: Bool { online.load(ordering: .acquiring) }
  /// Why it is not, where the broker or the network has said so.
  var problem: String? { problemText.withLock { $0 } }

  /// Sends a message.
  /// - Returns: its number, for `arrived`; `nil` if it could not be taken.
  @discardableResult
  func publish(_ topic: String, _ payload: [UInt8], reliably: Bool, retain: Bool) -> Int32? {
    var number: Int32 = 0
    let code = mqtt_publish(handle, &number, topic, Int32(clamping: payload.count), payload, reliably ? 1 : 0, retain)
    return code == MOSQ_ERR_SUCCESS.rawValue.signed ? number : nil
  }

  /// Wants messages of topics like `pattern`.
  func subscribe(_ pattern: String) { mqtt_subscribe(handle, pattern, 1) }

  /// Says goodbye and ends the thread.
  func close() {
    guard isClosed.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else { return }
    // The thread of a connection ends by itself when the last words are out; one that waits for its next try does not.
    let isConnected = isConnected
    mqtt_disconnect(handle)
    mqtt_loop_stop(handle, !isConnected)
    mqtt_destroy(handle)
  }
}

extension UInt32 {
  fileprivate var signed: Int32 { Int32(bitPattern: self) }
}
extension Int32 {
  fileprivate var signed: Int32 { self }
}

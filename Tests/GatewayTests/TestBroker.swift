import Glibc
import Synchronization

@testable import Gateway

/// As much of an MQTT 3.1.1 broker as shows when a client says that a message has arrived, and what it does when it is not told so.
final class TestBroker: Sendable {
  struct Message: Equatable, Sendable {
    var topic: String
    var payload: [UInt8]
    /// Sent to the client as what the broker has kept.
    var isRetained = false
  }

  private struct State {
    var isOpen = true
    var client: Int32 = -1
    /// How many have connected so far.
    var connections = 0
    var acknowledges = true
    /// QoS 1 from the client, in order, and when the first and the last came.
    var published: [Message] = []
    var times: (first: ContinuousClock.Instant, last: ContinuousClock.Instant)?
    var numbers: [UInt16] = []
    /// To the client: not acknowledged yet, by number.
    var underWay: [(number: UInt16, message: Message)] = []
    var acknowledged: [UInt16] = []
  }

  private let state = Mutex(State())
  private let listener: Int32
  let options: BrokerOptions

  init() {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(listener, $0, length)
        _ = listen(listener, 5)
        _ = getsockname(listener, $0, &length)
      }
    }
    var options = BrokerOptions()
    options.port = Int(UInt16(bigEndian: place.sin_port))
    self.options = options
    self.listener = listener
    Thread.begin { [weak self, listener] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        guard let self, self.state.withLock({ $0.isOpen }) else { return _ = close(client) }
        self.serve(client)
      }
    }
  }

  deinit { end() }

  func end() {
    let client = state.withLock { state in
      defer { state.isOpen = false }
      return state.isOpen ? state.client : nil
    }
    guard let client else { return }
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    if client >= 0 { shutdown(client, Int32(SHUT_RDWR)) }
  }

  /// Ends the client's connection, as a network does.
  func hangUp() {
    let client = state.withLock { $0.client }
    if client >= 0 { shutdown(client, Int32(SHUT_RDWR)) }
  }

  var connections: Int { state.withLock { $0.connections } }
  var published: [Message] { state.withLock { $0.published } }
  /// From the first message of QoS 1 to the last.
  var span: Duration { state.withLock { $0.times.map { $0.last - $0.first } ?? .zero } }
  /// Whether what was sent with QoS 1 is acknowledged; what was not is, when this is set.
  func acknowledge(_ wanted: Bool) {
    let (client, numbers) = state.withLock { state in
      state.acknowledges = wanted
      defer { if wanted { state.numbers = [] } }
      return (state.client, wanted ? state.numbers : [])
    }
    for number in numbers { send(client, [0x40, 2, UInt8(number >> 8), UInt8(number & 0xFF)]) }
  }
  /// Numbers of delivered messages that the client has acknowledged.
  var acknowledged: [UInt16] { state.withLock { $0.acknowledged } }

  /// Delivers a message with QoS 1, over each connection anew until it is acknowledged.
  func deliver(_ number: UInt16, _ topic: String, _ payload: [UInt8], isRetained: Bool = false) {
    let message = Message(topic: topic, payload: payload, isRetained: isRetained)
    let client = state.withLock { state in
      state.underWay.append((number, message))
      return state.client
    }
    if client >= 0 { send(client, TestBroker.publish(number, message, again: false)) }
  }

  private static func publish(_ number: UInt16, _ message: Message, again: Bool) -> [UInt8] {
    let topic = Array(message.topic.utf8)
    let body = [UInt8(topic.count >> 8), UInt8(topic.count & 0xFF)] + topic + [UInt8(number >> 8), UInt8(number & 0xFF)]
    var length = body.count + message.payload.count
    var head: [UInt8] = [(again ? 0x3A : 0x32) | (message.isRetained ? 1 : 0)]
    repeat {
      head.append(UInt8(length & 0x7F) | (length > 0x7F ? 0x80 : 0))
      length >>= 7
    } while length > 0
    return head + body + message.payload
  }

  private func send(_ client: Int32, _ bytes: [UInt8]) { _ = Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  private func read(_ client: Int32, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var have = 0
    while have < count {
      let got = bytes.withUnsafeMutableBytes { recv(client, $0.baseAddress.map { $0 + have }, count - have, 0) }
      guard got > 0 else { return nil }
      have += got
    }
    return bytes
  }

  private func serve(_ client: Int32) {
    defer {
      state.withLock { $0.client = -1 }
      close(client)
    }
    while let head = read(client, 1)?.first {
      var length = 0
      for shift in [0, 7, 14, 21] {
        guard let byte = read(client, 1)?.first else { return }
        length |= Int(byte & 0x7F) << shift
        if byte < 0x80 { break }
      }
      guard let body = length == 0 ? [] : read(client, length) else { return }
      switch head >> 4 {
      case 1:
        send(client, [0x20, 2, 1, 0])
        let again = state.withLock { state in
          state.client = client
          state.connections += 1
          return state.underWay
        }
        for (number, message) in again { send(client, TestBroker.publish(number, message, again: true)) }
      case 3: take(client, head, body)
      case 4:
        let number = UInt16(body[0]) << 8 | UInt16(body[1])
        state.withLock { state in
          state.acknowledged.append(number)
          state.underWay.removeAll { $0.number == number }
        }
      case 8: send(client, [0x90, 3, body[0], body[1], 1])
      case 12: send(client, [0xD0, 0])
      default: return
      }
    }
  }

  private func take(_ client: Int32, _ head: UInt8, _ body: [UInt8]) {
    guard head & 6 == 2 else { return }
    let size = Int(body[0]) << 8 | Int(body[1])
    let topic = String(decoding: body[2..<2 + size], as: UTF8.self)
    let number = UInt16(body[2 + size]) << 8 | UInt16(body[3 + size])
    let acknowledges = state.withLock { state in
      state.published.append(Message(topic: topic, payload: Array(body[(4 + size)...])))
      let now = ContinuousClock.now
      state.times = (state.times?.first ?? now, now)
      if !state.acknowledges { state.numbers.append(number) }
      return state.acknowledges
    }
    if acknowledges { send(client, [0x40, 2, body[2 + size], body[3 + size]]) }
  }
}

/// A thread of its own: the pool's are few, and a broker waits.
private enum Thread {
  static func begin(_ work: @escaping @Sendable () -> Void) {
    final class Box {
      let work: @Sendable () -> Void
      init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { box in
        if let box { Unmanaged<Box>.fromOpaque(box).takeRetainedValue().work() }
        return nil
      }, Unmanaged.passRetained(Box(work)).toOpaque())
    pthread_detach(thread)
  }
}

/// Waits until it is so; the end bounds a hang, not a time.
func comesTrue(within seconds: Int = 300, _ isSo: () -> Bool) async -> Bool {
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    if isSo() { return true }
    try? await Task.sleep(for: .milliseconds(10))
  }
  // A pool that hundreds of tests share may have slept through the end.
  return isSo()
}

private import CAvahi
private import Dispatch
private import HostIO

/// The name in the network under which the pages are found: `bms.local`, through avahi-daemon, which everybody on the machine may ask.
/// Where another machine has the name, the next is taken: `bms-2.local`.
public final class NetworkName: Sendable {
  /// How it stands.
  enum State: Equatable, Sendable {
    /// Others find it.
    case published
    /// The network is being asked whether it is free.
    case claiming
    /// Not found, for this reason; it is tried again.
    case waiting(String)
  }

  // A handle of a library that locks for itself; given back in `deinit` only.
  private nonisolated(unsafe) let handle: OpaquePointer
  private let path: String?
  private let queue = DispatchQueue(label: "linkbms.name", qos: .utility)
  // Made once, cancelled in `deinit`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to claim a name.
  /// - Parameters:
  ///   - wanted: without `.local`; what was chosen on the pages before comes first.
  ///   - path: where a name chosen on the pages is kept; `nil` keeps it for as long as the program runs.
  ///   - port: where the pages are.
  ///   - isSecure: through TLS.
  ///   - title: what stands before the name where services are listed.
  ///   - broker: an MQTT broker on this machine that is to be found under the name too, and whether it speaks TLS.
  public init(
    _ wanted: String, path: String?, port: Int, isSecure: Bool, title: String = "LinkBMS",
    broker: (port: Int, isSecure: Bool)? = nil
  ) throws(GatewayError) {
    guard mdns_load() else {
      throw GatewayError("--mdns: found no libavahi-client; install it: apt-get install avahi-daemon libavahi-client3")
    }
    let label = path.flatMap(NetworkName.stored) ?? wanted.lowercased()
    let made = (isSecure ? "_https._tcp" : "_http._tcp").withCString { pages in
      (broker?.isSecure == true ? "_secure-mqtt._tcp" : "_mqtt._tcp").withCString { mqtt in
        mdns_start(
          label, title, mdns_service(type: pages, port: UInt16(clamping: port)),
          mdns_service(type: broker == nil ? nil : mqtt, port: UInt16(clamping: broker?.port ?? 0)))
      }
    }
    guard let handle = made else { throw GatewayError("--mdns: there is no memory for it") }
    self.handle = handle
    self.path = path
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 5, repeating: .seconds(5), leeway: .milliseconds(500))
    // Addresses come and go with cables.
    nonisolated(unsafe) let name = handle
    timer.setEventHandler { mdns_refresh(name) }
    timer.activate()
  }

  /// Gives the name up.
  public func stop() {
    timer.cancel()
    queue.sync {}
  }

  deinit {
    timer.cancel()
    queue.sync {}
    mdns_stop(handle)
  }

  /// What is claimed or found now, with `.local`, and how it stands.
  var now: (name: String, state: State) {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: MDNS_LABEL_ROOM + MDNS_WORDS_ROOM) { room in
      guard let label = room.baseAddress else { return ("", .waiting("no memory")) }
      let words = label + MDNS_LABEL_ROOM
      let state = mdns_state(handle, label, words)
      let name = String(cString: label) + ".local"
      switch state {
      case Int32(MDNS_PUBLISHED): return (name, .published)
      case Int32(MDNS_CLAIMING): return (name, .claiming)
      default: return (name, .waiting(String(cString: words)))
      }
    }
  }

  /// How it stands, for a person.
  public var notice: String {
    switch now {
    case (let name, .published): "found in the network as \(name)"
    case (let name, .claiming): "the name \(name) is being claimed"
    case (let name, .waiting(let why)): "the name \(name) is not found yet: \(why)"
    }
  }

  /// Claims another name, and keeps it for the next start.
  /// - Returns: why it did not work; `nil` = done.
  func rename(_ wanted: String) async -> String? {
    guard NetworkName.isLabel(wanted) else { return NetworkName.expectation }
    let label = wanted.lowercased()
    let path = path
    let problem = await withCheckedContinuation { continuation in
      queue.async {
        guard let path else { return continuation.resume(returning: nil as String?) }
        do throws(HostError) {
          try AtomicFile.write(Array((label + "\n").utf8), to: path)
          continuation.resume(returning: nil)
        } catch { continuation.resume(returning: "The name cannot be kept: \(error.description)") }
      }
    }
    if let problem { return problem }
    mdns_rename(handle, label)
    return nil
  }

  private static func stored(_ path: String) -> String? {
    guard case .file(let file)? = try? ByteSource(path: path) else { return nil }
    let label = String(decoding: file.bytes.prefix(100), as: UTF8.self).trimmed
    return isLabel(label) ? label.lowercased() : nil
  }

  /// Whether it may be a name in the network. BMS1 and bms1 are one name there; it is kept in small letters.
  public static func isLabel(_ name: String) -> Bool {
    (1...63).contains(name.utf8.count) && !name.hasPrefix("-") && !name.hasSuffix("-")
      && name.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2D }
  }

  /// What a name is.
  static let expectation = "A name in the network has 1 to 63 letters (a to z), digits and hyphens, no hyphen at an end."
}

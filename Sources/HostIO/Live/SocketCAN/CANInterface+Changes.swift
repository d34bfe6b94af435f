private import CSocketCAN
private import Glibc

extension CANInterface {
  /// What is to be set; `nil` = as it is.
  public struct Change: Hashable, Sendable {
    /// Bits per second.
    public var bitRate: UInt32?
    /// Thousandths of a bit; `nil` with a bit rate = the kernel chooses.
    public var samplePoint: UInt32?
    /// 0 = never by itself.
    public var restart_ms: UInt32?
    /// Modes to turn on and off.
    public var on: Modes = [], off: Modes = []
    /// Nothing yet.
    public init() {}

    /// Whether there is nothing to do.
    public var isEmpty: Bool { self == Change() }
  }

  /// Sets what is asked for. An interface must be down for that.
  /// - Parameter whenUp: takes an interface that is up down and brings it up again, also when the kernel refuses the change: whoever else
  ///   uses it is cut off for a moment.
  public func apply(_ change: Change, whenUp: Bool = false) throws(PortError) {
    guard !change.isEmpty else { return }
    let wasUp = isUp
    if wasUp {
      guard whenUp else { throw .refused(name, reason: "is up, and can only be set while it is down: linkbms bus \(name) --down") }
      try bringDown()
    }
    do throws(PortError) { try set(change) } catch {
      if wasUp { try? bringUp() }
      throw error
    }
    if wasUp { try bringUp() }
  }

  private func set(_ change: Change) throws(PortError) {
    if change.samplePoint != nil, change.bitRate == nil {
      throw .refused(name, reason: "a sample point is set together with a bit rate")
    }
    if let rate = change.bitRate {
      try check(socketcan_set_rate(name, rate, change.samplePoint ?? 0), "be set to \(rate) bit/s") { code in
        guard code == ERANGE || code == EINVAL || code == EDOM else { return nil }
        return "the controller cannot do \(rate) bit/s" + (change.samplePoint.map { " with its sample point at \($0) ‰" } ?? "")
          + (details().clock_Hz.map { " from its clock of \($0) Hz" } ?? "")
      }
    }
    let mask = change.on.union(change.off)
    if !mask.isEmpty {
      let words = Modes.names.filter { mask.contains($0.0) }.map { $0.1 + (change.on.contains($0.0) ? " on" : " off") }
      try check(
        socketcan_set_modes(name, mask.rawValue, change.on.subtracting(change.off).rawValue), "do \(words.joined(separator: ", "))")
    }
    if let restart = change.restart_ms { try check(socketcan_set_restart(name, restart), "restart by itself after \(restart) ms") }
  }

  /// Brings it up. Its driver may want a bit rate first.
  public func bringUp() throws(PortError) {
    try check(socketcan_start(name), "be brought up") { code in
      code == EINVAL ? "cannot be brought up: set a bit rate first: linkbms bus \(name) --bitrate 500000 --up" : nil
    }
  }

  /// Takes it down.
  public func bringDown() throws(PortError) { try check(socketcan_stop(name), "be taken down") }

  /// Puts a controller that is off the bus back on it.
  public func restart() throws(PortError) {
    // libsocketcan looks before it asks the kernel, and tells its reason on standard error only.
    let details = details()
    guard isUp else { throw .refused(name, reason: "is down, so there is nothing to restart") }
    guard details.state == nil || details.state == .busOff else {
      throw .refused(name, reason: "is not off the bus, so there is nothing to restart")
    }
    if let time = details.restart_ms, time > 0 {
      throw .refused(name, reason: "restarts by itself after \(time) ms, and so not by hand")
    }
    try check(socketcan_restart(name), "be restarted")
  }

  private func check(_ code: Int32, _ attempt: String, _ words: (Int32) -> String? = { _ in nil }) throws(PortError) {
    guard code != 0 else { return }
    if let words = words(code) { throw .refused(name, reason: words) }
    switch code {
    case EPERM, EACCES:
      throw .notPermitted(
        name,
        needs: "CAP_NET_ADMIN: run as root or give the program the capability (setcap cap_net_admin+ep \"$(command -v linkbms)\")")
    case ENODEV: throw .absent(name)
    case EOPNOTSUPP: throw .unsupported(name, what: "\(attempt): its driver has no such thing")
    case EBUSY: throw .refused(name, reason: "is busy: take it down first: linkbms bus \(name) --down")
    default: throw .system(HostError(name, attempt: attempt, code: code))
    }
  }
}

/// What /sys/class/net says of an interface.
enum InterfaceFile {
  private static let folder = "/sys/class/net"

  static func names() -> [String] {
    guard let folder = opendir(folder) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  /// A number in a file, decimal or 0x….
  static func number(_ name: String, _ file: String) -> Int? {
    let descriptor = open("\(folder)/\(name)/\(file)", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(descriptor, &bytes, bytes.count)
    guard count > 0 else { return nil }
    let text = String(decoding: bytes[..<count].prefix { $0 > 0x20 }, as: UTF8.self)
    return text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
  }

  /// The last part of where a link leads.
  static func linkTarget(_ name: String, _ file: String) -> String? {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("\(folder)/\(name)/\(file)", &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: "/").last.map(
      String.init)
  }
}

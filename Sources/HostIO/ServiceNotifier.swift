private import Glibc

/// Tells systemd how the service is: `sd_notify`'s datagrams, without its library.
public final class ServiceNotifier {
  private let descriptor: Int32
  private let address: [UInt8]

  /// - Parameter path: what `NOTIFY_SOCKET` says: a path, or `@` and an abstract name. `nil` where nobody listens.
  /// - Returns: `nil` where there is nobody to tell.
  public init?(path: String?) {
    guard let path, path.hasPrefix("/") || path.hasPrefix("@"), path.utf8.count < 107 else { return nil }
    var bytes = Array(path.utf8)
    if path.hasPrefix("@") { bytes[0] = 0 }
    address = bytes
    descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return nil }
  }

  deinit { Glibc.close(descriptor) }

  /// Sends assignments such as `READY=1`, one a line. Nobody waits for systemd here.
  /// - Returns: whether it took them; what must not be lost is to be said again.
  @discardableResult
  public func send(_ text: String) -> Bool {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: address) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + address.count + (address.first == 0 ? 0 : 1))
    let bytes = Array(text.utf8)
    return withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
        sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), target, length) == bytes.count
      }
    }
  }
}

/// What systemd tells a program that it started, by environment variables that everything below that program inherits, too.
public enum ServiceEnvironment {
  /// Whether a descriptor is the connection to the journal that `JOURNAL_STREAM` (`DEVICE:INODE`) names.
  public static func isJournal(descriptor: Int32, stream: String?) -> Bool {
    stream != nil && stream == name(of: descriptor)
  }

  /// What a descriptor is called there.
  public static func name(of descriptor: Int32) -> String? {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    return "\(status.st_dev):\(status.st_ino)"
  }

  /// µs between two signs of life that are wanted of this process; `nil` = none are.
  /// - Parameters:
  ///   - interval: what `WATCHDOG_USEC` says.
  ///   - process: what `WATCHDOG_PID` says.
  public static func watchdog_us(interval: String?, process: String?) -> Int64? {
    if let process, Int32(process) != getpid() { return nil }
    return interval.flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
  }
}

/// Text for people that should make nobody wait: what the other end does not take at once is dropped and counted. A terminal or a file may
/// say that it takes more and wait all the same: nothing for a control loop.
public final class PatientlessOutput {
  private let descriptor: Int32
  /// Pieces that were dropped since one got through.
  public private(set) var dropped = 0

  /// Writes to a descriptor that it does not own.
  public init(descriptor: Int32) { self.descriptor = descriptor }

  /// Writes a piece of at most 4 KiB whole, or not at all.
  /// - Returns: whether it got through.
  @discardableResult
  public func write(_ text: String) -> Bool {
    var source = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // A pipe that says it can be written to takes 4096 bytes without waiting.
    guard poll(&source, 1, 0) > 0, source.revents & Int16(POLLOUT) != 0 else {
      dropped += 1
      return false
    }
    let bytes = Array((dropped > 0 ? "(\(dropped) lines were lost here)\n\(text)" : text).utf8.prefix(4096))
    guard Glibc.write(descriptor, bytes, bytes.count) >= 0 else {
      dropped += 1
      return false
    }
    dropped = 0
    return true
  }
}

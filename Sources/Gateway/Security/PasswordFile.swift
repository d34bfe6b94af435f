private import CCrypt
private import Dispatch
private import HostIO
private import Synchronization

/// The one password of the pages, as a hash in a file that only this user reads. Hashed by libcrypt's yescrypt, which costs memory
/// and some 50 ms on a small computer.
public final class PasswordFile: Sendable {
  /// The shortest that is taken.
  public static let least = 8
  /// The longest that is looked at.
  static let most = 200

  private let path: String?
  private let hash: Mutex<String?>
  /// One at a time: nobody makes the machine hash on both cores.
  private let queue = DispatchQueue(label: "linkbms.password", qos: .utility)

  /// - Parameter path: the file; `nil` keeps the hash in memory only.
  public init(path: String?) throws(GatewayError) {
    self.path = path
    var stored: String?
    if let path, let facts = try? FileFacts(path: path), facts.size > 0 {
      do throws(HostError) {
        guard case .file(let file) = try ByteSource(path: path) else { throw HostError(path, attempt: "read", code: 22) }
        stored = String(decoding: file.bytes.prefix(512), as: UTF8.self).trimmed
      } catch { throw GatewayError(error.description) }
      guard stored?.hasPrefix("$") ?? false else {
        throw GatewayError("\(path): found no password hash, expected one: delete the file to set the password anew")
      }
    }
    hash = Mutex(stored)
  }

  /// Whether a password was ever set.
  public var isSet: Bool { hash.withLock { $0 != nil } }

  /// Sets it, and writes the file.
  func set(_ password: String) async throws(GatewayError) {
    guard let made = await onQueue({ PasswordFile.hashed(password) }) else { throw GatewayError("libcrypt cannot hash a password") }
    if let path {
      do throws(HostError) { try AtomicFile.write(Array((made + "\n").utf8), to: path, permissions: 0o600) } catch {
        throw GatewayError(error.description)
      }
    }
    hash.withLock { $0 = made }
  }

  /// Whether it is the one.
  func matches(_ password: String) async -> Bool {
    guard password.utf8.count <= PasswordFile.most, let stored = hash.withLock({ $0 }) else { return false }
    return await onQueue { password_matches(password, stored) }
  }

  private static func hashed(_ password: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { room in
      guard let base = room.baseAddress, password_hash(password, base, 512) else { return nil }
      return String(cString: base)
    }
  }

  private func onQueue<Result: Sendable>(_ work: @Sendable @escaping () -> Result) async -> Result {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: work()) } }
  }
}

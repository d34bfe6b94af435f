private import Dispatch
private import Hummingbird
private import HummingbirdCore
private import HummingbirdTLS
private import Logging
private import NIOCore
private import NIOPosix
private import ServiceLifecycle
private import Synchronization

/// Why the pages cannot be served.
public struct GatewayError: Error, CustomStringConvertible {
  /// For a person: what was tried, what was found, what to do.
  public var description: String
  /// Too many wait for the same already: in a moment it may work.
  var isBusy = false
  init(_ description: String) { self.description = description }

  /// The status of a page that shows it.
  var status: Int { isBusy ? 503 : 500 }
}

/// Serves the site on an address, on threads of its own: the caller's thread does nothing for it.
public final class GatewayServer: Sendable {
  /// Connections at one time.
  static let connections = 128

  private let site: any Pages
  private let group: ServiceGroup
  private let loops: MultiThreadedEventLoopGroup
  private let finished: DispatchSemaphore
  private let outcome: Outcome
  /// Where it listens: the port is the one that the system gave where 0 was asked for.
  public let address: GatewayAddress
  private let isSecure: Bool
  private let certificates: CertificateWatch?
  private let problems = Mutex<ProblemWatch?>(nil)
  /// The first page, for a browser.
  public var url: String { "\(isSecure ? "https" : "http")://\(address)/" }

  /// Times after which a client is cut off; shorter in tests.
  public struct Patience: Sendable {
    /// From a request's first header to its last byte, and for a connection without a request, seconds.
    public var request_s: Int64 = 10
    /// Until a write is taken, seconds.
    public var write_s: Int64 = 20
    /// Between two looks whether the certificate was renewed, seconds.
    public var certificate_s: Int64 = 5
    /// As in service.
    public init() {}
  }

  /// Starts serving; returns when connections are accepted.
  /// - Parameter tls: the certificate and key; `nil` = plain HTTP.
  public convenience init(
    _ site: Site, on address: GatewayAddress, tls: ServerTLS? = nil, patience: Patience = Patience()
  ) throws(GatewayError) {
    try self.init(pages: site, on: address, tls: tls, patience: patience)
  }

  /// The same for the cloud's pages.
  public convenience init(_ site: CloudSite, on address: GatewayAddress, tls: ServerTLS? = nil) throws(GatewayError) {
    try self.init(pages: site, on: address, tls: tls, patience: Patience())
  }

  init(pages site: any Pages, on address: GatewayAddress, tls: ServerTLS?, patience: Patience) throws(GatewayError) {
    self.site = site
    isSecure = tls != nil
    let (requestTime, writeTime) = (TimeAmount.seconds(patience.request_s), TimeAmount.seconds(patience.write_s))
    let started = DispatchSemaphore(value: 0)
    let finished = DispatchSemaphore(value: 0)
    let outcome = Outcome()
    var server = HTTPServerBuilder.http1(
      configuration: .init(
        additionalChannelHandlers: [SlowClientHandler(requestTime: requestTime, writeTime: writeTime)],
        idleTimeout: requestTime,
        httpDecoderConfiguration: .init(maxHeaderFieldSize: 8192, maxHeaderListSize: 16 * 1024, maxHeaderFieldCount: 64)))
    let certificates = tls.map { CertificateWatch($0, every: patience.certificate_s) }
    if let tls, let certificates {
      do { server = try .tls(server, tlsConfiguration: certificates.configuration(tls)) } catch {
        throw GatewayError("--tls-certificate: cannot be used: \(error)")
      }
    }
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let application = Application(
      responder: FrontDoor(site: site, isSecure: tls != nil), server: server,
      configuration: ApplicationConfiguration(
        address: .hostname(address.host, port: address.port),
        availableConnectionsDelegate: .maximum(GatewayServer.connections, logger: GatewayServer.logger)),
      onServerRunning: { channel in
        outcome.port.store(channel.localAddress?.port ?? address.port, ordering: .releasing)
        started.signal()
      },
      eventLoopGroupProvider: .shared(loops), logger: GatewayServer.logger)
    let group = ServiceGroup(configuration: .init(services: [application], logger: GatewayServer.logger))
    Task.detached {
      do { try await group.run() } catch { outcome.error.withLock { $0 = "\(error)" } }
      outcome.hasEnded.store(true, ordering: .releasing)
      started.signal()
      finished.signal()
    }
    started.wait()
    if let problem = outcome.error.withLock({ $0 }) {
      try? loops.syncShutdownGracefully()
      throw GatewayError("--http \(address): cannot listen: \(problem)")
    }
    self.group = group
    self.certificates = certificates
    self.loops = loops
    self.finished = finished
    self.outcome = outcome
    self.address = GatewayAddress(host: address.host, port: outcome.port.load(ordering: .acquiring))
  }

  /// Why it serves no more although nobody stopped it; `nil` while it serves. Never waits.
  public var problem: String? {
    guard outcome.hasEnded.load(ordering: .acquiring), !outcome.isStopped.load(ordering: .relaxed) else { return nil }
    return outcome.error.withLock { $0 } ?? "the server has ended by itself"
  }

  /// What became of a renewed certificate, and what `tell` was given, for a person; each is given once. Never waits.
  public func takeNews() -> [String] { (certificates?.takeNews() ?? []) + (problems.withLock { $0 }?.takeNews() ?? []) }

  /// Tells with its own news what is wrong beside the pages; it ends with the server.
  public func tell(_ problems: ProblemWatch) { self.problems.withLock { $0 = problems } }

  /// Looks now whether the certificate was renewed, on a thread of its own. Without this it is looked at every few seconds.
  public func renewCertificate() { certificates?.lookNow() }

  /// Ends every stream and connection; returns when the threads are gone, at most after three seconds.
  public func stop() {
    outcome.isStopped.store(true, ordering: .relaxed)
    certificates?.stop()
    problems.withLock { $0 }?.stop()
    site.stop()
    let group = group
    Task.detached { await group.triggerGracefulShutdown() }
    if finished.wait(timeout: .now() + 3) == .timedOut { return }
    try? loops.syncShutdownGracefully()
  }

  /// Nothing is printed: standard output is the caller's.
  private static let logger = Logger(label: "linkbms.gateway") { _ in SwiftLogNoOpLogHandler() }

  private final class Outcome: Sendable {
    let port = Atomic(0)
    let error = Mutex<String?>(nil)
    let hasEnded = Atomic(false)
    let isStopped = Atomic(false)
  }
}

/// `127.0.0.1:8080`, `[::1]:8080`, `:8080` on every address of this machine.
public struct GatewayAddress: Sendable, Equatable, CustomStringConvertible {
  /// A name or number of this machine.
  public var host: String
  /// 0 = any that is free.
  public var port: Int

  /// A host and a port.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT`; a port alone is on the loopback address, for a person has not asked for more.
  public init?(_ text: String) {
    let colon = text.lastIndex(of: ":")
    let port = colon.map { text[text.index(after: $0)...] } ?? text[...]
    guard let number = Int(port), (0...65_535).contains(number) else { return nil }
    self.port = number
    guard let colon else {
      host = "127.0.0.1"
      return
    }
    var name = text[..<colon]
    if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() } else if name.contains(":") { return nil }
    host = name.isEmpty || name == "*" ? "0.0.0.0" : String(name)
  }

  /// Whether only this machine can reach it.
  public var isLoopback: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

  /// `127.0.0.1:8080`.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

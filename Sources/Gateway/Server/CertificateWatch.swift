private import Dispatch
private import HostIO
private import NIOCore
internal import NIOSSL
private import Synchronization

/// Takes a renewed certificate while pages are served: whoever connects from then on gets the new one; who is connected stays.
///
/// Both files are looked at every few seconds. A certificate and its key are two files that are not replaced in one moment: a pair that
/// does not fit is looked at once more before it is said, and until it fits the one before goes on.
final class CertificateWatch: Sendable {
  private struct State {
    var current: NIOSSLContextConfigurationOverride
    /// The files as they were when they were read last.
    var seen: [FileFacts?]
    /// What is wrong with them, once it was seen; said when it is seen again.
    var doubt: String?
    var isSaid = false
    var news: [String] = []
  }

  private let state: Mutex<State>
  private let certificate: String
  private let key: String
  private let queue = DispatchQueue(label: "linkbms.certificate", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to look.
  /// - Parameter every: seconds between two looks.
  init(_ tls: ServerTLS, every: Int64) {
    certificate = tls.certificate
    key = tls.key
    state = Mutex(State(current: CertificateWatch.override(tls), seen: CertificateWatch.facts(tls.certificate, tls.key)))
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + .seconds(Int(every)), repeating: .seconds(Int(every)), leeway: .milliseconds(200))
    timer.setEventHandler { [weak self] in self?.look(now_s: PortPoller.wallClock_ns / 1_000_000_000) }
    timer.activate()
  }

  deinit { timer.cancel() }

  /// Ends.
  func stop() { timer.cancel() }

  /// What is to be said, once.
  func takeNews() -> [String] {
    state.withLock { state in
      defer { state.news = [] }
      return state.news
    }
  }

  /// The configuration for a server that asks here with each handshake.
  func configuration(_ tls: ServerTLS) -> TLSConfiguration {
    var configuration = tls.configuration
    configuration.sslContextCallback = { [self] _, promise in promise.succeed(state.withLock { $0.current }) }
    return configuration
  }

  private static func override(_ tls: ServerTLS) -> NIOSSLContextConfigurationOverride {
    var override = NIOSSLContextConfigurationOverride()
    override.certificateChain = tls.configuration.certificateChain
    override.privateKey = tls.configuration.privateKey
    return override
  }

  private static func facts(_ certificate: String, _ key: String) -> [FileFacts?] {
    [try? FileFacts(path: certificate), try? FileFacts(path: key)]
  }

  /// Looks soon, on a thread of its own.
  func lookNow() { queue.async { [weak self] in self?.look(now_s: PortPoller.wallClock_ns / 1_000_000_000) } }

  /// Looks once.
  func look(now_s: Int64) {
    let stamps = CertificateWatch.facts(certificate, key)
    guard state.withLock({ $0.seen != stamps || ($0.doubt != nil && !$0.isSaid) }) else { return }
    do throws(GatewayError) {
      let read = try ServerTLS(certificate: certificate, key: key, now_s: now_s)
      state.withLock { state in
        state.current = CertificateWatch.override(read)
        (state.seen, state.doubt, state.isSaid) = (stamps, nil, false)
        state.news.append("the certificate in \(certificate) is renewed: it is served from now on")
        if let warning = read.warning { state.news.append(warning) }
      }
    } catch {
      state.withLock { state in
        let isSameAsBefore = state.seen == stamps && state.doubt == error.description
        (state.seen, state.doubt) = (stamps, error.description)
        state.isSaid = isSameAsBefore
        guard isSameAsBefore else { return }
        state.news.append("\(error.description): the certificate from before is served on")
      }
    }
  }
}

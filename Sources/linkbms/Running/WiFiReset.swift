import Gateway
import Synchronization

/// What the button does about the WiFi: forgets the network that was chosen on the pages, and opens one of the master's own, in which a
/// telephone reaches them. NetworkManager takes its time: the loop does not wait for it.
final class WiFiReset: Sendable {
  private let outcome = Mutex<String?>(nil)
  private let manager: NetworkManager
  private let password: String
  private let pages: String?

  /// - Parameters:
  ///   - password: of the setup network.
  ///   - pages: the pages' address in it; `nil` = nobody but this machine reaches pages, so that a network would lead nowhere.
  init(manager: NetworkManager = NetworkManager(), password: String = SetupNetwork.manualPassword, pages: String? = nil) {
    self.manager = manager
    self.password = password
    self.pages = pages
  }

  func begin() {
    Task.detached { [self] in
      let text = await run()
      outcome.withLock { $0 = text }
    }
  }

  /// What became of it, once.
  func takeOutcome() -> String? { outcome.withLock { $0.take() } }

  /// Does it, and says what became of it.
  func run() async -> String {
    let problem = await manager.forget()
    let forgotten = problem.map { "the WiFi is not forgotten: \($0)" } ?? "the WiFi is forgotten"
    guard let pages else { return forgotten + "; pages that others reach (--http :8080) are needed to choose another" }
    do throws(GatewayError) {
      let network = try await manager.openSetup(password: password)
      return forgotten + "; to choose another: connect to the WiFi \(network.name) and open \(pages)"
    } catch { return forgotten + "; there is no network to choose another: \(error); the pages are reached by cable" }
  }
}

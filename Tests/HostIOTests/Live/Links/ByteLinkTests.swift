import Dispatch
import Synchronization
import Testing

@testable import HostIO

/// A name server whose answers are ports of this machine in order, `nil` = the name is not known. All but the first wait to be let.
private final class ScriptedNames: Sendable {
  private let ports: [UInt16?]
  private let count = Mutex(0)
  private let mayAnswer = DispatchSemaphore(value: 0)

  init(_ ports: [UInt16?]) { self.ports = ports }

  /// How often it was asked.
  var asked: Int { count.withLock { $0 } }

  func letAnswer() { mayAnswer.signal() }

  func answer() -> LinkAddresses? {
    let number: Int = count.withLock {
      $0 += 1
      return $0
    }
    if number > 1, mayAnswer.wait(timeout: .now() + 60) == .timedOut { return nil }
    guard number <= ports.count, let port = ports[number - 1] else { return nil }
    return LinkAddresses(host: "127.0.0.1", port: port)
  }
}

@Suite struct ByteLinkTests {
  /// Serves a link until something is reached, or it changes, or the time is up; waits for readiness, never for time.
  private func serve(_ link: ByteLink, until isEnough: () -> Bool = { false }) -> ByteLink.Change? {
    let end_ns = PortPoller.now_ns + 20_000_000_000
    while !isEnough(), PortPoller.now_ns < end_ns {
      _ = PortPoller.wait([link.descriptor], until_ns: min(end_ns, link.wakeTime_ns ?? .max))
      if let change = link.pump({ _ in }) { return change }
    }
    return nil
  }

  @Test func aServerThatComesBackWithAnotherAddressIsFound() throws {
    let first = try ObedientServer()
    let second = try ObedientServer()
    let names = ScriptedNames([first.port, nil, second.port])
    let link = ByteLink(.tcp(host: "tap.test", port: 5000), retry_ns: 5_000_000, resolve: { _, _ in names.answer() })
    try link.open()
    #expect(first.companion.line() == "connected" && names.asked == 1)
    first.companion.end()
    guard case .lost? = serve(link) else { return #expect(Bool(false), "the end was not seen") }

    #expect(serve(link, until: { names.asked == 2 }) == nil && names.asked == 2)
    // As long as there is no answer, nothing waits for it and nobody asks once more.
    var tries = 0
    let change = serve(link) {
      tries += 1
      return tries > 30
    }
    #expect(change == nil && tries > 30 && names.asked == 2)

    // No answer but "not known": the old addresses stay, and it is asked for again.
    names.letAnswer()
    #expect(serve(link, until: { names.asked == 3 }) == nil && names.asked == 3)
    names.letAnswer()
    guard case .opened? = serve(link) else { return #expect(Bool(false), "it was not found") }
    #expect(second.companion.line() == "connected" && names.asked == 3)
    link.close()
  }

  @Test func anAddressIsNoNameToAskFor() {
    for host in ["127.0.0.1", "10.0.0.7", "::1", "fe80::1%eth0"] { #expect(LinkAddresses.isNumeric(host), "\(host)") }
    for host in ["tap.local", "tap", "10-0-0-7.example", "7.example"] { #expect(!LinkAddresses.isNumeric(host), "\(host)") }
  }
}

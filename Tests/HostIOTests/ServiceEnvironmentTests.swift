import Glibc
import Testing

@testable import HostIO

/// Variables of systemd reach programs that it did not start, too.
@Suite struct ServiceEnvironmentTests {
  @Test func onlyTheConnectionThatIsNamedIsTheJournal() {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    var status = stat()
    #expect(fstat(ends[1], &status) == 0)
    let name = "\(status.st_dev):\(status.st_ino)"
    #expect(ServiceEnvironment.isJournal(descriptor: ends[1], stream: name))
    for other in [nil, "", "8:12345", name + "0", "\(status.st_dev)"] {
      #expect(!ServiceEnvironment.isJournal(descriptor: ends[1], stream: other))
    }
    #expect(!ServiceEnvironment.isJournal(descriptor: -1, stream: name))
  }

  @Test func aWatchdogOfAnotherProcessWantsNothing() {
    let own = "\(getpid())"
    #expect(ServiceEnvironment.watchdog_us(interval: "2000000", process: nil) == 2_000_000)
    #expect(ServiceEnvironment.watchdog_us(interval: "2000000", process: own) == 2_000_000)
    #expect(ServiceEnvironment.watchdog_us(interval: "2000000", process: "1") == nil)
    #expect(ServiceEnvironment.watchdog_us(interval: nil, process: own) == nil)
    #expect(ServiceEnvironment.watchdog_us(interval: "0", process: own) == nil)
    #expect(ServiceEnvironment.watchdog_us(interval: "soon", process: nil) == nil)
  }
}

import Glibc
import Testing

@testable import HostIO

@Suite struct SocketCANWordsTests {
  /// Whether this kernel has CAN at all; what the tests say of real buses is said in a virtual machine (tools/vm-test).
  static let hasCAN = (try? SocketCANPort(interface: "none")) == nil && isAbsent
  private static var isAbsent: Bool {
    do throws(PortError) { _ = try SocketCANPort(interface: "none") } catch { return error == .absent("none") }
    return false
  }

  @Test(.enabled(if: !hasCAN)) func aKernelWithoutCANSaysSo() {
    do throws(PortError) {
      _ = try PortOpener.open(PortAddress("can0"))
      Issue.record("opened")
    } catch {
      let isFamily = error == .unsupported("can0", what: SocketCANPort.noCAN)
      #expect(isFamily, "\(error)")
      #expect(error.description.hasPrefix("can0: cannot open a CAN socket: this kernel has no CAN"))
    }
  }
}

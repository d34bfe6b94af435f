import Bus
import Foundation
import Testing

@testable import HostIO

@Suite struct CANInterfaceTests {
  @Test func whatIsNoCANInterfaceSaysSo() {
    #expect(throws: PortError.notCAN("lo")) { try CANInterface("lo") }
    for name in ["can77", "", "../lo", "a-name-of-more-than-15"] {
      #expect(throws: PortError.absent(name)) { try CANInterface(name) }
    }
    #expect(!CANInterface.all().map(\.name).contains("lo"))
  }
}

/// With two controllers, can0 and can1, as root: tools/vm-test.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && geteuid() == 0), .serialized) struct CANControllerTests {
  private func controller() throws -> CANInterface {
    let interface = try CANInterface("can0")
    if interface.isUp { try interface.bringDown() }
    return interface
  }

  @Test func isListedWithItsDriver() throws {
    #expect(Set(CANInterface.all().map(\.name)).isSuperset(of: ["can0", "can1", "vcan0"]))
    let virtual = try CANInterface("vcan0")
    #expect(virtual.isUp && virtual.isFD && virtual.driver == nil)
    let details = virtual.details()
    #expect(details.state == nil && details.timing == nil && details.modes == nil && details.traffic != nil)
  }

  @Test func aBitRateIsSetAndReadBack() throws {
    let interface = try controller()
    for rate in [125_000, 500_000, 1_000_000] as [UInt32] {
      var change = CANInterface.Change()
      change.bitRate = rate
      change.samplePoint = rate == 125_000 ? 750 : nil
      change.restart_ms = rate / 10_000
      try interface.apply(change)
      let details = interface.details()
      #expect(details.timing?.bitRate == rate && details.restart_ms == rate / 10_000)
      if rate == 125_000 { #expect(details.timing?.samplePoint == 750) }
    }
    #expect(throws: PortError.self) {
      var change = CANInterface.Change()
      change.bitRate = 3_000_000
      try interface.apply(change)
    }
    try interface.bringUp()
    #expect(interface.isUp)
    let details = interface.details()
    #expect(details.state == .errorActive && details.clock_Hz == 8_000_000 && details.limits?.controller == "sja1000")
    #expect(details.sendErrorCounter == 0 && details.receiveErrorCounter == 0 && details.events?.busOffs == 0)
    // It is busy now, unless it may be taken down for the moment.
    var change = CANInterface.Change()
    change.bitRate = 250_000
    #expect(throws: PortError.self) { try interface.apply(change) }
    try interface.apply(change, whenUp: true)
    #expect(interface.isUp && interface.details().timing?.bitRate == 250_000)
    #expect(throws: PortError.refused("can0", reason: "is not off the bus, so there is nothing to restart")) {
      try interface.apply(.init())
      change = .init()
      change.restart_ms = 0
      try interface.apply(change, whenUp: true)
      try interface.restart()
    }
    change.bitRate = 500_000
    try interface.apply(change, whenUp: true)
  }

  @Test func modesAreSetAndReadBack() throws {
    let interface = try controller()
    for (mode, _) in CANInterface.Modes.names where mode != .fd {
      var change = CANInterface.Change()
      change.on = mode
      try interface.apply(change)
      #expect(interface.details().modes == mode)
      change = .init()
      change.off = mode
      try interface.apply(change)
      #expect(interface.details().modes == [])
    }
    var change = CANInterface.Change()
    change.on = .fd
    #expect(throws: PortError.self) { try interface.apply(change) }
    try interface.bringUp()
  }

  /// The kernel takes what is sent there, and throws it away.
  @Test func whatOnlyListensIsRefusedForSending() throws {
    let interface = try controller()
    var change = CANInterface.Change()
    change.bitRate = 500_000
    change.on = .listenOnly
    try interface.apply(change)
    try interface.bringUp()
    #expect {
      _ = try PortOpener.open(PortAddress("can0"))
    } throws: {
      "\($0)".hasSuffix("to send: linkbms bus can0 --listen-only off --up")
    }
    _ = try PortOpener.open(PortAddress("can0"), listenOnly: true)
    change = .init()
    change.off = .listenOnly
    try interface.apply(change, whenUp: true)
    _ = try PortOpener.open(PortAddress("can0"))
  }

  @Test func framesCrossFromOneControllerToTheOther() throws {
    for name in ["can0", "can1"] {
      let interface = try CANInterface(name)
      var change = CANInterface.Change()
      change.bitRate = 500_000
      try interface.apply(change, whenUp: true)
      if !interface.isUp { try interface.bringUp() }
    }
    let a = try SocketCANPort(interface: "can0"), b = try SocketCANPort(interface: "can1")
    #expect(!a.isFD)
    // The emulated controllers garble what follows an 11-bit remote frame, from cansend too; virtual buses carry them.
    for frame in PortTesting.everyKind where !frame.flags.contains(.remote) {
      #expect(try a.send(frame) == .sent)
      let heard = try PortTesting.frames(b, 1)
      #expect(heard.map(\.frame) == [frame] && heard.first?.direction == .received)
    }
    #expect(throws: PortError.self) { try a.send(PortTesting.everyFDKind[0]) }
    let traffic = try CANInterface("can0").details().traffic
    #expect((traffic?.sent ?? 0) >= 5)
  }
}

/// The same without rights: tools/vm-test runs it as another user.
@Suite(.enabled(if: SocketCANWordsTests.hasCAN && geteuid() != 0)) struct CANRightsTests {
  @Test func namesTheRightThatIsMissing() throws {
    let interface = try CANInterface("can0")
    #expect(interface.details().timing != nil)
    do throws(PortError) {
      try interface.bringDown()
      Issue.record("taken down")
    } catch {
      #expect(error.description.contains("CAP_NET_ADMIN: run as root or give the program the capability (setcap cap_net_admin+ep"))
    }
    let port = try SocketCANPort(interface: "can0")
    #expect(port.advice.room?.contains("more with CAP_NET_ADMIN") == true, "\(port.advice)")
  }
}

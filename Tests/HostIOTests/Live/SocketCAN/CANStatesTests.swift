import Bus
import Foundation
import Testing

@testable import HostIO

/// With two adapters, can2 and can3, that obey what is written to /run/adapters: tools/vm-test.
@Suite(.enabled(if: FileManager.default.fileExists(atPath: "/run/adapters") && geteuid() == 0), .serialized) struct CANStatesTests {
  private func command(_ line: String) throws {
    let file = try #require(FileHandle(forWritingAtPath: "/run/adapters"))
    file.write(Data((line + "\n").utf8))
  }

  private func settle(_ name: String, _ isRight: (CANInterface.Details) -> Bool) throws -> CANInterface.Details {
    let interface = try CANInterface(name)
    let end = PortPoller.now_ns + 20_000_000_000
    while PortPoller.now_ns < end {
      let details = interface.details()
      if isRight(details) { return details }
      _ = PortPoller.wait([], until_ns: PortPoller.now_ns + 10_000_000)
    }
    return interface.details()
  }

  private func setUp(restart_ms: UInt32) throws {
    for name in ["can2", "can3"] {
      let interface = try CANInterface(name)
      if interface.isUp { try interface.bringDown() }
      var change = CANInterface.Change()
      change.bitRate = 500_000
      change.restart_ms = restart_ms
      try interface.apply(change)
      try interface.bringUp()
    }
  }

  @Test func statesCountersAndErrorFrames() throws {
    try setUp(restart_ms: 0)
    let port = try SocketCANPort(interface: "can2"), other = try SocketCANPort(interface: "can3")
    for (line, state, sent, received) in [
      ("0 warning 0 100", CANInterface.State.errorWarning, UInt16(100), UInt16(0)),
      ("0 passive 100 128", .errorPassive, 128, 100), ("0 active 0 0", .errorActive, 0, 0),
    ] {
      try command(line)
      let details = try settle("can2") { $0.state == state && $0.sendErrorCounter == sent }
      #expect(
        details.state == state && details.sendErrorCounter == sent && details.receiveErrorCounter == received, "\(line): \(details)"
      )
      let errors = try PortTesting.frames(port, 1)
      #expect(errors.first?.frame.flags == .error && errors.first?.frame.length == 8)
    }
    // Off the bus: the error frame says so, nothing can be sent, a restart puts it back.
    try command("0 bus-off 0 255")
    let details = try settle("can2") { $0.state == .busOff }
    #expect(details.state == .busOff && (details.events?.busOffs ?? 0) >= 1)
    let off = try PortTesting.frames(port, 1)
    #expect(off.contains { $0.frame.flags == .error && $0.frame.id.number & 0x40 != 0 })
    // Nothing gets out. The interface's queue takes some and is full then; or the kernel has taken the queue away already, as it does
    // a moment after a controller fell silent, and drops what is sent without a word.
    var results: [SendResult] = []
    while results.last != .full, results.count < 10_000 { results.append(try port.send(PortTesting.everyKind[0])) }
    #expect(results.last != .full || port.counters.refused == 1)
    #expect(try PortTesting.gather(other, seconds: 0.1) { _ in false }.records.isEmpty)
    try CANInterface("can2").restart()
    #expect(try settle("can2") { $0.state == .errorActive }.state == .errorActive)
    let again = try PortTesting.gather(port) { $0.records.contains { $0.frame.id.number & 0x100 != 0 } }
    #expect(again.records.contains { $0.frame.id.number & 0x100 != 0 })
    // The adapter needs a moment until it is open again.
    let end = PortPoller.now_ns + 20_000_000_000
    while try port.send(PortTesting.everyKind[0]) == .full, PortPoller.now_ns < end {
      _ = PortPoller.wait([], until_ns: PortPoller.now_ns + 10_000_000)
    }
    #expect(try PortTesting.frames(other, 1).map(\.frame) == [PortTesting.everyKind[0]])
    #expect(throws: PortError.refused("can2", reason: "is not off the bus, so there is nothing to restart")) {
      try CANInterface("can2").restart()
    }
  }

  @Test func restartsByItselfAndNotByHand() throws {
    try setUp(restart_ms: 100)
    let before = try CANInterface("can2").details().events?.restarts ?? 0
    try command("0 bus-off 0 255")
    let details = try settle("can2") { $0.state == .errorActive && ($0.events?.restarts ?? 0) > before }
    #expect(details.state == .errorActive && (details.events?.restarts ?? 0) > before)
  }
}

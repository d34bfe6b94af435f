import Bus
import Formats
import Protocols
import Testing

@testable import Analysis

/// A real master and virtual nodes, written down as a recorder on the receiving lines and the request would.
@Suite struct ChainConversationTests {
  /// Packets of linkslave-chain.md §13.3.
  static func record(_ frame: ChainFrame?, kind: UInt8, at time: Int64) -> SideRecord {
    let bits: UInt8 = frame.map { $0.generation.bitCount } ?? 0
    let generation: UInt8 = frame.map { $0.generation.rawValue } ?? 0
    return SideRecord(
      kind: .chain, time: Timestamp(nanoseconds: time * 1000), precision: .nanoseconds, bus: BusID(0),
      bytes: [1, 1, kind | generation << 2, bits, 0, 0, 0, 0] + (frame?.bytes ?? []))
  }

  static func capture(
    _ microseconds: Int64 = 900_000, generation: ChainGeneration = .b, change: (inout ChainFrame, Int) -> Bool = { _, _ in true },
    during: (inout VirtualChain, inout ChainMaster, Int64) -> Void = { _, _, _ in }
  ) -> [SideRecord] {
    var settings = ChainMaster.Settings()
    settings.modules = 3
    settings.generation = generation
    var master = ChainMaster(settings)
    var chain = VirtualChain(
      (0..<3).map { _ in
        var slave = VirtualSlave(generation)
        for terminal in 0..<14 { slave.cells[terminal] = 34_390 }
        slave.stack_mV = 27_320
        return slave
      })
    var records: [SideRecord] = []
    var now: Int64 = 0
    var answers = 0
    while now < microseconds {
      during(&chain, &master, now)
      switch master.step(now_us: now) {
      case .wake:
        chain.wake(now_us: now)
        records.append(record(nil, kind: 3, at: now))
      case .wait(let until): now = max(now + 1, min(microseconds, until))
      case .send(let frame):
        records.append(record(frame, kind: 0, at: now))
        records.append(record(frame, kind: 1, at: now + 1))
        master.receive(frame)
        var heard: [ChainFrame] = []
        chain.carry(frame, now_us: now) { heard.append($0) }
        for answer in heard {
          var answer = answer
          answers += 1
          now += 25
          if change(&answer, answers) { records.append(record(answer, kind: 2, at: now)) }
          master.receive(answer)
        }
        now += 25
      }
    }
    return records
  }

  static func read(_ records: [SideRecord]) -> ChainConversation {
    var conversation = ChainConversation()
    for (index, record) in records.enumerated() { conversation.take(record, number: UInt64(index + 1)) }
    conversation.finish()
    return conversation
  }

  @Test(arguments: ChainGeneration.allCases) func aGoodConversationHasNoFinding(generation: ChainGeneration) {
    let records = Self.capture(generation: generation)
    let conversation = Self.read(records)
    #expect(conversation.findings.isEmpty, "\(conversation.findings)")
    #expect(conversation.transactions.count > 30 && conversation.frames > 300)
    let lines = conversation.transactions.map(\.line)
    #expect(lines.contains("unassigned node READ INIT → CID=0"), "\(lines.prefix(8))")
    #expect(
      lines.contains { $0.hasPrefix("node 2 READ MEAS_STACK × 23 → \(generation == .b ? "tag 1: " : "")27.319 3.439 ") }, "\(lines)"
    )
    #expect(lines.contains { $0.hasSuffix("-106.1 °C open 24.9") || $0.contains("-106.1 °C open") })
    #expect(lines.contains("all nodes WRITE SYS_CFG1 = 0x0010 SOFT_RST=1 DIAG_TIMEOUT=0 CYCLIC_TIMER=0"))
  }

  @Test func receivingLinesAloneAreEnough() {
    let records = Self.capture().filter { $0.bytes[2] & 3 != 0 }
    let conversation = Self.read(records)
    #expect(conversation.findings.isEmpty && conversation.transactions.count > 30, "\(conversation.findings)")
  }

  @Test func eachFaultIsFoundAtItsNode() {
    func kinds(_ conversation: ChainConversation) -> Set<ChainConversation.Finding.Kind> { Set(conversation.findings.map(\.kind)) }
    // A lost answer shifts the registers of its burst as well.
    let lost = Self.read(Self.capture(change: { _, index in index != 60 }))
    #expect(kinds(lost).isSuperset(of: [.missingAnswer, .wrongRegister]))
    let damaged = Self.read(
      Self.capture(change: { frame, index in
        if index == 60 { frame = frame.damaged(4) }; return true
      }))
    #expect(kinds(damaged).contains(.crc) && damaged.counts[.crc] == 1)
    let counter = Self.read(
      Self.capture(
        generation: .c,
        change: { frame, index in
          index != 60
        }))
    #expect(kinds(counter).contains(.wrongCounter))
    let tag = Self.read(
      Self.capture(change: { frame, index in
        if index == 60 {
          frame = ChainFrame(
            .b, data: frame.data, isAnswer: true, register: frame.register, clusterID: frame.clusterID, nibble: frame.nibble ^ 1)
        }
        return true
      }))
    #expect(kinds(tag) == [.wrongCounter])
    let dead = Self.read(Self.capture(during: { chain, _, now in if now > 600_000 { chain.nodes[1].defect = .dead } }))
    let missing = dead.findings.first { $0.kind == .missingAnswer }
    #expect(missing?.node == 2, "\(dead.findings)")
    let stuck = Self.read(Self.capture(during: { chain, _, now in if now > 600_000 { chain.nodes[2].defect = .stuckConversion } }))
    #expect(stuck.findings.contains { $0.kind == .notReady && $0.node == 3 })
    let beside = Self.read(Self.capture(during: { _, master, now in if now > 500_000 { master.balance(0b11, module: 0) } }))
    #expect(kinds(beside) == [.neighbours] && beside.findings[0].node == 1)
  }

  @Test func hoursOfSilenceAndWrongWritesAreFound() {
    func write(_ register: UInt8, _ data: UInt16, _ id: UInt8, _ time: Int64) -> SideRecord {
      Self.record(ChainFrame(request: .write, .b, register: register, data: data, clusterID: id), kind: 0, at: time)
    }
    let records = [
      write(0x01, 0x02, 1, 0), write(0x0C, 0x205, 1, 2_000_000), write(0x08, 0xC3FF, 1, 2_100_000),
      Self.record(ChainFrame(request: .read, .b, register: 0x08, data: 1, clusterID: 1), kind: 0, at: 2_100_100),
      Self.record(ChainFrame(.b, data: 0x3FFF, isAnswer: true, register: 0x08, clusterID: 1, nibble: 1), kind: 2, at: 2_100_200),
      Self.record(ChainFrame([0, 1, 4, 17, 0xE8])!, kind: 2, at: 2_200_000),
    ]
    let found = Set(Self.read(records).findings.map(\.kind))
    #expect(found.isSuperset(of: [.wrongID, .longTimer, .notFed, .readBack, .missingAnswer]), "\(found)")
    var cut = Self.record(ChainFrame([0, 1, 4, 17, 0xE8]), kind: 0, at: 0)
    cut.bytes[3] = 37
    #expect(Self.read([cut]).findings.map(\.kind) == [.malformed])
    #expect(Self.read([Self.record(ChainFrame([0, 1, 4, 17, 0xE8]), kind: 2, at: 0)]).findings.map(\.kind) == [.stray])
  }

  @Test func packetsThatAreNoneAreLeft() {
    #expect(ChainPacket(SideRecord(kind: .pdu, time: Timestamp(nanoseconds: 0), precision: .none, bus: BusID(0), bytes: [])) == nil)
    for count in 0..<8 {
      let record = SideRecord(
        kind: .chain, time: Timestamp(nanoseconds: 0), precision: .none, bus: BusID(0), bytes: [UInt8](repeating: 1, count: count))
      #expect(ChainPacket(record) == nil)
    }
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    for _ in 0..<5000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let bytes = (0..<Int(state >> 60)).map { UInt8(truncatingIfNeeded: state >> UInt64($0 * 4)) }
      let record = SideRecord(
        kind: .chain, time: Timestamp(nanoseconds: Int64(bitPattern: state)), precision: .none, bus: BusID(0),
        bytes: [1, 1] + bytes)
      if let packet = ChainPacket(record) { #expect(!ChainText.line(packet).isEmpty, "seed \(seed)") }
      _ = Self.read([record])
    }
  }
}

import Foundation
import Testing

@testable import Protocols

/// Master and nodes on one wire, in virtual time.
struct ChainRig {
  var master: ChainMaster
  var chain: VirtualChain
  var now: Int64 = 0
  var wakes = 0
  var frames: [ChainFrame] = []
  var outcomes: [ChainMaster.Outcome] = []
  /// Damages an answer: index of the answer → bits.
  var noise: (Int) -> UInt64 = { _ in 0 }
  /// Whether the answer to a request is damaged.
  var spoils: (ChainFrame) -> Bool = { _ in false }
  var isMute = false
  var answers = 0

  init(modules: Int, cells: Int = 8, nodes: Int? = nil, generation: ChainGeneration = .b) {
    var settings = ChainMaster.Settings()
    settings.modules = modules
    settings.cellsPerModule = cells
    settings.generation = generation
    master = ChainMaster(settings)
    chain = VirtualChain(
      (0..<(nodes ?? modules)).map { node in
        var slave = VirtualSlave(generation)
        for terminal in 0..<14 where CellMap.mask(cells: cells) & 1 << UInt16(terminal) != 0 {
          slave.cells[terminal] = UInt16(34_000 + node * 100 + terminal)
        }
        slave.stack_mV = UInt32(27_000 + node)
        slave.analogue[3] = 16_676
        return slave
      })
  }

  mutating func run(_ microseconds: Int64) {
    let end = now + microseconds
    while now < end {
      switch master.step(now_us: now) {
      case .wake:
        chain.wake(now_us: now)
        wakes += 1
      case .wait(let until): now = max(now + 1, min(end, until))
      case .send(let frame):
        frames.append(frame)
        if isMute { continue }
        master.receive(frame)
        var heard: [ChainFrame] = []
        chain.carry(frame, now_us: now) { heard.append($0) }
        let isSpoilt = spoils(frame)
        for answer in heard {
          master.receive(answer.damaged(isSpoilt ? 4 : noise(answers)))
          answers += 1
        }
        now += 25 * Int64(1 + heard.count)
      }
      if let outcome = master.takeOutcome() { outcomes.append(outcome) }
    }
  }
}

@Suite struct ChainFrameTests {
  /// Frames of linkslave-chain.md §3.5 that were built by hand there.
  @Test func workedFramesAreBuiltBitForBit() {
    func hex(_ frame: ChainFrame) -> String { frame.bytes.map { String(format: "%02X", $0) }.joined(separator: " ") }
    func request(_ command: ChainCommand, _ register: UInt8, _ data: UInt16, _ id: UInt8, _ counter: UInt8 = 0) -> String {
      hex(ChainFrame(request: command, .b, register: register, data: data, clusterID: id, rollingCounter: counter))
    }
    #expect(request(.globalWrite, 3, 0x10, 0) == "00 10 03 03 37")
    #expect(request(.read, 1, 1, 0) == "00 01 01 01 7A")
    #expect(request(.write, 1, 0x11, 0) == "00 11 01 02 EB")
    #expect(request(.write, 3, 0x81, 1, 1) == "00 81 03 16 29")
    #expect(request(.globalWrite, 6, 0x5C3F, 0) == "5C 3F 06 03 8E")
    #expect(request(.read, 0x33, 14, 1, 3) == "00 0E 33 1D F7")
    #expect(request(.write, 0x16, 0x201, 1) == "02 01 16 12 04")
    #expect(request(.nop, 0, 0, 1, 1) == "00 00 00 14 A0")
    let answer = ChainFrame(.b, data: 0xD80A, isAnswer: true, register: 0x33, clusterID: 1, nibble: 5)
    #expect(hex(answer) == "D8 0A B3 15 E4" && ChainConversion.cell(answer.data) == 34_390)
    let c = ChainFrame(request: .read, .c, register: 1, data: 1, clusterID: 2)
    #expect(hex(c) == "00 01 01 02 01 09")
    let counted = ChainFrame(.c, data: 0xD80A, isAnswer: true, register: 0x33, clusterID: 1, nibble: 1, counter: 2)
    #expect(hex(counted) == "D8 0A B3 01 21 66" && counted.messageCounter == 2)
  }

  @Test func everyFieldComesBack() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Random(state: seed)
    for _ in 0..<2000 {
      let generation: ChainGeneration = random.next() % 2 == 0 ? .b : .c
      let data = UInt16(truncatingIfNeeded: random.next())
      let register = UInt8(random.next() % 128)
      let id = UInt8(random.next() % UInt64(generation.highestID + 1))
      let nibble = UInt8(random.next() % 16)
      let frame = ChainFrame(
        generation, data: data, isAnswer: nibble > 7, register: register, clusterID: id, nibble: nibble, counter: nibble)
      #expect(
        frame.data == data && frame.register == register && frame.clusterID == id && frame.nibble == nibble
          && frame.isAnswer == (nibble > 7) && frame.isIntact && ChainFrame(frame.bytes) == frame, "seed \(seed)")
      // All errors of up to three bits are caught (§3.4).
      var mask: UInt64 = 0
      for _ in 0..<(1 + random.next() % 3) { mask |= 1 << (random.next() % UInt64(generation.bitCount)) }
      #expect(!frame.damaged(mask).isIntact)
    }
    #expect(ChainFrame([]) == nil && ChainFrame([1, 2, 3, 4]) == nil)
  }

  /// Vectors that people published, judged as the page judges them. Read where they are; not part of this repository.
  @Test func publishedVectorsAreJudgedRightly() throws {
    let path = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../../shared/captures/chain/crc_vectors.csv")
      .standardized
    guard let text = try? String(contentsOf: path, encoding: .utf8) else {
      print("no \(path.path): the published vectors are not tried")
      return
    }
    let rows = text.split(separator: "\n").dropFirst().map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    #expect(rows.count == 28)
    for row in rows where row.count >= 6 {
      let bytes = row[3].split(separator: " ").compactMap { UInt8($0, radix: 16) }
      let frame = try #require(ChainFrame(bytes), "\(row[0])")
      #expect(String(frame.generation.bitCount) == row[2] && frame.isIntact == (row[4] == "good"), "\(row[0])")
      #expect(frame.expectedCRC == UInt8(row[5], radix: 16), "\(row[0])")
    }
  }

  @Test func cellMapsAreThoseOfTheManual() {
    let maps: [UInt16] = [0x380F, 0x3C0F, 0x3E0F, 0x3F0F, 0x3F8F, 0x3FCF, 0x3FEF, 0x3FFF]
    for cells in 7...14 {
      let mask = CellMap.mask(cells: cells)
      #expect(mask == maps[cells - 7] && mask.nonzeroBitCount == cells)
      let terminals = (0..<cells).map { CellMap.terminal(cell: $0, of: cells) }
      #expect(terminals == (1...14).filter { mask & 1 << UInt16($0 - 1) != 0 })
    }
  }

  /// Table of §9.2.
  @Test(arguments: [
    (UInt16(0x7FFF), Int16(-1061), Int16(-1164)), (0x7FFE, -1011, -1113), (0x7FFD, -980, -1082), (0x7FF6, -881, -980),
    (16_384, 250, 250),
  ])
  func temperaturesAreThoseOfThePage(code: UInt16, at3950: Int16, at3435: Int16) {
    #expect(ChainConversion.temperature(code, resistance: 10_000, beta: 3950) == at3950)
    #expect(ChainConversion.temperature(code, resistance: 10_000, beta: 3435) == at3435)
  }

  @Test func temperaturesComeBack() {
    for (code, tenths) in [(UInt16(31_972), Int16(-400)), (25_256, 0), (16_676, 242), (9930, 450), (3212, 850)] {
      #expect(ChainConversion.temperature(code, resistance: 10_000, beta: 3950) == tenths)
      let back = ChainConversion.temperatureCode(Double(tenths) / 10, resistance: 10_000, beta: 3950)
      #expect(abs(Int(back) - Int(code)) < 40)
    }
    for value in [0.001, 0.5, 1, 1.4142, 2, 3, 32_767, 1e9] {
      #expect(abs(ChainConversion.naturalLogarithm(value) - log(value)) < 1e-11)
    }
    for value in [-20.0, -1, 0, 0.3, 5, 20] { #expect(abs(ChainConversion.exponential(value) / exp(value) - 1) < 1e-9) }
    #expect(ChainConversion.isOpen(0x7F00) && !ChainConversion.isOpen(0x7EFF))
    #expect(ChainConversion.isShorted(299) && !ChainConversion.isShorted(300))
    #expect(
      ChainConversion.temperature(1, resistance: 10_000, beta: 3950) == 11_120
        || ChainConversion.temperature(1, resistance: 10_000, beta: 3950) > 10_000)
  }

  @Test func voltagesAreThoseOfThePage() {
    #expect(ChainConversion.stack(0xABB6) == 27_319 && ChainConversion.cell(0xD7C2) == 34_280)
    for tenths in stride(from: UInt32(0), to: 50_000, by: 37) {
      #expect(abs(Int(ChainConversion.cell(ChainConversion.cellCode(tenths))) - Int(tenths)) <= 1)
    }
  }
}

struct Random {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

@Suite struct ChainMasterTests {
  @Test(arguments: [(1, 8), (4, 12), (15, 14), (2, 7)], ChainGeneration.allCases)
  func aChainIsWokenNumberedAndRead(size: (Int, Int), generation: ChainGeneration) {
    var rig = ChainRig(modules: size.0, cells: size.1, generation: generation)
    rig.run(1_000_000)
    #expect(rig.wakes == size.0 + (generation == .b ? 1 : 0) && rig.master.found == size.0)
    #expect(rig.outcomes.count >= 3 && rig.outcomes.allSatisfy { $0 == .complete }, "\(rig.outcomes.prefix(3))")
    for node in 0..<size.0 {
      #expect(rig.chain.nodes[node].clusterID == UInt8(node + 1))
      #expect(rig.chain.nodes[node].content(ChainRegister.thresholdEnable) == CellMap.mask(cells: size.1) | 0xC000)
      for cell in 0..<size.1 {
        let terminal = CellMap.terminal(cell: cell, of: size.1)
        let voltage = ChainConversion.cell(rig.master.measurements.cells[node * 14 + cell])
        #expect(abs(Int(voltage) - (34_000 + node * 100 + terminal - 1)) <= 1, "node \(node) cell \(cell): \(voltage)")
      }
      #expect(abs(ChainConversion.stack(rig.master.measurements.stacks[node]) - Int32(27_000 + node)) <= 2)
      #expect(rig.master.measurements.sensors[node * 5 + 3] == 16_676 && rig.master.measurements.sensors[node * 5] == 0x7FFF)
    }
    #expect(rig.master.repeats == 0)
  }

  @Test func aScanOfFifteenNodesFitsItsTime() {
    var rig = ChainRig(modules: 15, cells: 14)
    rig.run(1_000_000)
    let before = rig.frames.count
    let start = rig.now
    rig.run(200_000)
    #expect(rig.now - start == 200_000 && rig.frames.count - before <= 40, "\(rig.frames.count - before)")
    #expect(rig.outcomes.last == .complete)
  }

  @Test func aDeadNodeIsNamedAndFoundAgain() {
    var rig = ChainRig(modules: 4)
    rig.run(600_000)
    rig.outcomes = []
    rig.chain.nodes[2].defect = .dead
    rig.run(2_000_000)
    #expect(rig.outcomes.first == .failed(.silent(module: 2)))
    #expect(rig.outcomes.dropFirst().allSatisfy { $0 == .failed(.silent(module: 2)) }, "\(rig.outcomes)")
    rig.chain.nodes[2].defect = .none
    rig.chain.nodes[2].reset(at: rig.now, isPowerUp: true)
    rig.outcomes = []
    rig.run(3_000_000)
    #expect(rig.outcomes.last == .complete && rig.master.found == 4)
  }

  @Test(arguments: 0..<4) func aCutWireIsFoundWhereItIs(place: Int) {
    var rig = ChainRig(modules: 4)
    rig.run(600_000)
    rig.outcomes = []
    rig.chain.cutBefore = place
    rig.run(1_500_000)
    #expect(!rig.outcomes.isEmpty && rig.outcomes.allSatisfy { $0 == .failed(.silent(module: place)) })
    rig.chain.cutBefore = nil
    rig.outcomes = []
    rig.run(4_000_000)
    #expect(rig.outcomes.last == .complete)
  }

  @Test func aSingleDamagedAnswerIsRepeatedAndManyFail() {
    var rig = ChainRig(modules: 3)
    rig.run(600_000)
    let once = rig.answers + 30
    rig.noise = { $0 == once ? 0b100 : 0 }
    rig.outcomes = []
    rig.run(600_000)
    #expect(rig.outcomes.allSatisfy { $0 == .complete } && rig.master.repeats == 1)
    #expect((0..<3).reduce(UInt32(0)) { $0 + rig.master.damagedFrames[$1] } == 1)
    rig.noise = { _ in 1 }
    rig.outcomes = []
    rig.run(600_000)
    #expect(rig.outcomes.first == .failed(.damaged(module: 0)))
    rig.noise = { _ in 0 }
    rig.run(4_000_000)
    #expect(rig.outcomes.last == .complete)
  }

  @Test func withoutAnEchoItIsTheTransceiver() {
    var rig = ChainRig(modules: 2)
    rig.isMute = true
    rig.run(1_000_000)
    #expect(!rig.outcomes.isEmpty && rig.outcomes.allSatisfy { $0 == .failed(.noEcho) })
  }

  @Test func oneNodeTooManyIsSaid() {
    var rig = ChainRig(modules: 2, nodes: 3)
    rig.run(1_000_000)
    #expect(rig.outcomes.allSatisfy { $0 == .complete } && rig.master.hasExtraNode)
    #expect(!rig.chain.nodes[1].forwards, "the way is closed again")
    var whole = ChainRig(modules: 2)
    whole.run(1_000_000)
    #expect(!whole.master.hasExtraNode)
    // As long as it is there it is asked for, and that it is gone is noticed.
    rig.run(3_000_000)
    #expect(rig.master.hasExtraNode && rig.outcomes.allSatisfy { $0 == .complete })
    let third = rig.chain.nodes.removeLast()
    rig.run(4_000_000)
    #expect(!rig.master.hasExtraNode && rig.outcomes.allSatisfy { $0 == .complete })
    // One that has slept since long ago is woken; an answer that is damaged is an answer.
    var late = ChainRig(modules: 2, nodes: 3)
    late.now = 90_000_000
    late.run(1_000_000)
    #expect(late.master.hasExtraNode && late.chain.nodes[2].clusterID == 0 && third.clusterID == 0)
    var noisy = ChainRig(modules: 2, nodes: 3)
    // Each node is asked for under ID 0, and then whoever is behind them.
    var asked = 0
    noisy.spoils = { request in
      guard request.command == .read, request.clusterID == 0 else { return false }
      asked += 1
      return asked == 3
    }
    noisy.run(1_000_000)
    #expect(noisy.master.hasExtraNode)
    var short = ChainRig(modules: 3, nodes: 2)
    short.run(1_000_000)
    #expect(short.outcomes.allSatisfy { $0 == .failed(.silent(module: 2)) } && short.master.found == 2)
  }

  @Test func aConversionThatDoesNotEndIsNotReady() {
    var rig = ChainRig(modules: 2)
    rig.run(600_000)
    rig.chain.nodes[1].defect = .stuckConversion
    rig.outcomes = []
    rig.run(250_000)
    #expect(rig.outcomes.first == .failed(.notReady(module: 1)))
  }

  @Test func aRestartedNodeIsNumberedAgain() {
    var rig = ChainRig(modules: 3)
    rig.run(600_000)
    rig.chain.nodes[1].reset(at: rig.now)
    rig.outcomes = []
    rig.run(4_000_000)
    #expect(rig.outcomes.contains(.failed(.silent(module: 1))))
    #expect(rig.outcomes.last == .complete && rig.chain.nodes.map(\.clusterID) == [1, 2, 3])
  }

  @Test func balancingIsOrderedPausedRenewedAndRunsOut() {
    var rig = ChainRig(modules: 2, cells: 8)
    rig.run(600_000)
    rig.master.balance(0b1001_0001, module: 1)
    rig.run(500_000)
    // Cells 1, 5 and 8 are CT1, CT11 and CT14.
    #expect(rig.chain.nodes[1].balancing(at: rig.now) == 0b10_0100_0000_0001 && rig.chain.nodes[0].balancing(at: rig.now) == 0)
    let paused = rig.frames.contains { $0.command == .globalWrite && $0.register == 3 && $0.data & 0xA0 == 0xA0 }
    #expect(paused, "switches open while cells are measured")
    rig.run(90_000_000)
    #expect(rig.chain.nodes[1].balancing(at: rig.now) == 0b10_0100_0000_0001, "renewed")
    rig.master.balance(0b1, module: 1)
    rig.run(500_000)
    #expect(rig.chain.nodes[1].balancing(at: rig.now) == 1)
    // The master dies: the order dies with it.
    #expect(rig.chain.nodes[1].balancing(at: rig.now + 61_000_000) == 0)
  }

  @Test(arguments: ChainGeneration.allCases) func anOpenWireIsFoundAtItsCell(generation: ChainGeneration) {
    var rig = ChainRig(modules: 3, cells: 8, generation: generation)
    rig.run(1_000_000)
    #expect(rig.master.diagnoses == 1 && (0..<3).allSatisfy { rig.master.diagnosis.openWires[$0] == 0 })
    // CT3 and CT12 of the second module: its cells 3 and 6.
    rig.chain.nodes[1].openWires = 1 << 2 | 1 << 11
    rig.run(61_000_000)
    #expect(rig.master.diagnosis.openWires[1] == 0b10_0100 && rig.master.diagnosis.openWires[0] == 0 && rig.master.diagnoses == 2)
    #expect(rig.chain.nodes[1].content(ChainRegister.diagnostics) == 0 && rig.chain.nodes[1].content(3) & 0x60 == 0)
    rig.chain.nodes[1].openWires = 0
    rig.master.allowsDiagnosis = false
    rig.run(61_000_000)
    #expect(rig.master.diagnoses == 2)
    rig.master.allowsDiagnosis = true
    rig.run(1_000_000)
    #expect(rig.master.diagnosis.openWires[1] == 0 && rig.outcomes.allSatisfy { $0 == .complete })
  }

  /// linkslave-chain.md §11: each self-test of the start finds its defect, and nothing else.
  @Test(arguments: ChainGeneration.allCases) func selfTestsFindWhatIsWrong(generation: ChainGeneration) {
    var rig = ChainRig(modules: 3, cells: 8, generation: generation)
    rig.run(1_500_000)
    #expect(rig.master.diagnoses == 1 && rig.master.diagnosis.comparators[1] == 0 && rig.master.diagnosis.converters == 0)
    #expect((0..<3).allSatisfy { !rig.master.diagnosis.isUntrusted($0) && rig.master.diagnosis.balancingOpen[$0] == 0 })
    #expect(rig.chain.nodes[0].content(ChainRegister.allThresholds) == 0xD780, "thresholds are back")
    #expect(rig.outcomes.allSatisfy { $0 == .complete })

    var broken = ChainRig(modules: 3, cells: 8, generation: generation)
    broken.chain.nodes[0].deadComparators = 1 << 1
    broken.chain.nodes[1].offChannels = 1 << 10
    broken.chain.nodes[1].leaking = 1 << 13
    broken.chain.nodes[2].reference = 11_860
    broken.chain.nodes[2].openBalancing = 1 << 3 | 1 << 12 | 1 << 6
    broken.chain.nodes[2].analogue[2] = 9000
    broken.run(1_500_000)
    let found = broken.master.diagnosis
    #expect(found.comparators[0] == 0b10 && found.comparators[1] == 0)
    // CT11 and CT14 are the fifth and the last cell of eight.
    #expect(found.channels[1] == 0b1_0000 && found.channels[0] == 0)
    #expect(found.leakage[1] == 0b1000_0000 && found.leakage[2] == 0)
    #expect(found.converters == 0b100)
    // CT7 has no cell: its missing resistor is none.
    #expect(found.balancingOpen[2] == 0b100_1000 && found.balancingOpen[0] == 0)
    // AN3 has a sensor in every module of the rig, AN2 in this one.
    #expect(found.analogueOpen[2] == 0x73 && found.analogueOpen[0] == 0x77)
    #expect(found.isUntrusted(0) && found.isUntrusted(1) && found.isUntrusted(2))

    // A cell without its resistor is not ordered; its neighbours are.
    broken.master.balance(0b0000_1001, module: 2)
    broken.run(1_000_000)
    #expect(broken.chain.nodes[2].balancing(at: broken.now) == 1)
  }

  /// The edge of two thresholds: 1.180 V ± 5.25 mV and 27 mV (§11).
  @Test(arguments: [(11_852, false), (11_854, true), (11_748, false), (11_746, true)] as [(UInt32, Bool)])
  func theReferenceHasItsLimits(reference: UInt32, isBad: Bool) {
    var rig = ChainRig(modules: 1)
    rig.chain.nodes[0].reference = reference
    rig.run(1_500_000)
    #expect((rig.master.diagnosis.converters == 1) == isBad)
  }

  @Test func aNodeNobodySpeaksToResets() {
    var slave = VirtualSlave()
    var answers: [ChainFrame] = []
    slave.hear(ChainFrame(request: .write, .b, register: 1, data: 0x11, clusterID: 0), now_us: 0) { answers.append($0) }
    #expect(slave.clusterID == 1 && answers.count == 1)
    slave.hear(ChainFrame(request: .read, .b, register: 1, data: 1, clusterID: 1), now_us: 1_000_000) { answers.append($0) }
    #expect(answers.count == 2)
    slave.hear(ChainFrame(request: .read, .b, register: 1, data: 1, clusterID: 1), now_us: 2_100_000) { answers.append($0) }
    #expect(answers.count == 2 && slave.clusterID == 0 && slave.content(ChainRegister.fault1) == 0x4000)
  }

  @Test func aDamagedRequestIsCountedAndNotAnswered() {
    var slave = VirtualSlave()
    var count = 0
    slave.hear(ChainFrame(request: .read, .b, register: 1, data: 1, clusterID: 0).damaged(1), now_us: 0) { _ in count += 1 }
    #expect(count == 0 && slave.content(ChainRegister.communicationState) == 0x100)
  }

  @Test func chipThresholdsAreASecondOpinion() {
    var rig = ChainRig(modules: 1)
    rig.chain.nodes[0].cells[0] = 42_100
    rig.chain.nodes[0].cells[13] = 24_000
    rig.run(1_500_000)
    #expect(rig.chain.nodes[0].content(ChainRegister.overvoltageFaults) == 1)
    #expect(rig.chain.nodes[0].content(ChainRegister.undervoltageFaults) == 1 << 13)
    #expect(rig.master.measurements.faults[0] & 3 == 3)
  }

  @Test func noiseOfAnyKindNeverTrapsAndNeverGivesAWrongReading() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Random(state: seed)
    var rig = ChainRig(modules: 4)
    var masks: [UInt64] = []
    for _ in 0..<20_000 { masks.append(random.next() % 50 == 0 ? 1 << (random.next() % 40) : 0) }
    rig.noise = { masks[$0 % masks.count] }
    for _ in 0..<100 {
      rig.outcomes = []
      rig.run(200_000)
      guard rig.outcomes.contains(.complete) else { continue }
      for node in 0..<4 {
        let first = ChainConversion.cell(rig.master.measurements.cells[node * 14])
        #expect(abs(Int(first) - (34_000 + node * 100)) <= 1, "seed \(seed)")
      }
    }
    #expect(rig.master.scans.complete > 0 && rig.master.repeats > 0)
  }
}

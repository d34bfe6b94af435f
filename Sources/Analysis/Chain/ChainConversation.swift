public import Bus
public import Controller
public import Formats
public import Protocols

/// Follows one or two chains through a capture: joins requests with their answers and says what is not as it should be.
/// Source: linkslave-chain.md §3.3, §4.3, §14.
public struct ChainConversation: Sendable {
  /// A request with all that came back.
  public struct Transaction: Sendable {
    /// 1 or 2.
    public var chain: UInt8
    /// When the request went out.
    public var time: Timestamp
    /// Digits of that time.
    public var precision: TimePrecision
    /// Number of its record, from 1.
    public var record: UInt64
    /// The request.
    public var request: ChainFrame
    /// Intact answers, in order.
    public var answers: [ChainFrame] = []
    /// Answers heard, damaged ones too.
    public var heard = 0
    /// Whether the echo came.
    public var hasEcho = false
    /// Answers that the request asks for.
    public var expected: Int
  }

  /// Something that is not as it should be.
  public struct Finding: Sendable, Equatable {
    /// What kind; also how it is counted.
    public enum Kind: String, CaseIterable, Sendable {
      case missingEcho = "no echo", differentEcho = "echo differs", missingAnswer = "answer missing", crc = "CRC wrong"
      case wrongRegister = "answer from another register", wrongCounter = "counter or tag broken", malformed = "malformed frame"
      case restarted = "node restarted", notFed = "node not spoken to", readBack = "written, but read back different"
      case notRead = "conversion without read-out", notReady = "read before the end of conversion"
      case neighbours = "neighbouring cells balanced", longTimer = "balancing timer long", wrongID =
        "INIT written to an assigned ID"
      case stray = "answer without a request"
      // Those that need the configuration.
      case outsideMap = "balancing outside the cell map", wideThresholds = "thresholds wider than the cell map"
      case openSensor = "enabled sensor open", shortedSensor = "enabled sensor shorted"
      case extraNode = "more nodes than configured"
    }
    /// What.
    public var kind: Kind
    /// 1 or 2.
    public var chain: UInt8
    /// Node from 1; 0 = none in particular.
    public var node: UInt8
    /// Number of the record where it shows, from 1.
    public var record: UInt64
    /// What was found and expected.
    public var text: String
  }

  /// Ended transactions since they were taken last.
  public private(set) var transactions: [Transaction] = []
  /// The first of each kind and node in words.
  public private(set) var findings: [Finding] = []
  /// How often each kind was met.
  public private(set) var counts: [Finding.Kind: UInt64] = [:]
  /// Frames of any kind.
  public private(set) var frames: UInt64 = 0

  private var chains: [UInt8: Line] = [:]
  private var number: UInt64 = 0
  /// How the system is set up, where somebody said it: cells and sensors cannot be told from the frames alone.
  private let configuration: Configuration?

  /// What is remembered of one chain.
  private struct Line: Sendable {
    var open: Transaction?
    var hasEchoes = false
    var tag: UInt8?
    var counters: [UInt8: UInt8] = [:]
    var lastSpoken: [UInt8: Int64] = [:]
    var written: [UInt16: UInt16] = [:]
    var balanced: [UInt8: UInt16] = [:]
    var conversion: (time: Int64, record: UInt64, isRead: Bool)?
  }

  /// Balancing timers beyond this are worth a word, minutes (§10: renew with 1–2).
  static let longestTimer: UInt16 = 2

  /// Nothing heard yet. With a configuration its cell map and sensors are checked too.
  public init(configuration: Configuration? = nil) { self.configuration = configuration }

  /// Takes one record; those that are no chain packets are counted as records only.
  public mutating func take(_ record: SideRecord, number: UInt64) {
    self.number = number
    guard let packet = ChainPacket(record) else { return }
    frames &+= 1
    var line = chains[packet.chain] ?? Line()
    defer { chains[packet.chain] = line }
    if packet.kind == .wake { return close(&line, packet.chain) }
    guard let frame = packet.frame else {
      return note(.malformed, packet.chain, 0, "\(packet.bitCount) bits, expected 40 or 48")
    }
    switch packet.kind {
    case .request:
      close(&line, packet.chain)
      begin(frame, record, &line, packet.chain)
    case .echo:
      line.hasEchoes = true
      if let open = line.open, !open.hasEcho {
        line.open?.hasEcho = true
        if frame.bits != open.request.bits { note(.differentEcho, packet.chain, 0, "an echo that is not the request") }
      } else {
        // Only the receiving lines were recorded: the echo stands for the request.
        close(&line, packet.chain)
        begin(frame, record, &line, packet.chain)
        line.open?.hasEcho = true
      }
    case .answer: answer(frame, record, &line, packet.chain)
    case .wake: break
    }
  }

  /// The capture has ended: what is open is closed.
  public mutating func finish() {
    for chain in chains.keys.sorted() {
      guard var line = chains[chain] else { continue }
      close(&line, chain)
      chains[chain] = line
    }
  }

  /// Hands out the transactions that have ended.
  public mutating func takeTransactions() -> [Transaction] {
    defer { transactions.removeAll(keepingCapacity: true) }
    return transactions
  }

  // MARK: Requests

  private mutating func begin(_ frame: ChainFrame, _ record: SideRecord, _ line: inout Line, _ chain: UInt8) {
    let node = frame.clusterID
    guard frame.isIntact else {
      return note(.crc, chain, node, "a request with CRC \(ChainText.hex(frame.crc)), expected \(ChainText.hex(frame.expectedCRC))")
    }
    let time = record.time.nanoseconds
    if node != 0, record.precision != .none {
      if let last = line.lastSpoken[node], time - last > 256_000_000 {
        let silence = (time - last) / 1_000_000
        note(.notFed, chain, node, "\(silence) ms without a message; after 256 it flags COM_LOSS, after 1024 it resets")
      }
      line.lastSpoken[node] = time
    }
    var expected = 0
    switch frame.command {
    case .read: expected = Int(min(127, frame.data))
    case .write:
      expected = frame.generation == .b ? 1 : 0
      checkWrite(frame, &line, chain)
    case .nop: expected = frame.generation == .b ? 1 : 0
    case .globalWrite:
      if frame.register == ChainRegister.conversion, frame.data & 0x800 != 0 {
        if let before = line.conversion, !before.isRead { note(.notRead, chain, 0, "the conversion of record \(before.record)") }
        line.conversion = (time, number, false)
        line.tag = UInt8(truncatingIfNeeded: frame.data >> 12)
      } else if frame.register == ChainRegister.systemConfiguration1, frame.data & 0x10 != 0 {
        line = Line(hasEchoes: line.hasEchoes)
      }
    }
    line.open = Transaction(
      chain: chain, time: record.time, precision: record.precision, record: number, request: frame, expected: expected)
  }

  private mutating func checkWrite(_ frame: ChainFrame, _ line: inout Line, _ chain: UInt8) {
    let node = frame.clusterID
    line.written[UInt16(node) << 8 | UInt16(frame.register)] = frame.data
    if frame.register == ChainRegister.initialize, node != 0, frame.data & 0xF != UInt16(node), frame.generation == .b {
      note(.wrongID, chain, node, "INIT with CID \(frame.data & 0xF): a new ID is written to the unassigned node")
    }
    let map = configuration.map { CellMap.mask(cells: $0.cellsPerModule(chain == 2 ? .bms2 : .bms1)) }
    if frame.register == ChainRegister.thresholdEnable, let map, frame.data & 0x3FFF & ~map != 0 {
      note(
        .wideThresholds, chain, node,
        "OV_UV_EN compares cells 0x\(ChainText.hex16(frame.data & 0x3FFF)), expected 0x\(ChainText.hex16(map)): unused inputs read 0 V"
      )
    }
    if frame.register == ChainRegister.initialize, node == 0, let configuration,
      frame.data & 0xF > UInt16(configuration.slaves(chain == 2 ? .bms2 : .bms1))
    {
      note(
        .extraNode, chain, 0, "ID \(frame.data & 0xF) is given, \(configuration.slaves(chain == 2 ? .bms2 : .bms1)) are configured")
    }
    guard (0x0C...0x19).contains(frame.register) else { return }
    let cell = UInt16(frame.register - 0x0C)
    if let map, frame.data & 0x200 != 0, map & 1 << cell == 0 {
      note(.outsideMap, chain, node, "CT\(cell + 1), where no cell is connected")
    }
    var mask = line.balanced[node] ?? 0
    if frame.data & 0x200 != 0 {
      mask |= 1 << cell
      if frame.data & 0x1FF > ChainConversation.longestTimer {
        note(
          .longTimer, chain, node,
          "cell \(cell + 1) for \(frame.data & 0x1FF) minutes, expected at most \(ChainConversation.longestTimer)")
      }
      if mask & (1 << (cell + 1) | (1 << cell) >> 1) != 0 { note(.neighbours, chain, node, "cell \(cell + 1) and one beside it") }
    } else {
      mask &= ~(1 << cell)
    }
    line.balanced[node] = mask
  }

  // MARK: Answers

  private mutating func answer(_ frame: ChainFrame, _ record: SideRecord, _ line: inout Line, _ chain: UInt8) {
    guard let open = line.open else { return note(.stray, chain, frame.clusterID, ChainRegister.name(frame.register) ?? "a frame") }
    line.open?.heard += 1
    let node = open.request.clusterID
    guard frame.isIntact else {
      return note(.crc, chain, node, "an answer with CRC \(ChainText.hex(frame.crc)), expected \(ChainText.hex(frame.expectedCRC))")
    }
    let place = UInt8(truncatingIfNeeded: open.heard)
    let register = open.request.command == .read ? open.request.register &+ place : open.request.register
    if frame.register != register {
      note(
        .wrongRegister, chain, node,
        "\(ChainRegister.name(frame.register) ?? "?"), expected \(ChainRegister.name(register) ?? "0x" + ChainText.hex(register))")
    }
    checkCounter(frame, open, &line, chain)
    checkContent(frame, record, open, &line, chain)
    line.open?.answers.append(frame)
  }

  private mutating func checkCounter(_ frame: ChainFrame, _ open: Transaction, _ line: inout Line, _ chain: UInt8) {
    let node = open.request.clusterID
    if frame.generation == .c {
      if let last = line.counters[frame.clusterID], frame.clusterID != 0, frame.messageCounter != (last + 1) & 0xF {
        note(
          .wrongCounter, chain, node, "message counter \(frame.messageCounter), expected \((last + 1) & 0xF): an answer was lost")
      }
      line.counters[frame.clusterID] = frame.messageCounter
    } else if ChainFrame.hasTag(frame.register) {
      let isMeasured = (0x2D...0x4A).contains(frame.register)
      if isMeasured, let tag = line.tag, frame.nibble != tag {
        note(.wrongCounter, chain, node, "tag \(frame.nibble), expected \(tag)")
      }
    } else if frame.nibble != open.request.nibble {
      note(.wrongCounter, chain, node, "counter and command \(frame.nibble), expected \(open.request.nibble)")
    }
  }

  private mutating func checkContent(
    _ frame: ChainFrame, _ record: SideRecord, _ open: Transaction, _ line: inout Line, _ chain: UInt8
  ) {
    let node = open.request.clusterID
    // The comparators' results come from a conversion too.
    if [0x09, 0x0A, 0x20, 0x21].contains(frame.register) { line.conversion?.isRead = true }
    checkSensor(frame, chain)
    if (0x30...0x4A).contains(frame.register) {
      line.conversion?.isRead = true
      if frame.data & 0x8000 == 0 {
        note(.notReady, chain, node, "\(ChainRegister.name(frame.register) ?? "?") without DATA_RDY")
      }
    }
    if frame.register == ChainRegister.fault1, frame.data & 0xC000 != 0 {
      let isCleared = line.written[UInt16(node) << 8 | UInt16(frame.register)] == 0 && open.request.command == .read
      if isCleared {
        note(.restarted, chain, node, frame.data & 0x8000 != 0 ? "POR after it was cleared" : "RESET after it was cleared")
      }
    }
    // Registers that hold what is written to them.
    let holds = frame.register == 0x01 || frame.register == 0x08 || (0x4B...0x67).contains(frame.register)
    if holds, open.request.command == .read, node != 0, let written = line.written[UInt16(node) << 8 | UInt16(frame.register)],
      written != frame.data
    {
      note(
        .readBack, chain, node,
        "\(ChainRegister.name(frame.register) ?? "?") = 0x\(ChainText.hex16(frame.data)), written 0x\(ChainText.hex16(written))")
    }
  }

  /// T1…T5 are AN0…AN4 (§9.3).
  private mutating func checkSensor(_ frame: ChainFrame, _ chain: UInt8) {
    guard let configuration, frame.clusterID >= 1, frame.clusterID <= 15, (0x43...0x47).contains(frame.register),
      frame.data & 0x8000 != 0
    else { return }
    let sensor = 0x47 - frame.register
    guard configuration.sensors[(chain == 2 ? 15 : 0) + Int(frame.clusterID) - 1] & 1 << sensor != 0 else { return }
    if ChainConversion.isOpen(frame.data) {
      note(.openSensor, chain, frame.clusterID, "T\(sensor + 1), code \(frame.data & 0x7FFF)")
    }
    if ChainConversion.isShorted(frame.data) {
      note(.shortedSensor, chain, frame.clusterID, "T\(sensor + 1), code \(frame.data & 0x7FFF)")
    }
  }

  private mutating func close(_ line: inout Line, _ chain: UInt8) {
    guard let open = line.open else { return }
    line.open = nil
    let node = open.request.clusterID
    if line.hasEchoes, !open.hasEcho { note(.missingEcho, chain, node, "the request of record \(open.record)") }
    if open.heard < open.expected {
      // Nobody under ID 0 is how an enumeration ends.
      let isSearch = node == 0 && open.request.command == .read && open.heard == 0
      if !isSearch {
        note(.missingAnswer, chain, node, "\(open.heard) of \(open.expected) answers to record \(open.record)")
      }
    }
    transactions.append(open)
  }

  private mutating func note(_ kind: Finding.Kind, _ chain: UInt8, _ node: UInt8, _ text: String) {
    counts[kind, default: 0] &+= 1
    guard findings.count < 100, !findings.contains(where: { $0.kind == kind && $0.chain == chain && $0.node == node }) else {
      return
    }
    findings.append(Finding(kind: kind, chain: chain, node: node, record: number, text: text))
  }
}

extension ChainConversation.Transaction {
  /// One line: `node 3 READ MEAS_STACK × 23 → tag 5: 27.319 V; 3.439 3.4390 …`.
  public var line: String {
    let name = ChainRegister.name(request.register) ?? "0x" + ChainText.hex(request.register)
    let node =
      request.clusterID == 0 ? (request.command == .globalWrite ? "all nodes" : "unassigned node") : "node \(request.clusterID)"
    var text: String
    switch request.command {
    case .nop: text = "\(node) NOP"
    case .read: text = "\(node) READ \(name)\(request.data > 1 ? " × \(request.data)" : "")"
    case .write, .globalWrite:
      text = "\(node) WRITE \(name) = 0x\(ChainText.hex16(request.data)) " + ChainText.text(ChainText.fields(request))
    }
    while text.last == " " { text.removeLast() }
    guard expected > 0 else { return text }
    guard !answers.isEmpty else { return text + " → no answer" }
    guard request.command == .read else { return text + " → done" }
    let values = answers.map { answer -> String in
      let fields = ChainText.fields(answer)
      if let value = fields.first(where: { !$0.unit.isEmpty }) {
        let state = fields.first { $0.name == "sensor" }.map { " \($0.value)" } ?? ""
        return value.value + (value.unit == "°C" ? " °C" : "") + state
      }
      return fields.isEmpty ? "0x\(ChainText.hex16(answer.data))" : ChainText.text(fields)
    }
    let tag = answers.first.map { $0.generation == .b && ChainFrame.hasTag($0.register) ? "tag \($0.nibble): " : "" } ?? ""
    let missing = answers.count < expected ? "  (\(answers.count) of \(expected) answers)" : ""
    return "\(text) → \(tag)\(values.joined(separator: " "))\(missing)"
  }
}

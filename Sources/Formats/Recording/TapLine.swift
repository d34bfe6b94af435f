public import Bus
public import Controller
public import Protocols

/// One line of a tap on chains and PDU (Dissectors/TAP.md): `chain1 001#000E331DF7`, with a time in parentheses and a direction where
/// somebody wants them. The same lines go both ways: requests and orders to the tap, echoes, answers and measurements from it.
public enum TapLine: Equatable, Sendable {
  /// A wake pulse.
  case wake(ChainNumber)
  /// A request to the slaves.
  case request(ChainNumber, ChainFrame)
  /// What was heard of the request itself.
  case echo(ChainNumber, ChainFrame)
  /// A slave's answer.
  case answer(ChainNumber, ChainFrame)
  /// Something that is no frame.
  case malformed(ChainNumber)
  /// A line of the PDU.
  case pdu(PDULine)

  /// The line without its end.
  public var text: String {
    switch self {
    case .wake(let chain): "chain\(chain.index + 1) 000#"
    case .request(let chain, let frame): "chain\(chain.index + 1) 001#" + TapLine.hex(frame.bytes)
    case .echo(let chain, let frame): "chain\(chain.index + 1) 002#" + TapLine.hex(frame.bytes)
    case .answer(let chain, let frame): "chain\(chain.index + 1) 003#" + TapLine.hex(frame.bytes)
    case .malformed(let chain): "chain\(chain.index + 1) 00F#"
    case .pdu(let line): TapLine.text(line.bytes)
    }
  }

  private static func text(_ bytes: [UInt8]) -> String { "pdu 00\((bytes.first ?? 0) & 0xF)#" + hex(bytes.dropFirst()) }

  private static func hex(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
  }

  /// Reads a line; `nil` for remarks, CAN lines and anything damaged.
  public init?(_ line: some StringProtocol) {
    var words = line.split(whereSeparator: \.isWhitespace)
    if words.first?.hasPrefix("(") == true { words.removeFirst() }
    guard words.count == 2 || words.count == 3 && ["R", "T"].contains(words[2]) else { return nil }
    let parts = words[1].split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let id = UInt8(parts[0], radix: 16), parts[0].count == 3, let data = TapLine.bytes(parts[1]) else {
      return nil
    }
    if words[0] == "pdu" {
      guard id <= 0xF, let content = PDULine([0xC0 | id] + data) else { return nil }
      self = .pdu(content)
      return
    }
    guard let chain: ChainNumber = words[0] == "chain1" ? .bms1 : words[0] == "chain2" ? .bms2 : nil else { return nil }
    switch (id, ChainFrame(data)) {
    case (0, _) where data.isEmpty: self = .wake(chain)
    case (1, let frame?): self = .request(chain, frame)
    case (2, let frame?): self = .echo(chain, frame)
    case (3, let frame?): self = .answer(chain, frame)
    case (0xF, _): self = .malformed(chain)
    default: return nil
    }
  }

  private static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0, digits.count <= 16 else { return nil }
    var bytes: [UInt8] = []
    var place = 0
    while place < digits.count {
      guard let high = nibble(digits[place]), let low = nibble(digits[place + 1]) else { return nil }
      bytes.append(high << 4 | low)
      place += 2
    }
    return bytes
  }

  private static func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }
}

extension TapLine {
  /// The line as a record of a capture, as linkslave-chain.md §13.3 has it.
  /// - Parameters:
  ///   - buses: buses of the PDU and of the two chains.
  ///   - isSimulated: marks a chain's packet as simulated.
  public func record(time: Timestamp, buses: (pdu: BusID, chain1: BusID, chain2: BusID), isSimulated: Bool) -> SideRecord {
    func packet(_ chain: ChainNumber, _ kind: UInt8, _ frame: ChainFrame?) -> SideRecord {
      let bytes = frame?.bytes ?? []
      let generation: UInt8 = frame.map { $0.generation == .b ? 1 : 2 } ?? 0
      let flags = kind | generation << 2 | (isSimulated ? 1 << 5 : 0)
      return SideRecord(
        kind: .chain, time: time, precision: .nanoseconds, bus: chain == .bms1 ? buses.chain1 : buses.chain2,
        direction: kind == 0 || kind == 3 ? .transmitted : .received,
        bytes: [1, chain.rawValue + 1, flags, UInt8(bytes.count * 8), 0, 0, 0, 0] + bytes)
    }
    switch self {
    case .wake(let chain): return packet(chain, 3, nil)
    case .request(let chain, let frame): return packet(chain, 0, frame)
    case .echo(let chain, let frame): return packet(chain, 1, frame)
    case .answer(let chain, let frame): return packet(chain, 2, frame)
    case .malformed(let chain):
      var record = packet(chain, 2, nil)
      // No whole byte of it is known.
      record.bytes[3] = 1
      record.bytes.append(0)
      return record
    case .pdu(let line):
      let isOrder: Bool
      switch line {
      case .outputs, .command: isOrder = true
      case .current, .voltages, .answer: isOrder = false
      }
      return SideRecord(
        kind: .pdu, time: time, precision: .nanoseconds, bus: buses.pdu, direction: isOrder ? .transmitted : .received,
        bytes: line.bytes)
    }
  }
}

/// Which chip is on the chain: the length of its frames tells. Source: linkslave-chain.md §1.
public enum ChainGeneration: UInt8, CaseIterable, Sendable {
  /// MC33771B: 40 bits, rolling counter and tags.
  case b = 1
  /// MC33771C: 48 bits, message counter.
  case c = 2

  /// Bits of a frame.
  public var bitCount: UInt8 { self == .b ? 40 : 48 }
  /// The highest cluster ID.
  public var highestID: UInt8 { self == .b ? 15 : 63 }
}

/// What a frame asks for. Source: linkslave-chain.md §3.3.
public enum ChainCommand: UInt8, CaseIterable, Sendable {
  case nop, read, write, globalWrite
}

/// One frame of a LinkSlave chain: 40 or 48 bits, the first on the wire highest. Any bits can be held; `isIntact` says whether the CRC
/// fits. Source: linkslave-chain.md §3.1–3.4.
public struct ChainFrame: Hashable, Sendable {
  /// The bits, right-aligned.
  public let bits: UInt64
  /// B or C, by length.
  public let generation: ChainGeneration

  /// A frame as received; `nil` for another length than 5 or 6 bytes.
  public init?(_ bytes: [UInt8]) {
    switch bytes.count {
    case 5: generation = .b
    case 6: generation = .c
    default: return nil
    }
    var bits: UInt64 = 0
    for byte in bytes { bits = bits << 8 | UInt64(byte) }
    self.bits = bits
  }

  /// A frame with its CRC.
  /// - Parameters:
  ///   - nibble: B: bits 11–8 with counter, command or tag; C: the low four bits of byte 4 with the command.
  ///   - counter: C: the message counter.
  public init(
    _ generation: ChainGeneration, data: UInt16, isAnswer: Bool, register: UInt8, clusterID: UInt8, nibble: UInt8,
    counter: UInt8 = 0
  ) {
    self.generation = generation
    let address = UInt64(register & 0x7F) | (isAnswer ? 0x80 : 0)
    var bits: UInt64
    switch generation {
    case .b: bits = UInt64(data) << 16 | address << 8 | UInt64(clusterID & 0xF) << 4 | UInt64(nibble & 0xF)
    case .c:
      bits = UInt64(data) << 24 | address << 16 | UInt64(clusterID & 0x3F) << 8 | UInt64(counter & 0xF) << 4 | UInt64(nibble & 0xF)
    }
    bits <<= 8
    self.bits = bits | UInt64(ChainCRC.over(bits >> 8, bytes: generation == .b ? 4 : 5))
  }

  /// A request.
  /// - Parameter rollingCounter: B: 0…3 in Gray order; 0 for cluster ID 0 and global writes.
  public init(
    request command: ChainCommand, _ generation: ChainGeneration, register: UInt8, data: UInt16, clusterID: UInt8,
    rollingCounter: UInt8 = 0
  ) {
    let nibble = command.rawValue | (generation == .b ? (rollingCounter & 3) << 2 : 0)
    self.init(generation, data: data, isAnswer: false, register: register, clusterID: clusterID, nibble: nibble)
  }

  private var shift: UInt64 { generation == .b ? 0 : 8 }
  /// Register value; in a READ request the number of registers wanted.
  public var data: UInt16 { UInt16(truncatingIfNeeded: bits >> (24 + shift)) }
  /// The RSP bit. Silicon of 2016 does not set it in answers.
  public var isAnswer: Bool { bits >> (23 + shift) & 1 != 0 }
  /// Register address, 0x00…0x7F.
  public var register: UInt8 { UInt8(truncatingIfNeeded: bits >> (16 + shift)) & 0x7F }
  /// 0 = an unassigned node, or all of them.
  public var clusterID: UInt8 {
    generation == .b ? UInt8(truncatingIfNeeded: bits >> 12) & 0xF : UInt8(truncatingIfNeeded: bits >> 16) & 0x3F
  }
  /// B: bits 11–8; C: the command's four bits.
  public var nibble: UInt8 { UInt8(truncatingIfNeeded: bits >> 8) & 0xF }
  /// The command of a request, or of the answer to one that carries no tag.
  public var command: ChainCommand { ChainCommand(rawValue: nibble & 3) ?? .nop }
  /// B: rolling counter of a request; meaningless in an answer with a tag.
  public var rollingCounter: UInt8 { nibble >> 2 }
  /// C: message counter; 0 in B.
  public var messageCounter: UInt8 { generation == .c ? UInt8(truncatingIfNeeded: bits >> 12) & 0xF : 0 }
  /// The CRC as it stands in the frame.
  public var crc: UInt8 { UInt8(truncatingIfNeeded: bits) }
  /// The CRC that fits.
  public var expectedCRC: UInt8 { ChainCRC.over(bits >> 8, bytes: generation == .b ? 4 : 5) }
  /// Whether the CRC fits.
  public var isIntact: Bool { crc == expectedCRC }
  /// All fields 0 with a good CRC: a chip's first answer on direct SPI, never over the chain.
  public var isNull: Bool { isIntact && data == 0 && register == 0 && clusterID == 0 && nibble == 0 && !isAnswer }

  /// B: whether an answer from this register carries the tag of its conversion instead of counter and command (§3.3).
  public static func hasTag(_ register: UInt8) -> Bool {
    register == 0x05 || (0x24...0x26).contains(register) || (0x2D...0x4A).contains(register)
  }

  /// The bytes in the order of the wire.
  public var bytes: [UInt8] {
    let count = generation == .b ? 5 : 6
    return (0..<count).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * (count - 1 - $0))) }
  }

  /// The same with bits flipped, as noise does.
  public func damaged(_ mask: UInt64) -> ChainFrame {
    ChainFrame(raw: bits ^ (mask & ((1 << UInt64(generation.bitCount)) - 1)), generation)
  }

  private init(raw: UInt64, _ generation: ChainGeneration) {
    bits = raw
    self.generation = generation
  }
}

/// CRC-8 with polynomial 0x2F, started at 0x42, not reflected. Source: linkslave-chain.md §3.4.
public enum ChainCRC {
  /// The CRC over the low `bytes` bytes of `value`, highest first.
  public static func over(_ value: UInt64, bytes: Int) -> UInt8 {
    var register: UInt8 = 0x42
    var left = bytes
    while left > 0 {
      left -= 1
      register = next(register, UInt8(truncatingIfNeeded: value >> UInt64(8 * left)))
    }
    return register
  }

  /// The CRC with one more byte.
  public static func next(_ crc: UInt8, _ byte: UInt8) -> UInt8 {
    var register = crc ^ byte
    for _ in 0..<8 { register = register & 0x80 != 0 ? register << 1 ^ 0x2F : register << 1 }
    return register
  }
}

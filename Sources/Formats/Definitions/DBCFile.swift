public import Bus

/// A DBC file as a value: what can be decoded from it, and, verbatim, everything else, so that writing it back loses nothing.
///
/// Source: conventions.md §4.
public struct DBCFile: Sendable {
  /// Text of the `VERSION` line.
  public var version: String = ""
  /// `BU_`: the nodes.
  public var nodes: [String] = []
  /// Messages in the order of the file.
  public var messages: [DBCMessage] = []
  /// `VAL_TABLE_`: named tables.
  public var valueTables: [(name: String, values: [DBCValue])] = []
  /// `CM_ "…"` of the network.
  public var comment: String?
  /// `CM_ BU_`, by node.
  public var nodeComments: [String: String] = [:]
  /// `BA_DEF_` with `BA_DEF_DEF_`.
  public var attributeDefinitions: [DBCAttributeDefinition] = []
  /// `BA_` of the network and of nodes (messages and signals hold their own).
  public var attributes: [String: DBCAttributeValue] = [:]
  /// Attribute values by node, then by attribute.
  public var nodeAttributes: [String: [String: DBCAttributeValue]] = [:]
  /// Sections the tool has no use for (`NS_`, `BS_`, `EV_`, `SIG_GROUP_`, …), verbatim, in order, for writing back.
  public var unknownSections: [String] = []
  /// Line end and encoding of the source, kept when written back.
  public var usesCRLF = false
  /// Whether the file was UTF-8; else CP1252.
  public var isUTF8 = true

  /// An empty file.
  public init() {}
}

/// `BO_`: one message.
public struct DBCMessage: Sendable {
  /// Bit 31 of the DBC's number is the width.
  public var id: ArbitrationID
  /// The long name where `SystemMessageLongSymbol` gives one.
  public var name: String
  /// Payload bytes.
  public var length: Int
  /// Sending node, `nil` for `Vector__XXX`.
  public var sender: String?
  /// Signals in the order of the file.
  public var signals: [DBCSignal] = []
  /// Text of its `CM_` line.
  public var comment: String?
  /// Attribute values by name.
  public var attributes: [String: DBCAttributeValue] = [:]
  /// `GenMsgCycleTime`, own or by default, in milliseconds; `nil` if 0 or not given.
  public var cycleTime_ms: Int?
  /// From `VFrameFormat`.
  public var isFD = false
  /// Line of the `BO_`, 0 if made in memory.
  public var line = 0

  /// A message without signals.
  public init(id: ArbitrationID, name: String, length: Int, sender: String? = nil) {
    self.id = id
    self.name = name
    self.length = length
    self.sender = sender
  }

  /// `VECTOR__INDEPENDENT_SIG_MSG`: the bin for orphan signals, never on a bus.
  public var isOrphanBin: Bool { name == "VECTOR__INDEPENDENT_SIG_MSG" }
}

/// `SG_`: one signal.
public struct DBCSignal: Sendable {
  /// Motorola is big-endian.
  public enum ByteOrder: Sendable { case littleEndian, bigEndian }
  /// How raw bits become a number.
  public enum Encoding: Sendable { case integer, float32, float64 }
  /// How the signal depends on others.
  public enum Multiplexing: Sendable, Equatable {
    case always
    /// `M`.
    case selector
    /// `m3`, or what `SG_MUL_VAL_` says: present while `selector` has a raw value in one of `ranges`. `isSelector` for `m3M`.
    case selected(by: String, ranges: [ClosedRange<UInt64>], isSelector: Bool)
  }

  /// The long name where `SystemSignalLongSymbol` gives one.
  public var name: String
  /// As in the DBC: Intel = least significant bit; Motorola = most significant bit, sawtooth numbering.
  public var startBit: Int
  /// Bits, 1…64.
  public var bitLength: Int
  /// Which byte comes first.
  public var byteOrder: ByteOrder
  /// Whether the top bit is a sign.
  public var isSigned: Bool
  /// Integer unless `SIG_VALTYPE_` says otherwise.
  public var encoding: Encoding = .integer
  /// Physical = raw × factor + offset.
  public var factor: DBCNumber
  /// See `factor`.
  public var offset: DBCNumber
  /// Least physical value; with `maximum` 0 no range is meant.
  public var minimum: DBCNumber
  /// Greatest physical value.
  public var maximum: DBCNumber
  /// Empty where there is none.
  public var unit: String
  /// Nodes that take the signal.
  public var receivers: [String] = []
  /// Whether it is always there.
  public var multiplexing: Multiplexing = .always
  /// `VAL_`, in the file's order.
  public var values: [DBCValue] = []
  /// Text of its `CM_` line.
  public var comment: String?
  /// Attribute values by name.
  public var attributes: [String: DBCAttributeValue] = [:]
  /// Line in the file, from 1; 0 = made by code.
  public var line = 0

  /// A signal in its place.
  public init(
    name: String, startBit: Int, bitLength: Int, byteOrder: ByteOrder = .littleEndian, isSigned: Bool = false,
    factor: DBCNumber = 1, offset: DBCNumber = 0, minimum: DBCNumber = 0, maximum: DBCNumber = 0, unit: String = ""
  ) {
    self.name = name
    self.startBit = startBit
    self.bitLength = bitLength
    self.byteOrder = byteOrder
    self.isSigned = isSigned
    self.factor = factor
    self.offset = offset
    self.minimum = minimum
    self.maximum = maximum
    self.unit = unit
  }

  /// Distance of the signal's most significant bit (Motorola) or least significant bit (Intel) from bit 0 of byte 0, counted so
  /// that a signal's bits are consecutive.
  public var linearStart: Int {
    byteOrder == .littleEndian ? startBit : 8 * (startBit / 8) + (7 - startBit % 8)
  }

  /// The last payload byte the signal touches, from 0.
  public var lastByte: Int { (linearStart + bitLength - 1) / 8 }
}

/// One entry of a value table.
public struct DBCValue: Sendable, Equatable {
  /// The raw value that the label stands for.
  public var raw: Int64
  /// What a person reads.
  public var label: String
  /// A label for a raw value.
  public init(_ raw: Int64, _ label: String) {
    self.raw = raw
    self.label = label
  }
}

/// A number as the DBC wrote it: exact decimal where it is one, and the nearest `Double`.
public struct DBCNumber: Sendable, Equatable, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, CustomStringConvertible {
  /// Nearest binary value.
  public var value: Double
  /// `mantissa × 10^−decimals`, if the text is a decimal number that fits; `decimals` 0…15.
  public var exact: (mantissa: Int64, decimals: Int)?
  /// As written, for writing back: `0.1`, `1E-3`.
  public var description: String

  /// A whole number.
  public init(integerLiteral value: Int64) {
    self.value = Double(value)
    exact = (value, 0)
    description = String(value)
  }

  /// The number as written, so that 0.1 stays 0.1.
  public init(floatLiteral value: Double) { self = DBCNumber(String(value)) ?? 0 }

  /// Reads a decimal number, with or without an exponent; `nil` if it is none.
  public init?(_ text: String) {
    guard let value = Double(text), value.isFinite, text.utf8.allSatisfy({ $0 < 0x80 && $0 != 0x70 && $0 != 0x78 }) else {
      return nil
    }
    self.value = value
    description = text
    exact = DBCNumber.decimal(text)
  }

  private static func decimal(_ text: String) -> (mantissa: Int64, decimals: Int)? {
    var mantissa: Int64 = 0
    var decimals = 0
    var isNegative = false
    var isFraction = false
    var exponent = 0
    for (index, byte) in text.utf8.enumerated() {
      switch byte {
      case 0x2D where index == 0: isNegative = true
      case 0x2B where index == 0: break
      case 0x2E where !isFraction: isFraction = true
      case 0x30...0x39:
        let (shifted, overflow) = mantissa.multipliedReportingOverflow(by: 10)
        let (sum, overflow2) = shifted.addingReportingOverflow(Int64(byte - 0x30))
        if overflow || overflow2 { return nil }
        mantissa = sum
        if isFraction { decimals += 1 }
      case 0x65, 0x45:
        guard let power = Int(text.dropFirst(index + 1)), abs(power) <= 18 else { return nil }
        exponent = power
        decimals -= exponent
        while decimals < 0 {
          let (shifted, overflow) = mantissa.multipliedReportingOverflow(by: 10)
          if overflow { return nil }
          mantissa = shifted
          decimals += 1
        }
        while decimals > 0, mantissa % 10 == 0, mantissa != 0 { mantissa /= 10; decimals -= 1 }
        return decimals <= 15 ? (isNegative ? -mantissa : mantissa, decimals) : nil
      default: return nil
      }
    }
    while decimals > 0, mantissa % 10 == 0 { mantissa /= 10; decimals -= 1 }
    return decimals <= 15 ? (isNegative ? -mantissa : mantissa, decimals) : nil
  }

  /// Alike in value, whatever the spelling.
  public static func == (a: DBCNumber, b: DBCNumber) -> Bool { a.value == b.value }
}

/// `BA_DEF_`: an attribute that may be set.
public struct DBCAttributeDefinition: Sendable, Equatable {
  /// What the attribute belongs to.
  public enum Scope: String, Sendable { case network = "", node = "BU_", message = "BO_", signal = "SG_", environment = "EV_" }
  /// What values an attribute may have.
  public enum Kind: Sendable, Equatable {
    case integer(ClosedRange<Int64>?)
    case hex(ClosedRange<Int64>?)
    case float(ClosedRange<Double>?)
    case string
    case enumeration([String])
  }
  /// The attribute's name.
  public var name: String
  /// What it belongs to.
  public var scope: Scope
  /// What values it may have.
  public var kind: Kind
  /// Value where none is given.
  public var defaultValue: DBCAttributeValue?
  /// A definition of an attribute.
  public init(name: String, scope: Scope, kind: Kind, defaultValue: DBCAttributeValue? = nil) {
    self.name = name
    self.scope = scope
    self.kind = kind
    self.defaultValue = defaultValue
  }
}

/// The value of an attribute.
public enum DBCAttributeValue: Sendable, Equatable {
  /// Numbers, and the index of an enumeration where the file gives a number.
  case number(DBCNumber)
  case text(String)
}

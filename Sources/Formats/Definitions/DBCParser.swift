import Bus

/// Reads a DBC. What is wrong is reported and skipped; what is good is kept.
///
/// Source: conventions.md §4.
public struct DBCParser {
  /// What was read, and what was wrong with it.
  public struct Result: Sendable {
    /// The definitions that could be read.
    public var file: DBCFile
    /// What was wrong, in the order of the file.
    public var problems: [DBCProblem]
  }

  /// Reads `bytes`, UTF-8 if they are valid UTF-8, else CP1252.
  public static func parse(_ bytes: some Sequence<UInt8>) -> Result {
    var parser = DBCParser(Array(bytes))
    parser.run()
    return Result(file: parser.assemble(), problems: parser.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
  }

  /// Reads a text.
  public static func parse(text: String) -> Result { parse(text.utf8) }

  typealias Token = DBCTokenizer.Token

  private var tokens: DBCTokenizer
  private var current: Token
  /// Offset behind the token before `current`.
  private var previousEnd = 0
  var file = DBCFile()
  var problems: [DBCProblem] = []
  /// Statements that speak of messages and signals that may come later in the file.
  var values: [PendingValues] = []
  var comments: [(target: Target, text: String, token: Token)] = []
  var attributes: [(name: String, target: Target, value: DBCAttributeValue, token: Token)] = []
  var valueTypes: [(message: UInt32, signal: String, type: String, token: Token)] = []
  var multiplexing: [(message: UInt32, signal: String, selector: String, ranges: [ClosedRange<UInt64>], token: Token)] = []

  /// `VAL_` before its signal is known.
  struct PendingValues {
    var message: UInt32
    var signal: String
    var values: [DBCValue]
    var table: String?
    var token: Token
  }

  /// What a comment or an attribute belongs to.
  enum Target: Equatable {
    case network
    case node(String)
    case message(UInt32)
    case signal(UInt32, String)
    case environment(String)
  }

  /// A statement that could not be read: reported, then skipped.
  private struct Skip: Error {}

  private init(_ bytes: [UInt8]) {
    var bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    let isUTF8 = String(validating: bytes, as: UTF8.self) != nil
    if !isUTF8 { bytes = CP1252.toUTF8(bytes) }
    tokens = DBCTokenizer(bytes)
    current = tokens.next()
    file.isUTF8 = isUTF8
    file.usesCRLF = bytes.contains(0x0D)
  }

  private mutating func run() {
    while current.kind != .end {
      do throws(Skip) { try statement() } catch { recover() }
    }
    if !current.text.isEmpty { fail(.syntax, "a text without its closing quote", at: current) }
  }

  // MARK: Statements

  private mutating func statement() throws(Skip) {
    let start = current
    switch current.text {
    case "VERSION":
      advance()
      file.version = try takeString()
    case "BU_": try nodes()
    case "BO_": try message()
    case "SG_": throw failure(.syntax, "a message (BO_) before this signal")
    case "VAL_TABLE_": try valueTable()
    case "VAL_": try signalValues()
    case "CM_": try comment()
    case "BA_DEF_": try attributeDefinition()
    case "BA_DEF_DEF_": try attributeDefault()
    case "BA_": try attribute()
    case "SIG_VALTYPE_": try valueType()
    case "SG_MUL_VAL_": try multiplexValues()
    case "NS_", "BS_": keepUntilKeyword(start)
    case _ where DBCParser.keptSections.contains(current.text): try keepStatement(start)
    default: throw failure(.syntax, "a DBC keyword such as BO_, VAL_ or CM_")
    }
  }

  private mutating func nodes() throws(Skip) {
    advance()
    try take(":")
    while current.kind == .word, !DBCParser.keywords.contains(current.text) {
      file.nodes.append(current.text)
      advance()
    }
  }

  private mutating func message() throws(Skip) {
    let line = current.line
    advance()
    let idToken = current
    let id = try takeMessageID()
    let name = try takeName("a message name")
    try take(":")
    let length = try takeInteger("a length in bytes", in: 0...64)
    let sender = try takeName("the sending node")
    let number = id & 0x1FFF_FFFF
    let isOrphanBin = name == "VECTOR__INDEPENDENT_SIG_MSG"
    if !isOrphanBin, id & 0x6000_0000 != 0 || (id & 0x8000_0000 == 0 && number > 0x7FF) {
      note(.identifier, "0x" + String(id, radix: 16, uppercase: true), "an 11-bit ID, or a 29-bit ID with bit 31 set", at: idToken)
    }
    var message = DBCMessage(
      id: ArbitrationID(rawValue: id), name: name, length: Int(length), sender: sender == "Vector__XXX" ? nil : sender)
    message.line = line
    while current.text == "SG_" {
      let place = current
      do throws(Skip) { message.signals.append(try signal()) } catch { recover(after: place) }
    }
    file.messages.append(message)
  }

  private mutating func signal() throws(Skip) -> DBCSignal {
    let line = current.line
    advance()
    let name = try takeName("a signal name")
    var mark: String?
    if current.kind == .word {
      mark = current.text
      guard DBCParser.isMultiplexMark(current.text) else { throw failure(.syntax, "M, m0, m0M or :") }
      advance()
    }
    try take(":")
    let start = try takeInteger("a start bit", in: 0...511)
    try take("|")
    let length = try takeInteger("a length in bits", in: 1...512)
    try take("@")
    let order = try takeInteger("byte order 0 or 1", in: 0...1)
    guard current.text == "+" || current.text == "-" else { throw failure(.syntax, "+ (unsigned) or - (signed)") }
    let isSigned = current.text == "-"
    advance()
    try take("(")
    let factor = try takeNumber("a factor")
    try take(",")
    let offset = try takeNumber("an offset")
    try take(")")
    try take("[")
    let minimum = try takeNumber("a minimum")
    try take("|")
    let maximum = try takeNumber("a maximum")
    try take("]")
    let unitLine = current.line
    let unit = try takeString()
    var signal = DBCSignal(
      name: name, startBit: Int(start), bitLength: Int(length), byteOrder: order == 1 ? .littleEndian : .bigEndian,
      isSigned: isSigned,
      factor: factor, offset: offset, minimum: minimum, maximum: maximum, unit: unit)
    signal.line = line
    // Receivers stand on the signal's line, with commas or blanks between.
    while current.line == unitLine, current.kind == .word || current.text == ",", !DBCParser.keywords.contains(current.text) {
      if current.kind == .word, current.text != "Vector__XXX" { signal.receivers.append(current.text) }
      advance()
    }
    // The selector's name is filled in when all signals of the message are known.
    if let mark { signal.multiplexing = DBCParser.multiplexing(mark) }
    return signal
  }

  private static func isMultiplexMark(_ text: String) -> Bool {
    if text == "M" { return true }
    guard text.first == "m" else { return false }
    let digits = text.dropFirst().prefix { $0 >= "0" && $0 <= "9" }
    let rest = text.dropFirst(1 + digits.count)
    return UInt64(digits) != nil && (rest.isEmpty || rest == "M")
  }

  private static func multiplexing(_ mark: String) -> DBCSignal.Multiplexing {
    if mark == "M" { return .selector }
    let value = UInt64(mark.dropFirst().prefix { $0 >= "0" && $0 <= "9" }) ?? 0
    return .selected(by: "", ranges: [value...value], isSelector: mark.hasSuffix("M"))
  }

  private mutating func valueTable() throws(Skip) {
    advance()
    let name = try takeName("the name of a value table")
    file.valueTables.append((name, try takeValues()))
    try take(";")
  }

  private mutating func signalValues() throws(Skip) {
    let start = current
    advance()
    // Without a message it describes an environment variable: kept as it is.
    guard UInt32(current.text) != nil else { return try keepStatement(start, isInside: true) }
    let message = try takeMessageID()
    let token = current
    let signal = try takeName("a signal name")
    if current.kind == .word, DBCNumber(current.text) == nil {
      let table = current.text
      advance()
      values.append(.init(message: message, signal: signal, values: [], table: table, token: token))
    } else {
      values.append(.init(message: message, signal: signal, values: try takeValues(), table: nil, token: token))
    }
    try take(";")
  }

  private mutating func comment() throws(Skip) {
    advance()
    let token = current
    let target = try takeTarget()
    comments.append((target, try takeString(), token))
    try take(";")
  }

  private mutating func attributeDefinition() throws(Skip) {
    advance()
    var scope = DBCAttributeDefinition.Scope.network
    if current.kind == .word, let named = DBCAttributeDefinition.Scope(rawValue: current.text) {
      scope = named
      advance()
    }
    let name = try takeString()
    let kind: DBCAttributeDefinition.Kind
    let type = current
    advance()
    switch type.text {
    case "INT": kind = .integer(try takeRange())
    case "HEX": kind = .hex(try takeRange())
    case "FLOAT":
      let low = try takeNumber("a minimum").value
      let high = try takeNumber("a maximum").value
      kind = .float(low <= high ? low...high : nil)
    case "STRING": kind = .string
    case "ENUM":
      var names = [try takeString()]
      while current.text == ",", current.kind == .sign {
        advance()
        names.append(try takeString())
      }
      kind = .enumeration(names)
    default: throw failure(.syntax, "INT, HEX, FLOAT, STRING or ENUM", at: type)
    }
    file.attributeDefinitions.append(DBCAttributeDefinition(name: name, scope: scope, kind: kind))
    try take(";")
  }

  private mutating func takeRange() throws(Skip) -> ClosedRange<Int64>? {
    let low = try takeNumber("a minimum").value
    let high = try takeNumber("a maximum").value
    guard low < high, let lower = Int64(exactly: low), let upper = Int64(exactly: high) else { return nil }
    return lower...upper
  }

  private mutating func attributeDefault() throws(Skip) {
    advance()
    let token = current
    let name = try takeString()
    let value = try takeAttributeValue()
    try take(";")
    guard let index = file.attributeDefinitions.firstIndex(where: { $0.name == name }) else {
      return note(.attribute, "a default for \"\(name)\"", "BA_DEF_ \"\(name)\" before it", at: token, .warning)
    }
    file.attributeDefinitions[index].defaultValue = value
  }

  private mutating func attribute() throws(Skip) {
    advance()
    let token = current
    let name = try takeString()
    let target = try takeTarget()
    attributes.append((name, target, try takeAttributeValue(), token))
    try take(";")
  }

  private mutating func valueType() throws(Skip) {
    advance()
    let message = try takeMessageID()
    let token = current
    let signal = try takeName("a signal name")
    if current.text == ":" { advance() }
    let type = try takeInteger("0 integer, 1 float32 or 2 float64", in: 0...3)
    valueTypes.append((message, signal, String(type), token))
    try take(";")
  }

  private mutating func multiplexValues() throws(Skip) {
    advance()
    let message = try takeMessageID()
    let token = current
    let signal = try takeName("a signal name")
    let selector = try takeName("the multiplexor's name")
    var ranges: [ClosedRange<UInt64>] = []
    while current.kind == .word {
      let low = try takeUnsigned()
      try take("-")
      let high = try takeUnsigned()
      if low <= high { ranges.append(low...high) } else { note(.number, "\(low)-\(high)", "a range from low to high", at: token) }
      if current.text == "," { advance() }
    }
    multiplexing.append((message, signal, selector, ranges, token))
    try take(";")
  }

  // MARK: What is kept as it is

  private mutating func keepStatement(_ start: Token, isInside: Bool = false) throws(Skip) {
    while current.text != ";" || current.kind != .sign {
      if current.kind == .end { throw failure(.syntax, "; at the end of \(start.text)") }
      advance()
    }
    advance()
    file.unknownSections.append(tokens.slice(start.offset..<previousEnd))
  }

  /// `NS_` and `BS_` have no end mark: they reach to the next keyword at the front of a line.
  private mutating func keepUntilKeyword(_ start: Token) {
    advance()
    while current.kind != .end, !(current.column == 1 && DBCParser.keywords.contains(current.text)) { advance() }
    file.unknownSections.append(tokens.slice(start.offset..<previousEnd))
  }

  // MARK: Pieces

  private mutating func takeValues() throws(Skip) -> [DBCValue] {
    var values: [DBCValue] = []
    while current.kind == .word {
      let number = try takeNumber("a raw value")
      let label = try takeString()
      if let raw = Int64(exactly: number.value.rounded()) { values.append(DBCValue(raw, label)) }
    }
    return values
  }

  private mutating func takeTarget() throws(Skip) -> Target {
    switch current.text {
    case "BU_" where current.kind == .word:
      advance()
      return .node(try takeName("a node"))
    case "BO_" where current.kind == .word:
      advance()
      return .message(try takeMessageID())
    case "SG_" where current.kind == .word:
      advance()
      let message = try takeMessageID()
      return .signal(message, try takeName("a signal name"))
    case "EV_" where current.kind == .word:
      advance()
      return .environment(try takeName("an environment variable"))
    default: return .network
    }
  }

  private mutating func takeAttributeValue() throws(Skip) -> DBCAttributeValue {
    if current.kind == .string { return .text(try takeString()) }
    return .number(try takeNumber("a number or a text in quotes"))
  }

  private mutating func takeMessageID() throws(Skip) -> UInt32 {
    guard current.kind == .word, let id = UInt32(current.text) else {
      throw failure(.number, "a message's decimal ID")
    }
    advance()
    return id
  }

  private mutating func takeUnsigned() throws(Skip) -> UInt64 {
    guard current.kind == .word, let value = UInt64(current.text) else { throw failure(.number, "a whole number") }
    advance()
    return value
  }

  private mutating func takeInteger(_ what: String, in range: ClosedRange<Int64>) throws(Skip) -> Int64 {
    guard current.kind == .word, let value = Int64(current.text), range.contains(value) else {
      throw failure(.number, "\(what), \(range.lowerBound)…\(range.upperBound)")
    }
    advance()
    return value
  }

  private mutating func takeNumber(_ what: String) throws(Skip) -> DBCNumber {
    guard current.kind == .word, let value = DBCNumber(current.text) else { throw failure(.number, what) }
    advance()
    return value
  }

  private mutating func takeName(_ what: String) throws(Skip) -> String {
    guard current.kind == .word else { throw failure(.syntax, what) }
    let name = current.text
    advance()
    return name
  }

  private mutating func takeString() throws(Skip) -> String {
    guard current.kind == .string else { throw failure(.syntax, "a text in quotes") }
    let text = current.text
    advance()
    return text
  }

  private mutating func take(_ sign: String) throws(Skip) {
    guard current.text == sign, current.kind != .string else { throw failure(.syntax, "\"\(sign)\"") }
    advance()
  }

  private mutating func advance() {
    previousEnd = tokens.place
    current = tokens.next()
  }

  // MARK: Problems

  private mutating func failure(_ rule: DBCProblem.Rule, _ expected: String, at token: Token? = nil) -> Skip {
    fail(rule, expected, at: token ?? current)
    return Skip()
  }

  private mutating func fail(_ rule: DBCProblem.Rule, _ expected: String, at token: Token) {
    let found = token.kind == .end ? "the end of the file" : token.kind == .string ? "a text" : "\"\(token.text.prefix(40))\""
    note(rule, found, expected, at: token)
  }

  mutating func note(
    _ rule: DBCProblem.Rule, _ found: String, _ expected: String, at token: Token, _ severity: DBCProblem.Severity = .error
  ) {
    problems.append(DBCProblem(rule, severity, line: token.line, column: token.column, found: found, expected: expected))
  }

  /// Goes on at the next keyword on a later line than where the trouble was.
  private mutating func recover(after start: Token? = nil) {
    let line = problems.last?.line ?? 0
    repeat { advance() } while current.kind != .end && !(DBCParser.keywords.contains(current.text) && current.line > line)
  }

  static let keptSections: Set<String> = [
    "BO_TX_BU_", "EV_", "EV_DATA_", "ENVVAR_DATA_", "SGTYPE_", "SGTYPE_VAL_", "SIG_TYPE_REF_", "SIG_GROUP_", "BA_DEF_REL_",
    "BA_REL_",
    "BA_DEF_DEF_REL_", "BA_DEF_SGTYPE_", "BA_SGTYPE_", "BU_SG_REL_", "BU_EV_REL_", "BU_BO_REL_", "CAT_DEF_", "CAT_", "FILTER",
    "SIGTYPE_VALTYPE_",
  ]
  static let keywords: Set<String> = keptSections.union([
    "VERSION", "NS_", "BS_", "BU_", "BO_", "SG_", "VAL_TABLE_", "VAL_", "CM_", "BA_DEF_", "BA_DEF_DEF_", "BA_", "SIG_VALTYPE_",
    "SG_MUL_VAL_",
  ])
}

/// Windows code page 1252, which most DBCs are written in.
enum CP1252 {
  /// Code points of bytes 0x80…0x9F; the five unassigned ones stand for themselves.
  static let upper: [UInt32] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
    0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
  ]

  static func toUTF8(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 16)
    for byte in bytes {
      if byte < 0x80 {
        result.append(byte)
      } else {
        let code = byte < 0xA0 ? upper[Int(byte) - 0x80] : UInt32(byte)
        result.append(contentsOf: String(Unicode.Scalar(code) ?? "?").utf8)
      }
    }
    return result
  }

  /// `nil` if the text holds a character that the page does not have.
  static func fromText(_ text: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      if scalar.value < 0x80 || (0xA0...0xFF).contains(scalar.value) {
        result.append(UInt8(scalar.value))
      } else if let index = upper.firstIndex(of: scalar.value) {
        result.append(UInt8(0x80 + index))
      } else {
        return nil
      }
    }
    return result
  }
}

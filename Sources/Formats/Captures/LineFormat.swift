public import Bus

/// A capture format made of lines. One value reads one capture from its first line to its last and keeps what the format's header
/// says.
public protocol LineFormat: Sendable {
  /// Takes one line. Emits its record, reports what is wrong with it, or leaves it (a comment, a header).
  mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink)
  /// The source has ended: emit what was held back.
  mutating func finish(buses: inout BusTable, into sink: inout some RecordSink)
  /// Lines that hold no record and are no damage: comments, headers, prose.
  var ignoredLines: UInt64 { get }
}

extension LineFormat {
  /// Nothing is held back by most formats.
  public mutating func finish(buses: inout BusTable, into sink: inout some RecordSink) {}
}

/// One line of a text capture without its line end. Borrowed memory: do not keep it.
public struct Line {
  /// The bytes without LF or CR LF.
  public let bytes: UnsafeRawBufferPointer
  /// From 1.
  public let number: UInt64
  /// Offset of its first byte in the (uncompressed) source.
  public let byteOffset: UInt64
  /// Whether a line end followed; false only for the last line of a source that was cut.
  public let isTerminated: Bool

  /// A line of borrowed bytes.
  @inlinable public init(bytes: UnsafeRawBufferPointer, number: UInt64, byteOffset: UInt64, isTerminated: Bool) {
    self.bytes = bytes
    self.number = number
    self.byteOffset = byteOffset
    self.isTerminated = isTerminated
  }

  /// A cursor at its front.
  @inlinable public var cursor: ByteCursor { ByteCursor(bytes) }
  /// Its place, for problems.
  public var position: CaptureProblem.Position { .init(.line, number, byteOffset: byteOffset) }

  /// A problem with this line: the whole line as what was found, unless told otherwise. An unterminated last line counts as cut off.
  public func problem(_ kind: CaptureProblem.Kind = .damaged, found: String? = nil, expected: String) -> CaptureProblem {
    CaptureProblem(
      kind == .damaged && !isTerminated ? .truncated : kind, at: position, found: found ?? quoted(bytes, limit: 60),
      expected: expected)
  }
}

/// The bus names of a source in the order they appeared.
public struct BusTable: Sendable {
  /// Names by `BusID.index`.
  public private(set) var names: [String] = []
  private var lastBytes: [UInt8] = []
  private var lastID = BusID(0)

  /// No bus yet.
  public init() {}

  /// The ID of the bus called `name`, telling `sink` of a new one. Beyond 65 535 names the last ID is shared.
  public mutating func id(of name: UnsafeRawBufferPointer, announcingTo sink: inout some RecordSink) -> BusID {
    if lastBytes.count == name.count, !lastBytes.isEmpty, lastBytes.elementsEqual(name) { return lastID }
    lastBytes = Array(name)
    lastID = id(of: String(decoding: name, as: UTF8.self), announcingTo: &sink)
    return lastID
  }

  /// The same for a name given as a string.
  public mutating func id(of name: String, announcingTo sink: inout some RecordSink) -> BusID {
    if let known = names.firstIndex(of: name) { return BusID(UInt16(truncatingIfNeeded: known)) }
    guard names.count < Int(UInt16.max) else { return BusID(UInt16.max - 1) }
    names.append(name)
    let id = BusID(UInt16(truncatingIfNeeded: names.count - 1))
    sink.busAppeared(id, named: name)
    return id
  }
}

/// Cuts a stream into lines and hands them to a format.
public struct LineReader<Format: LineFormat>: Sendable {
  /// The format with what it has learned so far.
  public var format: Format
  /// The names met so far.
  public var buses = BusTable()
  private var lineNumber: UInt64 = 0
  private var byteOffset: UInt64 = 0
  private var isInOverlongLine = false

  /// Longer lines are reported and skipped: no text capture has them, and memory must stay bounded.
  public static var longestLine: Int { 1 << 16 }

  /// A reader that hands each line to `format`.
  public init(_ format: Format) { self.format = format }

  /// Reads whole lines of `bytes` and says how many bytes it took; the caller hands the rest in again with more behind it.
  /// With `isEnd` everything is taken.
  public mutating func read(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout some RecordSink) -> Int {
    var taken = 0
    while taken < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
      let lineEnd = rest.firstIndex(of: 0x0A)
      if lineEnd == nil, !isEnd, rest.count <= Self.longestLine { break }
      let length = lineEnd ?? rest.count
      emit(UnsafeRawBufferPointer(rebasing: rest[..<length]), isTerminated: lineEnd != nil, isEnd: isEnd, into: &sink)
      let consumed = length + (lineEnd == nil ? 0 : 1)
      taken += consumed
      byteOffset += UInt64(consumed)
    }
    if isEnd { format.finish(buses: &buses, into: &sink) }
    return taken
  }

  private mutating func emit(_ raw: UnsafeRawBufferPointer, isTerminated: Bool, isEnd: Bool, into sink: inout some RecordSink) {
    let wasInOverlongLine = isInOverlongLine
    isInOverlongLine = !isTerminated && !isEnd
    if wasInOverlongLine { return }
    lineNumber += 1
    var bytes = raw
    if bytes.last == 0x0D { bytes = UnsafeRawBufferPointer(rebasing: bytes.dropLast()) }
    let line = Line(bytes: bytes, number: lineNumber, byteOffset: byteOffset, isTerminated: isTerminated)
    guard bytes.count <= Self.longestLine else {
      sink.report(
        CaptureProblem(
          .damaged, at: line.position, found: quoted(bytes, limit: 40), expected: "a line of at most \(Self.longestLine) bytes"))
      return
    }
    format.read(line, buses: &buses, into: &sink)
  }
}

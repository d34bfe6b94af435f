/// The three wires of a chain's transceiver, told apart by their names, followed level by level: data is sampled at the falling clock
/// edge (SPI mode 1); a frame is one low period of chip select. Source: linkslave-chain.md §2 and §13.2.
struct ChainWires: Sendable {
  /// What a channel of the recording is.
  enum Wire: Sendable, Equatable { case select, clock, data }

  private var select = true
  private var clock = false
  private var data = false
  private var start: Int64?
  private var bits: [Bool] = []
  private var assembler = ChainAssembler()

  /// What a channel's name says it is; `nil` for another wire.
  static func wire(named name: String) -> Wire? {
    let name = name.lowercased()
    if name.contains("cs") || name.contains("select") || name.contains("enable") { return .select }
    if name.contains("clk") || name.contains("sck") || name.contains("clock") { return .clock }
    let isData = ["data", "mosi", "miso", "sdi", "sdo"].contains { name.contains($0) }
    return isData ? .data : nil
  }

  /// Which of several channels to follow: one of each wire; the receiving lines hold the whole conversation, so they go first.
  static func choose(_ names: [String]) -> [Wire?] {
    var wires = names.map { wire(named: $0) }
    for wire in [Wire.select, .clock, .data] {
      let places = wires.indices.filter { wires[$0] == wire }
      let best = places.first { names[$0].lowercased().contains("rx") } ?? places.first { !names[$0].lowercased().contains("tx") }
      for place in places where place != best ?? places.first { wires[place] = nil }
    }
    return wires
  }

  /// A wire has this level from `time` (ns) on.
  mutating func set(
    _ wire: Wire, _ isHigh: Bool, at time: Int64, buses: inout BusTable, into sink: inout some RecordSink
  ) {
    switch wire {
    case .select:
      if select, !isHigh { (start, bits) = (time, []) }
      if !select, isHigh, start != nil { end(at: time, buses: &buses, into: &sink) }
      select = isHigh
    case .clock:
      if clock, !isHigh, !select, bits.count < 4096 { bits.append(data) }
      clock = isHigh
    case .data: data = isHigh
    }
  }

  /// Ends a period that is open: chip select rose, or the file ends.
  mutating func end(at time: Int64, buses: inout BusTable, into sink: inout some RecordSink) {
    guard start != nil else { return }
    var bytes = [UInt8](repeating: 0, count: (bits.count + 7) / 8)
    for (index, bit) in bits.enumerated() where bit { bytes[index / 8] |= 0x80 >> UInt8(index % 8) }
    assembler.emit(bytes, bits: bits.count, at: start, duration: time - (start ?? time), buses: &buses, into: &sink)
    start = nil
    bits = []
  }
}

/// Tables of levels: Saleae's raw digital export (`Time [s],CSB_RX,SCLK_RX,DATA_RX`, a row per change) and PulseView's CSV (`;` comments,
/// a row per sample). Source: linkslave-chain.md §13.2.
struct LevelTable: Sendable {
  private var wires: [ChainWires.Wire?] = []
  private var timeColumn: Int?
  /// ns between samples; 0 where the table carries times.
  private var period = 0.0
  private var row = 0.0
  private var time: Int64 = 0
  private var lines = ChainWires()
  /// Channel names of a `; Channels` comment.
  private var named: [String] = []

  /// Whether columns are known.
  var isOpen: Bool { !wires.isEmpty }

  /// Takes a header, or a comment of PulseView; `false` if it is none.
  mutating func header(_ text: String) -> Bool {
    if text.hasPrefix(";") {
      let words = text.dropFirst().split(separator: ":", maxSplits: 1).map { $0.trimmed }
      guard words.count == 2 else { return isOpen || text.contains("sigrok") || text.contains("PulseView") }
      if words[0].hasPrefix("Channels") {
        named = words[1].split(separator: ",").map { $0.trimmed }
        wires = LevelTable.complete(ChainWires.choose(named))
      } else if words[0].lowercased().hasPrefix("samplerate") {
        period = LevelTable.period(words[1])
      }
      return true
    }
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != "\"" }.trimmed }
    guard names.count >= 3 || isOpen else { return false }
    if names.allSatisfy({ $0 == "logic" }), names.count == named.count { return isOpen }
    let found = LevelTable.complete(ChainWires.choose(names))
    guard !found.isEmpty else { return false }
    wires = found
    timeColumn = names.firstIndex { $0.lowercased().hasPrefix("time") }
    return true
  }

  /// One row of levels; `false` if it is none.
  mutating func row(_ text: String, buses: inout BusTable, into sink: inout some RecordSink) -> Bool {
    let fields = text.split(separator: ",", omittingEmptySubsequences: false)
    // Without names of their own the columns are those of the comment.
    guard fields.count == wires.count else { return false }
    if let timeColumn {
      var word = String(fields[timeColumn])
      let read = word.withUTF8 { bytes -> Int64? in
        var cursor = ByteCursor(UnsafeRawBufferPointer(bytes))
        return cursor.seconds()?.nanoseconds
      }
      guard let read else { return false }
      time = read
    } else {
      time = Int64(min(9e18, row * period))
    }
    row += 1
    for (place, field) in fields.enumerated() where place != timeColumn {
      guard field == "0" || field == "1" else { return false }
    }
    // Data and select settle before the clock edge is looked at.
    for wanted in [ChainWires.Wire.data, .select, .clock] {
      for (place, wire) in wires.enumerated() where wire == wanted {
        lines.set(wanted, fields[place] == "1", at: time, buses: &buses, into: &sink)
      }
    }
    return true
  }

  /// The file has ended.
  mutating func finish(buses: inout BusTable, into sink: inout some RecordSink) { lines.end(at: time, buses: &buses, into: &sink) }

  /// Nothing unless all three wires are there.
  private static func complete(_ wires: [ChainWires.Wire?]) -> [ChainWires.Wire?] {
    [.select, .clock, .data].allSatisfy { wires.contains($0) } ? wires : []
  }

  /// `24 MHz` as ns between samples.
  private static func period(_ text: String) -> Double {
    let number = Double(text.prefix { $0.isNumber || $0 == "." }) ?? 0
    let unit = text.drop { $0.isNumber || $0 == "." || $0 == " " }.lowercased()
    let factor = unit.hasPrefix("g") ? 1e9 : unit.hasPrefix("m") ? 1e6 : unit.hasPrefix("k") ? 1e3 : 1
    return number > 0 ? 1e9 / (number * factor) : 0
  }
}

extension StringProtocol {
  /// Without spaces at both ends.
  fileprivate var trimmed: String {
    var text = Substring(self)
    while text.first == " " { text.removeFirst() }
    while text.last == " " || text.last == "\r" { text.removeLast() }
    return String(text)
  }
}

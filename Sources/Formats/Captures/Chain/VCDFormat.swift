import Bus

/// Value change dumps of a logic analyser: chip select, clock and data of a chain's transceiver, found by their names. Data is sampled at
/// the falling clock edge (SPI mode 1). Source: linkslave-chain.md §2 and §13.2.
public struct VCDFormat: LineFormat {
  /// Lines that hold no record and are no damage.
  public private(set) var ignoredLines: UInt64 = 0
  private var wires: [String: ChainWires.Wire] = [:]
  private var picoseconds: Int64 = 1000
  private var isTimescaleOpen = false
  private var time: Int64 = 0
  private var lines = ChainWires()

  /// Nothing read yet.
  public init() {}

  /// One line of the format.
  public mutating func read(_ line: Line, buses: inout BusTable, into sink: inout some RecordSink) {
    let words = String(decoding: line.bytes, as: UTF8.self).split(separator: " ").map(String.init)
    guard let first = words.first else { return }
    if first == "$timescale" || isTimescaleOpen {
      timescale(words)
    } else if first == "$var", words.count >= 5 {
      declare(words, line, &sink)
    } else if first.hasPrefix("$") {
      ignoredLines &+= 1
    } else if first.hasPrefix("#") {
      guard let ticks = Int64(first.dropFirst()) else { return sink.report(line.problem(expected: "a time as #number")) }
      let (product, overflow) = ticks.multipliedReportingOverflow(by: picoseconds)
      time = overflow ? time : product / 1000
      // Several changes may stand behind the time.
      for word in words.dropFirst() { change(word, &buses, &sink) }
    } else {
      for word in words { change(word, &buses, &sink) }
    }
  }

  /// A period that the file cuts is malformed, and kept.
  public mutating func finish(buses: inout BusTable, into sink: inout some RecordSink) {
    lines.end(at: time, buses: &buses, into: &sink)
  }

  private mutating func timescale(_ words: [String]) {
    isTimescaleOpen = !words.contains("$end")
    let text = words.joined()
    let digits = text.drop { !$0.isNumber }.prefix { $0.isNumber }
    guard let number = Int64(digits) else { return }
    let unit = text.drop { !$0.isNumber }.drop { $0.isNumber }.prefix { $0.isLetter }
    let scales: [Substring: Int64] = ["s": 1_000_000_000_000, "ms": 1_000_000_000, "us": 1_000_000, "ns": 1000, "ps": 1]
    picoseconds = number * (scales[unit] ?? 1000)
  }

  /// `$var wire 1 ! CSB_RX $end`: the receiving lines hold the whole conversation, so they go first.
  private mutating func declare(_ words: [String], _ line: Line, _ sink: inout some RecordSink) {
    let name = words[4].lowercased()
    if name.contains("tx"), !wires.isEmpty { return }
    let wire = ChainWires.wire(named: name)
    guard let wire else {
      ignoredLines &+= 1
      return
    }
    if name.contains("rx") { wires = wires.filter { $0.value != wire } }
    if !wires.values.contains(wire) { wires[words[3]] = wire }
  }

  private mutating func change(_ word: String, _ buses: inout BusTable, _ sink: inout some RecordSink) {
    guard let value = word.first, value == "0" || value == "1", let wire = wires[String(word.dropFirst())] else { return }
    lines.set(wire, value == "1", at: time, buses: &buses, into: &sink)
  }
}

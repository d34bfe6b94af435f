public import Bus

/// Reads pcapng: several sections and interfaces, any time resolution, directions and drop counts; blocks that hold no packets are
/// counted, and after damage it goes on at the next block that can be one.
public struct PcapngReader: Sendable {
  /// Buses met so far.
  public private(set) var buses = BusTable()
  @usableFromInline var interfaces: [Interface] = []
  @usableFromInline var isSwapped = false
  @usableFromInline var hasSection = false
  @usableFromInline var blockNumber: UInt64 = 0
  @usableFromInline var byteOffset: UInt64 = 0
  @usableFromInline var toSkip: UInt64 = 0
  private var isLost = false
  private var namelessCount = 0
  /// Blocks without a packet: statistics, names, decryption secrets, custom blocks.
  public private(set) var ignoredBlocks: UInt64 = 0

  /// What an interface description block says.
  @usableFromInline struct Interface: Sendable {
    @usableFromInline var type: LinkType
    @usableFromInline var bus: BusID
    /// Nanoseconds a tick where that is a whole number, else 0.
    @usableFromInline var nanosecondsPerTick: UInt64 = 1000
    /// Ticks a second where nanoseconds a tick are not whole.
    var ticksPerSecond: UInt64 = 1_000_000
    @usableFromInline var offset: Int64 = 0
    @usableFromInline var precision = TimePrecision.microseconds
    var snapLength: UInt32 = 0
    /// Frames that it is known to have dropped.
    var dropped: UInt64 = 0
    /// A way for plain frames without options.
    @usableFromInline var isPlain: Bool
  }

  static let largestBlock: UInt32 = 1 << 20
  private static let mostInterfaces = 4096

  /// Nothing read or written yet.
  public init() {}

  /// Reads whole blocks and says how many bytes it took; the caller hands the rest in again with more behind it.
  @_optimize(speed)  // in modules built for size too, into which it is specialised (Package.swift)
  @inlinable public mutating func read<Sink: RecordSink>(_ bytes: UnsafeRawBufferPointer, isEnd: Bool, into sink: inout Sink) -> Int
  {
    guard let start = bytes.baseAddress else { return 0 }
    var place = 0
    let end = bytes.count
    var record = CANRecord()
    while place < end {
      // Enhanced packet blocks of a plain interface in this machine's byte order, without options.
      if toSkip == 0, !isSwapped, end &- place >= 36 {
        let block = start + place
        let type = UInt32(littleEndian: block.loadUnaligned(as: UInt32.self))
        let total = Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        let captured = Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 20, as: UInt32.self)))
        let number = Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        if type == 6, total <= end &- place, total == 32 &+ (captured &+ 3) & ~3, number < interfaces.count,
          interfaces[number].isPlain,
          LinkLayer.plain(block + 28, captured: captured, into: &record.frame),
          UInt32(littleEndian: block.loadUnaligned(fromByteOffset: total &- 4, as: UInt32.self))
            == UInt32(truncatingIfNeeded: total)
        {
          let high = UInt64(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 12, as: UInt32.self)))
          let low = UInt64(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
          record.time.nanoseconds =
            Int64(bitPattern: (high &<< 32 | low) &* interfaces[number].nanosecondsPerTick) &+ interfaces[number].offset
          record.precision = interfaces[number].precision
          record.bus = interfaces[number].bus
          blockNumber &+= 1
          place &+= total
          sink.receive(record)
          continue
        }
      }
      let taken = readBlock(UnsafeRawBufferPointer(start: start + place, count: end &- place), at: place, isEnd: isEnd, &sink)
      if taken == 0 { break }
      place &+= taken
    }
    byteOffset &+= UInt64(place)
    return place
  }

  /// Any block; 0 if it is not whole yet.
  @usableFromInline mutating func readBlock<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, at place: Int, isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    if toSkip > 0 {
      let step = Int(min(toSkip, UInt64(bytes.count)))
      toSkip -= UInt64(step)
      return step
    }
    let position = CaptureProblem.Position(.block, blockNumber &+ 1, byteOffset: byteOffset &+ UInt64(place))
    guard bytes.count >= 12 else { return cut(bytes, position, "a block of at least 12 bytes", isEnd, &sink) }
    if raw(bytes, 0) == 0x0A0D_0D0A {
      let order = raw(bytes, 8)
      if order == 0x1A2B_3C4D { isSwapped = false } else if order == 0x4D3C_2B1A { isSwapped = true }
    }
    let type = word(bytes, 0)
    let total = word(bytes, 4)
    guard total >= 12, total % 4 == 0, total <= 0x1000_0000, hasSection || raw(bytes, 0) == 0x0A0D_0D0A else {
      return lost(bytes, position, found: "a block of type 0x\(String(type, radix: 16)) and \(total) bytes", isEnd, &sink)
    }
    // No interface or packet is described by so many bytes: the length is damaged, and what it would skip is good.
    if total > PcapngReader.largestBlock, [1, 2, 3, 6, 0x0A0D_0D0A].contains(type) {
      return lost(bytes, position, found: "a block of type \(type) and \(total) bytes", isEnd, &sink)
    }
    guard total <= PcapngReader.largestBlock else {
      blockNumber &+= 1
      ignoredBlocks &+= 1
      sink.report(
        CaptureProblem(
          .foreign, at: position, found: "a block of \(total) bytes", expected: "blocks of at most \(PcapngReader.largestBlock)"))
      toSkip = UInt64(total)
      return skipNow(bytes)
    }
    guard bytes.count >= Int(total) else {
      // A block that ends behind the file, with whole blocks inside it, has a damaged length.
      if isEnd, let next = nextBlock(bytes, from: 4, isWhole: true) {
        report(position, "a block of \(total) bytes where the file has \(bytes.count)", &sink)
        isLost = true
        return next
      }
      return cut(bytes, position, "a block of \(total) bytes", isEnd, &sink)
    }
    guard word(bytes, Int(total) - 4) == total else {
      return lost(
        bytes, position, found: "length \(total) in front, \(word(bytes, Int(total) - 4)) at the end of a block", isEnd, &sink)
    }
    isLost = false
    blockNumber &+= 1
    let body = UnsafeRawBufferPointer(rebasing: bytes[8..<Int(total) - 4])
    switch type {
    case 0x0A0D_0D0A:
      hasSection = true
      interfaces.removeAll()
    case 1: describe(body, position, &sink)
    case 6: packet(body, position, interfaceWidth: 4, &sink)
    case 2: packet(body, position, interfaceWidth: 2, &sink)
    case 3: simplePacket(body, position, &sink)
    case 5:
      ignoredBlocks &+= 1
      statistics(body, position, &sink)
    default: ignoredBlocks &+= 1
    }
    return Int(total)
  }

  private mutating func skipNow(_ bytes: UnsafeRawBufferPointer) -> Int {
    let step = Int(min(toSkip, UInt64(bytes.count)))
    toSkip -= UInt64(step)
    return step
  }

  // MARK: Blocks

  private mutating func describe<Sink: RecordSink>(
    _ body: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, _ sink: inout Sink
  ) {
    guard body.count >= 8, interfaces.count < PcapngReader.mostInterfaces else {
      return sink.report(
        CaptureProblem(.damaged, at: position, found: "\(body.count) bytes", expected: "an interface description of at least 8"))
    }
    let type = LinkType(UInt32(half(body, 0)))
    var interface = Interface(type: type, bus: BusID(0), isPlain: false)
    interface.snapLength = word(body, 4)
    var name: String?
    eachOption(body, from: 8) { code, value in
      switch code {
      case 2: name = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
      case 9 where value.count >= 1: PcapngReader.setResolution(value[0], &interface)
      case 14 where value.count >= 8:
        let seconds = Int64(bitPattern: UInt64(littleEndian: value.loadUnaligned(as: UInt64.self)))
        let ordered = isSwapped ? seconds.byteSwapped : seconds
        let (nanoseconds, overflow) = ordered.multipliedReportingOverflow(by: 1_000_000_000)
        if !overflow { interface.offset = nanoseconds }
      default: break
      }
    }
    if name == nil {
      let prefix = type == .chain ? "chain" : type == .pdu ? "pdu" : "if"
      name = "\(prefix)\(namelessCount)"
      namelessCount += 1
    }
    interface.bus = buses.id(of: name ?? "", announcingTo: &sink)
    interface.isPlain = type == .socketCAN && interface.nanosecondsPerTick > 0
    interfaces.append(interface)
  }

  /// `if_tsresol`: a power of ten, or of two with the top bit set.
  private static func setResolution(_ value: UInt8, _ interface: inout Interface) {
    let exponent = value & 0x7F
    var ticks: UInt64 = 1
    if value & 0x80 != 0 {
      ticks = exponent < 63 ? 1 << UInt64(exponent) : 0
    } else {
      for _ in 0..<min(exponent, 19) {
        let (next, overflow) = ticks.multipliedReportingOverflow(by: 10)
        if overflow { ticks = 0; break }
        ticks = next
      }
      if exponent > 19 { ticks = 0 }
    }
    guard ticks > 0 else { return }
    interface.ticksPerSecond = ticks
    interface.nanosecondsPerTick = ticks <= 1_000_000_000 && 1_000_000_000 % ticks == 0 ? 1_000_000_000 / ticks : 0
    interface.precision = value & 0x80 != 0 ? .nanoseconds : TimePrecision(fractionDigits: Int(exponent))
  }

  /// Enhanced packets, and the obsolete ones that have 16 bits of interface and of drop count.
  private mutating func packet<Sink: RecordSink>(
    _ body: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, interfaceWidth: Int, _ sink: inout Sink
  ) {
    guard body.count >= 20 else {
      return sink.report(
        CaptureProblem(.damaged, at: position, found: "\(body.count) bytes", expected: "a packet block of at least 20"))
    }
    let number = interfaceWidth == 4 ? Int(word(body, 0)) : Int(half(body, 0))
    let captured = Int(word(body, 12))
    guard number < interfaces.count else {
      return sink.report(
        CaptureProblem(
          .damaged, at: position, found: "interface \(number)", expected: "one of the \(interfaces.count) that were described"))
    }
    guard captured <= body.count - 20 else {
      return sink.report(
        CaptureProblem(.damaged, at: position, found: "a packet of \(captured) bytes", expected: "at most \(body.count - 20)"))
    }
    var direction = Direction.unknown
    var dropped: UInt64 = interfaceWidth == 2 ? UInt64(half(body, 2)) : 0
    if dropped == 0xFFFF { dropped = 0 }
    eachOption(body, from: 20 + (captured + 3) & ~3) { code, value in
      if code == 2, value.count >= 4 {
        switch word(value, 0) & 3 {
        case 1: direction = .received
        case 2: direction = .transmitted
        default: break
        }
      } else if code == 4, value.count >= 8, interfaceWidth == 4 {
        let count = UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))
        dropped = isSwapped ? count.byteSwapped : count
      }
    }
    if dropped > 0 {
      interfaces[number].dropped &+= dropped
      sink.report(
        CaptureProblem(
          .framesLost, at: position, found: "\(dropped) packets dropped before this one", expected: "none", count: dropped))
    }
    let packet = UnsafeRawBufferPointer(rebasing: body[20..<20 + captured])
    let time = UInt64(word(body, 4)) << 32 | UInt64(word(body, 8))
    emit(packet, interfaces[number], nanoseconds(time, interfaces[number]), direction, position, &sink)
  }

  /// What an interface dropped since the capture began: what no packet told was lost behind the last one.
  private mutating func statistics<Sink: RecordSink>(
    _ body: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, _ sink: inout Sink
  ) {
    guard body.count >= 12 else { return }
    let number = Int(word(body, 0))
    guard number < interfaces.count else { return }
    var total: UInt64 = 0
    eachOption(body, from: 12) { code, value in
      guard code == 5, value.count >= 8 else { return }
      let count = UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))
      total = isSwapped ? count.byteSwapped : count
    }
    // All ones: the recorder did not know.
    guard total > interfaces[number].dropped, total < .max else { return }
    let news = total - interfaces[number].dropped
    interfaces[number].dropped = total
    sink.report(
      CaptureProblem(
        .framesLost, at: position, found: "\(news) packets dropped that no packet tells", expected: "none", count: news))
  }

  private mutating func simplePacket<Sink: RecordSink>(
    _ body: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, _ sink: inout Sink
  ) {
    guard body.count >= 4, let interface = interfaces.first else {
      return sink.report(
        CaptureProblem(.damaged, at: position, found: "a simple packet", expected: "an interface described before it"))
    }
    var length = min(Int(word(body, 0)), body.count - 4)
    if interface.snapLength > 0 { length = min(length, Int(interface.snapLength)) }
    emit(UnsafeRawBufferPointer(rebasing: body[4..<4 + length]), interface, nil, .unknown, position, &sink)
  }

  private mutating func emit<Sink: RecordSink>(
    _ packet: UnsafeRawBufferPointer, _ interface: Interface, _ time: Int64?, _ direction: Direction,
    _ position: CaptureProblem.Position, _ sink: inout Sink
  ) {
    var record = CANRecord()
    record.time.nanoseconds = time ?? 0
    record.precision = time == nil ? .none : interface.precision
    record.bus = interface.bus
    record.direction = direction
    switch LinkLayer.decode(packet, interface.type, into: &record.frame) {
    case .frame: sink.receive(record)
    case .side(let kind):
      sink.receive(
        SideRecord(
          kind: kind, time: record.time, precision: record.precision, bus: record.bus, direction: direction, bytes: Array(packet)))
    case .foreign(let what):
      ignoredBlocks &+= 1
      sink.report(CaptureProblem(.foreign, at: position, found: what, expected: "a classic or FD frame"))
    case .damaged(let found, let expected): sink.report(CaptureProblem(.damaged, at: position, found: found, expected: expected))
    }
  }

  private func nanoseconds(_ ticks: UInt64, _ interface: Interface) -> Int64 {
    if interface.nanosecondsPerTick > 0 { return Int64(bitPattern: ticks &* interface.nanosecondsPerTick) &+ interface.offset }
    let seconds = ticks / interface.ticksPerSecond
    let rest = ticks % interface.ticksPerSecond
    let product = rest.multipliedFullWidth(by: 1_000_000_000)
    let fraction = interface.ticksPerSecond.dividingFullWidth(product).quotient
    return Int64(bitPattern: seconds &* 1_000_000_000 &+ fraction) &+ interface.offset
  }

  // MARK: Damage

  /// Looks for the next place that can be a block: a packet or section block whose two lengths agree.
  private mutating func lost<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, found: String, _ isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    if !isLost { report(position, found, &sink) }
    isLost = true
    if let place = nextBlock(bytes, from: 4, isWhole: false) { return place }
    return isEnd ? bytes.count : max(4, (bytes.count - 12) & ~3)
  }

  private func report<Sink: RecordSink>(_ position: CaptureProblem.Position, _ found: String, _ sink: inout Sink) {
    sink.report(
      CaptureProblem(.damaged, at: position, found: found, expected: "a block whose lengths agree; going on at the next one"))
  }

  /// The next place that can be the start of a block; with `isWhole` its end must be in reach as well.
  private func nextBlock(_ bytes: UnsafeRawBufferPointer, from start: Int, isWhole: Bool) -> Int? {
    var place = start
    while place + 12 <= bytes.count {
      if isPlausible(bytes, place), !isWhole || place + Int(word(bytes, place + 4)) <= bytes.count { return place }
      place += 4
    }
    return nil
  }

  private func isPlausible(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> Bool {
    let type = word(bytes, place)
    guard type == 6 || type == 1 || type == 5 || type == 0x0A0D_0D0A else { return false }
    let total = Int(word(bytes, place + 4))
    guard total >= 12, total % 4 == 0, total <= Int(PcapngReader.largestBlock) else { return false }
    guard place + total <= bytes.count else { return true }
    return word(bytes, place + total - 4) == UInt32(total)
  }

  private func cut<Sink: RecordSink>(
    _ bytes: UnsafeRawBufferPointer, _ position: CaptureProblem.Position, _ expected: String, _ isEnd: Bool, _ sink: inout Sink
  ) -> Int {
    guard isEnd else { return 0 }
    if !isLost {
      sink.report(CaptureProblem(.truncated, at: position, found: "\(bytes.count) bytes up to the end", expected: expected))
    }
    return bytes.count
  }

  // MARK: Numbers

  private func raw(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  private func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    isSwapped ? raw(bytes, offset).byteSwapped : raw(bytes, offset)
  }

  private func half(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt16 {
    let value = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    return isSwapped ? value.byteSwapped : value
  }

  private func eachOption(_ body: UnsafeRawBufferPointer, from start: Int, _ take: (UInt16, UnsafeRawBufferPointer) -> Void) {
    var place = start
    while place + 4 <= body.count {
      let code = half(body, place)
      let length = Int(half(body, place + 2))
      guard code != 0, place + 4 + length <= body.count else { return }
      take(code, UnsafeRawBufferPointer(rebasing: body[place + 4..<place + 4 + length]))
      place += 4 + (length + 3) & ~3
    }
  }
}

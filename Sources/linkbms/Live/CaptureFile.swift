import Bus
import Formats
import HostIO

/// A capture being written while it happens: whole blocks or lines leave at least once a second, so that whatever ends the process
/// leaves a readable file.
final class CaptureFile {
  /// Where the bytes go.
  private enum Place {
    case file(ByteOutput)
    /// With the data of the job, at once: somebody reads along.
    case output(JobOutput)
  }

  private let path: String
  private let format: CaptureFormat
  private let buses: [String]
  private let rotation: Rotation?
  private let buffer = makeOutput(capacity: 1 << 18)
  private var writer: any CaptureWriter
  private var place: Place
  private var number = 0
  /// Files of this run, oldest first.
  private(set) var names: [String] = []
  /// Files of earlier starts that count among those to keep, oldest first.
  private var earlier: [String] = []
  /// Bytes in the present file, those that wait included.
  private var flushed: UInt64 = 0
  /// Whether the present file holds a record.
  private var holdsRecords = false
  private var began_ns: Int64
  private var flushed_ns: Int64
  /// The time that was passed in last.
  private var woken: LiveTime
  private var pendingLoss: [UInt64]
  private var totalLoss: [UInt64]
  /// Frames lost since the present file began.
  private var fileLoss: [UInt64]

  /// From write to write at most.
  static let flushInterval_ns: Int64 = 500_000_000
  /// Bytes that wait at most.
  static let mostPending = 1 << 17

  /// - Parameter output: goes there instead of into a file.
  init(
    _ path: String, _ format: CaptureFormat, buses: [String], rotation: Rotation?, output: JobOutput? = nil, _ now: LiveTime
  ) throws(WorldError) {
    self.path = path
    self.format = format
    self.buses = buses
    self.rotation = rotation
    writer = CaptureFile.writer(format)
    if let output {
      place = .output(output)
      names = ["standard output"]
    } else {
      var name = path
      if let rotation {
        let there = Rotation.numbers(path)
        // Behind the latest and not in the first gap: the order of the numbers is that of time, also where old ones were removed.
        number = there.last ?? 0
        name = CaptureFile.freeName(path, &number)
        // What has lines beside it is a run's recording.
        let recordings = Set(RecordingFiles.numbers(path))
        if rotation.keep != nil { earlier = there.filter { !recordings.contains($0) }.map { Rotation.name(path, $0) } }
      }
      place = .file(try CaptureFile.open(name))
      names = [name]
    }
    began_ns = now.monotonic_ns
    flushed_ns = now.monotonic_ns
    woken = now
    pendingLoss = buses.map { _ in 0 }
    totalLoss = pendingLoss
    fileLoss = pendingLoss
    begin()
  }

  deinit { freeOutput(buffer) }

  /// The writer of a format.
  static func writer(_ format: CaptureFormat) -> any CaptureWriter {
    switch format {
    case .pcap: PcapWriter()
    case .pcapng: PcapngWriter()
    case .asc: ASCWriter()
    case .trc: TRCWriter()
    case .savvycan: SavvyCANWriter()
    case .pythonCAN: PythonCANWriter()
    case .candump, .candumpConsole, .batteryEmulator, .pasted, .analyser, .vcd: CandumpWriter()
    }
  }

  /// Something that was recorded once is not written over by a slip.
  private static func open(_ name: String) throws(WorldError) -> ByteOutput {
    if let facts = try? FileFacts(path: name), facts.isRegular, facts.size > 0 {
      throw WorldError(message: "\(name): is there already: name another file, or remove it first")
    }
    // Appending opens the file itself: a replacement that is renamed at the end would be lost with the process.
    do throws(OutputError) { return try ByteOutput(path: name, appending: true) } catch { throw WorldError(error, writing: name) }
  }

  /// The next name behind `number`, which becomes its own.
  private static func freeName(_ path: String, _ number: inout Int) -> String {
    // Another program may take numbers at the same time, not so many.
    let last = number + 1000
    repeat { number += 1 } while InputFile.exists(Rotation.name(path, number)) && number < last
    return Rotation.name(path, number)
  }

  private func begin() {
    writer.begin(into: &buffer.pointee)
    for (index, name) in buses.enumerated() { writer.addBus(BusID(UInt16(index)), named: name, into: &buffer.pointee) }
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 {
    guard let time_ns = rotation?.time_ns else { return nextFlush_ns }
    return min(nextFlush_ns, began_ns &+ time_ns)
  }

  private var nextFlush_ns: Int64 {
    guard buffer.pointee.count > 0 else { return .max }
    if case .output = place { return woken.monotonic_ns }
    return flushed_ns &+ CaptureFile.flushInterval_ns
  }

  /// One frame. Allocates nothing, but where it goes on in another file.
  func write(_ record: borrowing CANRecord) throws(WorldError) {
    let bus = Int(record.bus.index)
    if bus < pendingLoss.count, pendingLoss[bus] > 0 {
      try writeLoss(bus, record)
    } else {
      writer.write(record, into: &buffer.pointee)
    }
    try written()
  }

  /// One record of a chain or a PDU.
  func write(_ record: SideRecord) throws(WorldError) {
    let bus = Int(record.bus.index)
    let lost = bus < pendingLoss.count ? pendingLoss[bus] : 0
    if lost > 0 { pendingLoss[bus] = 0 }
    if lost > 0, var pcapng = writer as? PcapngWriter {
      pcapng.write(
        record, comments: ["\(lost) lines lost before this one: the tap's line was too slow"], lostBefore: lost,
        into: &buffer.pointee)
      writer = pcapng
    } else {
      if lost > 0, writer is CandumpWriter { writeDropCount(lost, bus) }
      writer.write(record, into: &buffer.pointee)
    }
    try written()
  }

  /// A remark between the records, where the format has room for one.
  func write(remark text: String) {
    if writer is CandumpWriter { buffer.pointee.append(string: "# \(text)\n") }
  }

  private func written() throws(WorldError) {
    if !holdsRecords {
      holdsRecords = true
      // Not before: a start that hears nothing pushes out nothing.
      removeOld()
    }
    if buffer.pointee.count >= CaptureFile.mostPending { try flush() }
    // Here and not only in `wake`: after a stall, one batch of records may be many files' worth.
    if let rotation, let limit = rotation.bytes, flushed &+ UInt64(buffer.pointee.count) >= limit { try rotate(woken) }
  }

  /// Frames were lost: the next record of that bus tells it, in the format's own way.
  func lost(_ frames: UInt64, bus: Int) {
    guard bus < pendingLoss.count else { return }
    pendingLoss[bus] &+= frames
    totalLoss[bus] &+= frames
    fileLoss[bus] &+= frames
  }

  private func writeLoss(_ bus: Int, _ record: borrowing CANRecord) throws(WorldError) {
    let count = pendingLoss[bus]
    pendingLoss[bus] = 0
    if var pcapng = writer as? PcapngWriter {
      pcapng.write(
        record, comments: ["\(count) frames lost before this one: the recorder was too slow"], lostBefore: count,
        into: &buffer.pointee)
      writer = pcapng
      return
    }
    if writer is CandumpWriter { writeDropCount(count, bus) }
    writer.write(record, into: &buffer.pointee)
  }

  /// candump's own words.
  private func writeDropCount(_ count: UInt64, _ bus: Int) {
    buffer.pointee.append(string: CaptureFile.dropCount(count, on: buses[bus], total: totalLoss[bus]))
  }

  /// A line that says how many frames were lost.
  static func dropCount(_ count: UInt64, on bus: String, total: UInt64) -> String {
    "DROPCOUNT: dropped \(count) CAN frame\(count == 1 ? "" : "s") on '\(bus)' socket (total drops \(total))\n"
  }

  /// No record of that bus came any more that could tell what was lost.
  private func writeLastLosses() {
    for bus in pendingLoss.indices where pendingLoss[bus] > 0 {
      if var pcapng = writer as? PcapngWriter {
        pcapng.write(
          lost: fileLoss[bus], on: BusID(UInt16(truncatingIfNeeded: bus)), at: Timestamp(nanoseconds: woken.wall_ns),
          comment: "\(pendingLoss[bus]) of them after the last one here", into: &buffer.pointee)
        writer = pcapng
      } else if writer is CandumpWriter {
        writeDropCount(pendingLoss[bus], bus)
      }
      pendingLoss[bus] = 0
    }
  }

  /// Writes what has waited long enough, and goes on in another file where this one is full.
  func wake(_ now: LiveTime) throws(WorldError) {
    woken = now
    if now.monotonic_ns >= nextFlush_ns { try flush() }
    if buffer.pointee.count == 0 { flushed_ns = now.monotonic_ns }
    try turn(now)
  }

  /// Goes on in another file where this one is full or its time is over. One without a record begins its time anew: files of silence
  /// would push out those that are kept.
  func turn(_ now: LiveTime) throws(WorldError) {
    guard let rotation else { return }
    let age = now.monotonic_ns &- began_ns
    guard rotation.isFull(bytes: flushed &+ UInt64(buffer.pointee.count), age_ns: age) else { return }
    if holdsRecords { try rotate(now) } else { began_ns = now.monotonic_ns }
  }

  private func rotate(_ now: LiveTime) throws(WorldError) {
    try close()
    let name = CaptureFile.freeName(path, &number)
    place = .file(try CaptureFile.open(name))
    names.append(name)
    removeOld()
    writer = CaptureFile.writer(format)
    flushed = 0
    holdsRecords = false
    fileLoss = fileLoss.map { _ in 0 }
    began_ns = now.monotonic_ns
    begin()
  }

  /// Removes what is too much, oldest first, those of earlier starts before those of this one.
  private func removeOld() {
    guard let keep = rotation?.keep else { return }
    while earlier.count + names.count > max(1, keep) {
      FileNames.remove(earlier.isEmpty ? names.removeFirst() : earlier.removeFirst())
    }
  }

  private func flush() throws(WorldError) {
    guard case .file(let file) = place else { return handOver() }
    let failure = buffer.pointee.withBytes { bytes -> OutputError? in
      do throws(OutputError) {
        try file.write(bytes)
        try file.flush()
        return nil
      } catch { return error }
    }
    flushed &+= UInt64(buffer.pointee.count)
    buffer.pointee.removeAll()
    if let failure { throw WorldError(failure, writing: names.last ?? path) }
  }

  private func handOver() {
    guard case .output(let output) = place else { return }
    buffer.pointee.withBytes { bytes in output.data.pointee.append(bytes: bytes) }
    flushed &+= UInt64(buffer.pointee.count)
    buffer.pointee.removeAll()
  }

  /// Writes what is left.
  func close() throws(WorldError) {
    writeLastLosses()
    writer.finish(into: &buffer.pointee)
    try flush()
    if case .file(let file) = place { file.close() }
  }
}

import Bus
import Formats
import HostIO

/// A capture being written while it happens: whole blocks or lines leave at least once a second, so that whatever ends the process
/// leaves a readable file.
final class CaptureFile {
  private let path: String
  private let format: CaptureFormat
  private let buses: [String]
  private let rotation: Rotation?
  private let buffer = makeOutput(capacity: 1 << 18)
  private var writer: any CaptureWriter
  private var file: ByteOutput
  private var number = 0
  /// Files of this run, oldest first.
  private(set) var names: [String] = []
  /// Bytes in the present file, those that wait included.
  private var flushed: UInt64 = 0
  private var began_ns: Int64
  private var flushed_ns: Int64
  /// The time that was passed in last.
  private var woken: LiveTime
  private var pendingLoss: [UInt64]
  private var totalLoss: [UInt64]

  /// From write to write at most.
  static let flushInterval_ns: Int64 = 500_000_000
  /// Bytes that wait at most.
  static let mostPending = 1 << 17

  init(
    _ path: String, _ format: CaptureFormat, buses: [String], rotation: Rotation?, _ now: LiveTime
  ) throws(WorldError) {
    self.path = path
    self.format = format
    self.buses = buses
    self.rotation = rotation
    writer = CaptureFile.writer(format)
    let name = rotation == nil ? path : CaptureFile.freeName(path, &number)
    file = try CaptureFile.open(name)
    names = [name]
    began_ns = now.monotonic_ns
    flushed_ns = now.monotonic_ns
    woken = now
    pendingLoss = buses.map { _ in 0 }
    totalLoss = pendingLoss
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

  private static func freeName(_ path: String, _ number: inout Int) -> String {
    repeat { number += 1 } while InputFile.exists(Rotation.name(path, number)) && number < 1_000_000
    return Rotation.name(path, number)
  }

  private func begin() {
    writer.begin(into: &buffer.pointee)
    for (index, name) in buses.enumerated() { writer.addBus(BusID(UInt16(index)), named: name, into: &buffer.pointee) }
  }

  /// When `wake` is wanted, monotonic ns.
  var nextWake_ns: Int64 { buffer.pointee.count > 0 ? flushed_ns &+ CaptureFile.flushInterval_ns : .max }

  /// One frame. Allocates nothing, but where it goes on in another file.
  func write(_ record: borrowing CANRecord) throws(WorldError) {
    let bus = Int(record.bus.index)
    if bus < pendingLoss.count, pendingLoss[bus] > 0 {
      try writeLoss(bus, record)
    } else {
      writer.write(record, into: &buffer.pointee)
    }
    if buffer.pointee.count >= CaptureFile.mostPending { try flush() }
    // Here and not only in `wake`: after a stall, one batch of records may be many files' worth.
    if let rotation, let limit = rotation.bytes, flushed &+ UInt64(buffer.pointee.count) >= limit { try rotate(woken, rotation) }
  }

  /// Frames were lost: the next record of that bus tells it, in the format's own way.
  func lost(_ frames: UInt64, bus: Int) {
    guard bus < pendingLoss.count else { return }
    pendingLoss[bus] &+= frames
    totalLoss[bus] &+= frames
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
    if writer is CandumpWriter {
      // candump's own words.
      buffer.pointee.append(
        string:
          "DROPCOUNT: dropped \(count) CAN frame\(count == 1 ? "" : "s") on '\(buses[bus])' socket (total drops \(totalLoss[bus]))\n"
      )
    }
    writer.write(record, into: &buffer.pointee)
  }

  /// Writes what has waited long enough, and goes on in another file where this one is full.
  func wake(_ now: LiveTime) throws(WorldError) {
    woken = now
    if now.monotonic_ns >= nextWake_ns { try flush() }
    if buffer.pointee.count == 0 { flushed_ns = now.monotonic_ns }
    guard let rotation else { return }
    let age = now.monotonic_ns &- began_ns
    if rotation.isFull(bytes: flushed &+ UInt64(buffer.pointee.count), age_ns: age) { try rotate(now, rotation) }
  }

  private func rotate(_ now: LiveTime, _ rotation: Rotation) throws(WorldError) {
    try close()
    let name = CaptureFile.freeName(path, &number)
    file = try CaptureFile.open(name)
    names.append(name)
    if let keep = rotation.keep {
      while names.count > max(1, keep) { FileNames.remove(names.removeFirst()) }
    }
    writer = CaptureFile.writer(format)
    flushed = 0
    began_ns = now.monotonic_ns
    begin()
  }

  private func flush() throws(WorldError) {
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

  /// Writes what is left.
  func close() throws(WorldError) {
    writer.finish(into: &buffer.pointee)
    try flush()
    file.close()
  }
}

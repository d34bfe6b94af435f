import Analysis
import Bus
import Formats
import HostIO

/// `capture`: what passes on live buses, into a file, onto the terminal, or both. It never sends.
final class CaptureJob: LiveJob {
  let context: JobContext
  private let file: CaptureFile?
  private let decoder: LiveDecoder?
  /// Where the decoder writes, if the capture itself goes to standard output: it is shown beside it.
  private let decoded: JobOutput?
  /// Plain candump lines, where nothing else was asked for.
  private var plain: CandumpWriter?
  private let ids: IDFilter?
  private let limit: UInt64?
  private let triggers: TriggerWatch?
  /// CAN buses; those of taps have the numbers behind.
  private let canCount: Int
  /// Frames taken.
  private(set) var frames: UInt64 = 0

  /// - Parameters:
  ///   - decoded: where the decoder writes, if that is not the job's own output.
  ///   - limit: ends after so many frames.
  init(
    _ context: JobContext, file: CaptureFile?, decoder: LiveDecoder?, decoded: JobOutput? = nil, ids: IDFilter? = nil,
    limit: UInt64? = nil, triggers: TriggerWatch? = nil
  ) {
    self.context = context
    self.file = file
    self.decoder = decoder
    self.decoded = decoded
    self.ids = ids
    self.limit = limit
    self.triggers = triggers
    canCount = context.canBuses.count
    if file == nil, decoder == nil, triggers == nil {
      // Readers of CAN logs may refuse directions; of a tap's lines they are a part.
      var writer = CandumpWriter(direction: canCount == 0)
      for (index, name) in context.allBuses.enumerated() {
        writer.addBus(BusID(UInt16(index)), named: name, into: &context.output.data.pointee)
      }
      plain = writer
    }
  }

  var nextWake_ns: Int64 { min(file?.nextWake_ns ?? .max, decoder?.nextWake_ns ?? .max, triggers?.nextWake_ns ?? .max) }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    // A trigger looks at everything: what a filter takes away would look like silence to it.
    triggers?.take(record, now)
    if let ids, !ids.takes(record.frame) { return }
    plain?.write(record, into: &context.output.data.pointee)
    decoder?.take(record, now)
    do throws(WorldError) {
      try file?.turn(now)
      try file?.write(record)
    } catch { return context.fail(error.message) }
    count()
  }

  /// What taps have said, in its order. Where a filter speaks of IDs, only CAN frames pass.
  private func takeFromTaps(_ now: LiveTime) throws(WorldError) {
    for content in context.takeFromTaps() where !context.isDone {
      switch content {
      case .record(let record):
        guard ids == nil else { continue }
        plain?.write(record, into: &context.output.data.pointee)
        decoder?.take(record)
        try file?.turn(now)
        try file?.write(record)
        count()
      case .remark(let text): file?.write(remark: text)
      case .dropped(let count): file?.lost(count, bus: canCount)
      case .strange(let line): context.noteStrange(line)
      }
    }
  }

  private func count() {
    frames &+= 1
    if let limit, frames >= limit { context.isDone = true }
  }

  /// What a tap's line lost stands among its lines.
  func lost(_ frames: UInt64, port: Int, _ now: LiveTime) {
    guard port < canCount else { return }
    file?.lost(frames, bus: port)
    triggers?.lost(frames, bus: port, now)
  }

  func wake(_ now: LiveTime) {
    do throws(WorldError) { try takeFromTaps(now) } catch { return context.fail(error.message) }
    decoder?.wake(now)
    triggers?.wake(now)
    showDecoded()
    do throws(WorldError) { try file?.wake(now) } catch { context.fail(error.message) }
  }

  func finish(_ now: LiveTime) {
    decoder?.finish()
    triggers?.finish(now)
    showDecoded()
    do throws(WorldError) { try file?.close() } catch { context.fail(error.message) }
    guard let file else { return }
    let name = file.names.count == 1 ? file.names[0] : "\(file.names.count) files, the last \(file.names.last ?? "")"
    context.output.note("linkbms: \(context.buses): \(frames) frames in \(name)")
  }

  private func showDecoded() {
    guard let decoded, decoded.data.pointee.count > 0 else { return }
    for line in decoded.takeText().split(separator: "\n") { context.output.note(String(line)) }
  }
}

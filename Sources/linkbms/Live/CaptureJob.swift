import Analysis
import Bus
import Formats
import HostIO

/// `capture`: what passes on live buses, into a file, onto the terminal, or both. It never sends.
final class CaptureJob: LiveJob {
  let context: JobContext
  private let file: CaptureFile?
  private let decoder: LiveDecoder?
  /// Plain candump lines, where nothing else was asked for.
  private var plain: CandumpWriter?
  private let ids: IDFilter?
  private let limit: UInt64?
  private let triggers: TriggerWatch?
  /// Frames taken.
  private(set) var frames: UInt64 = 0

  /// - Parameter limit: ends after so many frames.
  init(
    _ context: JobContext, file: CaptureFile?, decoder: LiveDecoder?, ids: IDFilter? = nil, limit: UInt64? = nil,
    triggers: TriggerWatch? = nil
  ) {
    self.context = context
    self.file = file
    self.decoder = decoder
    self.ids = ids
    self.limit = limit
    self.triggers = triggers
    if file == nil, decoder == nil, triggers == nil {
      var writer = CandumpWriter(direction: false)
      for (index, port) in context.ports.enumerated() {
        writer.addBus(BusID(UInt16(index)), named: port.name, into: &context.output.data.pointee)
      }
      plain = writer
    }
  }

  var nextWake_ns: Int64 { min(file?.nextWake_ns ?? .max, decoder?.nextWake_ns ?? .max, triggers?.nextWake_ns ?? .max) }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    if let ids, !ids.takes(record.frame) { return }
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    frames &+= 1
    plain?.write(record, into: &context.output.data.pointee)
    decoder?.take(record, now)
    triggers?.take(record, now)
    do throws(WorldError) { try file?.write(record) } catch { return context.fail(error.message) }
    if let limit, frames >= limit { context.isDone = true }
  }

  func lost(_ frames: UInt64, port: Int, _ now: LiveTime) { file?.lost(frames, bus: port) }

  func wake(_ now: LiveTime) {
    decoder?.wake(now)
    triggers?.wake(now)
    do throws(WorldError) { try file?.wake(now) } catch { context.fail(error.message) }
  }

  func finish(_ now: LiveTime) {
    decoder?.finish()
    triggers?.finish(now)
    do throws(WorldError) { try file?.close() } catch { context.fail(error.message) }
    guard let file else { return }
    let name = file.names.count == 1 ? file.names[0] : "\(file.names.count) files, the last \(file.names.last ?? "")"
    context.output.note("linkbms: \(context.buses): \(frames) frames in \(name)")
  }
}

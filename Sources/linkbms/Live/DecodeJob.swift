import Analysis
import Bus
import Formats
import HostIO

/// `decode --live`: every frame by name as it comes.
final class DecodeJob: LiveJob {
  let context: JobContext
  private let decoder: LiveDecoder

  init(_ context: JobContext, _ decoder: LiveDecoder) {
    self.context = context
    self.decoder = decoder
  }

  var nextWake_ns: Int64 { decoder.nextWake_ns }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    decoder.take(record, now)
    if decoder.isSatisfied { context.isDone = true }
  }

  func wake(_ now: LiveTime) {
    for content in context.takeFromTaps() {
      switch content {
      case .record(let record): if !decoder.isSatisfied { decoder.take(record) }
      case .strange(let line): context.noteStrange(line)
      case .remark, .dropped: break
      }
    }
    decoder.wake(now)
    if decoder.isSatisfied { context.isDone = true }
  }

  func finish(_ now: LiveTime) { decoder.finish() }
}

/// `identify --live`, `info --live`: listens for a while and then says what it heard.
final class ListenJob<Sink: RecordSink>: LiveJob {
  let context: JobContext
  private var sink: Sink
  private let report: (Sink, JobContext) -> Void

  /// - Parameter report: shows what was heard, at the end.
  init(_ context: JobContext, _ sink: Sink, report: @escaping (Sink, JobContext) -> Void) {
    self.context = context
    self.sink = sink
    self.report = report
    for (index, port) in context.ports.enumerated() { self.sink.busAppeared(BusID(UInt16(index)), named: port.name) }
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    sink.receive(record)
  }

  func finish(_ now: LiveTime) { report(sink, context) }
}

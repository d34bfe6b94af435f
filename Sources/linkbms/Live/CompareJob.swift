import Analysis
import Bus
import Formats
import HostIO

/// `compare --live`: gathers what live buses say, for a comparison at the end. It never sends.
final class CompareJob: LiveJob {
  let context: JobContext
  private let show: ([TraceProfile], JobContext) -> Void
  private var profiles: LiveProfiles

  /// - Parameter show: shows what came out at the end; it is given the buses on which something was heard.
  init(_ context: JobContext, _ library: DefinitionLibrary, show: @escaping ([TraceProfile], JobContext) -> Void) {
    self.context = context
    self.show = show
    profiles = LiveProfiles(library, buses: context.ports.map(\.name))
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    var record = record
    record.bus = BusID(UInt16(truncatingIfNeeded: port))
    profiles.receive(record)
  }

  func finish(_ now: LiveTime) { show(profiles.heard(), context) }
}

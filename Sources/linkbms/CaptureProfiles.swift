import Analysis
import Bus
import Formats

/// Captures prepared for comparison, a profile for each bus.
enum CaptureProfiles {
  /// Reads a capture.
  static func read(_ path: String, _ library: DefinitionLibrary, in world: inout some World) throws -> [TraceProfile] {
    var capture = try CaptureInput(path: path, format: nil)
    var census = TrafficCensus()
    try capture.peekRecords(bytes: TableChooser.identifyingBytes, into: &census)
    let verdicts = ProtocolIdentifier(library).identify(census)
    var sink = ProfileSink(profiles: verdicts.map { TraceProfile(library, $0) })
    var progress = Progress(of: capture.name, world.terminal)
    while try capture.readWindow(into: &sink) {
      if world.isInterrupted { break }
      world.show(&progress, capture.progress)
    }
    world.end(&progress)
    return sink.profiles.filter { !$0.voices.isEmpty }
  }

  /// The bus of the same name, or the one that speaks the same, or the same place. `mine` has at least one.
  static func partner(of other: TraceProfile, at index: Int, in mine: [TraceProfile]) -> TraceProfile {
    mine.first { $0.identification.bus == other.identification.bus }
      ?? mine.first { $0.identification.protocolName == other.identification.protocolName } ?? mine[min(index, mine.count - 1)]
  }
}

/// Hands each record to the profile of its bus.
private struct ProfileSink: RecordSink {
  var profiles: [TraceProfile]
  mutating func busAppeared(_ bus: BusID, named name: String) {
    for index in profiles.indices { profiles[index].busAppeared(bus, named: name) }
  }
  mutating func receive(_ record: borrowing CANRecord) {
    for index in profiles.indices { profiles[index].receive(record) }
  }
  mutating func receive(_ record: SideRecord) {
    for index in profiles.indices { profiles[index].receive(record) }
  }
  mutating func report(_ problem: CaptureProblem) {}
}

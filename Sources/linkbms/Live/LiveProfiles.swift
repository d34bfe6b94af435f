import Analysis
import Bus
import Formats

/// Live buses prepared for comparison with a known-good capture. Sans-IO.
///
/// What is spoken is found out as it is in a capture, from a long first part: with less, a bus could be read otherwise than the reference,
/// and that alone would be a difference.
struct LiveProfiles {
  private let library: DefinitionLibrary
  private let buses: [String]
  private var census = TrafficCensus()
  /// The first part, until it is known what is spoken.
  private var early: [CANRecord] = []
  private var profiles: [TraceProfile]?

  /// Frames of the first part: minutes of any of these protocols.
  static let mostEarly = 50_000

  /// - Parameter buses: their names, in the order of the numbers that records give them.
  init(_ library: DefinitionLibrary, buses: [String]) {
    self.library = library
    self.buses = buses
    for (index, name) in buses.enumerated() { census.busAppeared(BusID(UInt16(truncatingIfNeeded: index)), named: name) }
  }

  /// One frame.
  mutating func receive(_ record: CANRecord) {
    guard profiles == nil else { return hand(record) }
    census.receive(record)
    early.append(record)
    if early.count >= LiveProfiles.mostEarly { begin() }
  }

  /// The buses on which something was heard.
  mutating func heard() -> [TraceProfile] {
    if profiles == nil { begin() }
    return (profiles ?? []).filter { !$0.voices.isEmpty }
  }

  private mutating func begin() {
    var fresh = ProtocolIdentifier(library).identify(census).map { TraceProfile(library, $0) }
    for profile in fresh.indices {
      for (index, name) in buses.enumerated() {
        fresh[profile].busAppeared(BusID(UInt16(truncatingIfNeeded: index)), named: name)
      }
    }
    profiles = fresh
    for record in early { hand(record) }
    early = []
  }

  private mutating func hand(_ record: CANRecord) {
    guard let count = profiles?.count else { return }
    for index in 0..<count { profiles?[index].receive(record) }
  }
}

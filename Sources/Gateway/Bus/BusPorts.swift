import Analysis
import Bus
import Formats

/// The inverter's ports, each followed for itself: what is said at one is no answer at another, and the same frame at both is no fault.
struct BusPorts: Sendable {
  /// One port.
  struct Port: Sendable {
    var name: String
    var analysis: BusAnalysis
    var report: BusAnalysis.Report
  }
  /// Ports that are followed; frames of others are left out.
  static let most = 4

  private let library: DefinitionLibrary
  private let book: RuleBook
  private(set) var ports: [Port] = []

  /// - Parameter names: ports that are known beforehand; others come with their first frame.
  init(_ names: [String], _ library: DefinitionLibrary, _ book: RuleBook) {
    self.library = library
    self.book = book
    for name in names.prefix(BusPorts.most) { add(name) }
    if ports.isEmpty { add("can0") }
  }

  private mutating func add(_ name: String) {
    let analysis = BusAnalysis(library, book, name: name)
    ports.append(Port(name: name, analysis: analysis, report: analysis.report))
  }

  /// Takes frames in the order in which they passed.
  mutating func take(_ frames: [CANRecord]) {
    for frame in frames {
      let place = Int(frame.bus.index)
      guard place < BusPorts.most else { continue }
      while ports.count <= place { add("can\(ports.count)") }
      ports[place].analysis.take([frame])
    }
  }

  /// Judges each port.
  mutating func judge() { for place in ports.indices { ports[place].report = ports[place].analysis.report } }
}

/// What is shown of one port.
struct BusView: Sendable {
  /// Names of all ports.
  var ports: [String]
  /// Place of the one that is shown.
  var place: Int
  var lines: [BusAnalysis.Line]
  var report: BusAnalysis.Report
  /// Its name.
  var port: String { ports[place] }
}

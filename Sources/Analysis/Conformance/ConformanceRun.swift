public import Bus
public import Formats
import Protocols

/// What a person knows beyond the capture.
public struct SiteFacts: Sendable {
  /// Cells in series.
  public var cells: Int?
  /// Ah.
  public var capacity_Ah: Double?
  /// A name of the rule book's inverters.
  public var inverter: String?
  /// The protocol that is meant, where somebody said it.
  public var protocolName: String?
  /// Its variant.
  public var variant: String?
  /// Nothing known.
  public init() {}
}

/// Runs a capture, or a live bus, past the expected state machine of its protocol and the rules. Sans-IO: records go in, findings come out.
public struct ConformanceRun: RecordSink, Sendable {
  let library: DefinitionLibrary
  let book: RuleBook
  let site: SiteFacts
  private(set) var buses: [BusWatch] = []
  private let keepsSeries: Bool
  private let identifications: [String: BusIdentification]
  /// Records of any kind.
  public private(set) var records: UInt64 = 0
  private(set) var backwards: UInt64 = 0
  private(set) var firstBackwards: RecordMark?
  private(set) var longestStepBack: Int64 = 0
  private(set) var lost: UInt64 = 0
  private(set) var damaged: UInt64 = 0
  private(set) var firstDamage: CaptureProblem?
  private var lastTime: Int64 = .min

  /// - Parameters:
  ///   - verdicts: what the first part of the capture says of each bus.
  ///   - keepsSeries: whether the main values are kept for charts.
  public init(
    _ library: DefinitionLibrary, _ book: RuleBook, _ site: SiteFacts, verdicts: [BusIdentification], keepsSeries: Bool = false
  ) {
    self.keepsSeries = keepsSeries
    self.library = library
    self.book = book
    self.site = site
    identifications = Dictionary(verdicts.map { ($0.bus, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// A new bus.
  public mutating func busAppeared(_ bus: BusID, named name: String) {
    var verdict = identifications[name] ?? BusIdentification(bus: name)
    if let wanted = site.protocolName, let definition = library.definition(wanted) {
      // Named by a person: readings that were found for the same family are kept.
      if verdict.protocolName != wanted {
        verdict.protocolName = wanted
        verdict.readings = [:]
        verdict.variant = nil
      }
      verdict.variant = site.variant ?? verdict.variant ?? definition.sidecar.variants.first?.name
    }
    let definition = verdict.protocolName.flatMap { library.definition($0) }
    let link = definition?.link(variant: verdict.variant, readings: verdict.readings)
    buses.append(BusWatch(name, verdict, link, book, cells: site.cells, keepsSeries: keepsSeries))
  }

  /// A frame.
  public mutating func receive(_ record: borrowing CANRecord) {
    records &+= 1
    if record.precision != .none {
      let time = record.time.nanoseconds
      if time < lastTime { stepBack(lastTime &- time, time) }
      lastTime = time
    }
    let index = Int(record.bus.index)
    if index < buses.count { buses[index].take(record, number: records) }
  }

  private mutating func stepBack(_ by: Int64, _ time: Int64) {
    // Interfaces are interleaved within a millisecond; that is no clock that was set.
    guard by > 1_000_000 else { return }
    backwards &+= 1
    longestStepBack = max(longestStepBack, by)
    if firstBackwards == nil { firstBackwards = RecordMark(record: records, time: Timestamp(nanoseconds: time)) }
  }

  /// Chain and PDU records have rules of their own (`ChainConversation`).
  public mutating func receive(_ record: SideRecord) {
    records &+= 1
    let index = Int(record.bus.index)
    if index < buses.count { buses[index].sideRecords &+= 1 }
  }

  /// What is wrong with the capture itself.
  public mutating func report(_ problem: CaptureProblem) {
    if problem.kind == .framesLost { lost &+= 1 } else { damaged &+= 1 }
    if firstDamage == nil { firstDamage = problem }
  }

  /// Everything has been seen: the diagnosis.
  /// - Parameter comparisons: what a known-good capture says otherwise, by bus (R28).
  public mutating func diagnose(besides comparisons: [(bus: String, comparison: TraceComparison)] = []) -> Diagnosis {
    for index in buses.indices { buses[index].finish() }
    return Diagnosis(self, comparisons)
  }
}

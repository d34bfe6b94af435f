import Controller
import Formats

/// The manual's "Cell Count", the number of detected cells: what the last scan of each enabled chain held, against the configuration.
struct CellCount {
  /// Cells of all enabled chains; `nil` before each of them has delivered a scan.
  var found: Int?
  /// What is not as configured, in words; empty where nothing is.
  var differences: [String] = []

  init(_ snapshot: Snapshot) {
    guard snapshot.values.hasCells else { return }
    let chains = ChainNumber.allCases.filter { snapshot.configuration.slaves($0) > 0 }
    found = chains.reduce(0) { $0 + Int(snapshot.readings.cellCounts[$1.index]) }
    differences = chains.flatMap { CellCount.differences(snapshot, $0) }
  }

  /// `96`, or `95 ! BMS1: 95 of 96 cells`.
  var text: String {
    guard let found else { return "–" }
    return differences.isEmpty ? String(found) : "\(found) ! \(differences.joined(separator: ", "))"
  }

  private static func differences(_ snapshot: Snapshot, _ chain: ChainNumber) -> [String] {
    let modules = Int(snapshot.readings.moduleCounts[chain.index])
    let cells = Int(snapshot.readings.cellCounts[chain.index])
    let wantedModules = snapshot.configuration.slaves(chain)
    let wantedCells = wantedModules * snapshot.configuration.cellsPerModule(chain)
    var words: [String] = []
    if modules != wantedModules { words.append("\(chain.word): \(modules) of \(wantedModules) modules") }
    if cells != wantedCells { words.append("\(chain.word): \(cells) of \(wantedCells) cells") }
    return words
  }
}

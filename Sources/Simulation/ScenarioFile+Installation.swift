import Controller
import Formats

/// The scenario's `installation:` section.
enum InstallationReader {
  static let keys = [
    "bms1-cells-per-module", "bms2-cells-per-module", "swapped-sense-wires", "missing-module", "chain-reversed", "current-reversed",
    "cells", "can-on-wrong-port", "open-sensor", "ntc-resistance", "ntc-beta", "output-shorted", "v-in-gain", "v-out-gain",
    "current-gain",
  ]

  static func read(_ node: YAMLNode, _ problems: inout [DefinitionProblem]) -> Installation {
    var installation = Installation()
    for (key, value) in node.pairs("installation", &problems) {
      switch key {
      case "bms1-cells-per-module": installation.cellsPerModule[0] = value.integer(key, in: 7...14, &problems) ?? 0
      case "bms2-cells-per-module": installation.cellsPerModule[1] = value.integer(key, in: 7...14, &problems) ?? 0
      case "swapped-sense-wires":
        if let place = place(value, key, "cell", &problems) { installation.swappedSenseWires.append(place) }
      case "open-sensor": if let place = place(value, key, "sensor", &problems) { installation.openSensors.append(place) }
      case "missing-module":
        if let place = place(value, key, nil, &problems) { installation.missingModule[place.chain.index] = place.module }
      case "chain-reversed":
        if let chain = value.integer(key, in: 1...2, &problems) { installation.isChainReversed[chain - 1] = true }
      case "current-reversed": installation.isCurrentReversed = flag(value, key, &problems)
      case "can-on-wrong-port": installation.isCANOnWrongPort = flag(value, key, &problems)
      case "output-shorted": installation.isOutputShorted = flag(value, key, &problems)
      case "cells":
        switch value.text(key, &problems) {
        case "lfp": installation.isLFP = true
        case "li-ion": installation.isLFP = false
        default: problems.append(value.problem(.value, "cells: found \(value.found), expected lfp, li-ion"))
        }
      case "ntc-resistance": installation.ntcResistance = Int32(value.integer(key, in: 1000...200_000, &problems) ?? 0)
      case "ntc-beta": installation.ntcBeta = Int32(value.integer(key, in: 2000...6000, &problems) ?? 0)
      case "v-in-gain": installation.inputGain = gain(value, key, &problems)
      case "v-out-gain": installation.outputGain = gain(value, key, &problems)
      case "current-gain": installation.currentGain = gain(value, key, &problems)
      default:
        problems.append(value.problem(.unknownKey, "unknown key \"\(key)\"" + NearestName.hint(key, in: keys)))
      }
    }
    return installation
  }

  private static func flag(_ node: YAMLNode, _ key: String, _ problems: inout [DefinitionProblem]) -> Bool {
    switch node.text(key, &problems) {
    case "true": return true
    case "false": return false
    default:
      problems.append(node.problem(.value, "\(key): found \(node.found), expected true, false"))
      return false
    }
  }

  private static func gain(_ node: YAMLNode, _ key: String, _ problems: inout [DefinitionProblem]) -> Double {
    let text = node.text(key, &problems)
    if let value = Double(text), (0.01...100).contains(value) { return value }
    problems.append(node.problem(.value, "\(key): found \(node.found), expected a factor 0.01…100"))
    return 1
  }

  /// `{chain: 1, module: 3, cell: 5}`.
  private static func place(
    _ node: YAMLNode, _ what: String, _ number: String?, _ problems: inout [DefinitionProblem]
  ) -> Installation.Place? {
    var place = Installation.Place(.bms1, module: 1, 1)
    for (key, value) in node.pairs(what, &problems) {
      switch key {
      case "chain": place.chain = value.integer(key, in: 1...2, &problems) == 2 ? .bms2 : .bms1
      case "module": place.module = value.integer(key, in: 1...15, &problems) ?? 1
      case number: place.number = value.integer(key, in: 1...14, &problems) ?? 1
      default: problems.append(value.problem(.unknownKey, "unknown key \"\(key)\""))
      }
    }
    return place
  }
}

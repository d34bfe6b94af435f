public import Controller

/// What outlives a power cut, as a file: `key value` lines and a checksum as the last. Source: spec/controller.md §6.
public enum StateFile {
  /// The file's text.
  public static func text(_ state: PersistentState) -> String {
    var text =
      "linkbms-state 1\ncharge-mAs \(state.charge_mAs)\nestimate \(state.isEstimate)\ndischarged-mAh \(state.discharged_mAh)\n"
    text += "full \(state.isFull)\nempty \(state.isEmpty)\nprecharge-latched \(state.isPrechargeLatched)\n"
    for (slot, time) in state.balanceTimes.enumerated() where time > 0 { text += "balanced \(slot) \(time)\n" }
    return text + "checksum \(Checksum.text(Array(text.utf8)))\n"
  }

  /// Reads it; the error says what is wrong. A file that is not whole is refused whole: half a state is none.
  public static func parse(_ text: String) throws(ConfigurationFile.Problem) -> PersistentState {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.last == "", lines.popLast() != nil, let last = lines.popLast(), last.hasPrefix("checksum ") else {
      throw .init(line: 0, text: "found no checksum as the last line, expected one: the file is cut off")
    }
    let body = lines.map { $0 + "\n" }.joined()
    let right = Checksum.text(Array(body.utf8))
    guard last.dropFirst(9) == right else {
      throw .init(line: lines.count + 1, text: "checksum: found \(last.dropFirst(9)), expected \(right): the file is damaged")
    }
    guard lines.first == "linkbms-state 1" else {
      throw .init(line: 1, text: "found \"\(lines.first?.prefix(40) ?? "")\", expected linkbms-state 1")
    }
    var state = PersistentState()
    state.balanceTimes = [UInt32](repeating: 0, count: 420)
    for (index, line) in lines.enumerated().dropFirst() {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 2, set(words, in: &state) else {
        throw .init(line: index + 1, text: "found \"\(line.prefix(40))\", expected a key and its value")
      }
    }
    return state
  }

  private static func set(_ words: [String], in state: inout PersistentState) -> Bool {
    switch words[0] {
    case "charge-mAs": if let value = Int64(words[1]) { state.charge_mAs = value } else { return false }
    case "estimate": if let value = Bool(words[1]) { state.isEstimate = value } else { return false }
    case "discharged-mAh": if let value = Int64(words[1]) { state.discharged_mAh = value } else { return false }
    case "full": if let value = Bool(words[1]) { state.isFull = value } else { return false }
    case "empty": if let value = Bool(words[1]) { state.isEmpty = value } else { return false }
    case "precharge-latched": if let value = Bool(words[1]) { state.isPrechargeLatched = value } else { return false }
    case "balanced":
      guard words.count == 3, let slot = Int(words[1]), (0..<420).contains(slot), let time = UInt32(words[2]) else { return false }
      state.balanceTimes[slot] = time
    default: return false
    }
    return true
  }
}

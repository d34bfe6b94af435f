import Bus

/// Checks a DBC's meaning: what parses but cannot be right. Everything that strict readers of other tools refuse is an error here.
public enum DBCRules {
  /// All problems, in the order of the file.
  public static func check(_ file: DBCFile) -> [DBCProblem] {
    var problems: [DBCProblem] = []
    var ids: [ArbitrationID: String] = [:]
    var names: Set<String> = []
    for message in file.messages where !message.isOrphanBin {
      if let other = ids.updateValue(message.name, forKey: message.id) {
        problems.append(problem(.duplicateID, message, found: "the ID of \(other) again", expected: "an ID of its own"))
      }
      if !names.insert(message.name).inserted {
        problems.append(problem(.duplicateMessage, message, found: "a second \(message.name)", expected: "a name of its own"))
      }
      problems += checkMessage(message, file)
      for signal in message.signals { problems += check(signal, message) }
      problems += overlaps(message)
      problems += multiplexors(message)
    }
    return problems.sorted { $0.line < $1.line }
  }

  private static func problem(
    _ rule: DBCProblem.Rule, _ message: DBCMessage, found: String, expected: String, _ severity: DBCProblem.Severity = .error
  ) -> DBCProblem { DBCProblem(rule, severity, line: message.line, found: found, expected: expected) }

  private static func checkMessage(_ message: DBCMessage, _ file: DBCFile) -> [DBCProblem] {
    var problems: [DBCProblem] = []
    problems += check(name: message.name, line: message.line)
    if message.length > 8, !message.isFD {
      problems.append(
        problem(
          .length, message, found: "\(message.name) with \(message.length) bytes",
          expected: "at most 8, or VFrameFormat of an FD frame"))
    }
    if message.isFD, ![0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64].contains(message.length) {
      problems.append(
        problem(
          .length, message, found: "\(message.name) with \(message.length) bytes", expected: "a length that an FD frame can have"))
    }
    if let sender = message.sender, !file.nodes.contains(sender) {
      problems.append(problem(.unknownNode, message, found: "sender \(sender)", expected: "a node that BU_ lists", .warning))
    }
    var names: Set<String> = []
    for signal in message.signals where !names.insert(signal.name).inserted {
      problems.append(
        DBCProblem(.duplicateSignal, line: signal.line, found: "a second \(signal.name)", expected: "a name of its own"))
    }
    return problems
  }

  private static func check(name: String, line: Int) -> [DBCProblem] {
    let isIdentifier =
      !name.isEmpty && name.utf8.allSatisfy { $0 == 0x5F || $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 26 }
      && !(name.utf8.first.map { $0 &- 0x30 < 10 } ?? true)
    if !isIdentifier {
      return [DBCProblem(.name, line: line, found: "\"\(name)\"", expected: "letters, digits and _, not a digit first")]
    }
    // Longer names are written with long-symbol attributes.
    return name.utf8.count > 128
      ? [DBCProblem(.name, .warning, line: line, found: "a name of \(name.utf8.count) characters", expected: "at most 128")] : []
  }

  private static func check(_ signal: DBCSignal, _ message: DBCMessage) -> [DBCProblem] {
    var problems = check(name: signal.name, line: signal.line)
    func note(_ rule: DBCProblem.Rule, _ found: String, _ expected: String, _ severity: DBCProblem.Severity = .error) {
      problems.append(DBCProblem(rule, severity, line: signal.line, found: found, expected: expected))
    }
    if signal.lastByte >= message.length {
      note(
        .outside, "\(signal.name) up to byte \(signal.lastByte)", "a signal within the \(message.length) bytes of \(message.name)")
    }
    if signal.bitLength > 64 { note(.outside, "\(signal.name) with \(signal.bitLength) bits", "at most 64 bits") }
    if signal.encoding == .float32, signal.bitLength != 32 { note(.float, "a float32 of \(signal.bitLength) bits", "32 bits") }
    if signal.encoding == .float64, signal.bitLength != 64 { note(.float, "a float64 of \(signal.bitLength) bits", "64 bits") }
    if signal.minimum.value > signal.maximum.value {
      note(.range, "minimum \(signal.minimum) above maximum \(signal.maximum)", "a minimum below the maximum")
    }
    if signal.factor.value == 0 { note(.factor, "factor 0", "a factor other than 0", .warning) }
    for value in signal.values where !canHave(signal, value.raw) {
      note(
        .label, "a label for \(value.raw)",
        "a value that \(signal.bitLength) \(signal.isSigned ? "signed" : "unsigned") bits can hold",
        .warning)
    }
    return problems
  }

  private static func canHave(_ signal: DBCSignal, _ raw: Int64) -> Bool {
    guard signal.bitLength < 64, signal.encoding == .integer else { return true }
    let limit = Int64(1) << Int64(min(62, signal.bitLength - (signal.isSigned ? 1 : 0)))
    return signal.bitLength >= 63 || (raw < limit && raw >= (signal.isSigned ? -limit : 0))
  }

  /// Bits of a signal, as distances from bit 0 of byte 0 in the order of the wire, most significant bit of a byte first.
  private static func bits(_ signal: DBCSignal) -> [Int] {
    switch signal.byteOrder {
    case .bigEndian: (0..<signal.bitLength).map { signal.linearStart + $0 }
    case .littleEndian: (0..<signal.bitLength).map { 8 * ((signal.startBit + $0) / 8) + 7 - (signal.startBit + $0) % 8 }
    }
  }

  private static func overlaps(_ message: DBCMessage) -> [DBCProblem] {
    var problems: [DBCProblem] = []
    let sets = message.signals.map { Set(bits($0)) }
    for later in message.signals.indices {
      for earlier in 0..<later where canMeet(message.signals[earlier], message.signals[later], message) {
        guard !sets[earlier].isDisjoint(with: sets[later]) else { continue }
        let names = (message.signals[earlier].name, message.signals[later].name)
        problems.append(
          DBCProblem(
            .overlap, line: message.signals[later].line, found: "\(names.1) on bits of \(names.0)", expected: "bits of its own"))
      }
    }
    return problems
  }

  /// Whether two signals can be present in one frame: not if one multiplexor selects them with different values.
  private static func canMeet(_ a: DBCSignal, _ b: DBCSignal, _ message: DBCMessage) -> Bool {
    for (selectorA, rangesA) in conditions(a, message) {
      for (selectorB, rangesB) in conditions(b, message) where selectorA == selectorB {
        if !rangesA.contains(where: { range in rangesB.contains { $0.overlaps(range) } }) { return false }
      }
    }
    return true
  }

  /// What must hold for a signal to be present, up to its outermost multiplexor.
  private static func conditions(_ signal: DBCSignal, _ message: DBCMessage) -> [(String, [ClosedRange<UInt64>])] {
    var result: [(String, [ClosedRange<UInt64>])] = []
    var current = signal
    for _ in message.signals {
      guard case .selected(let selector, let ranges, _) = current.multiplexing else { break }
      result.append((selector, ranges))
      guard let next = message.signals.first(where: { $0.name == selector }) else { break }
      current = next
    }
    return result
  }

  private static func multiplexors(_ message: DBCMessage) -> [DBCProblem] {
    var problems: [DBCProblem] = []
    let plain = message.signals.filter { $0.multiplexing == .selector }
    if plain.count > 1 {
      problems.append(
        DBCProblem(
          .multiplexor, line: plain[1].line, found: "a second multiplexor \(plain[1].name)",
          expected: "one M; others m0M with SG_MUL_VAL_"))
    }
    for signal in message.signals {
      guard case .selected(let selector, _, _) = signal.multiplexing else { continue }
      guard let parent = message.signals.first(where: { $0.name == selector }) else {
        problems.append(
          DBCProblem(
            .multiplexor, line: signal.line, found: "multiplexor \"\(selector)\"", expected: "a multiplexor (M) in \(message.name)")
        )
        continue
      }
      if conditions(signal, message).count >= message.signals.count {
        problems.append(
          DBCProblem(.multiplexor, line: signal.line, found: "\(signal.name) selected by itself", expected: "no circle"))
      }
      if parent.bitLength > 63 {
        problems.append(DBCProblem(.multiplexor, line: parent.line, found: "a multiplexor of 64 bits", expected: "at most 63 bits"))
      }
    }
    return problems
  }
}

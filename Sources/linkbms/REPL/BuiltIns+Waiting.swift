import Analysis
import ArgumentParser
import Bus
import Formats
import HostIO

/// `MESSAGE [where EXPRESSION] [within TIME]`, as `wait for` and `expect` take it.
struct FrameWish: Equatable {
  /// A message or an ID.
  var name: TriggerCondition.FrameName
  /// As it was typed.
  var label: String
  /// What its values have to fulfil.
  var condition: String?
  /// How long to wait.
  var within_ns: Int64?

  /// Reads the words of a command.
  static func parse(_ words: [String], _ command: String) throws(WorldError) -> FrameWish {
    let expected = "\(command) MESSAGE [where EXPRESSION] [within 5s]"
    guard let first = words.first, let name = TriggerCondition.frameName(first) else {
      throw WorldError(message: "\(command): found \"\(words.first ?? "")\", expected a message or an ID: \(expected)")
    }
    var wish = FrameWish(name: name, label: first)
    var rest = words.dropFirst()
    // The last "within" counts: a text in the condition may hold the word, too.
    if rest.count >= 2, let place = rest.lastIndex(of: "within"), place == rest.endIndex - 2, let text = rest.last {
      guard let time = DurationText.nanoseconds(text) else {
        throw WorldError(message: "\(command): within: found \"\(text)\", expected \(DurationText.expected)")
      }
      wish.within_ns = time
      rest = rest.dropLast(2)
    }
    if rest.isEmpty { return wish }
    guard rest.first == "where", rest.count > 1 else {
      throw WorldError(message: "\(command): found \"\(rest.joined(separator: " "))\", expected: \(expected)")
    }
    wish.condition = rest.dropFirst().joined(separator: " ")
    return wish
  }

  /// In words, for messages.
  var text: String { label + (condition.map { " where \($0)" } ?? "") }
}

/// Waits for a frame, or for jobs.
struct WaitBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait until a message comes on the live bus, or until the jobs have ended.",
    discussion: HelpText.discussion(
      """
      Looks at the bus of 'open --live'. Frames count from the beginning of the statement before ('expect', 'assert', 'let' and 'echo' \
      are none here), and behind a frame that was waited for. Without 'within' it waits as long as it takes. Expressions are those of 'decode --where'; one with > or | in it needs quotes. Without words it waits for the jobs. \
      Exit status: 0 it came; 1 it did not, and a script stops.
      """,
      examples: [
        ("wait for Totals", "the next one"), ("wait for Totals where 'Soc > 50' within 10s", "and no longer than 10 s"),
      ]))

  @Argument(parsing: .captureForPassthrough, help: "'for', a message, 'where EXPRESSION', 'within TIME'.") var words: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    if words.isEmpty {
      while !shell.live.jobs.isEmpty, !shell.world.isInterrupted {
        shell.live.pump(.now)
        try shell.live.drain(into: &shell.world)
        _ = shell.live.wait([], until_ns: PortPoller.now_ns &+ 1_000_000_000)
      }
      return .done
    }
    shell.onlyLooks = true
    let rest = words.first == "for" ? Array(words.dropFirst()) : words
    return try shell.await(try FrameWish.parse(rest, "wait for"), usual_ns: nil)
  }
}

/// Requires a frame.
struct ExpectBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "expect", abstract: "Require that a message comes on the live bus in time; else the script stops.",
    discussion: HelpText.discussion(
      """
      Looks at the bus of 'open --live'. Frames count from the beginning of the statement before ('assert', 'let', 'echo' and another \
      'expect' are none here), so that the answers to a 'send' are not missed and may come in any order. A frame counts once, and behind \
      it only later ones of its ID. Without 'within' 2 s are given. Exit status: 0 it came; 1 it did not.
      """,
      examples: [("expect Totals where 'PackVoltage > 300' within 2s", "an answer with that value")]))

  @Argument(parsing: .captureForPassthrough, help: "A message, 'where EXPRESSION', 'within TIME'.") var words: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    shell.onlyLooks = true
    return try shell.await(try FrameWish.parse(words, "expect"), usual_ns: 2_000_000_000)
  }
}

/// Requires that something holds now.
struct AssertBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "assert", abstract: "Require that an expression over the latest values holds; else the script stops.",
    discussion: HelpText.discussion(
      "Looks at the bus of 'open --live'. Exit status: 0 it holds; 1 it does not, or a value that it depends on has not come yet.",
      examples: [
        ("assert 'PackVoltage > 300 and Soc < 95'", "with the latest value of each"),
        ("assert 'not any fault'", "messages with faults have come, and none is set in the latest of each"),
      ]))

  @Argument(parsing: .captureForPassthrough, help: "The expression; with > or | in it, in quotes.") var words: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    let text = words.joined(separator: " ")
    let bus = try shell.openBus()
    shell.onlyLooks = true
    let expression = try shell.expression(text, "assert")
    if let part = expression.partOfOneFrame {
      throw WorldError(
        message:
          "assert: found \"\(part)\", which belongs to one frame; expected signals: assert looks at the latest value of each; "
          + "'expect MESSAGE where …' looks at frames")
    }
    let (filter, holds) = bus.informed(try bus.filter(expression, "assert", .standing))
    if holds == true { return .done }
    shell.hasUnmetExpectation = true
    let awaited = filter.awaited + filter.awaitedFlags
    let reason =
      holds == false ? "does not hold" : "cannot be judged: no value of \(awaited.joined(separator: ", ")) has come"
    throw WorldError(message: "assert: \(text) \(reason) on \(bus.name)", status: .findings)
  }
}

extension ShellSession {
  /// Begins to listen to a bus.
  func listen(_ address: String, _ options: DefinitionOptions) throws {
    let chooser = try TableChooser.said(options, in: &world)
    let library = try world.library(options)
    let context = JobContext("listen \(address)", try live.listen([address]))
    live.listen(with: BusListener(context, chooser: chooser, library: library), .now)
  }

  /// The live bus that is open.
  func openBus() throws(WorldError) -> BusListener {
    guard let bus else { throw WorldError(message: "no live bus is open: 'open --live IFACE' first") }
    return bus
  }

  /// An expression, or what is wrong with it.
  func expression(_ text: String, _ command: String) throws(WorldError) -> FilterExpression {
    do throws(FilterExpression.Mistake) { return try FilterExpression.parse(text) } catch {
      throw WorldError(message: "\(command): \(error)")
    }
  }

  /// Waits for a frame while everything else goes on.
  fileprivate func await(_ wish: FrameWish, usual_ns: Int64?) throws -> ExitStatus {
    let command = usual_ns == nil ? "wait for" : "expect"
    let bus = try openBus()
    let condition = try wish.condition.map { text throws(WorldError) in try expression(text, command) }
    let begin = PortPoller.now_ns
    let limit = wish.within_ns ?? usual_ns
    let end = limit.map { begin &+ $0 } ?? .max
    var filter: CompiledFilter?
    var next = 0
    var tableNumber: Int?
    try world.flush()
    while true {
      live.pump(.now)
      try live.drain(into: &world)
      guard live.listener === bus else { throw WorldError(message: "\(command): the bus is gone") }
      // The names get their meaning when it is known what the bus speaks, and another when more was heard; until then nothing is taken
      // for seen.
      if bus.tableNumber != tableNumber {
        tableNumber = bus.tableNumber
        next = 0
        if let condition { filter = bus.informedBefore(try bus.filter(condition, command, .condition)) }
        try check(wish, bus, command)
      }
      for (number, record) in bus.counting(from: next) {
        next = number + 1
        // The others' values count as well.
        let holds = condition == nil || filter?.judge(record, slot: bus.slot(of: record)) == true
        guard holds, isMeant(wish, record, bus), bus.isUnused(number, record) else { continue }
        if usual_ns == nil { bus.waitedFor(number) } else { bus.used(number, record) }
        return .done
      }
      if world.isInterrupted { return .failed }
      if PortPoller.now_ns >= end { break }
      _ = live.wait([], until_ns: end)
    }
    hasUnmetExpectation = true
    if case .message = wish.name, !bus.isIdentified {
      throw WorldError(
        message: "\(command): \(wish.text): after \(DurationText.seconds(limit ?? 0)) it is not known yet what \(bus.name) speaks, "
          + "so that no frame has a name: 'open --live IFACE --protocol NAME', wait longer, or name the ID", status: .findings)
    }
    throw WorldError(
      message: "\(command): \(wish.text): did not come within \(DurationText.seconds(limit ?? 0)) on \(bus.name)", status: .findings
    )
  }

  private func check(_ wish: FrameWish, _ bus: BusListener, _ command: String) throws(WorldError) {
    guard case .message(let name) = wish.name, bus.isIdentified, !bus.messageNames.isEmpty, !bus.messageNames.contains(name) else {
      return
    }
    throw WorldError(
      message: "\(command): found \"\(name)\", expected a message of \(bus.name) or an ID"
        + NearestName.hint(name, in: bus.messageNames))
  }

  private func isMeant(_ wish: FrameWish, _ record: CANRecord, _ bus: BusListener) -> Bool {
    switch wish.name {
    case .id(let id): record.frame.id == id
    case .message(let name): bus.messageName(record) == name
    }
  }
}

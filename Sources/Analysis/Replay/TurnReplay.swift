public import Bus
public import Formats
import Protocols

/// Plays one recorded side against the other side as it is on a live bus: says what was recorded, waits for what was answered then, and
/// stops where it does not come. Sans-IO: frames heard and time go in, frames to send come out.
///
/// The recording is cut into turns: what our side said, and what the other said before ours spoke again. The next turn begins as long
/// behind the last answer as it did in the recording, so that a slower partner is waited for; an inverter asks no faster than recorded.
public struct TurnReplay: Sendable {
  /// What the owner of the bus is to do.
  public enum Action: Sendable, Equatable {
    /// Send this now and ask again.
    case send(CANFrame)
    /// Nothing before this time unless something is heard; µs.
    case wait(until: Int64)
    /// It is over.
    case finished
  }

  private struct Turn: Sendable {
    /// Our frames, with µs from the turn's beginning.
    var own: [(at: Int64, frame: CANFrame, number: UInt64)] = []
    /// What has to come, with its record.
    var required: [(id: ArbitrationID, number: UInt64)] = []
    /// µs from the beginning to the next turn's.
    var length: Int64 = 0
    /// µs from the last required word to the next turn.
    var rest: Int64 = 0
    /// Seconds of the beginning in the recording.
    var seconds = 0.0
  }

  private let link: CompiledLink
  private let side: Side
  private var turns: [Turn] = []
  /// Everything that the other side ever said in the recording.
  private var recorded: Set<ArbitrationID> = []
  private var turn = 0
  private var sent = 0
  private var began_us: Int64?
  private var heard: Set<ArbitrationID> = []
  private var completed_us: Int64?
  /// What became of it so far.
  public private(set) var result = ReactiveReplay.Result()
  private var isOver = false

  /// µs for which an answer is waited for, beyond what it took in the recording.
  public static let patience_us: Int64 = 3_000_000

  /// - Parameters:
  ///   - side: the recorded side that is played.
  ///   - records: the capture, in order of time, with record numbers.
  public init(_ link: CompiledLink, as side: Side, records: [(record: CANRecord, number: UInt64)]) {
    self.link = link
    self.side = side
    cut(records)
  }

  /// Turns in the recording.
  public var turnCount: Int { turns.count }

  private mutating func cut(_ records: [(record: CANRecord, number: UInt64)]) {
    guard let start = records.first?.record.time.nanoseconds else { return }
    var current = Turn()
    var begin: Int64 = 0
    var lastRequired: Int64 = 0
    var pauseEnd = Int64.min
    var hasAnswer = false
    for (record, number) in records {
      guard record.frame.flags.isDisjoint(with: [.error, .remote]) else { continue }
      let time = (record.time.nanoseconds &- start) / 1000
      guard time >= begin, let index = link.dissection.plan.slot(of: record.frame.id) else { continue }
      let message = link.dissection.plan.slots[index].message
      guard let sender = link.dissection.messages[Int(message)].sender else { continue }
      if sender == side {
        // Our side speaks again after a pause in which the other was heard.
        if hasAnswer, time >= pauseEnd {
          current.length = time - begin
          current.rest = time - max(begin, lastRequired)
          turns.append(current)
          current = Turn()
          current.seconds = Double(time) / 1e6
          begin = time
          lastRequired = time
          hasAnswer = false
        }
        current.own.append((time - begin, record.frame, number))
        pauseEnd = time + TurnReplay.pause(side)
      } else {
        recorded.insert(record.frame.id)
        hasAnswer = true
        guard isRequired(message), !current.required.contains(where: { $0.id == record.frame.id }) else { continue }
        current.required.append((record.frame.id, number))
        lastRequired = time
      }
    }
    if !current.own.isEmpty || !current.required.isEmpty { turns.append(current) }
  }

  /// µs behind our last word in which the next still belongs to it.
  private static func pause(_ side: Side) -> Int64 { side == .inverter ? 400_000 : 0 }

  /// Whether a message of the other side must come: answers that a plan does not let be missing; of an inverter, what it asks.
  private func isRequired(_ message: Int32) -> Bool {
    guard let battery = link.handshake.battery else { return false }
    if side == .battery { return battery.answers.contains { $0.request == message } }
    return battery.answers.contains { answer in
      let last = max(answer.emissions.lowerBound, answer.emissions.upperBound - answer.optionalCount)
      return battery.emissions[answer.emissions.lowerBound..<last].contains { $0.message == message }
    }
  }

  // MARK: Running

  /// Takes a frame that the other side sent.
  public mutating func receive(_ frame: CANFrame, now_us: Int64) {
    guard !isOver, frame.flags.isDisjoint(with: [.error, .remote]), let index = link.dissection.plan.slot(of: frame.id) else {
      return
    }
    let message = link.dissection.plan.slots[index].message
    guard link.dissection.messages[Int(message)].sender != side else { return }
    if isRequired(message), !recorded.contains(frame.id) {
      return stop("the \(other) says \(label(frame.id)), which was never recorded", now: nil)
    }
    // What comes before we have spoken is an answer to something else.
    if turns.indices.contains(turn), sent > 0 || turns[turn].own.isEmpty { heard.insert(frame.id) }
  }

  /// What to do at this time.
  public mutating func next(now_us: Int64) -> Action {
    while !isOver {
      guard turns.indices.contains(turn) else {
        isOver = true
        break
      }
      let begin = began_us ?? now_us
      if began_us == nil { began_us = now_us }
      if sent < turns[turn].own.count {
        let due = begin + turns[turn].own[sent].at
        guard due <= now_us else { return .wait(until: due) }
        defer { sent += 1 }
        result.played += 1
        return .send(turns[turn].own[sent].frame)
      }
      if let missing = turns[turn].required.first(where: { !heard.contains($0.id) }) {
        let limit = begin + turns[turn].length + TurnReplay.patience_us
        if now_us < limit { return .wait(until: limit) }
        stop("recorded is \(label(missing.id)), the \(other) does not say it", now: missing.number)
        break
      }
      if completed_us == nil { completed_us = now_us }
      let isLast = turn == turns.count - 1
      let answered = (completed_us ?? now_us) + turns[turn].rest
      // An inverter asks at its own pace, a battery answers at the inverter's.
      let due =
        turns[turn].required.isEmpty
        ? begin + turns[turn].length : side == .inverter ? max(begin + turns[turn].length, answered) : answered
      guard isLast || due <= now_us else { return .wait(until: due) }
      result.turns += 1
      turn += 1
      sent = 0
      began_us = now_us
      completed_us = nil
      heard = []
    }
    return .finished
  }

  private var other: String { side == .battery ? "inverter" : "battery" }

  private mutating func stop(_ text: String, now number: UInt64?) {
    isOver = true
    result.divergence = text
    guard turns.indices.contains(turn) else { return }
    result.seconds = turns[turn].seconds
    result.record = number ?? turns[turn].own.first?.number
  }

  private func label(_ id: ArbitrationID) -> String {
    let hex = FrameText.text(id)
    guard let slot = link.dissection.plan.slot(of: id) else { return hex }
    return "\(hex) \(link.dissection.messages[Int(link.dissection.plan.slots[slot].message)].name)"
  }
}

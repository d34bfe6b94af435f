import Analysis
import Bus
import Formats
import HostIO

/// `replay --to`: the frames of a capture onto live buses, when they are due.
final class ReplayJob: LiveJob {
  /// One frame to send: to which port, and how long after the beginning.
  struct Item {
    var port: Int
    var frame: CANFrame
    var due_ns: Int64
  }

  let context: JobContext
  private let items: [Item]
  private let rounds: Int
  private let isStepping: Bool
  private var queues: [SendQueue]
  private var watches: [SendWatch]
  private var round = 0
  private var index = 0
  private var begin_ns: Int64 = 0
  private var sent = 0

  /// - Parameters:
  ///   - rounds: how often; 0 = until told.
  ///   - isStepping: waits for Enter before each frame.
  init(_ context: JobContext, _ items: [Item], rounds: Int, isStepping: Bool) {
    self.context = context
    self.items = items
    self.rounds = rounds
    self.isStepping = isStepping
    queues = context.ports.map { _ in SendQueue() }
    watches = context.ports.map { _ in SendWatch() }
    if isStepping {
      context.input = .lines
      context.needsForeground = true
    }
  }

  var nextWake_ns: Int64 {
    var next = min(queues.map(\.nextWake_ns).min() ?? .max, watches.map(\.wake_ns).min() ?? .max)
    // Without room its queue says when to look again.
    if !isStepping, index < items.count, queues[items[index].port].hasRoom { next = min(next, begin_ns &+ items[index].due_ns) }
    return next
  }

  func begin(_ now: LiveTime) {
    begin_ns = now.monotonic_ns
    if items.isEmpty { context.isDone = true }
    do throws(PortError) {
      for port in watches.indices { try watches[port].begin(context.ports[port]) }
    } catch { return context.fail("\(error)") }
    wake(now)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) { watches[port].hear(record.frame) }

  func changed(isThere: Bool, port: Int, _ now: LiveTime) { if !isThere { watches[port].forgive(context.ports[port]) } }

  func take(line: String, _ now: LiveTime) {
    guard index < items.count else { return }
    queues[items[index].port].add(items[index].frame)
    let frame = FrameText.text(items[index].frame)
    context.output.print("\(context.ports[items[index].port].name)  \(frame)")
    advance(now)
    wake(now)
  }

  func wake(_ now: LiveTime) {
    // Absolute targets: what came late is sent at once, and the rest is where it belongs.
    while !isStepping, index < items.count, begin_ns &+ items[index].due_ns <= now.monotonic_ns, queues[items[index].port].hasRoom {
      queues[items[index].port].add(items[index].frame)
      advance(now)
    }
    var isOver = true
    for port in queues.indices {
      do throws(PortError) { try queues[port].flush(to: context.ports[port], now.monotonic_ns) } catch {
        return context.fail("\(error)")
      }
      let device = context.ports[port], isWaiting = !queues[port].isEmpty
      if let trouble = watches[port].look(at: device, isWaiting: isWaiting, now.monotonic_ns) { return context.fail(trouble) }
      isOver = isOver && !isWaiting && watches[port].outstanding(device) == 0
    }
    if index == items.count, isOver { context.isDone = true }
  }

  private func advance(_ now: LiveTime) {
    sent += 1
    index += 1
    guard index == items.count else { return }
    round += 1
    if rounds == 0 || round < rounds {
      index = 0
      begin_ns = isStepping ? now.monotonic_ns : begin_ns &+ (items.last?.due_ns ?? 0) &+ ReplayJob.roundPause_ns
    }
  }

  /// Between the last frame of a round and the first of the next.
  static let roundPause_ns: Int64 = 1_000_000

  func finish(_ now: LiveTime) { context.output.note("linkbms: \(context.buses): \(sent) frames sent") }
}

/// `replay --to --as`: one recorded side against the live other one.
final class TurnReplayJob: LiveJob {
  let context: JobContext
  private var replay: TurnReplay
  private let file: String
  private let side: Side
  private let start_ns: Int64
  private var queue = SendQueue(maxAge_ns: SendQueue.inTime_ns)
  private var next_ns: Int64 = 0
  private var begin_ns: Int64 = 0

  /// - Parameter start_ns: where the part that is played begins in the capture.
  init(_ context: JobContext, _ replay: TurnReplay, file: String, as side: Side, start_ns: Int64 = 0) {
    self.context = context
    self.replay = replay
    self.file = file
    self.side = side
    self.start_ns = start_ns
  }

  var nextWake_ns: Int64 { min(next_ns, queue.nextWake_ns) }

  func begin(_ now: LiveTime) {
    begin_ns = now.monotonic_ns
    wake(now)
  }

  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime) {
    replay.receive(record.frame, now_us: (now.monotonic_ns &- begin_ns) / 1000)
    next_ns = now.monotonic_ns
  }

  func wake(_ now: LiveTime) {
    if now.monotonic_ns >= next_ns { play(now) }
    do throws(PortError) { try queue.flush(to: context.ports[0], now.monotonic_ns) } catch { context.fail("\(error)") }
  }

  private func play(_ now: LiveTime) {
    let now_us = (now.monotonic_ns &- begin_ns) / 1000
    for _ in 0..<1024 {
      switch replay.next(now_us: now_us) {
      case .send(let frame): queue.add(frame, since_ns: now.monotonic_ns)
      case .wait(let until):
        next_ns = begin_ns &+ max(until, now_us + 1) &* 1000
        return
      case .finished:
        context.isDone = true
        return
      }
    }
    next_ns = now.monotonic_ns &+ 1_000_000
  }

  func finish(_ now: LiveTime) {
    if queue.stale > 0 { context.output.note("linkbms: \(context.buses): \(queue.stale) frames found no room on the bus in time") }
    let result = replay.result
    guard let divergence = result.divergence else {
      let text = "\(result.turns) of \(replay.turnCount) turns as recorded, \(result.played) frames of the \(side.rawValue) played"
      return context.output.print("\(file): \(text)")
    }
    context.status = max(context.status, .findings)
    let at = DurationText.seconds(Int64((result.seconds ?? 0) * 1e9) &+ start_ns)
    context.output.print(
      "\(file): \(result.turns) turns as recorded; at \(at)\(result.record.map { ", record \($0)" } ?? ""): \(divergence)")
  }
}

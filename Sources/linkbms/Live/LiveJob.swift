import Bus
import Formats
import HostIO

/// Something that goes on for a while with live buses: in the foreground of a command, or in the background of the prompt.
///
/// A job owns no loop, thread or clock: whoever drives it hands over what came and the time. A class, because its ports are open devices.
protocol LiveJob: AnyObject {
  /// What every job has.
  var context: JobContext { get }
  /// When `wake` is wanted at the latest, monotonic ns; `.max` = never.
  var nextWake_ns: Int64 { get }
  /// It begins; called once.
  func begin(_ now: LiveTime)
  /// A frame came from port number `port`.
  func receive(_ record: CANRecord, from port: Int, _ now: LiveTime)
  /// A bus went away, or is there again.
  func changed(isThere: Bool, port: Int, _ now: LiveTime)
  /// The kernel lost frames before we got them: told before the frame that came next.
  func lost(_ frames: UInt64, port: Int, _ now: LiveTime)
  /// Everything that was there has been handed over, or it is time.
  func wake(_ now: LiveTime)
  /// A line typed while it runs in the foreground, or sent with `tell` from the prompt; what it cannot obey it says by throwing.
  func take(line: String, _ now: LiveTime) throws(WorldError)
  /// Keys typed while it runs in the foreground of a terminal.
  func take(key: UInt8, _ now: LiveTime)
  /// It is over; called once.
  func finish(_ now: LiveTime)
}

extension LiveJob {
  var nextWake_ns: Int64 { .max }
  func begin(_ now: LiveTime) {}
  func changed(isThere: Bool, port: Int, _ now: LiveTime) {}
  func lost(_ frames: UInt64, port: Int, _ now: LiveTime) {}
  func wake(_ now: LiveTime) {}
  func take(line: String, _ now: LiveTime) throws(WorldError) {
    throw WorldError(message: "\(context.title): takes no commands while it runs; found \"\(line)\"")
  }
  func take(key: UInt8, _ now: LiveTime) {}
  func finish(_ now: LiveTime) {}
}

/// What every live job has: its ports, where its output goes, how it stands.
final class JobContext {
  /// What a job wants of standard input while it runs in the foreground.
  enum Input { case nothing, lines, keys }

  /// As it was typed, for `jobs`.
  let title: String
  /// Open buses, in the job's own order.
  let ports: [any BusPort]
  /// What it has to show.
  let output = JobOutput()
  /// How it ended, or would end now.
  var status = ExitStatus.done
  /// Set by the job itself when there is nothing left to do.
  var isDone = false
  /// Why it had to end.
  var failure: WorldError?
  /// What it takes from standard input.
  var input = Input.nothing
  /// Whether it only makes sense with a person looking at it.
  var needsForeground = false
  /// Ends by itself after so long; `nil` = when told.
  var duration_ns: Int64?
  /// Whether a line of a tap could not be read.
  var hasStrangeLines = false
  /// Which tap each of the buses that taps carry came from first, and buses that came from another one, too.
  var tapOf: [Int: String] = [:]
  var toldOfTaps: Set<Int> = []
  /// Addresses on which it sends.
  var sendsOn: [String] = []
  private(set) var end_ns = Int64.max
  /// What came from several ports and waits for its turn.
  fileprivate var merge = PortMerge()
  private var dropped: [UInt64]
  private let malformedBefore: [UInt64]
  /// Ports of which was said how little room there is before them, and that what comes is no frame.
  private var toldOfRoom: Set<Int> = []
  private var toldOfMalformed: Set<Int> = []
  /// Less is noise, as long as there are frames, too.
  static let manyMalformed: UInt64 = 10

  init(_ title: String, _ ports: [any BusPort]) {
    self.title = title
    self.ports = ports
    dropped = ports.map { $0.counters.dropped }
    malformedBefore = ports.map { $0.counters.malformed }
    for case let port as NamedPort in ports { output.note("linkbms: \(port.name) is \(port.address)") }
  }

  /// A job that never began gives its ports back, too: an adapter would stay held for good.
  deinit { for port in ports { port.close() } }

  /// Names of its buses.
  var buses: String { ports.map(\.name).joined(separator: ", ") }

  /// Ends with an error.
  func fail(_ message: String) {
    if failure == nil { failure = WorldError(message: message) }
    isDone = true
  }

  /// Ends where the file that it writes takes no more.
  func endIfUnwritten() {
    output.writeFile()
    if let failure = output.failure { fail(failure.message) }
  }

  fileprivate func begin(_ now: LiveTime) {
    if let duration_ns { end_ns = now.monotonic_ns &+ duration_ns }
  }

  /// Frames lost at this port since the last call.
  fileprivate func newlyDropped(_ port: Int) -> UInt64 {
    let count = ports[port].counters.dropped
    defer { dropped[port] = count }
    return count &- dropped[port]
  }

  /// Why frames are lost at this port. What helps is said once.
  fileprivate func lossCause(_ port: Int) -> String {
    let cause = "the machine or the output is too slow"
    guard let room = ports[port].advice.room, toldOfRoom.insert(port).inserted else { return cause }
    return "\(cause), and \(room)"
  }

  /// Messages at this port that were no frame, since the job began.
  func malformedCount(_ port: Int) -> UInt64 {
    let count = ports[port].counters.malformed
    return count > malformedBefore[port] ? count &- malformedBefore[port] : 0
  }

  /// What is to be said of them; `nil` = nothing yet, or it was said. At the end even one counts where no frame came.
  fileprivate func malformedNews(_ port: Int, isEnd: Bool = false) -> String? {
    let count = malformedCount(port)
    guard count > 0, !toldOfMalformed.contains(port) else { return nil }
    let advice = ports[port].advice
    let isSilence = isEnd && ports[port].counters.received == 0
    guard count >= advice.many ?? JobContext.manyMalformed || isSilence else { return nil }
    toldOfMalformed.insert(port)
    return "linkbms: \(ports[port].name): \(advice.malformed(count))"
  }
}

extension LiveJob {
  /// When it wants to be looked at.
  var due_ns: Int64 {
    var due = min(nextWake_ns, context.end_ns)
    for port in context.ports { due = min(due, port.wakeTime_ns ?? .max) }
    return context.merge.isWaiting ? 0 : due
  }

  /// Begins it.
  func start(_ now: LiveTime) {
    context.begin(now)
    begin(now)
  }

  /// Hands over everything that came, and the time.
  func pump(_ now: LiveTime) {
    guard !context.isDone else { return }
    // With several ports their frames are put in order: one after the other would be a recording whose time steps back.
    let isMerged = context.ports.count > 1
    for index in context.ports.indices where !context.isDone {
      let port = context.ports[index]
      var dropped: UInt64 = 0
      do throws(PortError) {
        try port.receive { event in
          guard isMerged else {
            if case .frame = event { dropped &+= tellLoss(index, now) }
            return hand(event, from: index, now)
          }
          // What was lost before this frame is told before it.
          let lost: UInt64 = if case .frame = event { context.newlyDropped(index) } else { 0 }
          dropped &+= lost
          context.merge.add(event, port: index, lost: lost, isOrdered: port.usesSystemClock && !(port is TapPort))
        }
      } catch {
        deliver(upTo: nil, now)
        context.fail("\(error)")
      }
      if isMerged {
        let lost = context.newlyDropped(index)
        if lost > 0 { context.merge.add(nil, port: index, lost: lost, isOrdered: true) }
        dropped &+= lost
      } else {
        dropped &+= tellLoss(index, now)
      }
      if dropped > 0 {
        context.status = max(context.status, .findings)
        let isTap = port is TapPort
        let cause = isTap ? "lines lost (the tap's line is too slow)" : "frames lost (\(context.lossCause(index)))"
        context.output.note("linkbms: \(port.name): \(dropped) \(cause)")
      }
      if let news = context.malformedNews(index) { context.output.note(news) }
    }
    if isMerged { deliver(upTo: now.monotonic_ns >= context.end_ns ? nil : now.wall_ns, now) }
    if !context.isDone { wake(now) }
    if now.monotonic_ns >= context.end_ns { context.isDone = true }
  }

  /// Hands over what has its turn.
  private func deliver(upTo time: Int64?, _ now: LiveTime) {
    for item in context.merge.take(upTo: time) {
      if item.lost > 0 { lost(item.lost, port: item.port, now) }
      if let event = item.event { hand(event, from: item.port, now) }
    }
  }

  private func hand(_ event: PortEvent, from port: Int, _ now: LiveTime) {
    switch event {
    case .frame(let record):
      if !context.isDone { receive(record, from: port, now) }
    case .lost(let error):
      context.output.note("linkbms: \(error)")
      changed(isThere: false, port: port, now)
    case .returned:
      context.output.note("linkbms: \(context.ports[port].name): is there again")
      changed(isThere: true, port: port, now)
    }
  }

  /// Tells the job of frames lost at a port since the last call.
  /// - Returns: how many.
  private func tellLoss(_ port: Int, _ now: LiveTime) -> UInt64 {
    let dropped = context.newlyDropped(port)
    if dropped > 0 { lost(dropped, port: port, now) }
    return dropped
  }

  /// Ends it and gives its ports back.
  func stop(_ now: LiveTime) {
    deliver(upTo: nil, now)
    context.isDone = true
    for index in context.ports.indices { if let news = context.malformedNews(index, isEnd: true) { context.output.note(news) } }
    finish(now)
    for port in context.ports { port.close() }
  }
}

/// What a job has to show: data, and lines for a person.
final class JobOutput {
  /// Bytes of data that wait to go out; renderers write here.
  let data = makeOutput(capacity: 1 << 16)
  private var notes: [String] = []
  /// Where data goes instead, for `job > file &`.
  var file: ByteOutput?
  /// Why that file takes no more: the job has to end, or it would go on for nothing.
  private(set) var failure: WorldError?

  deinit { freeOutput(data) }

  /// A line of data.
  func print(_ line: String) {
    data.pointee.append(string: line)
    data.pointee.append(0x0A)
  }

  /// A line for a person.
  func note(_ line: String) { notes.append(line) }

  /// Everything so far into a world.
  func drain(into world: inout some World) throws(WorldError) {
    writeFile()
    if data.pointee.count > 0 {
      try world.drain(data)
      try world.flush()
    }
    for line in notes { world.note(line) }
    notes.removeAll()
  }

  /// Everything so far as text to be shown above a line being typed.
  func takeText() -> String {
    var text = ""
    writeFile()
    if data.pointee.count > 0 {
      text = data.pointee.withBytes { String(decoding: $0, as: UTF8.self) }
      data.pointee.removeAll()
    }
    for line in notes { text += line + "\n" }
    notes.removeAll()
    return text
  }

  /// Data that goes into a file of its own goes there now.
  func writeFile() {
    guard let file, data.pointee.count > 0 else { return }
    if failure != nil { return data.pointee.removeAll() }
    do throws(WorldError) { try drain(to: file) } catch { failure = error }
  }

  private func drain(to file: ByteOutput) throws(WorldError) {
    let failure = data.pointee.withBytes { bytes -> OutputError? in
      do throws(OutputError) {
        try file.write(bytes)
        try file.flush()
        return nil
      } catch { return error }
    }
    data.pointee.removeAll()
    if let failure { throw WorldError(failure, writing: "the output of the job") }
  }
}

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
  /// The kernel lost frames before we got them.
  func lost(_ frames: UInt64, port: Int, _ now: LiveTime)
  /// Everything that was there has been handed over, or it is time.
  func wake(_ now: LiveTime)
  /// A line typed while it runs in the foreground, or sent with `tell` from the prompt.
  func take(line: String, _ now: LiveTime)
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
  func take(line: String, _ now: LiveTime) {
    context.output.note("linkbms: \(context.title): takes no commands while it runs; found \"\(line)\"")
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
  /// Addresses on which it sends.
  var sendsOn: [String] = []
  private(set) var end_ns = Int64.max
  private var dropped: [UInt64]

  init(_ title: String, _ ports: [any BusPort]) {
    self.title = title
    self.ports = ports
    dropped = ports.map { $0.counters.dropped }
  }

  /// Names of its buses.
  var buses: String { ports.map(\.name).joined(separator: ", ") }

  /// Ends with an error.
  func fail(_ message: String) {
    if failure == nil { failure = WorldError(message: message) }
    isDone = true
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
}

extension LiveJob {
  /// When it wants to be looked at.
  var due_ns: Int64 {
    var due = min(nextWake_ns, context.end_ns)
    for port in context.ports { due = min(due, port.wakeTime_ns ?? .max) }
    return due
  }

  /// Begins it.
  func start(_ now: LiveTime) {
    context.begin(now)
    begin(now)
  }

  /// Hands over everything that came, and the time.
  func pump(_ now: LiveTime) {
    guard !context.isDone else { return }
    for index in context.ports.indices where !context.isDone {
      let port = context.ports[index]
      do throws(PortError) {
        try port.receive { event in
          switch event {
          case .frame(let record): if !context.isDone { receive(record, from: index, now) }
          case .lost(let error):
            context.output.note("linkbms: \(error)")
            changed(isThere: false, port: index, now)
          case .returned:
            context.output.note("linkbms: \(port.name): is there again")
            changed(isThere: true, port: index, now)
          }
        }
      } catch {
        context.fail("\(error)")
      }
      let dropped = context.newlyDropped(index)
      if dropped > 0 {
        context.status = max(context.status, .findings)
        context.output.note("linkbms: \(port.name): \(dropped) frames lost (the machine or the output is too slow)")
        lost(dropped, port: index, now)
      }
    }
    if !context.isDone { wake(now) }
    if now.monotonic_ns >= context.end_ns { context.isDone = true }
  }

  /// Ends it and gives its ports back.
  func stop(_ now: LiveTime) {
    context.isDone = true
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
    if data.pointee.count > 0 {
      if let file {
        try drain(to: file)
      } else {
        try world.drain(data)
        try world.flush()
      }
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
    do throws(WorldError) { try drain(to: file) } catch { notes.append("linkbms: \(error.message)") }
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

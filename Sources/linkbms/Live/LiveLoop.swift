import HostIO

/// Drives live jobs: one in the foreground, those of the prompt beside it. No threads: one wait for everything.
enum LiveLoop {
  /// Runs a job until it is done or Ctrl-C comes.
  static func run(_ job: any LiveJob, in world: inout some World) throws -> ExitStatus {
    let hub = world.live
    let context = job.context
    let input = TerminalDevice(descriptor: 0)
    var lines = LineGatherer()
    // Keys are read one by one; lines are left to the terminal. Without one, only what comes through a pipe can be a line.
    let keys = context.input == .keys && input.isTerminal && world.terminal.isTerminal ? input.takeKeysOneByOne() : nil
    let takesLines = context.input == .lines && !world.inputHoldsCommands
    var inputIsOpen = keys != nil || takesLines
    defer { if let keys { input.restore(keys) } }
    job.start(.now)
    do {
      while !context.isDone, !world.isInterrupted {
        try context.output.drain(into: &world)
        let own = context.ports.map(\.descriptor) + [inputIsOpen ? 0 : -1]
        let ready = hub.wait(own, until_ns: job.due_ns)
        let now = LiveTime.now
        if inputIsOpen, ready[own.count - 1] {
          var bytes = [UInt8](repeating: 0, count: 256)
          let count = input.read(into: &bytes)
          if count == 0 { inputIsOpen = false }
          if keys != nil {
            for key in bytes[..<count] { job.take(key: key, now) }
          } else {
            for line in lines.add(bytes[..<count]) {
              do throws(WorldError) { try job.take(line: line, now) } catch { context.output.note("linkbms: \(error.message)") }
            }
          }
        }
        job.pump(now)
        hub.pump(now)
        try hub.drain(into: &world)
      }
    } catch {
      job.stop(.now)
      throw error
    }
    job.stop(.now)
    try context.output.drain(into: &world)
    if let failure = context.failure { throw failure }
    return context.status
  }

  /// Waits while the jobs of the prompt go on.
  /// - Returns: `false` if a stop signal ended it.
  static func sleep(until_ns: Int64, in world: inout some World) throws -> Bool {
    let hub = world.live
    while !world.isInterrupted {
      let now = LiveTime.now
      hub.pump(now)
      try hub.drain(into: &world)
      if now.monotonic_ns >= until_ns { return true }
      _ = hub.wait([], until_ns: until_ns)
    }
    return false
  }
}

/// Cuts bytes into lines as they come.
struct LineGatherer {
  private var pending: [UInt8] = []
  /// Longer lines are no commands.
  private static let longest = 1 << 16

  /// Lines that are complete with these bytes.
  mutating func add(_ bytes: some Sequence<UInt8>) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == 0x0A {
        if pending.last == 0x0D { pending.removeLast() }
        lines.append(String(decoding: pending, as: UTF8.self))
        pending.removeAll(keepingCapacity: true)
      } else if pending.count < LineGatherer.longest {
        pending.append(byte)
      }
    }
    return lines
  }
}

/// A command that works on live buses.
protocol LiveCommand: ToolCommand {
  /// The job that it is; `nil` where its words speak of files. Ports are open when it returns.
  func job(in world: inout some World) throws -> (any LiveJob)?
}

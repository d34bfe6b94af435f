import ArgumentParser
import HostIO

/// Allows sending on a bus.
struct ArmBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "arm", abstract: "Allow commands to send on a live bus, or show where they may.",
    discussion: HelpText.discussion(
      "Nothing is sent on a bus before this. It allows and sends nothing by itself; 'disarm' forbids it again. The bus has to be there: an "
        + "interface that 'bus' lists, or an address such as udp://. What else an address asks for (can0,351:7FF) makes it no other bus.",
      examples: [("arm can0", "then: send can0 4200#00")]))

  @Argument(help: "The bus.") var interface: String?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let interface else {
      for name in shell.live.armed.sorted() { try shell.world.print(name) }
      return .done
    }
    try shell.live.examine(interface)
    shell.live.arm(interface)
    return .done
  }
}

/// Forbids sending.
struct DisarmBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "disarm", abstract: "Forbid sending on a live bus, or on all; jobs that send there end.")

  @Argument(help: "The bus; all if not given.") var interface: String?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    if let interface, !shell.live.isArmed(interface) { throw WorldError(message: "\(interface) is not armed") }
    for name in interface.map({ [$0] }) ?? shell.live.armed.sorted() { shell.live.disarm(name, .now) }
    return .done
  }
}

/// Lists what runs in the background.
struct JobsBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobs", abstract: "Show what runs in the background.",
    discussion: HelpText.discussion(examples: [("capture can0 --write site.pcapng &", "then: jobs")]))

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    for entry in shell.live.jobs {
      let ports = entry.job.context.ports
      let frames = ports.reduce(UInt64(0)) { $0 &+ $1.counters.received }
      let sent = ports.reduce(UInt64(0)) { $0 &+ $1.counters.sent }
      let dropped = ports.reduce(UInt64(0)) { $0 &+ $1.counters.dropped }
      let malformed = ports.indices.reduce(UInt64(0)) { $0 &+ entry.job.context.malformedCount($1) }
      var text = "[\(entry.number)] \(entry.job.context.title)  \(frames) frames"
      if sent > 0 { text += ", \(sent) sent" }
      if dropped > 0 { text += ", \(dropped) lost" }
      if malformed > 0 { text += ", \(malformed) that were no frame" }
      try shell.world.print(text)
    }
    return .done
  }
}

/// Ends a job.
struct StopBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "End a job in the background, or all.",
    discussion: HelpText.discussion(examples: [("stop 1", "its files are whole when the prompt is back")]))

  @Argument(help: "The job's number; all if not given.") var number: Int?

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    if let number {
      guard shell.live.stop(number, .now) else { throw WorldError(message: "there is no job \(number); 'jobs' lists them") }
    } else {
      shell.live.stopAll(.now)
    }
    try shell.live.drain(into: &shell.world)
    return .done
  }
}

/// Gives a job a line.
struct TellBuiltIn: BuiltInCommand {
  static let configuration = CommandConfiguration(
    commandName: "tell", abstract: "Give a line to a job in the background.",
    discussion: HelpText.discussion(
      "A line that the job does not understand or cannot obey is an error, and ends a script.",
      examples: [("tell 1 fault dropped 0.1", "the simulated end loses a tenth of its frames")]))

  @Argument(help: "The job's number.") var number: Int
  @Argument(parsing: .captureForPassthrough, help: "The line.") var words: [String] = []

  mutating func run(in shell: ShellSession) throws -> ExitStatus {
    guard let entry = shell.live.jobs.first(where: { $0.number == number }) else {
      throw WorldError(message: "there is no job \(number); 'jobs' lists them")
    }
    var refusal: WorldError?
    do throws(WorldError) { try entry.job.take(line: words.joined(separator: " "), .now) } catch { refusal = error }
    try shell.live.drain(into: &shell.world)
    if let refusal { throw refusal }
    return .done
  }
}

import HostIO

extension ShellSession {
  /// Starts a live command in the background.
  func start(_ words: [PromptWord], _ target: OutputTarget) throws -> Int32 {
    let arguments = try resolved(words)
    guard let name = arguments.first else { return 0 }
    let command = try CommandRunner.parse(arguments, of: Prompt.self)
    guard let live = command as? any LiveCommand, let job = try live.job(in: &world) else {
      throw WorldError(
        message: "'\(name)' cannot go on in the background: only what listens to a live bus or sends on one can, such as capture")
    }
    guard !job.context.needsForeground else {
      for port in job.context.ports { port.close() }
      throw WorldError(message: "'\(name)' needs the terminal: run it without &")
    }
    if case .file(let path, let appending) = target {
      do throws(OutputError) { job.context.output.file = try ByteOutput(path: path, appending: appending) } catch {
        for port in job.context.ports { port.close() }
        throw WorldError(error, writing: path)
      }
    }
    let number = self.live.add(job, .now)
    world.note("[\(number)] \(job.context.title)")
    return 0
  }

  /// Lets jobs work between two commands of a script or a line.
  func serveJobs() {
    guard !live.jobs.isEmpty || live.hasNews || live.listener != nil else { return }
    live.pump(.now)
    // An output that fails is told by the command that writes next.
    try? live.drain(into: &world)
  }

  /// Lets jobs work until there is something to read.
  func serveJobsUntilReadable(_ descriptor: Int32) {
    while Signals.stopRequest == nil, !live.descriptors.isEmpty {
      serveJobs()
      if live.wait([descriptor], until_ns: .max).first ?? true { return }
    }
  }

  /// Less than this nobody has to be told.
  private static let mostStandstill_ns: Int64 = 1_100_000_000

  /// Says that a command kept the jobs from working: what came meanwhile is late, or lost.
  func tellStandstill(_ statement: PromptStatement) {
    let time_ns = live.takeStandstill()
    guard time_ns > ShellSession.mostStandstill_ns else { return }
    world.note("linkbms: jobs stood still for \(DurationText.seconds(time_ns)) while '\(statement.title)' ran")
  }

  /// The end of the session: every job ends in order. The worst that any came to.
  func endJobs() -> Int32 {
    live.stopAll(.now)
    try? live.drain(into: &world)
    live.listen(with: nil, .now)
    return live.worst.rawValue
  }
}

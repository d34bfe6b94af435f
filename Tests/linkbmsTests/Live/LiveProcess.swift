import Foundation

/// A process beside the test, whose output can be waited for.
final class LiveProcess {
  private let process = Process()
  private let input = Pipe()
  private let path = NSTemporaryDirectory() + "linkbms-process-" + UUID().uuidString

  init(_ program: String, _ arguments: [String]) throws {
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let output = FileHandle(forWritingAtPath: path)
    // Both write to the end of one file, whoever comes first.
    if let output { _ = fcntl(output.fileDescriptor, F_SETFL, O_APPEND) }
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
  }

  deinit {
    if process.isRunning {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    unlink(path)
  }

  /// What it printed and said so far.
  var text: String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  /// Gives it a line.
  func enter(_ line: String) { input.fileHandleForWriting.write(Data((line + "\n").utf8)) }

  /// Waits until something holds; `false` after a time that only a hanging program needs.
  @discardableResult static func wait(_ seconds: Double = 60, until holds: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while !holds() {
      guard Date() < end else { return false }
      usleep(10_000)
    }
    return true
  }

  /// Waits until it has printed this.
  func printed(_ text: String) -> Bool { LiveProcess.wait { self.text.contains(text) } }

  /// Sends a signal.
  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits for the end: status, or minus the signal.
  func end(within seconds: Double = 60) -> Int32 {
    guard LiveProcess.wait(seconds, until: { !process.isRunning }) else { return .min }
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }
}

/// A multicast bus for one test.
struct NetworkBus {
  let port = UInt16.random(in: 20_000..<32_000)
  var address: String { "udp://239.74.163.2:\(port)" }

  /// The program on this bus, `@` standing for its address.
  func start(_ words: String...) throws -> LiveProcess {
    try LiveProcess(BuiltProgram.path, words.map { $0 == "@" ? address : $0.replacingOccurrences(of: "@@", with: address) })
  }
}

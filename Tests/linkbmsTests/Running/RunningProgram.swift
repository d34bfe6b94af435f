import Foundation
import HostIO
import Synchronization
import Testing

/// A program that runs while a test talks to it. Waits for what is said, never for time.
final class RunningProgram: Sendable {
  private let process: Mutex<Process>
  private let entry: FileHandle
  private let said = Mutex<String>("")
  private let news = DispatchSemaphore(value: 0)
  /// What it had to say is over.
  private let silence = DispatchSemaphore(value: 0)
  let pid: Int32

  /// - Parameters:
  ///   - environment: added to the test's own.
  ///   - isJournal: whether it is told that what it writes to is the journal.
  init(_ arguments: [String], environment: [String: String] = [:], isJournal: Bool = false) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: BuiltProgram.path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "JOURNAL_STREAM" }.merging(environment) { $1 }
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    if isJournal {
      process.environment?["JOURNAL_STREAM"] = ServiceEnvironment.name(of: output.fileHandleForWriting.fileDescriptor)
    }
    entry = input.fileHandleForWriting
    try process.run()
    pid = process.processIdentifier
    self.process = Mutex(process)
    output.fileHandleForReading.readabilityHandler = { [weak self] handle in
      let data = handle.availableData
      if data.isEmpty {
        handle.readabilityHandler = nil
        self?.silence.signal()
      }
      self?.said.withLock { $0 += String(decoding: data, as: UTF8.self) }
      self?.news.signal()
    }
  }

  deinit { if process.withLock({ $0.isRunning }) { kill(pid, SIGKILL) } }

  /// Everything it has said so far.
  var text: String { said.withLock { $0 } }

  /// Waits until it has said this, `count` times.
  func says(_ wanted: String, count: Int = 1, within seconds: Double = 30) -> Bool {
    let end = DispatchTime.now() + seconds
    while text.components(separatedBy: wanted).count <= count {
      guard news.wait(timeout: end) == .success else { return false }
    }
    return true
  }

  func tell(_ line: String) { entry.write(Data((line + "\n").utf8)) }
  func send(_ signal: Int32) { kill(pid, signal) }

  /// Its exit status; by then all that it said is there.
  func end() -> Int32 {
    try? entry.close()
    let process = process.withLock { $0 }
    process.waitUntilExit()
    if silence.wait(timeout: .now() + 10) == .success { silence.signal() }
    return process.terminationStatus
  }
}

/// A folder that goes away, with a configuration in it.
final class RunFolder {
  let path: String
  var config: String { path + "/bms.yaml" }

  init() throws {
    path = NSTemporaryDirectory() + "linkbms-run-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try set("bms1-slaves=2", "cell-count=16", "bms1-sensors.1=1,2", "protocol=none")
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func set(_ items: String...) throws {
    let result = try run(BuiltProgram.path, ["config", "set", "--file", config] + items)
    #expect(result.status == 0, "\(result)")
  }
}

/// Writes a program that the test starts afterwards. Another process does the writing: what this one has open for writing may be
/// inherited by whatever another test starts in that moment, and a file that anybody may still write cannot be executed (ETXTBSY).
func writeProgram(_ path: String, _ text: String) throws {
  // It may end before it has read what it is told: in the program that is no signal either (`Signals.install`).
  signal(SIGPIPE, SIG_IGN)
  let outcome = try ToolRun.run(["sh", "-c", #"cat > "$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0""#, path], input: text)
  try #require(outcome == ToolRun.Outcome(status: 0, text: ""))
}

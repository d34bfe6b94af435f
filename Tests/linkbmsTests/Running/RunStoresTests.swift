import Foundation
import Glibc
import Testing

/// `run` beside a history and a queue that cannot be opened: the battery comes first.
@Suite(.serialized) struct RunStoresTests {
  private static func run(_ folder: RunFolder, _ more: String...) throws -> RunningProgram {
    let scenario = folder.path + "/small.yaml"
    let text =
      "configuration: {preset: lfp, bms1-slaves: 2, bms1-cells-per-module: 8, protocol: none}\nload: [{at: 0, current: 5}]\n"
    try text.write(toFile: scenario, atomically: true, encoding: .utf8)
    return try RunningProgram(
      ["run", "--simulate", scenario, "--config", folder.config, "--deadline", "900ms", "--http", "127.0.0.1:0"] + more)
  }

  @Test func damagedFilesAreToldAndTheBatteryIsSwitchedOn() throws {
    let folder = try RunFolder()
    let rubbish = String(repeating: "this is no database of SQLite\n", count: 100)
    let (history, queue) = (folder.path + "/history.sqlite", folder.path + "/queue.sqlite")
    for path in [history, queue] { try rubbish.write(toFile: path, atomically: true, encoding: .utf8) }
    let program = try Self.run(folder, "--history", history, "--mqtt", "127.0.0.1:1", "--mqtt-queue", queue)
    #expect(program.says("→ RUNNING"), "\(program.text)")
    #expect(program.says("history: \(history): "), "\(program.text)")
    #expect(program.says("MQTT queue: \(queue): "), "\(program.text)")
    program.send(SIGTERM)
    #expect(program.end() == 0, "\(program.text)")
    for path in [history, queue] { #expect(try String(contentsOfFile: path, encoding: .utf8) == rubbish) }
  }

  @Test func aPlaceThatIsNoneEndsTheRun() throws {
    let folder = try RunFolder()
    let program = try Self.run(folder, "--history", "mysql://somebody:secret@host/bms")
    #expect(program.says("expected a file or postgresql://"), "\(program.text)")
    #expect(program.end() == 2)
    #expect(!program.text.contains("secret"))
  }
}

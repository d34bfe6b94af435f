import Bus
import Foundation
import Testing

@testable import linkbms

/// `diagnose --live` and `compare --live` with what was heard fed by hand.
@Suite struct DiagnoseLiveTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  private static let deye = root + "/Captures/deye-hv-clean/capture.log"

  private struct Ended {
    var output: String
    var status: linkbms.ExitStatus
    var failure: String?
  }

  /// Lets the job hear the frames of the capture for which `takes` holds, in their time.
  /// - Parameter losses: how many frames were lost before which one.
  private func hear(_ words: [String], losses: [UInt64: UInt64] = [:], _ takes: (CANFrame) -> Bool) throws -> Ended {
    var world = MemoryWorld(MemoryBuses())
    let port = SilentPort()
    port.losses = losses
    world.live.open = { _, _ in port }
    let job = try world.job(words)
    job.start(.at(0))
    let records = try capturedRecords("deye-hv-clean")
    let start = try #require(records.first?.time.nanoseconds)
    var now = 0.0
    for record in records where takes(record.frame) {
      now = Double(record.time.nanoseconds - start) / 1e9
      port.put(record.frame, at: .at(now))
      job.pump(.at(now))
    }
    job.stop(.at(now))
    #expect(port.sends == 0)
    return Ended(
      output: job.context.output.takeText(), status: job.context.status, failure: job.context.failure?.message)
  }

  private func run(_ words: [String]) -> (status: Int32, output: String, errors: String) {
    var world = MemoryWorld(MemoryBuses())
    // Each listening is over at once.
    world.isInterrupted = true
    let status = world.run(words)
    return (status, world.text, world.notes.joined(separator: "\n"))
  }

  @Test func theReferenceIsHeldAgainstTheBus() throws {
    let words = ["diagnose", "--live", "x", "--reference", Self.deye]
    let same = try hear(words) { _ in true }
    #expect(same.output.contains("the link is fine") && !same.output.contains("R28"), "\(same)")
    let other = try hear(words) { $0.id.number != 0x42F0 }
    #expect(other.output.contains("R28 differs-from-reference"), "\(other)")
    // Without it nothing is compared.
    let plain = try hear(["diagnose", "--live", "x"]) { $0.id.number != 0x42F0 }
    #expect(!plain.output.contains("R28"), "\(plain)")
  }

  /// An inverter that asks alone asks in what two protocols share; what the battery says decides, however late it is switched on.
  @Test func aBatteryThatComesLateDecidesWhatIsSpoken() throws {
    var polls = 0
    let found = try hear(["diagnose", "--live", "x"], losses: [3: 9]) { frame in
      if frame.id.number == 0x4200 { polls += 1 }
      return frame.id.number == 0x4200 || polls > 8
    }
    #expect(found.output.contains("linkbms: silent: deye-hv (deye-hv)"), "\(found)")
    #expect(found.output.contains("deye-hv (deye-hv), address 0, inverter and battery"), "\(found)")
    #expect(found.output.contains("Poll is not answered: 7 of 59 ×") && !found.output.contains("no battery answers"), "\(found)")
    // All of it counts, the frames and the loss before.
    #expect(found.output.contains("9 frames lost") && found.output.contains("silent: 644 frames"), "\(found)")
    // The battery never comes: that is what is wrong.
    let alone = try hear(["diagnose", "--live", "x"]) { $0.id.number == 0x4200 }
    #expect(alone.output.contains("R02"), "\(alone)")
  }

  /// Before it is known what the bus speaks frames are held back; what was lost then is not forgotten.
  @Test(arguments: [1, 5, 300] as [UInt64]) func whatWasLostIsFoundWheneverItWas(before: UInt64) throws {
    let found = try hear(["diagnose", "--live", "x"], losses: [before: 9]) { _ in true }
    #expect(found.output.contains("R00 ") && found.output.contains("9 frames lost"), "\(found)")
  }

  @Test(arguments: [
    (["--reference", "/no/such/file"], "/no/such/file"), (["--from", "candump"], "--from: says how to read a FILE"),
    (["--explain", "R99"], "--explain: found \"R99\""),
    (["--explain", "all", "--format", "json"], "--explain and --format json"), (["--format", "csv"], "csv"),
  ])
  func whatALiveDiagnosisDoesNotReadIsRefused(words: [String], error: String) {
    let result = run(["diagnose", "--live", "mem://a"] + words)
    #expect(result.status == 2 && result.errors.contains(error) && result.output.isEmpty, "\(result)")
  }

  /// Not when everything has been heard.
  @Test(arguments: ["--report", "--annotate", "--bundle"]) func whatCannotBeWrittenIsRefusedBeforeListening(option: String) throws {
    let folder = try TestFolder()
    var world = MemoryWorld(MemoryBuses())
    world.isInterrupted = true
    var isOpened = false
    world.live.open = { _, _ in
      isOpened = true
      return SilentPort()
    }
    let absent = world.run(["diagnose", "--live", "x", option, folder.file("none/x")])
    #expect(world.notes.joined().contains("cannot write \(folder.file("none/x")): No such file"), "\(world.notes)")
    let isFolder = world.run(["diagnose", "--live", "x", option, folder.path])
    #expect(absent == 2 && isFolder == 2 && !isOpened && world.bytes.isEmpty, "\(world.notes)")
  }

  @Test func tryingANameChangesNothing() throws {
    let folder = try TestFolder()
    try "mine".write(toFile: folder.file("old"), atomically: true, encoding: .utf8)
    try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: folder.file("nowhere"))
    for name in ["old", "new", "link"] { try OutputFile.check(folder.file(name)) }
    try OutputFile.check("/dev/null")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["link", "old"])
    #expect(try String(contentsOfFile: folder.file("old"), encoding: .utf8) == "mine")
  }

  /// Nobody named that file.
  @Test func whatAKilledDiagnosisHasLeftIsNotInTheWay() throws {
    let folder = try TestFolder()
    for name in ["b.zip.heard.pcapng", "b.zip.heard-0001.pcapng"] {
      try "left".write(toFile: folder.file(name), atomically: true, encoding: .utf8)
    }
    let found = try hear(["diagnose", "--live", "x", "--bundle", folder.file("b.zip")]) { _ in true }
    #expect(found.failure == nil && found.output.contains("wrote \(folder.file("b.zip"))"), "\(found)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        == ["b.zip", "b.zip.heard-0001.pcapng", "b.zip.heard.pcapng"])
    #expect(try String(contentsOfFile: folder.file("b.zip.heard.pcapng"), encoding: .utf8) == "left")
  }

  @Test func aRuleIsExplainedBehindTheDiagnosis() throws {
    let named = run(["diagnose", "--live", "mem://a", "--explain", "R10"])
    #expect(named.output.contains("\nR10 ") && named.output.contains("\nWhat to do\n"), "\(named)")
    let file = run(["diagnose", Self.deye, "--explain", "R10"])
    #expect(file.output.contains("\nR10 ") && file.output.contains("\nWhat to do\n"), "\(file)")
    let found = try hear(["diagnose", "--live", "x", "--explain", "all"]) { $0.id.number == 0x4200 }
    #expect(found.output.contains("\nR02 request-unanswered (error)\n\n"), "\(found)")
  }

  @Test func onlyFormatsThatThereAreAreOffered() {
    let tree = CommandTree.of(LinkBMS.self)
    for name in ["diagnose", "compare"] {
      #expect(tree.subcommand(name)?.option("--format")?.fixedValues == ["text", "json"])
    }
  }

  @Test func aBusIsComparedWithAKnownGoodCapture() throws {
    let words = ["compare", Self.deye, "--live", "x"]
    let same = try hear(words) { _ in true }
    #expect(same.output.contains("silent: alike (") && same.status == .done, "\(same)")
    let other = try hear(words) { $0.id.number != 0x42F0 }
    #expect(other.output.contains("missing") && other.output.contains("000042F0") && other.status == .findings, "\(other)")
    let json = try hear(words + ["--format", "json"]) { _ in true }
    #expect(json.output.hasPrefix("{\"bus\":\"silent\"") && json.output.contains("\"file\":\"silent\""), "\(json)")
    let nothing = try hear(words) { _ in false }
    #expect(nothing.failure == "silent: found no CAN frame to compare", "\(nothing)")
  }

  @Test func whatIsComparedIsSaidOnce() {
    let live = ["--live", "mem://a"]
    let wrong: [[String]] = [[], [Self.deye] + live, ["--engine"] + live, [Self.deye, "--for", "1s"]]
    for words in wrong {
      let result = run(["compare", Self.deye] + words)
      #expect(result.status == 2 && result.output.isEmpty, "\(words): \(result)")
    }
  }
}

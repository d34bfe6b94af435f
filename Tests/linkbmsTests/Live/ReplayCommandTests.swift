import Foundation
import Testing

@testable import linkbms

/// What `replay` does with options that not every mode knows.
@Suite struct ReplayCommandTests {
  private static func capture(_ name: String) -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    return root + "/Captures/\(name)/capture.log"
  }

  private static let deye = capture("deye-hv-clean")

  private func run(_ words: [String]) -> (status: Int32, output: String, errors: String) {
    var world = MemoryWorld(MemoryBuses())
    let status = world.run(["replay"] + words)
    return (status, world.text, world.notes.joined(separator: "\n"))
  }

  private static func words(_ mode: ReplayMode) -> [String] {
    switch mode {
    case .inTime: []
    case .onBus: ["--to", "mem://a"]
    case .simulated: ["--as", "inverter"]
    case .againstBus: ["--to", "mem://a", "--as", "inverter"]
    case .engine: ["--through-engine"]
    }
  }

  private static func words(_ option: ReplayOption) -> [String] {
    let value: [String] =
      switch option {
      case .from: ["1"]
      case .until: ["5"]
      case .speed, .loop: ["2"]
      case .skipGaps: ["0.5"]
      case .step: []
      case .set: ["PackVoltage=380"]
      case .mapID: ["4210=4211"]
      case .mapBus: ["can0=can1"]
      }
    return [option.rawValue] + value
  }

  @Test(arguments: ReplayMode.allCases, ReplayOption.allCases) func anOptionWorksOrIsRefused(mode: ReplayMode, option: ReplayOption)
  {
    let words = [Self.deye] + Self.words(mode) + Self.words(option)
    if option.modes.contains(mode) {
      #expect(throws: Never.self) { try CommandRunner.parse(["replay"] + words, of: LinkBMS.self) }
    } else {
      let result = run(words)
      #expect(result.status == 2 && result.output.isEmpty, "\(result)")
      #expect(result.errors.contains("\(option.rawValue) does not apply to \(mode.words): "), "\(result.errors)")
    }
  }

  @Test func theHelpSaysWhichOptionsApply() {
    let text = CommandTree.of(LinkBMS.self).subcommand("replay")?.discussion ?? ""
    #expect(text.contains("--as SIDE: --from --until;") && text.contains("--through-engine: none."), "\(text)")
  }

  @Test(arguments: [
    (["--map-id", "zz=1"], "--map-id: found \"zz\""), (["--map-id", "4210"], "--map-id: found \"4210\", expected OLD=NEW"),
    (["--map-id", "800=1"], "--map-id: found \"800\""), (["--map-id", "4210=1", "--map-id", "4210=2"], "4210 is given twice"),
    (["--map-bus", "x"], "--map-bus: found \"x\""), (["--from=-1"], "--from: found -1.0"),
    (["--until", "nan"], "--until: found nan"),
    (["--from", "5", "--until", "4"], "expected an end behind the beginning"),
    (["--from", "5", "--to", "4"], "expected an end behind"),
    (["--to", "4", "--until", "5"], "--until: given twice"), (["--loop=-1"], "--loop: found -1"),
    (["--speed", "0"], "--speed: found"),
  ])
  func aBadValueIsRefusedInEveryMode(words: [String], error: String) {
    for mode in ReplayMode.allCases {
      let result = run([Self.deye] + Self.words(mode) + words)
      #expect(result.status == 2 && result.errors.contains(error), "\(mode): \(result)")
    }
  }

  @Test(arguments: [
    (["--step", "--speed", "2"], "--speed does not apply to --step"),
    (["--step", "--skip-gaps", "2"], "--skip-gaps does not apply to --step"),
    (["--map-bus", "can7=x", "--speed", "max"], "--map-bus: found \"can7\", expected a bus of the capture: can0"),
    (["--set", "PackVoltge=1", "--speed", "max"], "did you mean \"PackVoltage\""),
    (["--to", "mem://a", "--to", "mem://b", "--as", "battery"], "--to: found mem://a, mem://b, expected one bus beside --as"),
    (["--to", "can0=mem://a", "--as", "battery"], "--to: found can0=mem://a, expected one bus beside --as"),
  ])
  func whatDoesNotGoTogetherIsSaid(words: [String], error: String) {
    let result = run([Self.deye] + words)
    #expect(result.status == 2 && result.errors.contains(error), "\(result)")
  }

  @Test func onlyThePartThatWasAskedForIsPlayedAgainstTheSimulatedSide() throws {
    func turns(_ words: String...) throws -> Int {
      let result = run([Self.deye, "--as", "inverter"] + words)
      #expect(result.status == 0, "\(result)")
      let parts = result.output.split(separator: " ")
      let place = try #require(parts.firstIndex(of: "turns,"))
      return try #require(Int(parts[place - 1]))
    }
    let all = try turns(), beginning = try turns("--until", "6")
    #expect(beginning > 2 && beginning < 10 && all > 50, "\(beginning) of \(all)")
    #expect(try turns("--from", "30.5") < all)
  }

  @Test(arguments: ReplayMode.allCases.filter { ReplayOption.from.modes.contains($0) })
  func aPartThatTheCaptureDoesNotHaveIsNoSuccess(mode: ReplayMode) {
    let result = run([Self.deye] + Self.words(mode) + ["--from", "1000"])
    #expect(
      result.status == 2 && result.errors.contains("found no frame from 1000.0 s on, expected a part of its 59."), "\(result)")
  }

  @Test func valuesAndIDsAreChangedTogether() {
    let result = run([Self.deye, "--speed", "max", "--until", "2", "--set", "PackVoltage=300", "--map-id", "4210=5A5A"])
    #expect(result.status == 0 && result.output.contains(" can0 00005A5A#B80BE975C8043E63"), "\(result)")
    #expect(!result.output.contains("00004210#"))
  }

  @Test func idsCanChangePlaces() {
    let result = run([Self.deye, "--speed", "max", "--until", "0.5", "--map-id", "4210=4200", "--map-id", "4200=4210"])
    let ids = result.output.split(separator: "\n").map { line in
      line.split(separator: " ").first { $0.contains("#") }?.prefix(8) ?? ""
    }
    #expect(Array(ids.prefix(3)) == ["00004210", "00004210", "00004200"], "\(result.output)")
  }
}

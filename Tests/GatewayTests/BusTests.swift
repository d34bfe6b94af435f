import Analysis
import Bus
import Formats
import Foundation
import Testing

@testable import Gateway

@Suite struct BusAnalysisTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private func analysis() throws -> BusAnalysis {
    let (library, book) = try Self.definitions()
    return BusAnalysis(library, book, name: "can0")
  }

  static func definitions() throws -> (DefinitionLibrary, RuleBook) {
    let folder = Self.root.appendingPathComponent("Dissectors").path
    var files: [(path: String, text: String)] = []
    for case let name as String in FileManager.default.enumerator(atPath: folder) ?? .init()
    where name.hasSuffix(".yaml") || name.hasSuffix(".dbc") {
      files.append((name, try String(contentsOfFile: folder + "/" + name, encoding: .utf8)))
    }
    let rules = try #require(files.first { $0.path == "rules.yaml" }?.text)
    return (DefinitionLibrary(files: files), RuleBook.parse(rules, path: "rules.yaml").0)
  }

  static func frames(_ name: String) throws -> [CANRecord] {
    let text = try String(contentsOf: root.appendingPathComponent("Captures/\(name)/capture.log"), encoding: .utf8)
    return text.split(separator: "\n").compactMap { line -> CANRecord? in
      let words = line.split(separator: " ")
      guard words.count >= 3, let frame = FrameText.parse(String(words[2])), let seconds = Double(words[0].dropFirst().dropLast())
      else {
        return nil
      }
      return CANRecord(time: Timestamp(nanoseconds: Int64(seconds * 1e6) * 1000), frame: frame)
    }
  }

  @Test func whatIsSpokenIsNamedDecodedAndJudged() throws {
    var analysis = try analysis()
    #expect(analysis.report.speaks.contains("No frame"))
    let frames = try Self.frames("sofar-handshake-failed")
    #expect(frames.count > 200)
    // In small portions, as they come.
    for start in stride(from: 0, to: frames.count, by: 7) { analysis.take(Array(frames[start..<min(start + 7, frames.count)])) }
    let report = analysis.report
    #expect(report.speaks.lowercased().contains("sofar"))
    #expect(report.findings.contains { $0[0].hasPrefix("R04") }, "\(report.findings)")
    #expect(report.verdict.contains("address"))
    #expect(analysis.lines.count == BusAnalysis.lineRoom)
    #expect(analysis.lines.last?.number == UInt64(frames.count))
    #expect(analysis.lines.contains { !$0.name.isEmpty && !$0.values.isEmpty })
  }

  @Test func aHandshakeHasATimeline() throws {
    var analysis = try analysis()
    analysis.take(try Self.frames("deye-handshake-failed"))
    #expect(!analysis.report.timeline.isEmpty)
    #expect(!analysis.report.findings.isEmpty)
  }

  /// Two ports: a healthy one beside one with a wrong address, frame by frame in turn.
  private func ports() throws -> BusPorts {
    let (library, book) = try Self.definitions()
    var ports = BusPorts(["can0", "can1"], library, book)
    let good = try Self.frames("deye-handshake-failed")
    let bad = try Self.frames("sofar-handshake-failed")
    for index in 0..<max(good.count, bad.count) {
      for (place, frames) in [good, bad].enumerated() where index < frames.count {
        var frame = frames[index]
        frame.bus = BusID(UInt16(place))
        ports.take([frame])
      }
    }
    ports.judge()
    return ports
  }

  @Test func twoPortsAreNotMerged() throws {
    let both = try ports()
    #expect(both.ports.map(\.name) == ["can0", "can1"])
    for (place, name) in [(0, "deye-handshake-failed"), (1, "sofar-handshake-failed")] {
      let (library, book) = try Self.definitions()
      var alone = BusAnalysis(library, book, name: both.ports[place].name)
      alone.take(try Self.frames(name))
      // As if the other port were not there.
      #expect(both.ports[place].report == alone.report)
      #expect(both.ports[place].analysis.lines.map(\.data) == alone.lines.map(\.data))
    }
    #expect(both.ports[0].report != both.ports[1].report)
  }

  @Test func aPortThatNobodyNamedGetsANameAndTheRestIsLeftOut() throws {
    let (library, book) = try Self.definitions()
    var ports = BusPorts([], library, book)
    for place in [2, 60_000] as [UInt16] {
      ports.take([CANRecord(time: Timestamp(nanoseconds: 0), bus: BusID(place), frame: CANFrame())])
    }
    #expect(ports.ports.map(\.name) == ["can0", "can1", "can2"])
    #expect(ports.ports.map(\.analysis.lines.count) == [0, 0, 1])
  }

  @Test func thePageSaysWhichPortItShowsAndOffersTheOthers() throws {
    let both = try ports()
    func view(_ place: Int) -> BusView {
      BusView(
        ports: both.ports.map(\.name), place: place, lines: both.ports[place].analysis.lines, report: both.ports[place].report)
    }
    let page = BusPage.html(view(1)).source
    for part in [
      "<h1>Bus of the inverter at can1</h1>", "<h2>Findings at can1</h2>", "<h2>Traffic at can1</h2>", "href=\"/bus?port=0\">can0",
      "aria-current=\"page\">can1",
    ] {
      #expect(page.contains(part), "\(part)")
    }
    var alone = view(0)
    alone.ports = ["can0"]
    #expect(BusPage.html(alone).source.contains("<h1>Bus of the inverter</h1>"))
  }

  @Test func thePortIsChosenByItsPlace() async throws {
    let (library, book) = try Self.definitions()
    let hub = SnapshotHub()
    let watcher = BusWatcher(hub: hub, library: library, book: book, ports: ["can0", "vcan7"])
    defer { watcher.stop() }
    let visitor = Visitor(Site(hub: hub, passwords: try PasswordFile(path: nil), bus: watcher))
    #expect(await visitor.get("/bus", query: ["port": "1"]).text.contains("Bus of the inverter at vcan7"))
    #expect(await visitor.get("/bus").text.contains("Bus of the inverter at can0"))
    for port in ["2", "-1", "x", "99999999999999999999"] {
      #expect(await visitor.get("/bus", query: ["port": port]).status == 404, "\(port)")
    }
    #expect(await visitor.get("/api/v1/bus", query: ["port": "1"]).text.contains("\"port\":\"vcan7\""))
    #expect(await visitor.get("/api/v1/bus", query: ["port": "2"]).status == 404)
    #expect(await visitor.get("/api/v1/bus", query: ["port": "x"]).status == 400)
  }
}

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
    let folder = Self.root.appendingPathComponent("Dissectors").path
    var files: [(path: String, text: String)] = []
    for case let name as String in FileManager.default.enumerator(atPath: folder) ?? .init()
    where name.hasSuffix(".yaml") || name.hasSuffix(".dbc") {
      files.append((name, try String(contentsOfFile: folder + "/" + name, encoding: .utf8)))
    }
    let rules = try #require(files.first { $0.path == "rules.yaml" }?.text)
    return BusAnalysis(DefinitionLibrary(files: files), RuleBook.parse(rules, path: "rules.yaml").0)
  }

  private func frames(_ name: String) throws -> [CANRecord] {
    let text = try String(contentsOf: Self.root.appendingPathComponent("Captures/\(name)/capture.log"), encoding: .utf8)
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
    let frames = try frames("sofar-handshake-failed")
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
    analysis.take(try frames("deye-handshake-failed"))
    #expect(!analysis.report.timeline.isEmpty)
    #expect(!analysis.report.findings.isEmpty)
  }
}

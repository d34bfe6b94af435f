import Analysis
import Foundation
import Formats
import Testing

/// The definitions in `Dissectors/`, as they are shipped.
enum Shipped {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent()

  static let files: [(path: String, text: String)] = {
    let folder = root.appendingPathComponent("Dissectors")
    let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".dbc") }.sorted().map { name in
      (name, (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? "")
    }
  }()

  static let library = DefinitionLibrary(files: files)
}

@Suite struct ShippedDefinitionsTests {
  @Test func everyDefinitionKeepsEveryRuleAndEverySampleDecodesAndEncodes() {
    let problems = DefinitionChecker.check(Shipped.library)
    #expect(problems.isEmpty, "\(problems.map(\.description).joined(separator: "\n"))")
    #expect(
      Shipped.library.protocolNames == [
        "byd-hvm", "deye-hv", "goodwe", "goodwe-byd", "goodwe-pylon", "growatt-hv", "pylontech-hv", "pylontech-lv", "sofar",
        "sungrow",
      ])
    #expect(Shipped.library.definitions.flatMap(\.sidecar.samples).count >= 200)
  }

  @Test func aWrongExpectationIsFound() throws {
    let files = Shipped.files.map { file in
      (path: file.path, text: file.text.replacing("PackVoltage: 246.9", with: "PackVoltage: 246.8"))
    }
    let rules = DefinitionChecker.check(DefinitionLibrary(files: files)).map(\.rule)
    #expect(rules.contains(.sampleDecode) && rules.contains(.sampleEncode))
  }

  @Test(arguments: [
    ("summary: >-", "sumary: >-", DefinitionProblem.Rule.unknownKey), ("  PackCurrent: [-", "  PackCurrant: [-", .unknownSignal),
    ("side: battery", "side: left", .value),
    ("byteOrder: little, dischargeLimitSign", "byteOdrer: little, dischargeLimitSign", .unknownReading),
    ("dbc: pylontech-hv.dbc", "dbc: pylontech.dbc", .missingFile), ("bits: 4", "bits: [", .syntax),
    ("extends: pylontech-hv", "extends: pylon", .unknownBase), ("{ BMS: battery, INV", "{ BMX: battery, INV", .unknownNode),
    ("messages: [Poll]", "messages: [Pool]", .unknownMessage),
  ])
  func eachMistakeIsNamedByItsRuleAndFile(original: String, mistake: String, rule: DefinitionProblem.Rule) throws {
    #expect(Shipped.files.contains { $0.text.contains(original) })
    let files = Shipped.files.map { (path: $0.path, text: $0.text.replacing(original, with: mistake)) }
    let problems = DefinitionChecker.check(DefinitionLibrary(files: files))
    #expect(problems.contains { $0.rule == rule && $0.path.hasSuffix(".yaml") }, "\(problems.prefix(3))")
  }
}

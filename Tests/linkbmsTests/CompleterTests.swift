import HostIO
import Testing

@testable import linkbms

@Suite struct CompleterTests {
  private struct Names: CompletionSource {
    func names(_ topic: CompletionTopic) -> [String] {
      switch topic {
      case .protocols: ["goodwe", "pylontech-hv"]
      case .variants(ofProtocol: "goodwe"): ["byd"]
      case .variants: ["byd", "twin"]
      case .messages: ["Limits"]
      case .signals: ["CellMax", "PackVoltage"]
      case .buses: ["can0"]
      case .interfaces: ["can7"]
      }
    }
  }

  private func completion(_ line: String, wordStart: Int) -> Completion {
    func option(_ name: String, values: [String]? = nil, kind: ArgumentInfo.Kind = .option) -> ArgumentInfo {
      let name = ArgumentInfo.Name(kind: .long, name: name)
      return ArgumentInfo(
        kind: kind, shouldDisplay: true, isOptional: true, isRepeating: false, names: [name], preferredName: name, allValues: values
      )
    }
    let file = ArgumentInfo(
      kind: .positional, shouldDisplay: true, isOptional: true, isRepeating: true, valueName: "file",
      completionKind: .file(extensions: []))
    let decode = CommandInfo(
      commandName: "decode",
      arguments: [
        file, option("format", values: ["text", "json"]), option("protocol"), option("variant"), option("where"),
        option("summary", kind: .flag), option("live"),
      ])
    let tree = CommandInfo(
      commandName: "linkbms", subcommands: [decode, CommandInfo(commandName: "info"), CommandInfo(commandName: "identify")])
    return Completer(commands: tree, aliases: ["q", "exit"], names: Names()).completion(of: line, wordStart: wordStart)
  }

  @Test(
    arguments: [
      ("", .words(["decode", "info", "identify", "exit"])),
      ("de", .words(["decode", "info", "identify", "exit"])),
      ("info; de", .words(["decode", "info", "identify", "exit"])),
      ("linkbms de", .words(["decode", "info", "identify", "exit"])),
      ("decode x", .files), ("dec x", .files), ("decode a b", .files),
      ("decode --", .words(["--format", "--protocol", "--variant", "--where", "--summary", "--live"])),
      ("decode --live c", .words(["can7"])),
      ("decode --format ", .words(["text", "json"])),
      ("decode --format=", .words(["text", "json"])),
      ("decode --format=j", .words(["text", "json"])),
      ("decode --summary ", .files),
      ("decode --protocol p", .words(["goodwe", "pylontech-hv"])),
      ("decode --protocol goodwe --variant ", .words(["byd"])),
      ("decode --variant ", .words(["byd", "twin"])),
      (
        "decode --where 'PackVoltage > 4 and Ce",
        .words(
          ["CellMax", "PackVoltage", "Limits"].map { "PackVoltage > 4 and " + $0 }, continues: true)
      ),
      ("decode x > ", .files), ("decode x | gr", .files), ("! ca", .files), ("nonsense ", .files), ("i ", .files),
    ] as [(String, Completion)])
  func offers(line: String, expected: Completion) {
    // As readline cuts: at the open quote, else behind the last break.
    let bytes = Array(line.utf8)
    let quote = bytes.firstIndex(of: UInt8(ascii: "'")).map { $0 + 1 }
    let start = quote ?? (bytes.lastIndex { " =>|".utf8.contains($0) }.map { $0 + 1 } ?? 0)
    #expect(completion(line, wordStart: start) == expected)
  }

  @Test func theBuiltInDefinitionsGiveNames() {
    let names = LibraryNames()
    #expect(names.names(.protocols).contains("pylontech-hv"))
    #expect(!names.names(.variants(ofProtocol: "pylontech-hv")).isEmpty)
    #expect(names.names(.variants(ofProtocol: "nobody")).isEmpty)
    #expect(names.names(.messages).count > 10 && names.names(.signals).count > 50)
  }

  @Test func anyOffsetIsTaken() {
    for start in [-1, 0, 3, 99] { _ = completion("decode --format=é", wordStart: start) }
  }
}

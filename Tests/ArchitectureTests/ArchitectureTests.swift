import Foundation
import Testing

/// The sources as text: what these rules read.
enum Tree {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func swiftFiles(below folder: String) -> [(path: String, text: String)] {
    let base = root.appendingPathComponent(folder)
    let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".swift") }.sorted().map { name in
      (folder + "/" + name, (try? String(contentsOf: base.appendingPathComponent(name), encoding: .utf8)) ?? "")
    }
  }
}

/// Rules about a file's text, as functions, so that each can be shown to fail.
enum Rules {
  /// Modules that a text imports.
  static func imports(_ text: String) -> [String] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      guard let place = words.firstIndex(of: "import"), place <= 2,
        words[..<place].allSatisfy({ ["public", "private", "internal", "package", "@testable"].contains($0) }),
        place + 1 < words.count
      else { return nil }
      return words[place + 1]
    }
  }

  /// Code of a text: without comments and string contents.
  static func code(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
      var result = ""
      var isInString = false
      var previous: Character = " "
      for character in line {
        if character == "\"", previous != "\\" { isInString.toggle() }
        if !isInString {
          if character == "/", previous == "/" { return String(result.dropLast()) }
          result.append(character)
        }
        previous = character
      }
      return result
    }.joined(separator: "\n")
  }

  /// Words that end a program on bad input, or hide an error.
  static func traps(_ text: String) -> [String] {
    let code = code(text)
    return ["fatalError(", "try!", " as!", "TODO", "FIXME", "unimplemented", "preconditionFailure("].filter(code.contains)
  }
}

@Suite struct ArchitectureTests {
  /// Who may import whom (design: imports only go down). `Yams` stands behind one file; C modules are shims of the target that owns them.
  static let allowed: [String: Set<String>] = [
    "Bus": [], "Protocols": ["Bus"], "Controller": ["Bus"],
    // The configuration and its state are files: that is why Formats may see the controller's values.
    "Formats": ["Bus", "Protocols", "Controller", "Yams", "CZlib"], "Analysis": ["Bus", "Protocols", "Controller", "Formats"],
    // What the controller's engine, chains and sessions do together in a run; the simulation runs the same.
    "Runtime": ["Bus", "Protocols", "Controller", "Formats"],
    "Simulation": ["Bus", "Protocols", "Controller", "Formats", "Runtime", "Glibc"],
    "HostIO": ["Bus", "Glibc", "CGPIO", "CPcap", "CPorts", "CReadline", "CSerialPort", "CSignals", "CSocketCAN", "CZip"],
    // The server stands on Hummingbird and its parts, the history on GRDB.
    "Gateway": [
      "Bus", "Protocols", "Controller", "Formats", "Analysis", "HostIO", "Hummingbird", "HummingbirdCore", "HummingbirdTLS",
      "NIOSSL", "HTTPTypes", "NIOCore", "NIOPosix", "NIOHTTPTypes", "Logging", "ServiceLifecycle", "Dispatch",
      "FoundationEssentials", "Synchronization", "GRDB", "CAvahi", "CCrypt", "CMosquitto", "CPostgres",
    ],
    "linkbms": [
      "Bus", "Protocols", "Controller", "Formats", "Analysis", "Runtime", "Simulation", "HostIO", "Gateway", "ArgumentParser",
      "Dispatch", "FoundationEssentials", "Glibc", "Logging", "Synchronization",
    ],
  ]

  @Test(arguments: [
    "Bus", "Protocols", "Controller", "Formats", "Analysis", "Runtime", "Simulation", "HostIO", "Gateway", "linkbms",
  ])
  func importsOnlyGoDown(target: String) throws {
    let files = Tree.swiftFiles(below: "Sources/\(target)")
    #expect(!files.isEmpty)
    for file in files {
      let strange = Rules.imports(file.text).filter { !Self.allowed[target, default: []].contains($0) }
      #expect(strange.isEmpty, "\(file.path) imports \(strange)")
    }
  }

  @Test func theImportRuleSeesEveryForm() {
    #expect(Rules.imports("import A\npublic import B\nprivate import C\n// import D\nlet x = 1 // import E") == ["A", "B", "C"])
  }

  @Test func foundationStaysOutOfTheStartUpPath() {
    // Foundation costs milliseconds at every start. One folder of the program may use it where nothing else does the job.
    for file in Tree.swiftFiles(below: "Sources/linkbms")
    where !Set(Rules.imports(file.text)).isDisjoint(with: ["Foundation", "FoundationEssentials"]) {
      #expect(file.path.contains("/Help/"), "\(file.path)")
    }
  }

  @Test func nothingTrapsOnPurpose() {
    for target in Self.allowed.keys.sorted() {
      for file in Tree.swiftFiles(below: "Sources/\(target)") {
        #expect(Rules.traps(file.text).isEmpty, "\(file.path): \(Rules.traps(file.text))")
      }
    }
    #expect(Rules.traps("let a = try! b()") == ["try!"])
    #expect(Rules.traps("// never try! this\nlet s = \"try!\"").isEmpty)
  }

  @Test func onlyTheProgramPrintsAndOnlyHostIOTouchesTheMachine() {
    for target in ["Bus", "Protocols", "Controller", "Formats", "Analysis", "Runtime", "Simulation", "Gateway"] {
      for file in Tree.swiftFiles(below: "Sources/\(target)") {
        let code = Rules.code(file.text)
        for word in ["print(", "readLine(", "open(", "mmap(", "socket(", "Date(", "clock_gettime("] {
          let isUsed = code.contains(" \(word)") || code.contains("\n\(word)") || code.contains("(\(word)")
          #expect(!isUsed, "\(file.path) uses \(word)")
        }
      }
    }
  }

  @Test func filesAnswerOneQuestion() {
    for folder in ["Sources", "Tests"] {
      for file in Tree.swiftFiles(below: folder) {
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
        #expect(lines <= 800, "\(file.path) has \(lines) lines")
      }
    }
  }

  @Test func uncheckedSendableComesWithItsReason() {
    for file in Tree.swiftFiles(below: "Sources") {
      let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      for (index, line) in lines.enumerated() where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
        let isExplained = line.contains("//") || (index > 0 && lines[index - 1].contains("//"))
        #expect(isExplained, "\(file.path):\(index + 1) gives no reason")
      }
    }
  }

  @Test func theTopLevelIsWhatTheProjectNames() throws {
    let expected: Set<String> = [
      "Package.swift", "Sources", "Tests", "Captures", "Dissectors", "tools", "README.md", "LICENSE", "CHANGELOG.md",
    ]
    let found = try FileManager.default.contentsOfDirectory(atPath: Tree.root.path).filter {
      !$0.hasPrefix(".") && $0 != "Package.resolved"
    }
    #expect(Set(found) == expected)
  }

  @Test func everyToolCanBeRun() throws {
    let folder = Tree.root.appendingPathComponent("tools").path
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name != "lib" && !name.hasSuffix(".d") {
      #expect(FileManager.default.isExecutableFile(atPath: folder + "/" + name), "tools/\(name) has no run bit")
    }
    #expect(FileManager.default.isExecutableFile(atPath: Tree.root.appendingPathComponent(".ci/run").path))
  }
}

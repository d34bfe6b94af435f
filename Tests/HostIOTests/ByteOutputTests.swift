import Foundation
import Testing

@testable import HostIO

@Suite struct ByteOutputTests {
  private let folder = NSTemporaryDirectory() + "linkbms-hostio-" + UUID().uuidString

  init() throws {
    try FileNames.makeFolder(folder)
    signal(SIGPIPE, SIG_IGN)
  }

  private func contents(_ name: String) -> Data? { FileManager.default.contents(atPath: "\(folder)/\(name)") }

  /// Sizes around the buffer of 65 536 bytes and around the half from which pieces pass through.
  @Test(arguments: [[0], [1, 2, 3], [32767, 32768, 32769], [65535, 1, 1], [65536], [65537, 5], [40000, 10, 30000, 70000, 1]])
  func keepsEveryByteInOrder(sizes: [Int]) throws {
    var expected = Data()
    let output = try ByteOutput(path: folder + "/f", appending: false)
    for (number, size) in sizes.enumerated() {
      let piece = Data((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) })
      expected.append(piece)
      try piece.withUnsafeBytes { try output.write($0) }
    }
    try output.flush()
    #expect(contents("f") == expected)
  }

  @Test func gathersUntilFlushedUnlessAPersonLooks() throws {
    let gathering = try ByteOutput(path: folder + "/a", appending: false)
    let direct = try ByteOutput(path: folder + "/b", appending: false, buffering: .none)
    try gathering.write("x")
    try direct.write("x")
    #expect(contents("a") == Data())
    #expect(contents("b") == Data("x".utf8))
    gathering.close()
    #expect(contents("a") == Data("x".utf8))
  }

  @Test func appendsOrBeginsAnew() throws {
    for (appending, expected) in [(false, "x"), (true, "xx"), (false, "x")] {
      let output = try ByteOutput(path: folder + "/f", appending: appending)
      try output.write("x")
      output.close()
      #expect(contents("f") == Data(expected.utf8))
    }
  }

  @Test func aNewFileGrowsUnderItsNameAndWritesOverNothing() throws {
    let output = try #require(try ByteOutput(newFile: folder + "/new"))
    try output.write("x")
    try output.flush()
    // Nobody has closed it: this is what a kill leaves.
    #expect(contents("new") == Data("x".utf8))
    #expect(try ByteOutput(newFile: folder + "/new") == nil)
    #expect(contents("new") == Data("x".utf8))
    symlink("/nowhere", folder + "/link")
    #expect(try ByteOutput(newFile: folder + "/link") == nil)
    #expect(try ByteOutput(newFile: folder) == nil)
    #expect(throws: OutputError.failed(errno: ENOENT)) { try ByteOutput(newFile: folder + "/none/f") }
  }

  @Test func saysWhyItCannotWrite() throws {
    #expect(throws: OutputError.failed(errno: ENOENT)) { try ByteOutput(path: folder + "/none/f", appending: false) }
    #expect(throws: OutputError.failed(errno: EISDIR)) { try ByteOutput(path: folder, appending: false) }
    let full = try ByteOutput(path: "/dev/full", appending: true)
    try full.write("x")
    #expect(throws: OutputError.failed(errno: ENOSPC)) { try full.flush() }
    try full.flush()
    #expect(OutputError.failed(errno: ENOSPC).text == "No space left on device")
  }

  @Test func aReaderThatLeavesIsABrokenPipe() throws {
    let program = try ChildProcess.piped(shell: "exit 3")
    #expect(program.child.wait() == .exited(3))
    // What another test starts at this moment holds the reader's end too, until it has come to its exec.
    var end: OutputError?
    for _ in 0..<1000 where end == nil {
      do throws(OutputError) {
        try program.output.write("x")
        try program.output.flush()
        usleep(10_000)
      } catch { end = error }
    }
    #expect(end == .brokenPipe)
  }

  @Test func childrenFindVariablesAndKnowSignals() throws {
    let program = try ChildProcess.piped(
      shell: "cat > \"$place/f\"; echo $HOME >> \"$place/f\"", variables: ["place": folder, "HOME": "h"])
    try program.output.write("in ")
    program.output.close()
    #expect(program.child.wait() == .exited(0))
    #expect(contents("f") == Data("in h\n".utf8))
    #expect(try ChildProcess(shell: "kill -9 $$").wait() == .signalled(9))
  }
}

@Suite struct LineReaderTests {
  @Test(arguments: [
    ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]), ("\n\n", ["", ""]), ("a\r\nb\r", ["a", "b"]), ("é\n", ["é"]),
    (String(repeating: "x", count: 16384) + "\ny\n", [String(repeating: "x", count: 16384), "y"]),
    (String(repeating: "x", count: 16383) + "\ny\n", [String(repeating: "x", count: 16383), "y"]),
  ])
  func readsLines(text: String, expected: [String]) throws {
    let path = NSTemporaryDirectory() + "linkbms-lines-" + UUID().uuidString
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var reader = try LineReader(path: path)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(line) }
    #expect(lines == expected)
  }

  @Test func aFileWithoutLineEndsComesInPieces() throws {
    let path = NSTemporaryDirectory() + "linkbms-lines-" + UUID().uuidString
    try Data(count: 3_000_000).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    var reader = try LineReader(path: path)
    var (pieces, total) = (0, 0)
    while let line = try reader.next() {
      #expect(line.utf8.count < 1_100_000)
      (pieces, total) = (pieces + 1, total + line.utf8.count)
    }
    #expect(pieces == 3 && total == 3_000_000)
  }

  @Test func aFolderIsRefused() throws {
    var reader = try LineReader(path: "/")
    #expect(throws: OutputError.failed(errno: EISDIR)) { _ = try reader.next() }
  }
}

@Suite struct FileNamesTests {
  @Test func makesFoldersWithThoseAbove() throws {
    let folder = NSTemporaryDirectory() + "linkbms-folders-" + UUID().uuidString
    try FileNames.makeFolder(folder + "/a/b/c")
    try FileNames.makeFolder(folder + "/a/b/c")
    #expect(try FileFacts(path: folder + "/a/b/c").isFolder)
    try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/file"))
    #expect(throws: OutputError.failed(errno: ENOTDIR)) { try FileNames.makeFolder(folder + "/file/sub") }
    #expect(FileNames.matching(folder + "/*") == [folder + "/a", folder + "/file"])
    #expect(FileNames.matching(folder + "/x*") == [])
  }
}

@Suite struct ReplacedFileTests {
  @Test func aFileThatHoldsSomethingStaysWholeUntilItsReplacementIsClosed() throws {
    let folder = "/tmp/linkbms-test-\(UInt64.random(in: 0...UInt64.max))"
    try FileNames.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/a.log"
    let first = try ByteOutput(path: path, appending: false)
    try first.write("old")
    first.close()
    let source = try ByteSource(path: path)
    let second = try ByteOutput(path: path, appending: false)
    try second.write("new and longer")
    try second.flush()
    guard case .file(let file) = source else { Issue.record("no plain file"); return }
    #expect(Array(file.bytes) == Array("old".utf8))
    #expect(try FileFacts(path: path).size == 3)
    second.close()
    #expect(Array(file.bytes) == Array("old".utf8))
    #expect(try FileFacts(path: path).size == 14)
    #expect(FileNames.matching(folder + "/*").count == 1)
    #expect(FileFacts.areSameFile(path, folder + "/../" + folder.split(separator: "/").last! + "/a.log"))
    #expect(!FileFacts.areSameFile(path, folder + "/none"))
  }
}

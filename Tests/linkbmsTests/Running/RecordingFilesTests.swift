import Foundation
import HostIO
import Testing

@testable import linkbms

/// What the files of a run's recording are called, and which of them are kept.
@Suite struct RecordingFilesTests {
  private let folder: TestFolder
  private var path: String { folder.file("rec.pcapng") }

  init() throws { folder = try TestFolder() }

  private var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() } }
  private func bytes(_ name: String) -> [UInt8]? { FileManager.default.contents(atPath: folder.file(name)).map { [UInt8]($0) } }

  /// A start that records so many bytes and is killed.
  private func start(_ bytes: Int, limits: RecordingFiles.Limits? = nil) throws {
    let files = try RecordingFiles(path, limits: limits)
    try files.write(capture: [UInt8](repeating: 1, count: bytes / 2), log: [UInt8](repeating: 2, count: bytes - bytes / 2))
  }

  @Test func eachStartHasAFileOfItsOwnThatGrowsInPlace() throws {
    let first = try RecordingFiles(path)
    #expect(first.firstName == folder.file("rec-0001.pcapng"))
    try first.write(capture: [1, 2], log: [3])
    let second = try RecordingFiles(path)
    try second.write(capture: [4], log: [5])
    #expect(bytes("rec-0001.pcapng") == [1, 2] && bytes("rec-0001.pcapng.log") == [3])
    #expect(bytes("rec-0002.pcapng") == [4] && bytes("rec-0002.pcapng.log") == [5])
    try first.write(capture: [6], log: [])
    #expect(bytes("rec-0001.pcapng") == [1, 2, 6])
    // What another program has begun meanwhile is not gone on in.
    try first.goOn()
    try first.write(capture: [7], log: [8])
    #expect(bytes("rec-0002.pcapng") == [4] && bytes("rec-0003.pcapng") == [7])
    #expect(first.firstName == folder.file("rec-0001.pcapng"))
    #expect(try names.count == 6)
  }

  @Test func theNumberIsBehindTheLatestThatIsThere() throws {
    for name in [
      "rec-0007.pcapng", "rec-0007.pcapng.log", "rec-0008.pcapng", "rec-2000000.pcapng.log",
      "rec-0009.pcapng.log", "rec-0100.pcap", "rec-100.pcapng", "rec-0x64.pcapng", "rec-+100.pcapng",
      "other-0100.pcapng", "rec-99999999999999999999.pcapng", "rec-9223372036854775807.pcapng", "rec.pcapng",
    ] { #expect(FileManager.default.createFile(atPath: folder.file(name), contents: nil)) }
    try FileManager.default.createDirectory(atPath: folder.file("rec-0011.pcapng.log"), withIntermediateDirectories: false)
    #expect(RecordingFiles.numbers(path) == [7, 9])
    #expect(try RecordingFiles(path).firstName == folder.file("rec-0010.pcapng"))
    // Letters that mean something in a pattern; lines that end as the recording does.
    for name in ["[a]*?\\b", "x.log", "no suffix"] {
      let path = folder.file(name)
      #expect(try RecordingFiles(path).firstName == Rotation.name(path, 1))
      #expect(try RecordingFiles(path).firstName == Rotation.name(path, 2))
      #expect(RecordingFiles.numbers(path) == [1, 2])
    }
  }

  @Test func keepsAsMuchAsSoManyFullFiles() throws {
    for _ in 0..<3 { try start(1000) }
    let files = try RecordingFiles(path, limits: .init(bytes: 1000, keep: 2))
    #expect(RecordingFiles.numbers(path) == [1, 2, 3, 4])
    // Those of earlier starts count, and go when something is written.
    try files.write(capture: [UInt8](repeating: 1, count: 1000), log: [])
    #expect(RecordingFiles.numbers(path) == [3, 4])
    #expect(try names == ["rec-0003.pcapng", "rec-0003.pcapng.log", "rec-0004.pcapng", "rec-0004.pcapng.log"])
    try files.goOn()
    try files.write(capture: [1], log: [])
    #expect(RecordingFiles.numbers(path) == [4, 5])
  }

  @Test func filesOfSomebodyElseAreLeftAlone() throws {
    let bytes = Data(repeating: 3, count: 5000)
    #expect(FileManager.default.createFile(atPath: folder.file("rec-0001.pcapng"), contents: bytes))
    for _ in 0..<4 { try start(1000, limits: .init(bytes: 1000, keep: 1)) }
    #expect(try names.contains("rec-0001.pcapng") && RecordingFiles.numbers(path) == [5])
  }

  @Test func manyShortFilesPushNoLongOneOut() throws {
    try start(900)
    for _ in 0..<50 { try start(10, limits: .init(bytes: 1000, keep: 2)) }
    #expect(RecordingFiles.numbers(path) == Array(1...51))
  }

  @Test func oneFileIsKeptOrAll() throws {
    for _ in 0..<3 { try start(1000, limits: .init(bytes: 1000, keep: nil)) }
    #expect(RecordingFiles.numbers(path) == [1, 2, 3])
    try start(10, limits: .init(bytes: .max, keep: .max))
    #expect(RecordingFiles.numbers(path) == [1, 2, 3, 4])
    try start(10, limits: .init(bytes: 1000, keep: 1))
    #expect(RecordingFiles.numbers(path) == [4, 5])
  }

  @Test func whereNoFileCanBeMadeThePresentOneGoesOn() throws {
    let files = try RecordingFiles(path)
    let moved = folder.path + ".moved"
    defer { try? FileManager.default.removeItem(atPath: moved) }
    try FileManager.default.moveItem(atPath: folder.path, toPath: moved)
    let error = #expect(throws: WorldError.self) { try files.goOn() }
    #expect(error?.message == "cannot write \(folder.file("rec-0002.pcapng")): No such file or directory")
    try files.write(capture: [1], log: [2])
    #expect(FileManager.default.contents(atPath: moved + "/rec-0001.pcapng").map { [UInt8]($0) } == [1])
    #expect(throws: WorldError.self) { try RecordingFiles(folder.file("none/rec.pcapng")) }
  }
}

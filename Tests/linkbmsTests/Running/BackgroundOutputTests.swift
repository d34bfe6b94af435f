import Dispatch
import Foundation
import Glibc
import Testing

@testable import linkbms

/// What a run says, where the other end does not take it: the one who says it never waits, and nothing is lost without a word.
@Suite struct BackgroundOutputTests {
  init() { signal(SIGPIPE, SIG_IGN) }

  /// What stands at the other end.
  enum Reader: CaseIterable {
    case terminal, pipe

    /// What nobody reads yet, and the end to write to.
    func open() throws -> (reader: Int32, writer: Int32) {
      var ends: [Int32] = [-1, -1]
      var (master, slave): (Int32, Int32) = (-1, -1)
      switch self {
      case .pipe:
        let failure = Glibc.pipe(&ends)
        try #require(failure == 0)
      case .terminal:
        let failure = openpty(&master, &slave, nil, nil, nil)
        try #require(failure == 0)
        ends = [master, slave]
      }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return (ends[0], ends[1])
    }

    var name: String { self == .terminal ? "the terminal" : "standard output" }
  }

  private static func line(_ number: Int) -> String { "\(number) \(String(repeating: "·", count: 50))" }

  private static func note(_ lost: Int, _ name: String) -> String {
    "(\(lost) \(lost == 1 ? "line was" : "lines were") not taken by \(name))"
  }

  /// Reads until this has come, without what a terminal puts before each line's end.
  private static func read(_ reader: Int32, until last: String) -> String {
    var bytes: [UInt8] = []
    let wanted = Array(last.utf8)
    _ = LiveProcess.wait {
      var source = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
      while poll(&source, 1, 0) > 0 {
        var room = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(reader, &room, room.count)
        guard count > 0 else { break }
        bytes += room[..<count].filter { $0 != 0x0D }
      }
      return bytes.suffix(wanted.count).elementsEqual(wanted)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test(arguments: Reader.allCases)
  func whoeverWritesNeverWaitsAndWhatIsLostIsCounted(kind: Reader) throws {
    let (reader, writer) = try kind.open()
    defer { for end in [reader, writer] { close(end) } }
    let output = BackgroundOutput(descriptor: writer, name: "standard output")
    let last = 5000
    let begin = ContinuousClock.now
    for number in 1...last { output.write(Self.line(number) + "\n") }
    // Half a megabyte; the other end takes a tenth of it, and the rest would wait for ever.
    #expect(ContinuousClock.now - begin < .seconds(10))
    let isDone = output.finish(by: .now() + 0.1)
    #expect(!isDone)

    let text = Self.read(reader, until: Self.line(last) + "\n")
    #expect(output.finish(by: .now() + 60.0))
    var (next, notes) = (1, 0)
    for line in text.split(separator: "\n") {
      if line.hasPrefix("(") {
        let lost = try #require(Int(line.dropFirst().prefix { $0 != " " }))
        try #require(line == Self.note(lost, kind.name))
        next += lost
        notes += 1
      } else {
        try #require(line == Self.line(next))
        next += 1
      }
    }
    #expect(next == last + 1 && notes > 0)
  }

  @Test func nothingIsAddedWhereEverythingIsTaken() throws {
    let (reader, writer) = try Reader.pipe.open()
    defer { for end in [reader, writer] { close(end) } }
    let output = BackgroundOutput(descriptor: writer, name: "standard output")
    for number in 1...100 { output.write("\(number)\n") }
    #expect(output.finish(by: .now() + 60.0))
    #expect(Self.read(reader, until: "100\n") == (1...100).map { "\($0)\n" }.joined())
  }

  @Test func aLineThatIsTooLongIsLostAlone() throws {
    let (reader, writer) = try Reader.pipe.open()
    defer { for end in [reader, writer] { close(end) } }
    let output = BackgroundOutput(descriptor: writer, name: "standard output", mark: "<4>")
    output.write(String(repeating: "x", count: BackgroundOutput.most) + "\n")
    output.write("short\n")
    #expect(output.finish(by: .now() + 60.0))
    #expect(Self.read(reader, until: "short\n") == "<4>\(Self.note(1, "standard output"))\nshort\n")
  }

  /// A named pipe whose reader leaves, and another one that comes.
  @Test func aReaderThatLeftEndsNothing() throws {
    let folder = try TestFolder()
    let path = folder.file("pipe")
    try #require(mkfifo(path, 0o600) == 0)
    let first = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    let writer = open(path, O_WRONLY | O_CLOEXEC)
    try #require(first >= 0 && writer >= 0)
    defer { close(writer) }
    close(first)
    // What another test starts at this moment holds the reader's end too, until it has come to its exec.
    let isAlone = LiveProcess.wait {
      var source = pollfd(fd: writer, events: Int16(POLLOUT), revents: 0)
      return poll(&source, 1, 0) > 0 && source.revents & Int16(POLLERR) != 0
    }
    try #require(isAlone)
    let output = BackgroundOutput(descriptor: writer, name: "standard output")
    output.write("a\n")
    output.write("b\n")
    #expect(output.finish(by: .now() + 60.0))

    let second = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    try #require(second >= 0)
    defer { close(second) }
    output.write("c\n")
    #expect(output.finish(by: .now() + 60.0))
    #expect(Self.read(second, until: "c\n") == Self.note(2, "standard output") + "\nc\n")
  }

  @Test func aRunOnATerminalThatNobodyReadsGoesOnAndEnds() throws {
    let folder = try RunFolder()
    let scenario = folder.path + "/small.yaml"
    try "configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: none}\nload: [{at: 0, current: 5}]\n"
      .write(toFile: scenario, atomically: true, encoding: .utf8)
    let (reader, writer) = try Reader.terminal.open()
    defer { close(reader) }  // else there would be no terminal
    let terminal = FileHandle(fileDescriptor: writer, closeOnDealloc: true)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: BuiltProgram.path)
    // Several times what a terminal takes.
    process.arguments = [
      "run", "--simulate", scenario, "--speed", "1440", "--for", "5m", "--status-every", "500ms", "--state", folder.path + "/state",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = terminal
    process.standardError = terminal
    try process.run()
    let hasEnded = LiveProcess.wait(60) { !process.isRunning }
    if !hasEnded { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    #expect(hasEnded && process.terminationStatus == 0)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/state"))
  }
}

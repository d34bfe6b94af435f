import Foundation
import Testing

@testable import HostIO

@Suite struct InputLinesTests {
  @Test func takesWholeLinesAndWaitsForTheRest() {
    let pipe = Pipe()
    let input = InputLines(descriptor: pipe.fileHandleForReading.fileDescriptor)
    #expect(input.take() == [])
    pipe.fileHandleForWriting.write(Data("first\r\nsecond\n\nthi".utf8))
    #expect(input.take() == ["first", "second"])
    pipe.fileHandleForWriting.write(Data("rd\n".utf8))
    #expect(input.take() == ["third"])
  }

  /// What no person types is not shortened into something else.
  @Test func passesOverALineThatIsNone() {
    let pipe = Pipe()
    let input = InputLines(descriptor: pipe.fileHandleForReading.fileDescriptor)
    pipe.fileHandleForWriting.write(Data(("unplug " + String(repeating: "x", count: 600) + "\nstop\n").utf8))
    #expect(input.take() == ["stop"])
  }

  @Test func endsWithItsSource() throws {
    let pipe = Pipe()
    let input = InputLines(descriptor: pipe.fileHandleForReading.fileDescriptor)
    pipe.fileHandleForWriting.write(Data("last\n".utf8))
    try pipe.fileHandleForWriting.close()
    while input.descriptor >= 0 { #expect(input.take() == ["last"] || input.descriptor < 0) }
    #expect(input.take() == [])
  }
}

import Controller
import Formats
import Foundation
import Testing

@testable import HostIO

@_silgen_name("fork") private func startProcess() -> Int32

/// spec/controller.md §6: a power cut never loses the file. A killed process is the nearest thing to one that a test can make.
@Suite(.serialized) struct AtomicFileTests {
  private let folder = NSTemporaryDirectory() + "linkbms-atomic-" + UUID().uuidString

  init() throws { try FileNames.makeFolder(folder) }

  private func state(_ charge: Int64) -> [UInt8] {
    var state = PersistentState()
    state.charge_mAs = charge
    state.balanceTimes = (0..<420).map { UInt32(truncatingIfNeeded: charge) &+ UInt32($0) }
    return Array(StateFile.text(state).utf8)
  }

  private func read(_ path: String) -> Int64? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    return (try? StateFile.parse(String(decoding: data, as: UTF8.self)))?.charge_mAs
  }

  /// Runs `body` in a child that is killed by itself, or by us after some microseconds.
  private func killed(after microseconds: UInt32?, _ body: () -> Void) {
    let child = startProcess()
    if child == 0 {
      body()
      _exit(0)
    }
    if let microseconds {
      usleep(microseconds)
      kill(child, SIGKILL)
    }
    var status: Int32 = 0
    waitpid(child, &status, 0)
  }

  @Test func aGoodFileIsThereWhereverTheProcessIsKilled() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var random = SystemRandomNumberGenerator()
    let path = folder + "/state"
    try AtomicFile.write(state(0), to: path)
    var newest: Int64 = 0
    var kills = 0
    for round in 1...180 {
      // Between write, fsync and rename: at each step in turn.
      let step = AtomicFile.Step.allCases[round % AtomicFile.Step.allCases.count]
      let bytes = state(Int64(round))
      killed(after: nil) {
        try? AtomicFile.write(bytes, to: path) { if $0 == step { kill(getpid(), SIGKILL) } }
      }
      kills += 1
      let found = try #require(read(path), "round \(round), killed at \(step)")
      #expect(found == (step == .renamed ? Int64(round) : newest), "\(step)")
      newest = found
    }
    for round in 1...180 {
      // At a random moment of a loop that writes all the time.
      let numbers = (0..<200).map { state(Int64(1000 * round + $0)) }
      killed(after: UInt32.random(in: 50...4000, using: &random)) {
        for bytes in numbers { try? AtomicFile.write(bytes, to: path) }
      }
      kills += 1
      let found = try #require(read(path), "round \(round)")
      #expect(found >= newest)
      newest = found
      #expect(read(path + ".previous") != nil, "the one before is kept")
    }
    #expect(kills >= 300)
  }

  @Test func whatCannotBeWrittenIsSaidAndTheOldFileStays() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(throws: HostError.self) { try AtomicFile.write([1], to: folder + "/none/x") }
    try AtomicFile.write([1, 2], to: folder + "/a")
    try AtomicFile.write([3], to: folder + "/a")
    #expect(FileManager.default.contents(atPath: folder + "/a") == Data([3]))
    #expect(FileManager.default.contents(atPath: folder + "/a.previous") == Data([1, 2]))
    #expect(throws: HostError.self) { try AtomicFile.write([1], to: folder) }
  }
}

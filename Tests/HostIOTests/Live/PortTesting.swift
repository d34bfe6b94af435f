import Bus
import Foundation
import Glibc
import Testing

@testable import HostIO

/// What the tests of live ports have in common.
enum PortTesting {
  /// Reads from a port until `isEnough` or the time is up; waits for readiness, never for time.
  static func gather(
    _ port: any BusPort, seconds: Double = 20, until isEnough: ([PortEvent]) -> Bool
  ) throws -> [PortEvent] {
    var events: [PortEvent] = []
    let end_ns = PortPoller.now_ns + Int64(seconds * 1e9)
    while !isEnough(events), PortPoller.now_ns < end_ns {
      _ = PortPoller.wait([port.descriptor], until_ns: min(end_ns, port.wakeTime_ns ?? .max))
      try port.receive { events.append($0) }
    }
    return events
  }

  /// Frames of a port, `count` of them unless the time is up before.
  static func frames(_ port: any BusPort, _ count: Int, seconds: Double = 20) throws -> [CANRecord] {
    try gather(port, seconds: seconds) { $0.records.count >= count }.records
  }

  /// One of each kind of frame.
  static var everyKind: [CANFrame] {
    var result: [CANFrame] = []
    func add(_ id: ArbitrationID, _ flags: CANFrame.Flags = [], _ bytes: [UInt8], length: UInt8? = nil) {
      var frame = CANFrame()
      frame.id = id
      frame.flags = flags
      frame.length = length ?? UInt8(bytes.count)
      for (index, byte) in bytes.enumerated() { frame.setByte(index, byte) }
      result.append(frame)
    }
    add(.standard(0x351), [], [1, 2, 3, 4, 5, 6, 7, 8])
    add(.standard(0), [], [])
    add(.standard(0x7FF), [], [0xFF])
    add(.extended(0x351), [], [0xAA, 0xBB])
    add(.extended(0x1FFF_FFFF), [], [0, 0xFF, 0])
    add(.standard(0x305), .remote, [], length: 8)
    add(.extended(0x4200), .remote, [], length: 0)
    return result
  }

  /// FD frames, with and without their flags.
  static var everyFDKind: [CANFrame] {
    [0, 8, 12, 64].flatMap { length in
      [CANFrame.Flags.fd, [.fd, .bitRateSwitch], [.fd, .errorStateIndicator], [.fd, .bitRateSwitch, .errorStateIndicator]].map {
        var frame = CANFrame()
        frame.id = length == 12 ? .extended(0x18FF_1234) : .standard(0x123)
        frame.flags = $0
        frame.length = UInt8(length)
        for index in 0..<length { frame.setByte(index, UInt8(truncatingIfNeeded: index &* 7 &+ 1)) }
        return frame
      }
    }
  }

  /// Error frames: no acknowledgement, counters valid, bus-off.
  static var errors: [CANFrame] {
    [UInt32](arrayLiteral: 0x20, 0x204, 0x40).map {
      var frame = CANFrame()
      frame.id = ArbitrationID(rawValue: $0)
      frame.flags = .error
      frame.length = 8
      frame.setByte(6, 96)
      return frame
    }
  }

  /// The root of the project.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
}

extension PortEvent {
  /// Why the bus is away; `nil` for everything else.
  var loss: PortError? { if case .lost(let error) = self { error } else { nil } }

  var isReturn: Bool { if case .returned = self { true } else { false } }
}

extension [PortEvent] {
  var records: [CANRecord] {
    compactMap {
      if case .frame(let record) = $0 { record } else { nil }
    }
  }
}

/// A program that runs beside a test, with pipes to its input and output.
final class Companion {
  let process = Process()
  let input = Pipe()
  private let output = Pipe()
  private var unread = Data()

  init(_ arguments: [String], in folder: String? = nil) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    try process.run()
  }

  deinit { end() }

  /// Not with SIGTERM: a program that a worker thread started inherits its mask, which blocks that.
  func end() {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// Readable when it said something.
  var outputDescriptor: Int32 { output.fileHandleForReading.fileDescriptor }

  /// The next line of its output; `nil` at the end.
  func line() -> String? {
    while true {
      if let end = unread.firstIndex(of: 10) {
        defer { unread.removeSubrange(unread.startIndex...end) }
        return String(decoding: unread[unread.startIndex..<end], as: UTF8.self)
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { return nil }
      unread.append(more)
    }
  }

  func say(_ line: String) { input.fileHandleForWriting.write(Data((line + "\n").utf8)) }

  func wait() -> Int32 {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
    return process.terminationStatus
  }
}

import HostIO

/// The files of a run's recording: pcapng with a number in the name, and beside each its lines and events in `NAME.log`. Every start
/// begins another one, and so does a file that is full: what was recorded once is not written over. Each grows in place, so that
/// whatever ends the process leaves it under its name.
final class RecordingFiles: @unchecked Sendable {  // once the run has begun, only the serial queue touches what changes
  /// How long a file gets, and how much is kept.
  struct Limits: Equatable, Sendable {
    /// Bytes, its lines included, after which it goes on in another file.
    var bytes: UInt64
    /// As much as so many full files hold is kept; `nil` = all.
    var keep: Int?
  }

  /// Makes a file; `nil` = something of that name is there.
  typealias Maker = (String) throws(OutputError) -> ByteOutput?

  let limits: Limits?
  /// The file that the run has begun with.
  let firstName: String
  private let path: String
  private let make: Maker
  private var current: Current
  /// Whether what is too much has been removed since the present file was begun.
  private var hasRoom = false

  private struct Current {
    var number: Int
    var capture: GrowingFile
    var log: GrowingFile
  }

  /// Begins the next file that `path` stands for: `run.pcapng` → `run-0001.pcapng`.
  init(
    _ path: String, limits: Limits? = nil,
    make: @escaping Maker = { name throws(OutputError) in try ByteOutput(newFile: name) }
  ) throws(WorldError) {
    self.path = path
    self.limits = limits
    self.make = make
    // Behind the latest and not in the first gap: the order of the numbers is that of time, also where old ones were removed.
    let begun = try RecordingFiles.open(path, after: RecordingFiles.numbers(path).last ?? 0, make)
    current = begun
    firstName = begun.capture.path
  }

  func write(capture: [UInt8], log: [UInt8]) throws(WorldError) {
    if !hasRoom { makeRoom() }
    hasRoom = true
    try current.capture.write(capture)
    try current.log.write(log)
  }

  /// Goes on in the next file.
  func goOn() throws(WorldError) {
    // Should there be none, the present one stays open: what is still to come goes there.
    let next = try RecordingFiles.open(path, after: current.number, make)
    close()
    current = next
    hasRoom = false
  }

  func close() {
    current.capture.close()
    current.log.close()
  }

  // MARK: Names

  /// The numbers of the files that are there, those of earlier starts included, and of lines whose recording was taken away; in order.
  /// A file without its lines beside it is somebody else's.
  static func numbers(_ path: String) -> [Int] { Rotation.numbers(path, ending: ".log") }

  private static func open(_ path: String, after latest: Int, _ make: Maker) throws(WorldError) -> Current {
    // Another program may take numbers at the same time, not so many.
    for number in (latest + 1)...(latest + 1000) {
      let name = Rotation.name(path, number)
      guard let capture = try file(name, make) else { continue }
      if let log = try file(name + ".log", make) { return Current(number: number, capture: capture, log: log) }
      capture.close()
      FileNames.remove(name)
    }
    throw WorldError(message: "\(path): found every number from \(latest + 1) on taken, expected a free one; name another file")
  }

  private static func file(_ name: String, _ make: Maker) throws(WorldError) -> GrowingFile? {
    do throws(OutputError) {
      guard let output = try make(name) else { return nil }
      return GrowingFile(path: name, output: output)
    } catch { throw GrowingFile.failure(error, name) }
  }

  // MARK: Room

  /// Removes the oldest files, those of earlier starts too, as long as those before the present one hold as much as is to be kept: of
  /// full ones, each a little longer than its limit, `keep` are there with the present one. By bytes, not by files: a program that is
  /// started again and again makes many short ones, which push no long one out.
  private func makeRoom() {
    guard let limits, let keep = limits.keep else { return }
    let (most, isEndless) = limits.bytes.multipliedReportingOverflow(by: UInt64(clamping: keep))
    guard !isEndless else { return }
    let old = RecordingFiles.numbers(path).filter { $0 < current.number }.map { Rotation.name(path, $0) }
    let sizes = old.map { RecordingFiles.size($0) &+ RecordingFiles.size($0 + ".log") }
    var held = sizes.reduce(0, &+)
    for (name, size) in zip(old, sizes) {
      guard held >= most else { return }
      // The lines last: as long as they are there it is known whose file this is.
      FileNames.remove(name)
      FileNames.remove(name + ".log")
      held &-= size
    }
  }

  private static func size(_ name: String) -> UInt64 { UInt64(clamping: (try? FileFacts(path: name))?.size ?? 0) }
}

/// A file that grows: everything that is written leaves at once.
struct GrowingFile {
  let path: String
  let output: ByteOutput

  func write(_ bytes: [UInt8]) throws(WorldError) {
    do throws(OutputError) {
      try output.write(bytes)
      try output.flush()
    } catch { throw GrowingFile.failure(error, path) }
  }

  func close() { output.close() }

  /// Whatever it is that failed: bytes are missing.
  static func failure(_ error: OutputError, _ path: String) -> WorldError {
    WorldError(message: "cannot write \(path): \(error.text)")
  }
}

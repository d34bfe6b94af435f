private import CPorts
private import Glibc

/// Another program run to its end, without a shell: its words are passed as they are.
public enum ToolRun {
  /// How it ended and what it said.
  public struct Outcome: Sendable, Equatable {
    /// Exit status; 128 + n ended by signal n, 127 where there is no such program.
    public var status: Int32
    /// Standard output and error, at most 64 KiB.
    public var text: String
    /// An outcome.
    public init(status: Int32, text: String) {
      self.status = status
      self.text = text
    }
  }

  /// Runs `words` with `input` on its standard input; ended after `seconds`. Blocks.
  public static func run(_ words: [String], input: String = "", seconds: Int = 30) throws(OutputError) -> Outcome {
    guard !words.isEmpty else { throw .failed(errno: EINVAL) }
    var into: [Int32] = [-1, -1]
    var from: [Int32] = [-1, -1]
    // Closed in children from the start: another thread may start a program of its own at any moment.
    guard ports_pipe(&into) == 0 else { throw .failed(errno: errno) }
    guard ports_pipe(&from) == 0 else {
      let code = errno
      for end in into { close(end) }
      throw .failed(errno: code)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, into[0], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, from[1], STDERR_FILENO)
    var child = pid_t()
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    let failure = posix_spawnp(&child, words[0], &actions, nil, arguments, environ)
    for argument in arguments { free(argument) }
    close(into[0])
    close(from[1])
    defer { close(from[0]) }
    guard failure == 0 else {
      close(into[1])
      if failure == ENOENT { return Outcome(status: 127, text: "") }
      throw .failed(errno: failure)
    }
    // A few lines: they fit into the pipe. A reader that is gone is an ordinary error (SIGPIPE is ignored).
    let bytes = Array(input.utf8.prefix(4096))
    _ = bytes.withUnsafeBytes { write(into[1], $0.baseAddress, $0.count) }
    close(into[1])
    let text = read(from[0], child, until: monotonicMilliseconds() + Int64(max(1, seconds)) * 1000)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return Outcome(status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, text: text)
  }

  private static func read(_ descriptor: Int32, _ child: pid_t, until end: Int64) -> String {
    var text: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 4096)
    while true {
      let left = end - monotonicMilliseconds()
      var source = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard left > 0 else {
        kill(child, SIGKILL)
        break
      }
      guard poll(&source, 1, Int32(clamping: left)) > 0 else { continue }
      let count = Glibc.read(descriptor, &room, room.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      if text.count < 65_536 { text += room[..<count] }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// The machine's network interfaces as the kernel shows them.
public struct NetworkInterface: Sendable, Equatable {
  /// `eth0`.
  public var name: String
  /// Whether it is radio.
  public var isWireless: Bool
  /// Whether a link is there: a cable, an access point.
  public var hasCarrier: Bool

  /// Those that cables and radios are: a bus, a bridge or a tunnel is an interface to the kernel too. By name.
  public static func all(below folder: String = "/sys/class/net") -> [NetworkInterface] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var found: [NetworkInterface] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard !name.hasPrefix(".") else { continue }
      func has(_ file: String) -> Bool { access("\(folder)/\(name)/\(file)", F_OK) == 0 }
      let isWireless = has("wireless") || has("phy80211")
      // Type 1 is Ethernet; a CAN interface is 280. What only the kernel has made belongs to no device.
      let isCable = text(of: "\(folder)/\(name)/type").split(separator: "\n").first == "1" && has("device")
      guard isWireless || isCable else { continue }
      found.append(
        NetworkInterface(
          name: name, isWireless: isWireless, hasCarrier: text(of: "\(folder)/\(name)/carrier").hasPrefix("1")))
    }
    return found.sorted { $0.name < $1.name }
  }

  /// Signal of the first radio interface, dBm; 0 = none.
  public static func signal_dBm(file: String = "/proc/net/wireless") -> Int32 {
    for line in text(of: file).split(separator: "\n").dropFirst(2) {
      let words = line.split(separator: " ")
      if words.count > 3, let level = Double(words[3]), level.magnitude < 1000 { return Int32(level) }
    }
    return 0
  }

  /// The address that a radio was made with, whichever it uses just now: `dc:a6:32:0a:1b:2c`; `nil` where the kernel does not know it.
  public static func permanentAddress(of name: String, below folder: String = "/sys/class/net") -> String? {
    let address = text(of: "\(folder)/\(name)/phy80211/macaddress")
    return address.contains { $0.isHexDigit && $0 != "0" } ? address : nil
  }

  /// A small file; empty where it cannot be read.
  private static func text(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var room = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &room, room.count)
    return count > 0 ? String(decoding: room[..<count], as: UTF8.self) : ""
  }
}

private import CPorts
private import Glibc

/// A command of the system's shell, for `! command` and `COMMAND | pager`.
public struct ChildProcess: Sendable {
  private let identifier: pid_t

  /// How a child ended.
  public enum End: Sendable, Equatable {
    /// It exited with this status, 0 to 255.
    case exited(Int32)
    /// A signal ended it.
    case signalled(Int32)
  }

  /// Starts `/bin/sh -c command`.
  /// - Parameters:
  ///   - input: becomes its standard input; `nil` shares ours. Standard output and error are always shared.
  ///   - variables: stand in its environment beside ours.
  public init(shell command: String, input: Int32? = nil, variables: [String: String] = [:]) throws(OutputError) {
    var attributes = posix_spawnattr_t()
    var actions = posix_spawn_file_actions_t()
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&actions)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&actions)
    }
    // An ignored SIGPIPE would be inherited and keep `yes | head` running for ever.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    sigaddset(&defaults, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    if let input { posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) }

    var child = pid_t()
    let failure = withCStrings(["sh", "-c", command]) { arguments in
      withCStrings(Self.environment(with: variables)) { environment in
        posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environment)
      }
    }
    guard failure == 0 else { throw .failed(errno: failure) }
    identifier = child
  }

  /// Starts `/bin/sh -c command` with a pipe to its standard input; closing the output ends its input.
  public static func piped(
    shell command: String, variables: [String: String] = [:]
  ) throws(OutputError) -> (child: ChildProcess, output: ByteOutput) {
    var ends: [Int32] = [-1, -1]
    // Closed in children: otherwise this one holds its own input open and never sees the end.
    guard ports_pipe(&ends) == 0 else { throw .failed(errno: errno) }
    defer { close(ends[0]) }
    let output = ByteOutput(descriptor: ends[1], buffering: .full, owns: true)
    return (try ChildProcess(shell: command, input: ends[0], variables: variables), output)
  }

  /// Waits for the end. Ctrl-C goes to the child, which shares the terminal; this only goes on waiting.
  public func wait() -> End {
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0 {
      guard errno == EINTR else { return .exited(127) }
    }
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
  }
}

extension ChildProcess {
  /// Our environment with `variables` added or in place of those of the same name, as `NAME=VALUE`.
  private static func environment(with variables: [String: String]) -> [String] {
    var result: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let line = String(cString: text)
      if variables[String(line.prefix { $0 != "=" })] == nil { result.append(line) }
      entry += 1
    }
    return result + variables.map { "\($0.key)=\($0.value)" }
  }
}

/// Calls `body` with a NULL-terminated array of C strings, valid inside it.
private func withCStrings(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Int32) -> Int32 {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers)
}

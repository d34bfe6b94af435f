private import Glibc

/// What the file system says about a path.
public struct FileFacts: Sendable, Equatable {
  /// Size in bytes; 0 for pipes and devices.
  public var size: Int64
  /// Time of the last change, ns since 1970.
  public var changed_ns: Int64
  /// Whether it is a folder.
  public var isFolder: Bool
  /// Whether it is a plain file: no pipe, device, socket or folder.
  public var isRegular: Bool
  /// Which file it is, whatever it is called: device and inode number.
  public var identity: [UInt64]

  /// Its permission bits.
  public var permissions: UInt32

  /// Looks at `path`, following links.
  /// - Throws: `failed` with what the system said (2 = no such file).
  public init(path: String) throws(OutputError) {
    var facts = stat()
    guard stat(path, &facts) == 0 else { throw .failed(errno: errno) }
    size = Int64(facts.st_size)
    changed_ns = Int64(facts.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(facts.st_mtim.tv_nsec)
    isFolder = facts.st_mode & S_IFMT == S_IFDIR
    permissions = UInt32(facts.st_mode & 0o7777)
    isRegular = facts.st_mode & S_IFMT == S_IFREG
    identity = [UInt64(facts.st_dev), UInt64(facts.st_ino)]
  }

  /// Whether two paths lead to one plain file, by links or by another spelling. `false` where either does not exist.
  public static func areSameFile(_ one: String, _ other: String) -> Bool {
    guard let first = try? FileFacts(path: one), let second = try? FileFacts(path: other) else { return false }
    return first.isRegular && first.identity == second.identity
  }

  /// Whether this process may read `path`.
  public static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }
}

/// Names of files and folders.
public enum FileNames {
  /// The files that a pattern with `*`, `?`, `[…]` and `\` stands for, sorted; empty if none.
  public static func matching(_ pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { index in paths[index].map { String(cString: $0) } }
  }

  /// The folder that relative names start from; `nil` if it is gone.
  public static var currentFolder: String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }

  /// The same file named from the root: what is written down for a program that starts in another folder.
  public static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let currentFolder else { return path }
    return (currentFolder == "/" ? "" : currentFolder) + "/" + (path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
  }

  /// Makes another folder the current one.
  public static func enter(_ folder: String) throws(OutputError) {
    guard chdir(folder) == 0 else { throw .failed(errno: errno) }
  }

  /// Makes a folder and those above it, for this person only.
  public static func makeFolder(_ folder: String) throws(OutputError) {
    if mkdir(folder, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = folder.lastIndex(of: "/"), slash > folder.startIndex else { throw .failed(errno: errno) }
    try makeFolder(String(folder[..<slash]))
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw .failed(errno: errno) }
  }

  /// The path of this program's own file.
  public static var ownProgram: String? {
    guard let path = realpath("/proc/self/exe", nil) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }

  /// Removes a file; one that is not there is no error.
  public static func remove(_ path: String) { unlink(path) }

  /// A variable of the process's environment.
  public static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

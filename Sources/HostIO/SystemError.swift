private import Glibc

/// Texts of the operating system.
public enum SystemError {
  /// What `errno` stands for, in the system's words: 2 → "No such file or directory".
  public static func text(_ number: Int32) -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard strerror_r(number, &bytes, bytes.count) == 0 else { return "error \(number)" }
    return bytes.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
  }
}

extension OutputError {
  /// For a person.
  public var text: String {
    switch self {
    case .brokenPipe: "nobody reads the output any more"
    case .interrupted: "interrupted"
    case .failed(let number): SystemError.text(number)
    }
  }
}

private import Glibc

/// Lines that a person or a script types while something else goes on. Waits for nothing.
public final class InputLines {
  private var stream = LineStream()
  /// Readable when a line may be there; −1 after the end.
  public private(set) var descriptor: Int32

  /// Lines of a descriptor that it does not own.
  public init(descriptor: Int32) {
    self.descriptor = descriptor
    stream.begin(descriptor)
  }

  /// The lines that have come.
  public func take() -> [String] {
    var source = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard descriptor >= 0, poll(&source, 1, 0) > 0 else { return [] }
    var lines: [String] = []
    if stream.receive({ lines.append(String(decoding: $0, as: UTF8.self)) }) != nil { descriptor = -1 }
    return lines
  }
}

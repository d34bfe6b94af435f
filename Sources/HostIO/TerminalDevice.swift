private import Glibc

/// What stands at the other end of a file descriptor.
public struct TerminalDevice: Sendable {
  /// The file descriptor: 0 standard input, 1 standard output, 2 standard error.
  public let descriptor: Int32

  /// The device behind `descriptor`; nothing is opened.
  public init(descriptor: Int32) { self.descriptor = descriptor }

  /// Whether a person sits there.
  public var isTerminal: Bool { isatty(descriptor) == 1 }

  /// Width in columns, as the terminal says it; `nil` if it is none or does not know.
  public var columns: Int? {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// Height in rows; `nil` if it is no terminal or does not know.
  public var rows: Int? {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return nil }
    return Int(size.ws_row)
  }

  /// Waits until a line is entered; `false` at the end of the input or on Ctrl-C.
  public func awaitLine() -> Bool {
    var byte: UInt8 = 0
    while Glibc.read(descriptor, &byte, 1) == 1 { if byte == 0x0A { return true } }
    return false
  }

  /// Lets each key come at once and unseen, Ctrl-C as ever a signal; gives back the settings to restore, `nil` if this is no terminal.
  public func takeKeysOneByOne() -> Settings? {
    var settings = termios()
    guard tcgetattr(descriptor, &settings) == 0 else { return nil }
    let before = Settings(termios: settings)
    settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
    guard tcsetattr(descriptor, TCSANOW, &settings) == 0 else { return nil }
    return before
  }

  /// Reads what is there, once; how many bytes came, 0 at the end.
  public func read(into bytes: inout [UInt8]) -> Int { max(0, Glibc.read(descriptor, &bytes, bytes.count)) }

  /// Keeps what has been typed when Ctrl-C comes; gives back the settings to restore, `nil` if this is no terminal.
  ///
  /// Without NOFLSH the kernel throws unread input away on Ctrl-C, and one keystroke in five typed right after it is lost.
  public func keepInputOnInterrupt() -> Settings? {
    var settings = termios()
    guard tcgetattr(descriptor, &settings) == 0 else { return nil }
    let before = Settings(termios: settings)
    settings.c_lflag |= tcflag_t(NOFLSH)
    guard tcsetattr(descriptor, TCSANOW, &settings) == 0 else { return nil }
    return before
  }

  /// Puts settings back.
  public func restore(_ settings: Settings) {
    var settings = settings.termios
    tcsetattr(descriptor, TCSADRAIN, &settings)
  }

  /// How a terminal treats keys.
  public struct Settings {
    fileprivate let termios: termios
  }
}

import Glibc

/// A tap on a serial line, eight bits, no parity; opens it again by itself when it was unplugged. Pseudo-terminals do as well.
final class SerialTap: LineChannel {
  let name: String
  private let device: String
  private let baud: UInt32
  private var stream = LineStream()
  private var tryAt_ns: Int64 = 0
  private var isClosed = false

  var descriptor: Int32 { stream.descriptor }
  var wakeTime_ns: Int64? {
    if isClosed { return nil }
    if stream.isOpen { return stream.isWaiting ? PortPoller.now_ns + 2_000_000 : nil }
    return tryAt_ns
  }

  /// Opens it: a device that is not there at the start is a mistake, later it is only away.
  init(name: String, device: String, baud: UInt32) throws(PortError) {
    self.name = name
    self.device = device
    self.baud = baud
    if let code = open() { throw .system(HostError(device, attempt: "open", code: code)) }
  }

  deinit { close() }

  /// The system's constant for a rate; `nil` for one that it does not know.
  static func speed(_ baud: UInt32) -> speed_t? {
    let known: [UInt32: Int32] = [
      9_600: B9600, 19_200: B19200, 38_400: B38400, 57_600: B57600, 115_200: B115200, 230_400: B230400, 460_800: B460800,
      500_000: B500000, 921_600: B921600, 1_000_000: B1000000, 2_000_000: B2000000,
    ]
    return known[baud].map { speed_t($0) }
  }

  /// Returns `errno` where it cannot be opened.
  private func open() -> Int32? {
    let descriptor = Glibc.open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    var settings = termios()
    guard tcgetattr(descriptor, &settings) == 0 else {
      let code = errno
      _ = Glibc.close(descriptor)
      return code
    }
    cfmakeraw(&settings)
    settings.c_cflag |= tcflag_t(CLOCAL | CREAD)
    if let speed = SerialTap.speed(baud) { cfsetspeed(&settings, speed) }
    tcsetattr(descriptor, TCSANOW, &settings)
    tcflush(descriptor, TCIOFLUSH)
    stream.begin(descriptor)
    return nil
  }

  func receive(_ take: (LineEvent) -> Void) throws(PortError) {
    guard !isClosed else { return }
    if stream.isOpen {
      guard let why = stream.receive({ take(.line($0)) }) else { return }
      stream.close()
      tryAt_ns = PortPoller.now_ns + 200_000_000
      take(.lost(why))
    } else if PortPoller.now_ns >= tryAt_ns {
      if open() == nil { take(.returned) } else { tryAt_ns = PortPoller.now_ns + 1_000_000_000 }
    }
  }

  func send(_ text: String) throws(PortError) -> SendResult {
    guard stream.isOpen else { throw .vanished(name) }
    let (result, failure) = stream.send(text)
    if let failure { throw .refused(name, reason: failure) }
    return result
  }

  func hangUp() {
    stream.close()
    tryAt_ns = PortPoller.now_ns + 200_000_000
  }

  func close() {
    isClosed = true
    stream.close()
  }
}

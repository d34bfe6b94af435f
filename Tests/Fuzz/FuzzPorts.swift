// Bytes by chance past every parser of the live ports: multicast datagrams, socketcand, slcan, lines. What a parser accepts, its writer
// must be able to say again.
enum FuzzPorts {
  /// The first byte chooses the parser, the second where the stream is cut.
  static func run(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: input[2...])
    let cut = Int(input[1]) % (bytes.count + 1)
    let pieces = [UnsafeRawBufferPointer(rebasing: bytes[..<cut]), UnsafeRawBufferPointer(rebasing: bytes[cut...])]
    switch input[0] % 4 {
    case 0:
      guard let frame = MulticastMessage.frame(from: bytes) else { return }
      MulticastMessage.bytes(of: frame, time_ns: 0).withUnsafeBytes { check(MulticastMessage.frame(from: $0) == frame) }
    case 1:
      var whole = SocketcandSplitter()
      var cut = SocketcandSplitter()
      var first: [SocketcandMessage] = []
      var second: [SocketcandMessage] = []
      whole.take(bytes) { first.append($0) }
      for piece in pieces { cut.take(piece) { second.append($0) } }
      check(first == second)
      for case .frame(let frame, _) in first { _ = SocketcandMessage.command(sending: frame) }
    case 2:
      guard case .frame(let frame)? = SlcanMessage(bytes) else { return }
      check(SlcanMessage.line(sending: frame).flatMap { SlcanMessage($0.dropLast()) } == .frame(frame))
    default:
      var whole = LineSplitter(capacity: 64)
      var cut = LineSplitter(capacity: 64)
      var first: [[UInt8]] = []
      var second: [[UInt8]] = []
      whole.take(bytes) { first.append($0) }
      for piece in pieces { cut.take(piece) { second.append($0) } }
      check(first == second && whole.overlong == cut.overlong)
    }
  }

  private static func check(_ isSo: Bool) { precondition(isSo, "what was read is not what is written") }
}

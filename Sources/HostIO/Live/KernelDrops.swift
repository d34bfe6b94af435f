/// Frames that the kernel dropped on one socket: it tells a 32-bit total beside a frame, and begins anew with a new socket.
struct KernelDrops {
  private var last: UInt32 = 0

  /// Takes the total that came with a frame; 0 = the kernel said nothing.
  /// - Returns: how many were dropped since.
  mutating func advance(to total: UInt32) -> UInt64 {
    guard total != 0 else { return 0 }
    defer { last = total }
    return UInt64(total &- last)
  }

  /// A new socket counts from 0.
  mutating func startAnew() { last = 0 }
}

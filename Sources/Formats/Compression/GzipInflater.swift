import CZlib

/// Unpacks gzip as it comes, any number of members one behind the other, in constant memory.
///
/// A damaged or cut stream gives everything before the damage; `problem` then says what was wrong.
public final class GzipInflater {
  /// Whether bytes begin like gzip.
  public static func recognises(_ head: UnsafeRawBufferPointer) -> Bool {
    head.count >= 3 && head[0] == 0x1F && head[1] == 0x8B && head[2] == 8
  }

  private var stream = z_stream()
  private var isOpen = false
  private var isBetweenMembers = false
  /// What was wrong; nothing comes after it.
  public private(set) var problem: CaptureProblem?
  private var consumed: UInt64 = 0

  /// Ready for the first member.
  public init() {
    isOpen = linkbms_inflate_init(&stream) == Z_OK
    if !isOpen { fail("no memory to unpack", "32 KiB of memory") }
  }

  deinit { if isOpen { inflateEnd(&stream) } }

  /// Unpacks from `input` into `output`.
  /// - Returns: bytes taken of the one and written to the other. Both 0: more input is needed, or `problem` is set.
  public func inflate(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> (taken: Int, written: Int) {
    guard problem == nil, isOpen, !output.isEmpty, !input.isEmpty, let source = input.baseAddress, let target = output.baseAddress
    else {
      return (0, 0)
    }
    if isBetweenMembers {
      guard input[0] == 0x1F else {
        // Padding behind the last member is common; anything else is not gzip any more.
        if input.allSatisfy({ $0 == 0 }) { return (input.count, 0) }
        fail(quoted(input, limit: 16), "another gzip member, or the end")
        return (0, 0)
      }
      inflateReset(&stream)
      isBetweenMembers = false
    }
    stream.next_in = UnsafeMutablePointer(mutating: source.assumingMemoryBound(to: UInt8.self))
    stream.avail_in = UInt32(clamping: input.count)
    stream.next_out = target.assumingMemoryBound(to: UInt8.self)
    stream.avail_out = UInt32(clamping: output.count)
    let before = (stream.avail_in, stream.avail_out)
    let status = CZlib.inflate(&stream, Z_NO_FLUSH)
    let taken = Int(before.0 - stream.avail_in)
    let written = Int(before.1 - stream.avail_out)
    consumed &+= UInt64(taken)
    switch status {
    case Z_OK, Z_BUF_ERROR: break
    case Z_STREAM_END: isBetweenMembers = true
    default: fail(stream.msg.map { String(cString: $0) } ?? "zlib error \(status)", "gzip data that unpacks")
    }
    return (taken, written)
  }

  /// The source has ended: a member that is not finished is cut off.
  public func finish() {
    if problem == nil, !isBetweenMembers {
      problem = CaptureProblem(
        .truncated, at: .init(.block, 1, byteOffset: consumed), found: "the end of the file within the compressed data",
        expected: "the end of a gzip member")
    }
  }

  private func fail(_ found: String, _ expected: String) {
    problem = CaptureProblem(.damaged, at: .init(.block, 1, byteOffset: consumed), found: found, expected: expected)
  }
}

import Dispatch
import Formats
import HostIO

/// A candump log cut at line ends into a part for each core. Only that format can be entered anywhere.
struct ParallelParts {
  private let parts: [UnsafeRawBufferPointer]

  /// - Returns: `nil` where one core serves better: small, streamed, or a format that must be read from its start.
  init?(_ capture: CaptureInput, jobs: Int?) {
    let jobs = jobs ?? ProcessorCount.available
    guard jobs > 1, capture.format == .candump, let bytes = capture.mapped, bytes.count > 8 << 20 else { return nil }
    var parts: [UnsafeRawBufferPointer] = []
    var start = 0
    for job in 1...jobs {
      var end = job == jobs ? bytes.count : bytes.count / jobs * job
      while end < bytes.count, end > 0, bytes[end - 1] != 0x0A { end += 1 }
      if end > start { parts.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end])) }
      start = max(start, end)
    }
    self.parts = parts
  }

  /// Summarises every part on a core of its own and joins the results in order.
  func summarise(_ make: @Sendable () -> SummarySink) -> SummarySink {
    let results = PartResults(count: parts.count)
    let parts = SendableParts(parts)
    DispatchQueue.concurrentPerform(iterations: parts.list.count) { index in
      var sink = make()
      var reader = CandumpReader()
      _ = reader.read(parts.list[index], isEnd: true, into: &sink)
      results.store(sink, at: index)
    }
    return results.joined ?? make()
  }
}

/// The parts are read-only memory.
private struct SendableParts: @unchecked Sendable {  // pointers into a mapped file that nobody writes to, alive until all jobs end
  let list: [UnsafeRawBufferPointer]
  init(_ list: [UnsafeRawBufferPointer]) { self.list = list }
}

/// A place for each part's result; every job writes its own and they are read when all have ended.
private final class PartResults: @unchecked Sendable {  // one slot a job; read only after concurrentPerform has returned
  private let slots: UnsafeMutablePointer<SummarySink?>
  private let count: Int

  init(count: Int) {
    self.count = count
    slots = .allocate(capacity: max(1, count))
    slots.initialize(repeating: nil, count: count)
  }

  deinit {
    slots.deinitialize(count: count)
    slots.deallocate()
  }

  func store(_ sink: SummarySink, at index: Int) { slots[index] = sink }

  var joined: SummarySink? {
    guard count > 0, var total = slots[0] else { return nil }
    for index in 1..<count { if let later = slots[index] { total.merge(later) } }
    return total
  }
}

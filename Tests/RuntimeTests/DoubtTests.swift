import Controller
import Testing

@testable import Runtime

/// What each doubt means, and what has to be measured before the hold of one ends.
@Suite struct DoubtTests {
  static let life_ms = PDUGuard.longestLife_us / 1000

  @Test func whatOpensAtOnce() {
    // What the PDU does is not known or not wanted, or it has opened by then: nothing is gained by waiting for the current.
    let atOnce: [Doubt] = [.pduUnconfirmed, .pduDisagrees, .fault("x"), .lateStep(milliseconds: Self.life_ms)]
    let limitsFirst: [Doubt] = [
      .starting, .lateStep(milliseconds: Self.life_ms - 1), .lost(.port(0), "x"), .writeFailed(.line(0), "x"), .queueFull(port: 0),
      .storeFailed("x"), .input(0), .stopping("x"), .ordered("x"), .opened(.running),
    ]
    for doubt in atOnce { #expect(doubt.isAtOnce, "\(doubt)") }
    for doubt in limitsFirst { #expect(!doubt.isAtOnce, "\(doubt)") }
  }

  @Test func whatLastsUntilItIsSaidToBeOver() {
    let standing: [Doubt] = [
      .lost(.port(0), "x"), .queueFull(port: 0), .pduUnconfirmed, .pduDisagrees, .storeFailed("x"), .input(0), .stopping("x"),
      .ordered("x"),
    ]
    let over: [Doubt] = [
      .starting, .lateStep(milliseconds: 1), .writeFailed(.line(0), "x"), .fault("x"), .opened(.running),
    ]
    for doubt in standing { #expect(doubt.isStanding, "\(doubt)") }
    for doubt in over { #expect(!doubt.isStanding, "\(doubt)") }
  }

  /// A hold since 0 µs with so many scans of the first chain and measurements of the PDU.
  private func held(scans: Int, measurements: Int) -> DoubtBook {
    var book = DoubtBook()
    _ = book.raise(.starting, isAtOnce: false, now_us: 0)
    measure(&book, scans, measurements)
    return book
  }

  private func measure(_ book: inout DoubtBook, _ scans: Int, _ measurements: Int) {
    for _ in 0..<scans { book.scanned(.bms1) }
    for _ in 0..<measurements { book.measured() }
  }

  private func mayEnd(
    _ book: DoubtBook, at now_us: Int64 = RunTiming.settle_us, _ chains: [ChainNumber] = [.bms1], isOpen: Bool = true
  )
    -> Bool
  { book.mayEnd(now_us: now_us, chains: chains, isOpen: isOpen) }

  @Test func aHoldEndsWhenAllIsMeasuredAnewAndNotBefore() {
    #expect(mayEnd(held(scans: 2, measurements: 2)))
    #expect(!mayEnd(held(scans: 1, measurements: 2)), "a scan that may have begun before")
    #expect(!mayEnd(held(scans: 2, measurements: 1)), "a measurement that may have been on its way")
    #expect(!mayEnd(held(scans: 2, measurements: 2), at: RunTiming.settle_us - 1))
    #expect(!mayEnd(held(scans: 2, measurements: 2), [.bms1, .bms2]), "the second chain was never scanned")
    #expect(!mayEnd(held(scans: 2, measurements: 2), isOpen: false))
    #expect(!mayEnd(DoubtBook()), "nothing is held")
    var standing = held(scans: 2, measurements: 2)
    standing.hold(.ordered("x"), now_us: 0)
    measure(&standing, 2, 2)
    #expect(!mayEnd(standing))
  }

  @Test func aNewDoubtAndTheEndOfOneCountFromTheBeginning() {
    let later = 3 * RunTiming.settle_us
    for (scans, measurements, may) in [(0, 0, false), (2, 0, false), (0, 2, false), (2, 2, true)] {
      var again = held(scans: 2, measurements: 2)
      _ = again.raise(.fault("x"), isAtOnce: true, now_us: RunTiming.settle_us)
      measure(&again, scans, measurements)
      #expect(mayEnd(again, at: later) == may, "\(scans) scans, \(measurements) measurements since")

      var over = held(scans: 0, measurements: 0)
      _ = over.raise(.pduUnconfirmed, isAtOnce: true, now_us: 0)
      measure(&over, 2, 2)
      #expect(over.settle(now_us: RunTiming.settle_us) { $0 == .pduUnconfirmed } == [.pduUnconfirmed])
      measure(&over, scans, measurements)
      #expect(mayEnd(over, at: later) == may, "\(scans) scans, \(measurements) measurements since it was over")
    }
  }
}

import Testing

@testable import linkbms

@Suite struct LiveViewTests {
  @Test func aPageStandsWhereTheLastStood() {
    var view = LiveView()
    #expect(view.draw(["a", "b"], columns: 80, rows: 24) == "a\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
    #expect(view.draw(["c"], columns: 80, rows: 24) == "\u{1B}[2Ac\u{1B}[K\n\u{1B}[J")
    #expect(view.draw([], columns: 80, rows: 24) == "\u{1B}[1A\u{1B}[J")
  }

  /// Its lines may have been broken: the next page stands on an empty one.
  @Test(arguments: [(40, 24), (80, 10), (120, 50)]) func aWindowOfAnotherSizeIsCleared(columns: Int, rows: Int) {
    var view = LiveView()
    _ = view.draw(["a", "b"], columns: 80, rows: 24)
    #expect(view.draw(["c"], columns: columns, rows: rows) == "\u{1B}[H\u{1B}[2Jc\u{1B}[K\n\u{1B}[J")
    #expect(view.draw(["d"], columns: columns, rows: rows) == "\u{1B}[1Ad\u{1B}[K\n\u{1B}[J")
  }

  @Test func whatDoesNotFitIsCut() {
    var view = LiveView()
    let lines = (1...40).map { "line \($0)" }
    let text = view.draw(lines, columns: 80, rows: 24)
    #expect(text.split(separator: "\n", omittingEmptySubsequences: true).count == 24)
    #expect(text.contains("line 22\u{1B}[K") && !text.contains("line 23") && text.contains("… 18 more lines"))
    #expect(view.draw(["x"], columns: 80, rows: 24).hasPrefix("\u{1B}[23A"))
  }

  @Test(arguments: [
    ("0123456789", 10, "0123456789"), ("0123456789A", 10, "012345678…"), ("short", 10, "short"),
    ("\u{1B}[1m0123456789A\u{1B}[0m", 10, "\u{1B}[1m012345678…\u{1B}[0m"), ("–↑↓", 3, "–↑↓"),
  ])
  func coloursCountNothing(line: String, width: Int, expected: String) { #expect(LiveView.cut(line, to: width) == expected) }
}

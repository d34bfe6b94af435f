/// Lines that are drawn again in their place. What is wider than the terminal is cut and what is higher is left out: a line that wraps,
/// or one above the first row, could not be drawn over.
struct LiveView {
  /// Lines that stand on the terminal now.
  private var shown = 0
  /// For which window they were drawn.
  private var window: (columns: Int, rows: Int)?

  /// What to write so that `lines` stand where the last ones did.
  mutating func draw(_ lines: [String], columns: Int, rows: Int) -> String {
    let space = max(2, rows - 1)
    var lines = lines
    if lines.count > space {
      let hidden = lines.count - space + 1
      lines = Array(lines.prefix(space - 1)) + ["… \(hidden) more lines: make the window higher"]
    }
    var text = shown > 0 ? "\u{1B}[\(shown)A" : ""
    // In a window of another size lines may have been broken, and nobody knows where the first one stands.
    if let window, window != (columns, rows) { text = "\u{1B}[H\u{1B}[2J" }
    window = (columns, rows)
    for line in lines { text += Self.cut(line, to: max(10, columns - 1)) + "\u{1B}[K\n" }
    shown = lines.count
    return text + "\u{1B}[J"
  }

  /// The first `width` characters that are seen; colour changes count nothing and are all kept, so that the last one ends them.
  static func cut(_ line: String, to width: Int) -> String {
    var seen = 0
    var text = ""
    var isEscape = false
    for character in line {
      if isEscape {
        text.append(character)
        if character.isLetter { isEscape = false }
      } else if character == "\u{1B}" {
        text.append(character)
        isEscape = true
      } else {
        seen += 1
        if seen < width || seen == width && line.count == width { text.append(character) } else if seen == width { text += "…" }
      }
    }
    return text
  }
}

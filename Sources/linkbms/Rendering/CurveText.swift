/// Curves as text: dots of braille, eight to a character, or stars where the terminal has none.
struct CurveText {
  var width = 64
  var height = 10
  var usesBraille = true

  /// One curve: a name, and points in any order.
  struct Line {
    var name: String
    var points: [(x: Double, y: Double)]
  }

  /// The picture with its scale.
  func lines(_ curves: [Line], unit: String, xUnit: String, fromZero: Bool) -> [String] {
    let points = curves.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
    guard let left = points.map(\.x).min(), let right = points.map(\.x).max(), let top = points.map(\.y).max(),
      let least = points.map(\.y).min(), right > left
    else { return [] }
    let low = fromZero ? min(0, least) : least
    let room = max(top - low, 0.001)
    let (columns, rows) = usesBraille ? (width * 2, height * 4) : (width, height)
    var dots = [Bool](repeating: false, count: columns * rows)
    for curve in curves {
      var before: (column: Int, row: Int)?
      for point in curve.points.sorted(by: { $0.x < $1.x }) where point.x.isFinite && point.y.isFinite {
        let column = place((point.x - left) / (right - left), columns)
        let row = rows - 1 - place((point.y - low) / room, rows)
        // From the point before in one stroke, so that steep parts do not fall apart.
        for between in min(row, before?.row ?? row)...max(row, before?.row ?? row) { dots[between * columns + column] = true }
        before = (column, row)
      }
    }
    return picture(dots, columns, top: top, low: low, unit) + axis(left, right, xUnit)
  }

  private func place(_ share: Double, _ count: Int) -> Int {
    guard share.isFinite else { return 0 }
    return Int(max(0, min(1, share)) * Double(count - 1) + 0.5)
  }

  private func picture(_ dots: [Bool], _ columns: Int, top: Double, low: Double, _ unit: String) -> [String] {
    (0..<height).map { row in
      let value = row == 0 ? top : row == height - 1 ? low : row == height / 2 ? (top + low) / 2 : nil
      let label = value.map { Number.text($0, top - low < 5 ? 3 : 1) + " " + unit } ?? ""
      var line = String(repeating: " ", count: max(0, 11 - label.count)) + label + (usesBraille ? " │" : " |")
      for column in 0..<width { line += character(dots, columns, row, column) }
      while line.last == " " || line.last == "\u{2800}" { line.removeLast() }
      return line
    }
  }

  private func character(_ dots: [Bool], _ columns: Int, _ row: Int, _ column: Int) -> String {
    guard usesBraille else { return dots[row * columns + column] ? "*" : " " }
    // Bits of a braille cell, column by column from the top.
    let bits: [[UInt32]] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]
    var code: UInt32 = 0x2800
    for x in 0..<2 {
      for y in 0..<4 where dots[(row * 4 + y) * columns + column * 2 + x] { code |= bits[x][y] }
    }
    return Unicode.Scalar(code).map { String(Character($0)) } ?? " "
  }

  private func axis(_ left: Double, _ right: Double, _ unit: String) -> [String] {
    let (first, last) = (Number.text(left, 2), "\(Number.text(right, 2)) \(unit)")
    let gap = String(repeating: " ", count: max(1, width - first.count - last.count))
    return [
      String(repeating: " ", count: 12)
        + (usesBraille ? "└" + String(repeating: "─", count: width) : "+" + String(repeating: "-", count: width)),
      String(repeating: " ", count: 13) + first + gap + last,
    ]
  }
}

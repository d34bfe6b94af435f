/// "Did you mean …?"
enum Suggestion {
  /// The candidate that `word` was most likely meant to be; `nil` if none is near.
  static func closest(to word: String, in candidates: [String]) -> String? {
    let limit = max(1, word.count / 3)
    let near = candidates.map { (name: $0, distance: distance(Array(word.utf8), Array($0.utf8))) }
    return near.filter { $0.distance <= limit }.min { $0.distance < $1.distance }?.name
  }

  /// Letters to insert, drop, change or swap with a neighbour to get from one word to the other.
  static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var rows = [Array(0...right.count)]
    for i in 0..<left.count {
      var row = [i + 1]
      for j in 0..<right.count {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[left.count][right.count]
  }
}

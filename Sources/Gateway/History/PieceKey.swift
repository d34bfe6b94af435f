/// The second under which a store keeps a piece: its first, or, where a clock that went back has put another piece there, the next of
/// its minute that is free. Pieces are looked up by it and nothing else: when one begins is read from the piece itself.
enum PieceKey {
  private static let minute_s: Int64 = 60

  /// The seconds of the minute in which a piece begins.
  static func minute(of start: Int64) -> Range<Int64> {
    let past = (start % minute_s + minute_s) % minute_s
    return start - past..<start - past + minute_s
  }

  /// The second for a piece.
  /// - Parameter stored: what is kept in its minute.
  /// - Returns: `nil` for a piece that is there already, and where no second is free: nobody may fill a disk with one minute.
  static func free(for record: MinuteRecord, beside stored: [(second: Int64, bytes: [UInt8])]) -> Int64? {
    // As pieces, not as bytes: those of an older program may have been others.
    guard !stored.contains(where: { MinuteRecord($0.bytes) == record }) else { return nil }
    let minute = minute(of: record.start)
    for step in 0..<minute_s {
      let second = minute.lowerBound + (record.start - minute.lowerBound + step) % minute_s
      if !stored.contains(where: { $0.second == second }) { return second }
    }
    return nil
  }

  /// The seconds under which pieces with samples in `range` may be kept: a piece may begin up to its length before.
  static func seconds(for range: Range<Int64>) -> Range<Int64> {
    let (first, isBefore) = range.lowerBound.subtractingReportingOverflow(Int64(MinuteRecord.room) + minute_s)
    let (end, isBehind) = range.upperBound.addingReportingOverflow(minute_s)
    return (isBefore ? .min : first)..<(isBehind ? .max : end)
  }

  /// Of pieces in the order of their keys those with samples in `range`, in the order of their times.
  static func pieces(_ found: [MinuteRecord], in range: Range<Int64>) -> [MinuteRecord] {
    found.filter { $0.start < range.upperBound && $0.times.last ?? .min >= range.lowerBound }.sorted { $0.start < $1.start }
  }
}

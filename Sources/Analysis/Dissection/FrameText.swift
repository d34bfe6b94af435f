public import Bus
import Formats

/// Frames as people write them: `00004210#A50930759D042E64`.
public enum FrameText {
  /// A classic data frame from `ID#DATA`; three digits of ID are standard, eight extended.
  public static func parse(_ text: String) -> CANFrame? {
    var text = text
    return text.withUTF8 { bytes in
      var cursor = ByteCursor(UnsafeRawBufferPointer(bytes))
      guard let id = cursor.hexadecimal(), id.digits == 3 || id.digits == 8, cursor.take(0x23) else { return nil }
      var frame = CANFrame()
      frame.id = id.digits == 3 ? .standard(UInt32(id.value)) : .extended(UInt32(truncatingIfNeeded: id.value))
      while !cursor.isAtEnd {
        if cursor.take(0x2E) { continue }
        let high = hexDigitValue(cursor.peek())
        let low = hexDigitValue(cursor.peek(1))
        guard high < 16, low < 16, frame.length < 64 else { return nil }
        frame.setByte(Int(frame.length), high << 4 | low)
        frame.length += 1
        cursor.skip(2)
      }
      if frame.length > 8 { frame.flags = .fd }
      return frame
    }
  }

  /// `00004210`, `351`: the width shows.
  public static func text(_ id: ArbitrationID) -> String {
    let digits = String(id.number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, (id.isExtended ? 8 : 3) - digits.utf8.count)) + digits
  }

  /// `00004210#A50930759D042E64`.
  public static func text(_ frame: CANFrame) -> String {
    text(frame.id) + "#" + (0..<frame.payloadLength).map { ValueText.hexByte(frame.byte($0)) }.joined()
  }
}

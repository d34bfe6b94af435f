/// A tap's line: text both ways. A class, because it is one open device or connection. Nothing here blocks.
public protocol LineChannel: AnyObject {
  /// As a person typed it.
  var name: String { get }
  /// Readable when `receive` has something to deliver; negative while there is nothing.
  var descriptor: Int32 { get }
  /// When `receive` wants to be called even if nothing became readable, monotonic ns.
  var wakeTime_ns: Int64? { get }
  /// Delivers everything that is there.
  /// - Throws: only what cannot pass by itself.
  func receive(_ take: (LineEvent) -> Void) throws(PortError)
  /// Hands over lines, each with its end; all of them or none.
  /// - Returns: `.full` where there is no room.
  func send(_ text: String) throws(PortError) -> SendResult
  /// Ends a connection, as an unplugged line does; the channel itself stays.
  func hangUp()
  /// Gives the device back. Safe to call twice.
  func close()
}

/// Something that came from a line.
public enum LineEvent: Sendable, Equatable {
  /// A line without its end.
  case line(String)
  /// The other end is gone, or has not been there yet; the channel goes on looking for it.
  case lost(String)
  /// It is there.
  case returned
}

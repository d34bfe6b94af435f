public import Bus

/// Error frames in words (Linux `can/error.h`; conventions.md §2).
public enum ErrorFrameText {
  /// All that the frame reports, for people: `no acknowledgement; counters tx 128 rx 0`.
  public static func describe(_ frame: CANFrame) -> String {
    let parts = classes(frame) + counters(frame)
    return parts.isEmpty ? "class 0x\(String(frame.id.number, radix: 16))" : parts.joined(separator: "; ")
  }

  private static func classes(_ frame: CANFrame) -> [String] {
    let bits = frame.id.number
    var parts: [String] = []
    if bits & 0x1 != 0 { parts.append("transmit time-out") }
    if bits & 0x2 != 0 {
      parts.append("arbitration lost" + (frame.byte(0) == 0 ? "" : " in bit \(frame.byte(0))"))
    }
    if bits & 0x4 != 0 { parts.append(named("controller", frame.byte(1), controller)) }
    if bits & 0x8 != 0 { parts.append(named("protocol violation", frame.byte(2), violation) + location(frame.byte(3))) }
    if bits & 0x10 != 0 { parts.append("transceiver status 0x" + ValueText.hexByte(frame.byte(4))) }
    if bits & 0x20 != 0 { parts.append("no acknowledgement") }
    if bits & 0x40 != 0 { parts.append("bus-off") }
    if bits & 0x80 != 0 { parts.append("bus error") }
    if bits & 0x100 != 0 { parts.append("controller restarted") }
    return parts
  }

  private static func counters(_ frame: CANFrame) -> [String] {
    let isGiven = frame.id.number & 0x200 != 0 || frame.byte(6) != 0 || frame.byte(7) != 0
    return isGiven ? ["error counters tx \(frame.byte(6)) rx \(frame.byte(7))"] : []
  }

  private static func named(_ what: String, _ bits: UInt8, _ names: [(bit: UInt8, name: String)]) -> String {
    let found = names.filter { bits & $0.bit != 0 }.map(\.name)
    return found.isEmpty ? what : what + ": " + found.joined(separator: ", ")
  }

  private static let controller: [(bit: UInt8, name: String)] = [
    (0x01, "receive overflow"), (0x02, "transmit overflow"), (0x04, "receive warning"), (0x08, "transmit warning"),
    (0x10, "receive passive"), (0x20, "transmit passive"), (0x40, "back to active"),
  ]

  private static let violation: [(bit: UInt8, name: String)] = [
    (0x01, "single bit"), (0x02, "frame format"), (0x04, "bit stuffing"), (0x08, "dominant bit not sent"),
    (0x10, "recessive bit not sent"), (0x20, "overload"), (0x40, "active error announced"), (0x80, "on transmission"),
  ]

  /// Where in the frame, by the codes of the SJA1000.
  private static func location(_ code: UInt8) -> String {
    guard let name = locations[code] else { return "" }
    return " at " + name
  }

  private static let locations: [UInt8: String] = [
    0x02: "ID bits 28-21", 0x03: "start of frame", 0x04: "substitute RTR", 0x05: "IDE bit", 0x06: "ID bits 20-18",
    0x07: "ID bits 17-13", 0x08: "CRC sequence", 0x09: "reserved bit 0", 0x0A: "data section", 0x0B: "data length code",
    0x0C: "RTR bit", 0x0D: "reserved bit 1", 0x0E: "ID bits 4-0", 0x0F: "ID bits 12-5", 0x12: "intermission",
    0x18: "CRC delimiter", 0x19: "ACK slot", 0x1A: "end of frame", 0x1B: "ACK delimiter",
  ]
}

private import CPorts

/// What a port can tell a person where frames are lost, or where what comes is no frame.
public struct PortAdvice: Sendable, Equatable {
  /// One of what comes: "line".
  public var unit: String
  /// What is said of one that is something else: "no slcan".
  public var denial: String
  /// What to look at where it is not.
  public var question: String
  /// Why so little may wait in the kernel, and what changes that; `nil` where it is as much as was wanted.
  public var room: String?
  /// How many that are something else are worth a word; `nil` = as many as are no noise any more.
  public var many: UInt64?

  /// What is true of any bus, unless said otherwise.
  /// - Parameter expected: what it should be: "slcan".
  public init(
    unit: String = "message", expected: String = "frame", question: String = "who else speaks there?", room: String? = nil
  ) {
    self.unit = unit
    denial = "no \(expected)"
    self.question = question
    self.room = room
  }

  /// Says that so much of what came was something else.
  public func malformed(_ count: UInt64) -> String {
    "\(count) \(unit)\(count == 1 ? " was" : "s were") \(denial): \(question)"
  }
}

/// The room that the kernel keeps for what waits at a socket.
enum ReceiveRoom {
  /// What a frame takes of it, as the kernel counts: twice what was asked for.
  private static let frameBytes = 450

  /// Why it is less than was wanted, and what helps; `nil` where it is not.
  static func advice(_ descriptor: Int32, wanted_bytes: Int32) -> String? {
    advice(kept_bytes: ports_receive_room(descriptor), wanted_bytes: wanted_bytes)
  }

  /// - Parameter kept_bytes: −1 = the kernel did not say.
  static func advice(kept_bytes: Int32, wanted_bytes: Int32) -> String? {
    guard kept_bytes >= 0, kept_bytes < wanted_bytes else { return nil }
    return "the kernel lets only some \(Int(kept_bytes) / frameBytes) frames wait: more with CAP_NET_ADMIN "
      + "(setcap cap_net_admin+ep \"$(command -v linkbms)\") or with sysctl net.core.rmem_max=\(wanted_bytes)"
  }
}

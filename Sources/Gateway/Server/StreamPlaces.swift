/// Places for pages that follow, and who has them: nobody may have all.
struct StreamPlaces: Sendable {
  /// At one time.
  static let room = 64
  /// For one address: a browser opens six connections to a server at most.
  static let perAddress = 8
  /// For this machine itself, where a proxy may stand for many, and for all addresses of an IPv6 network, of which one machine takes as
  /// many as it likes.
  static let perNetwork = 32

  /// Places that are taken.
  private(set) var count = 0
  private var held: [String: Int] = [:]

  /// Takes a place; `false` where none is free for this client. A client without an address is bounded by the room alone.
  mutating func enter(_ client: String?) -> Bool {
    let bounds = StreamPlaces.bounds(client)
    guard count < StreamPlaces.room, bounds.allSatisfy({ held[$0.key, default: 0] < $0.most }) else { return false }
    count += 1
    for bound in bounds { held[bound.key, default: 0] += 1 }
    return true
  }

  /// Gives it back.
  mutating func leave(_ client: String?) {
    count -= 1
    for bound in StreamPlaces.bounds(client) {
      let left = held[bound.key, default: 0] - 1
      held[bound.key] = left > 0 ? left : nil
    }
  }

  private static func bounds(_ client: String?) -> [(key: String, most: Int)] {
    guard let client else { return [] }
    if ClientAddress.isLoopback(client) { return [(client, perNetwork)] }
    guard let network = ClientAddress.network(client) else { return [(client, perAddress)] }
    return [(client, perAddress), (network, perNetwork)]
  }
}

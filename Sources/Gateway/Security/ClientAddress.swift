/// Addresses of clients, as far as bounds go by them.
enum ClientAddress {
  /// Whether it is this machine itself.
  static func isLoopback(_ address: String) -> Bool { address == "::1" || plain(address).hasPrefix("127.") }

  /// The network of an IPv6 address: its first 64 bits; `nil` for an IPv4 address, whoever writes it as one of IPv6.
  static func network(_ address: String) -> String? {
    let text = plain(address)
    guard text.contains(":") else { return nil }
    var groups = text.split(separator: ":")
    if let gap = text.range(of: "::") {
      let (head, tail) = (text[..<gap.lowerBound].split(separator: ":"), text[gap.upperBound...].split(separator: ":"))
      groups = head + [Substring](repeating: "0", count: max(0, 8 - head.count - tail.count)) + tail
    }
    return groups.prefix(4).joined(separator: ":") + "::/64"
  }

  /// Without an interface behind it; `::ffff:10.0.0.1` is 10.0.0.1.
  static func plain(_ address: String) -> String {
    let text = address.prefix { $0 != "%" }
    guard text.contains("."), let last = text.split(separator: ":").last else { return String(text) }
    return String(last)
  }
}

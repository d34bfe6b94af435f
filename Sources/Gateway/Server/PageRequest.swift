/// A request as the site sees it: no socket, no header that does not matter.
struct PageRequest: Sendable {
  enum Method: Sendable { case get, post }
  var method = Method.get
  /// Without the query, as it came: nothing is decoded, nothing is looked up on a disk.
  var path = "/"
  var query: [String: String] = [:]
  /// Fields of a form that was posted.
  var form: [String: String] = [:]
  var cookies: [String: String] = [:]
  /// `Origin`, where the browser says it.
  var origin: String?
  var host: String?
  /// Where it comes from, without the port.
  var address = "127.0.0.1"
  /// It came through TLS to this server itself.
  var isSecure = false
  var now = ContinuousClock.now
}

/// What the site answers.
struct PageResponse: Sendable {
  enum Body: Sendable {
    case bytes([UInt8])
    /// Server-sent events.
    case stream(@Sendable () -> any EventStream)
  }
  var status = 200
  var type = "text/html; charset=utf-8"
  var headers: [(String, String)] = []
  var body = Body.bytes([])

  static func page(_ html: HTML, status: Int = 200) -> PageResponse {
    PageResponse(status: status, body: .bytes(Array(html.source.utf8)))
  }
  static func text(_ text: String, type: String = "text/plain; charset=utf-8", status: Int = 200) -> PageResponse {
    PageResponse(status: status, type: type, body: .bytes(Array(text.utf8)))
  }
  static func json(_ value: JSONValue, status: Int = 200) -> PageResponse {
    .text(value.text + "\n", type: "application/json", status: status)
  }
  static func redirect(_ path: String) -> PageResponse { PageResponse(status: 303, headers: [("location", path)]) }
}

/// Forms and queries: `application/x-www-form-urlencoded`.
enum FormText {
  /// Fields that are taken; more are left out.
  static let room = 600

  static func parse(_ text: some StringProtocol) -> [String: String] {
    var fields: [String: String] = [:]
    for part in text.split(separator: "&").prefix(room) {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decoded(pair[0]), !name.isEmpty else { continue }
      guard let value = pair.count > 1 ? decoded(pair[1]) : "" else { continue }
      fields[name] = value
    }
    return fields
  }

  /// `nil` for what is no UTF-8.
  static func decoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var source = Array(text.utf8)[...]
    while let byte = source.popFirst() {
      switch byte {
      case 0x2B: bytes.append(0x20)
      case 0x25:
        guard source.count >= 2, let high = digit(source[source.startIndex]), let low = digit(source[source.startIndex + 1]) else {
          return nil
        }
        bytes.append(high << 4 | low)
        source = source.dropFirst(2)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  /// `a=1; b=2` of a `Cookie` header.
  static func cookies(_ text: String) -> [String: String] {
    var found: [String: String] = [:]
    for part in text.split(separator: ";").prefix(50) {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2 else { continue }
      found[pair[0].trimmed] = pair[1].trimmed
    }
    return found
  }
}

extension StringProtocol {
  /// Without blanks around it.
  var trimmed: String {
    var rest = Substring(self)
    while rest.first?.isWhitespace ?? false { rest = rest.dropFirst() }
    while rest.last?.isWhitespace ?? false { rest = rest.dropLast() }
    return String(rest)
  }
}

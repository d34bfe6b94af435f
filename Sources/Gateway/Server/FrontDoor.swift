import HTTPTypes
import Hummingbird
import NIOCore

/// Who asks: Hummingbird's context and the address.
struct ClientContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let address: String
  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    address = source.channel.remoteAddress?.ipAddress ?? "local"
  }
}

/// What a server serves: the master's site, or the cloud's.
protocol Pages: Sendable {
  /// Whether streams are to end.
  var isStopping: Bool { get }
  /// Takes one of the places for pages that follow; `false` where none is free for this client.
  /// - Parameter client: its address; `nil` = it has none.
  func enterStream(of client: String?) -> Bool
  /// Gives it back.
  func leaveStream(of client: String?)
  /// Ends streams.
  func stop()
  /// Whether something can be posted there.
  func takesForms(_ path: String) -> Bool
  /// Answers a request.
  func respond(_ request: PageRequest) async -> PageResponse
}

/// Pages that nothing follows.
extension Pages {
  func enterStream(of client: String?) -> Bool { false }
  func leaveStream(of client: String?) {}
}

/// From Hummingbird's requests to the site's and back: bounds, headers, streams.
struct FrontDoor: HTTPResponder {
  /// A form of every item with every sensor is 4 KB.
  static let bodyRoom = 64 * 1024

  let site: any Pages
  /// Served through TLS.
  let isSecure: Bool

  func respond(to request: Request, context: ClientContext) async throws -> Response {
    guard request.method == .get || request.method == .head || request.method == .post else {
      var refusal = PageResponse.text("This method is not answered here.\n", status: 405)
      refusal.headers.append(("allow", site.takesForms(request.uri.path) ? "GET, HEAD, POST" : "GET, HEAD"))
      return FrontDoor.response(refusal, isSecure: isSecure)
    }
    var asked = PageRequest()
    asked.path = request.uri.path
    asked.query = FormText.parse(request.uri.query ?? "")
    asked.cookies = FormText.cookies(request.headers[.cookie] ?? "")
    asked.origin = request.headers[.origin]
    asked.host = request.head.authority
    asked.address = context.address
    asked.isSecure = isSecure
    if request.method == .post {
      asked.method = .post
      do {
        let body = try await request.body.collect(upTo: FrontDoor.bodyRoom)
        asked.form = FormText.parse(String(buffer: body))
      } catch is NIOTooManyBytesError {
        var refusal = PageResponse.text("The body is larger than \(FrontDoor.bodyRoom) bytes.\n", status: 413)
        refusal.headers.append(("connection", "close"))
        return FrontDoor.response(refusal, isSecure: isSecure)
      }
    }
    let answer = await site.respond(asked)
    var response = FrontDoor.response(answer, isSecure: isSecure)
    switch answer.body {
    case .bytes: if request.method == .head { response.body = .init() }
    case .stream(let make): if request.method != .head { return stream(response, to: context.address, make) }
    }
    return response
  }

  static func response(_ answer: PageResponse, isSecure: Bool) -> Response {
    var headers = HTTPFields()
    for (name, value) in securityHeaders + answer.headers {
      if let field = HTTPField.Name(name) { headers.append(HTTPField(name: field, value: value)) }
    }
    if isSecure { headers[.strictTransportSecurity] = "max-age=31536000" }
    headers[.contentType] = answer.type
    if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
    var body = ResponseBody()
    if case .bytes(let bytes) = answer.body, !bytes.isEmpty { body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)) }
    return Response(status: .init(code: answer.status), headers: headers, body: body)
  }

  /// Everything comes from this server and nothing may frame it; nothing in a page is script or style by itself. Other sites are told no
  /// referrer; under `no-referrer` browsers would say `Origin: null` of our own forms too, which is what another site's says.
  static let securityHeaders = [
    (
      "content-security-policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'"
    ), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "geolocation=(), camera=(), microphone=()"),
  ]

  // MARK: Server-sent events

  /// Writes what a stream has each half second, and a sign of life where it has nothing. Nothing is queued: a client that is slow
  /// gets fewer and later states, one that takes nothing is cut off by `SlowClientHandler`.
  private func stream(_ plain: Response, to client: String, _ make: @Sendable @escaping () -> any EventStream) -> Response {
    guard let place = StreamPlace(site, of: client) else {
      return FrontDoor.response(.text("Too many pages follow already.\n", status: 503), isSecure: isSecure)
    }
    var response = plain
    response.headers[.contentType] = "text/event-stream"
    let site = site
    response.body = ResponseBody { writer in
      // The place is this closure's: it goes with it, even where it is never called.
      defer { withExtendedLifetime(place) {} }
      var stream = make()
      var silent = 0
      while !site.isStopping {
        if let text = await stream.next() {
          silent = 0
          try await writer.write(ByteBuffer(string: "data: \(text)\n\n"))
        } else {
          silent += 1
          if silent % 4 == 0 { try await writer.write(ByteBuffer(string: "event: alive\ndata: \n\n")) }
        }
        try await Task.sleep(for: .milliseconds(500))
      }
      try await writer.finish(nil)
    }
    return response
  }
}

/// One of the places for pages that follow. It is given back when nobody holds it any more: with the end of its stream, or with an answer
/// that was never written because the client is gone.
final class StreamPlace: Sendable {
  private let site: any Pages
  private let client: String?

  /// `nil` where none is free for this client.
  init?(_ site: any Pages, of client: String? = nil) {
    guard site.enterStream(of: client) else { return nil }
    self.site = site
    self.client = client
  }

  deinit { site.leaveStream(of: client) }
}

/// Something a page follows.
protocol EventStream {
  /// What is new, as one line; `nil` where nothing is.
  mutating func next() async -> String?
}

/// What keeps the battery page live.
struct LiveStream: EventStream {
  let site: Site
  private var state = ParameterPage.LiveState()
  init(_ site: Site) { self.site = site }
  mutating func next() -> String? { ParameterPage.update(ParameterView(site.moment), since: &state)?.text }
}

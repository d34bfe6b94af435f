/// Text that may stand in a page as it is. Everything that comes from outside goes through `text(_:)` or `attribute`.
struct HTML: ExpressibleByStringInterpolation, ExpressibleByStringLiteral, Sendable {
  var source: String

  init(stringLiteral value: String) { source = value }
  init(trusted source: String) { self.source = source }
  init(stringInterpolation: Interpolation) { source = stringInterpolation.source }

  static let empty: HTML = ""
  static func + (one: HTML, other: HTML) -> HTML { HTML(trusted: one.source + other.source) }
  static func += (one: inout HTML, other: HTML) { one.source += other.source }

  /// Interpolated strings are escaped; interpolated HTML is not: forgetting to escape is not possible.
  struct Interpolation: StringInterpolationProtocol {
    var source = ""
    init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity * 2) }
    mutating func appendLiteral(_ literal: String) { source += literal }
    mutating func appendInterpolation(_ html: HTML) { source += html.source }
    mutating func appendInterpolation(_ text: String) { source += HTML.escaped(text) }
    mutating func appendInterpolation(_ number: some BinaryInteger) { source += String(number) }
    mutating func appendInterpolation(_ list: [HTML]) { for html in list { source += html.source } }
  }

  /// `text` with the five characters that mean something in a page written out.
  static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}

extension HTML {
  /// `2026-01-01T00:00:00Z` for a person, with its zone; a script of the page may put it into the reader's.
  static func time(_ moment: String) -> HTML {
    let shown = moment.replacing("T", with: " ").replacing("Z", with: " UTC")
    return "<time datetime=\"\(moment)\">\(shown)</time>"
  }
}

/// What every page has around it.
struct PageFrame {
  /// The pages of the menu.
  static let menu: [(path: String, name: String)] = [
    ("/", "Battery"), ("/history", "History"), ("/bus", "Bus"), ("/config", "Configuration"), ("/wifi", "Network"),
  ]
  var title: String
  var path: String
  /// Who is logged in may log out.
  var logout: HTML = .empty
  /// Scripts of `Pages/` that this page runs.
  var scripts: [String] = []
  var menu = PageFrame.menu

  func html(_ main: HTML) -> HTML {
    let links = menu.map { entry -> HTML in
      entry.path == path
        ? "<a href=\"\(entry.path)\" aria-current=\"page\">\(entry.name)</a>" : "<a href=\"\(entry.path)\">\(entry.name)</a>"
    }
    let scripts = scripts.map { "<script src=\"/assets/\($0)\" defer></script>" as HTML }
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(title) · LinkBMS</title><link rel="icon" href="/assets/icon.svg"><link rel="stylesheet" href="/assets/style.css">\(scripts)
      </head><body><a class="skip" href="#main">Skip to the content</a>
      <header><span class="brand">LinkBMS</span><nav aria-label="Pages">\(links)</nav>\(logout)</header>
      <main id="main" tabindex="-1">
      \(main)</main></body></html>

      """
  }
}

extension PageFrame {
  /// A file of `Pages/`, by its exact name.
  static func asset(_ name: String) -> PageResponse {
    guard let file = embeddedPages.first(where: { $0.path == name }) else { return .text("No such file.\n", status: 404) }
    let type = name.hasSuffix(".css") ? "text/css" : name.hasSuffix(".js") ? "text/javascript" : "image/svg+xml"
    var response = PageResponse.text(file.text, type: type + "; charset=utf-8")
    response.headers.append(("cache-control", "max-age=300"))
    return response
  }
}

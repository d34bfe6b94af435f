/// Reads a sidecar. Unknown keys, wrong types and missing parts are problems with their lines; the rest is used.
struct SidecarReader {
  private(set) var sidecar = Sidecar()
  private(set) var problems: [DefinitionProblem] = []
  private let path: String

  /// Reads `text`, which stands at `path`.
  static func read(_ text: String, path: String) -> (sidecar: Sidecar, problems: [DefinitionProblem]) {
    var reader = SidecarReader(path: path)
    if let root = YAMLNode.parse(text, path: path, problems: &reader.problems) { reader.read(root) }
    reader.sidecar.path = path
    return (reader.sidecar, reader.problems)
  }

  private init(path: String) { self.path = path }

  private mutating func read(_ root: YAMLNode) {
    var seen: Set<String> = []
    for (key, value) in root.pairs("the definition", &problems) {
      seen.insert(key)
      readTop(key, value)
    }
    for key in ["protocol", "title", "dbc", "bus", "roles", "identify"] where !seen.contains(key) {
      // A definition that extends another may add no message of its own.
      if key == "dbc", seen.contains("extends") { continue }
      problems.append(root.problem(.missing, "\(key) is missing"))
    }
    if sidecar.use == .full, sidecar.variants.isEmpty { problems.append(root.problem(.missing, "variants: expected at least one")) }
    if sidecar.sources.isEmpty { problems.append(root.problem(.source, "sources: expected at least one, with its confidence")) }
  }

  private static let keys = [
    "protocol", "title", "summary", "dbc", "use", "extends", "bus", "roles", "address", "identify", "needs", "certain", "plausible",
    "agree", "readings", "variants", "flags", "text", "quantities", "handshake", "samples",
    "sources",
  ]

  private mutating func readTop(_ key: String, _ value: YAMLNode) {
    switch key {
    case "protocol": sidecar.protocolName = value.text(key, &problems)
    case "title": sidecar.title = value.text(key, &problems)
    case "summary": sidecar.summary = value.text(key, &problems)
    case "dbc": sidecar.dbc = value.text(key, &problems)
    case "use": sidecar.use = value.word(key, as: Sidecar.Use.self, &problems) ?? .full
    case "extends": sidecar.extends = value.text(key, &problems)
    case "bus": readBus(value)
    case "roles":
      for (node, side) in value.pairs(key, &problems) { sidecar.roles[node] = side.word("roles.\(node)", as: Side.self, &problems) }
    case "address": readAddress(value)
    case "identify": sidecar.identify = readEvidence(value)
    case "needs": sidecar.needs = value.number(key, &problems)?.value ?? 1
    case "certain": sidecar.certain = value.number(key, &problems)?.value ?? 10
    case "plausible": readPlausible(value)
    case "agree": readAgreements(value)
    case "readings": for (name, reading) in value.pairs(key, &problems) { readReading(name, reading) }
    case "variants": for (name, variant) in value.pairs(key, &problems) { readVariant(name, variant) }
    case "flags": readFlags(value)
    case "text": sidecar.textSignals = Set(value.texts(key, &problems))
    case "quantities": for (name, signal) in value.pairs(key, &problems) { sidecar.quantities[name] = signal.text(name, &problems) }
    case "handshake":
      var reader = HandshakeReader()
      sidecar.handshake = reader.read(value)
      problems += reader.problems
    case "samples": for item in value.items(key, &problems) { readSample(item) }
    case "sources": for item in value.items(key, &problems) { readSource(item) }
    default: unknown(key, value, Self.keys)
    }
  }

  private mutating func unknown(_ key: String, _ value: YAMLNode, _ known: [String]) {
    problems.append(value.problem(.unknownKey, "unknown key \"\(key)\"" + NearestName.hint(key, in: known)))
  }

  private mutating func readBus(_ node: YAMLNode) {
    for (key, value) in node.pairs("bus", &problems) {
      switch key {
      case "bitRates":
        sidecar.bitRates = value.items(key, &problems).compactMap { $0.integer(key, in: 1_000...8_000_000, &problems) }
      case "width": sidecar.width = value.word(key, as: Sidecar.Width.self, &problems) ?? .standard
      case "note": _ = value.text(key, &problems)
      default: unknown(key, value, ["bitRates", "width", "note"])
      }
    }
  }

  private mutating func readAddress(_ node: YAMLNode) {
    var address = Sidecar.Address()
    address.line = node.line
    for (key, value) in node.pairs("address", &problems) {
      switch key {
      case "shift": address.shift = value.integer(key, in: 0...28, &problems) ?? 0
      case "bits": address.bits = value.integer(key, in: 1...8, &problems) ?? 4
      case "first": address.first = value.integer(key, in: 0...255, &problems) ?? 0
      case "last": address.last = value.integer(key, in: 0...255, &problems) ?? 0
      case "default": address.defaultAddress = value.integer(key, in: 0...255, &problems) ?? 0
      case "messages": address.messages = value.texts(key, &problems)
      default: unknown(key, value, ["shift", "bits", "first", "last", "default", "messages"])
      }
    }
    if address.first > address.last || address.last >= 1 << address.bits {
      problems.append(
        node.problem(.value, "address: found \(address.first)…\(address.last), expected a range that fits \(address.bits) bits"))
      address.last = (1 << address.bits) - 1
      address.first = min(address.first, address.last)
    }
    sidecar.address = address
  }

  private mutating func readEvidence(_ node: YAMLNode) -> [Sidecar.Evidence] {
    var list: [Sidecar.Evidence] = []
    for item in node.items("identify", &problems) {
      var evidence = Sidecar.Evidence()
      evidence.line = item.line
      for (key, value) in item.pairs("identify", &problems) {
        switch key {
        case "messages": evidence.messages = value.texts(key, &problems)
        case "side": evidence.side = value.word(key, as: Side.self, &problems)
        case "weight": evidence.weight = value.number(key, &problems)?.value ?? 0
        case "when": evidence.when = readRawValues(value)
        case "text": evidence.text = value.text(key, &problems)
        case "length": evidence.length = value.integer(key, in: 0...64, &problems)
        default: unknown(key, value, ["messages", "side", "weight", "when", "text", "length"])
        }
      }
      list.append(evidence)
    }
    return list
  }

  private mutating func readRawValues(_ node: YAMLNode) -> [String: [Int64]] {
    var result: [String: [Int64]] = [:]
    for (signal, values) in node.pairs("when", &problems) {
      result[signal] = values.items("when.\(signal)", &problems).compactMap {
        $0.integer("when.\(signal)", &problems).map(Int64.init)
      }
    }
    return result
  }

  private mutating func readPlausible(_ node: YAMLNode) {
    for (signal, value) in node.pairs("plausible", &problems) {
      let limits = value.items("plausible.\(signal)", &problems).compactMap { $0.number("plausible.\(signal)", &problems)?.value }
      guard limits.count == 2, limits[0] <= limits[1] else {
        problems.append(value.problem(.value, "plausible.\(signal): expected [lowest, highest]"))
        continue
      }
      sidecar.plausible[signal] = limits[0]...limits[1]
    }
  }

  private mutating func readAgreements(_ node: YAMLNode) {
    for item in node.items("agree", &problems) {
      var left: Sidecar.Product?
      var right: Sidecar.Product?
      var tolerance = 0.1
      for (key, value) in item.pairs("agree", &problems) {
        switch key {
        case "left": left = readProduct(value)
        case "right": right = readProduct(value)
        case "tolerance": tolerance = value.number(key, &problems)?.value ?? 0.1
        default: unknown(key, value, ["left", "right", "tolerance"])
        }
      }
      guard let left, let right else {
        problems.append(item.problem(.missing, "agree: expected left and right"))
        continue
      }
      sidecar.agreements.append(.init(left: left, right: right, tolerance: tolerance, line: item.line))
    }
  }

  private mutating func readProduct(_ node: YAMLNode) -> Sidecar.Product {
    let text = node.text("agree", &problems)
    var product = Sidecar.Product(signals: [], factor: 1, text: text)
    for part in text.split(separator: "*") {
      let word = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      if let number = DBCNumber(word) { product.factor *= number.value } else { product.signals.append(word) }
    }
    return product
  }

  private mutating func readReading(_ name: String, _ node: YAMLNode) {
    var reading = Sidecar.Reading(name: name, title: name, options: [], line: node.line)
    for (key, value) in node.pairs("readings.\(name)", &problems) {
      switch key {
      case "title": reading.title = value.text(key, &problems)
      case "options":
        for (option, content) in value.pairs("options", &problems) { reading.options.append(readOption(option, content)) }
      default: unknown(key, value, ["title", "options"])
      }
    }
    if reading.options.isEmpty { problems.append(node.problem(.missing, "readings.\(name): expected options")) }
    sidecar.readings.append(reading)
  }

  private mutating func readOption(_ name: String, _ node: YAMLNode) -> Sidecar.Option {
    var option = Sidecar.Option(name: name, title: name, line: node.line)
    for (key, value) in node.pairs(name, &problems) {
      switch key {
      case "title": option.title = value.text(key, &problems)
      case "overlay": option.overlay = value.text(key, &problems)
      case "change": for item in value.items(key, &problems) { option.changes.append(readChange(item)) }
      default: unknown(key, value, ["title", "overlay", "change"])
      }
    }
    return option
  }

  private mutating func readChange(_ node: YAMLNode) -> Sidecar.Change {
    var change = Sidecar.Change()
    change.line = node.line
    for (key, value) in node.pairs("change", &problems) {
      switch key {
      case "signals": change.signals = value.texts(key, &problems)
      case "byteOrder": change.byteOrder = value.word(key, as: ByteOrderWord.self, &problems) == .big ? .bigEndian : .littleEndian
      case "factor": change.factor = value.number(key, &problems)
      case "offset": change.offset = value.number(key, &problems)
      case "isSigned": change.isSigned = value.text(key, &problems) == "true"
      case "startBit": change.startBit = value.integer(key, in: 0...511, &problems)
      case "bitLength": change.bitLength = value.integer(key, in: 1...64, &problems)
      default: unknown(key, value, ["signals", "byteOrder", "factor", "offset", "isSigned", "startBit", "bitLength"])
      }
    }
    return change
  }

  private enum ByteOrderWord: String, CaseIterable { case little, big }

  private mutating func readVariant(_ name: String, _ node: YAMLNode) {
    var variant = Sidecar.Variant(name: name, title: name, line: node.line)
    for (key, value) in node.pairs("variants.\(name)", &problems) {
      switch key {
      case "title": variant.title = value.text(key, &problems)
      case "readings": variant.readings = readChoice(value)
      case "address": variant.address = value.integer(key, in: 0...255, &problems)
      case "ids": variant.ids = readIDs(value)
      case "identify": variant.identify = readEvidence(value)
      case "say":
        var reader = HandshakeReader()
        variant.say = reader.say(value)
        problems += reader.problems
      default: unknown(key, value, ["title", "readings", "address", "ids", "say", "identify"])
      }
    }
    sidecar.variants.append(variant)
  }

  private mutating func readChoice(_ node: YAMLNode) -> [String: String] {
    var choice: [String: String] = [:]
    for (reading, option) in node.pairs("readings", &problems) { choice[reading] = option.text("readings.\(reading)", &problems) }
    return choice
  }

  private mutating func readIDs(_ node: YAMLNode) -> Sidecar.OtherIDs {
    var ids = Sidecar.OtherIDs()
    for (key, value) in node.pairs("ids", &problems) {
      switch key {
      case "width": ids.width = value.word(key, as: Sidecar.Width.self, &problems) ?? .standard
      case "shift": ids.shift = value.integer(key, in: 0...28, &problems) ?? 0
      case "map":
        for (message, id) in value.pairs(key, &problems) {
          ids.map[message] = id.integer("ids.map.\(message)", in: 0...0x1FFF_FFFF, &problems).map(UInt32.init)
        }
      case "omit": ids.omit = Set(value.texts(key, &problems))
      default: unknown(key, value, ["width", "shift", "map", "omit"])
      }
    }
    return ids
  }

  private mutating func readFlags(_ node: YAMLNode) {
    for (word, group) in node.pairs("flags", &problems) {
      guard let severity = SignalFlag.Severity(rawValue: word) else {
        unknown(word, group, SignalFlag.Severity.allCases.map(\.rawValue))
        continue
      }
      for (signal, value) in group.pairs("flags.\(word)", &problems) {
        var flag = SignalFlag(severity: severity, text: signal)
        if !value.isMapping {
          flag.text = value.text("flags.\(signal)", &problems)
        } else {
          for (key, part) in value.pairs("flags.\(signal)", &problems) {
            switch key {
            case "text": flag.text = part.text(key, &problems)
            case "when": flag.setValues = part.items(key, &problems).compactMap { $0.integer(key, &problems).map(Int64.init) }
            default: unknown(key, part, ["text", "when"])
            }
          }
        }
        sidecar.flags[signal] = flag
      }
    }
  }

  private mutating func readSample(_ node: YAMLNode) {
    var sample = Sidecar.Sample()
    sample.line = node.line
    for (key, value) in node.pairs("samples", &problems) {
      switch key {
      case "frame": sample.frame = value.text(key, &problems)
      case "message": sample.message = value.text(key, &problems)
      case "variant": sample.variant = value.text(key, &problems)
      case "readings": sample.readings = readChoice(value)
      case "kind": sample.kind = value.text(key, &problems)
      case "source": sample.source = value.text(key, &problems)
      case "expect":
        for (signal, expected) in value.pairs(key, &problems) {
          let text = expected.text("expect.\(signal)", &problems)
          // A quoted word is ASCII, even if it looks like a number.
          let value: Sidecar.Expected = expected.isQuoted ? .text(text) : DBCNumber(text).map { .number($0.value) } ?? .text(text)
          sample.expect.append((signal, value))
        }
      default: unknown(key, value, ["frame", "message", "variant", "readings", "kind", "source", "expect"])
      }
    }
    if !["real", "document", "code", "synthetic"].contains(sample.kind) {
      problems.append(node.problem(.value, "kind: found \"\(sample.kind)\", expected real, document, code or synthetic"))
    }
    sidecar.samples.append(sample)
  }

  private mutating func readSource(_ node: YAMLNode) {
    var source = Sidecar.Source()
    for (key, value) in node.pairs("sources", &problems) {
      switch key {
      case "id": source.id = value.text(key, &problems)
      case "title": source.title = value.text(key, &problems)
      case "where": source.place = value.text(key, &problems)
      case "confidence": source.confidence = value.text(key, &problems)
      default: unknown(key, value, ["id", "title", "where", "confidence"])
      }
    }
    if source.id.isEmpty || !["documented", "observed", "guessed"].contains(source.confidence) {
      problems.append(
        node.problem(.source, "source \"\(source.id)\": expected an id and confidence documented, observed or guessed"))
    }
    sidecar.sources.append(source)
  }
}

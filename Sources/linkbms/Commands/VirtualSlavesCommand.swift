import ArgumentParser
import Controller
import Formats
import HostIO
import Protocols
import Runtime
import Simulation

/// `virtual slaves`: LinkSlaves and a LinkPDU with a battery behind them, on a tap's line.
struct VirtualSlavesCommand: ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "slaves",
    abstract: "Play LinkSlaves and a LinkPDU with a battery, on a tap's line, for 'linkbms run'.",
    discussion: HelpText.discussion(
      "Answers on the line as a tap does (Dissectors/TAP.md): each frame of the chains, and the PDU with its own rules (an order is void "
        + "after a second, then it stays open until it is ordered to). Lines on standard input are faults: 'slave-dead 3', "
        + "'sense-wire 2 5', 'ntc-open 1 2', 'ntc-shorted 1 2', 'cell 1 4 3.9', 'cut 2', 'noise 20', 'pdu-silent', 'weld positive', "
        + "'stuck negative', 'output-shorted', 'hot 1 70', 'ignore-limits 60', 'load 20', 'hang-up', 'repair', 'status', 'quit'. Numbers count from "
        + "1; a module of BMS2 is written 2:3. Exit status: 0 ended by quit, --for or a signal; 2 could not do it.",
      examples: [
        ("linkbms virtual slaves --config bms.yaml --chain tap+tcp://127.0.0.1:2000", "the battery of a configuration"),
        ("linkbms virtual slaves --plant Captures/scenarios/overload.yaml --chain tap+serial:///dev/pts/7", "a scenario's"),
      ]))

  @Option(help: ArgumentHelp("The configuration of the battery that is played.", valueName: "file"), completion: .file())
  var config: String?
  @Option(help: ArgumentHelp("A scenario: battery, load and faults.", valueName: "file"), completion: .file())
  var plant: String?
  @Option(help: ArgumentHelp("The line: \(LineAddress.expected); with TCP it waits there, port 0 = any.", valueName: "tap"))
  var chain: String
  @Option(help: ArgumentHelp("A, positive while charging, as far as the controller allows.", valueName: "amperes"))
  var load: Double?
  @Option(name: .customLong("for"), help: ArgumentHelp("End after this time.", valueName: "time"))
  var length: String?

  func validate() throws {
    if (config == nil) == (plant == nil) { throw ValidationError("name a battery: --config or --plant") }
    if let length, RunTime.microseconds(length) == nil {
      throw ValidationError("--for: found \"\(length)\", expected a time such as 90s, 10m or 24h")
    }
  }

  mutating func run(in world: inout some World) throws -> ExitStatus {
    var virtual = VirtualPlant(try scenario(in: &world))
    let line: PlayedLine
    do throws(PortError) { line = try PlayedLine(chain) } catch { throw WorldError(message: error.description) }
    defer { line.close() }
    try world.print("ready \(line.name)")
    try world.flush()
    let input = InputLines(descriptor: 0)
    var clock = RunClock(speed: 1)
    let end = length.flatMap(RunTime.microseconds) ?? .max
    var wasConnected = false
    while !world.isInterrupted, clock.now_us < end {
      let now = clock.advance(due: 0)
      virtual.advance(now_us: now)
      do throws(PortError) {
        try line.receive { event in
          switch event {
          case .line(let bytes, _):
            if let content = TapLine(String(decoding: bytes, as: UTF8.self)) { virtual.receive(content, now_us: now) }
          case .lost: virtual.disconnected()
          case .returned: break
          }
        }
        let said = virtual.takeLines().map(\.text).joined(separator: "\n")
        if !said.isEmpty { try line.write(said) }
      } catch { throw WorldError(message: "\(line.name): \(error)") }
      if virtual.switches.isConnected != wasConnected {
        wasConnected.toggle()
        try world.print("\(RunTime.stamp(now))  battery \(wasConnected ? "on" : "off") the inverter")
        try world.flush()
      }
      for text in input.take() {
        if text == "quit" { return .done }
        if text == "hang-up" {
          line.hangUp()
          virtual.disconnected()
          continue
        }
        try world.print(PlantOrder.obey(text, &virtual))
        try world.flush()
      }
      _ = PortPoller.wait(
        [line.descriptor, input.descriptor],
        until_ns: min(clock.monotonic_ns(min(end, virtual.wake_us)), line.wakeTime_ns ?? .max))
    }
    return .done
  }

  private func scenario(in world: inout some World) throws -> Scenario {
    var scenario = Scenario()
    if let plant {
      let (read, problems) = ScenarioFile.parse(String(decoding: try InputFile.bytes(of: plant), as: UTF8.self), path: plant)
      for problem in problems { world.note("linkbms: \(problem)") }
      guard problems.isEmpty else { throw WorldError(message: "\(plant): expected a scenario") }
      scenario = read
    } else if let config {
      let configuration = try ConfigurationInput.read(config)
      guard configuration.violationCount == 0 else {
        throw WorldError(message: "\(config): breaks \(configuration.violationCount) rules: 'linkbms config check' names them")
      }
      scenario.configuration = configuration
      scenario.pack = CellPack.Build(
        modules: ChainNumber.allCases.flatMap { chain in
          [Int](repeating: configuration.cellsPerModule(chain), count: configuration.slaves(chain))
        })
      scenario.pack.isLFP = configuration.isLFP
      scenario.pack.capacity = Double(configuration[.capacity]) / 1000
    }
    if let load { scenario.load.steps = [.init(at: 0, current: load)] }
    return scenario
  }
}

/// What a person types to a virtual battery.
enum PlantOrder {
  /// Does it, and says what was done or what is wrong with it.
  static func obey(_ text: String, _ plant: inout VirtualPlant) -> String {
    let words = text.split(separator: " ").map(String.init)
    guard let order = words.first else { return "" }
    if order == "repair" {
      plant.repair()
      return "repaired"
    }
    if order == "status" {
      let closed = plant.switches.isConnected ? "on" : "off"
      return "battery \(closed) the inverter, \(Int((plant.current * 1000).rounded())) mA, \(plant.faults.count) faults"
    }
    if order == "load", words.count == 2, let amperes = Double(words[1]), amperes.isFinite {
      plant.setLoad(amperes)
      return "load \(amperes) A"
    }
    do throws(WorldError) {
      guard let kind = try fault(order, Array(words.dropFirst()), plant.scenario) else {
        return "\"\(text)\" is no order: expected one of those that 'linkbms help virtual slaves' lists"
      }
      plant.begin(kind)
      return "fault: \(text)"
    } catch { return "\(order): \(error.message)" }
  }

  /// - Returns: `nil` for what is no order.
  private static func fault(_ order: String, _ words: [String], _ scenario: Scenario) throws(WorldError) -> Fault.Kind? {
    switch (order, words.count) {
    case ("pdu-silent", 0): return .pduSilent
    case ("output-shorted", 0): return .outputShorted
    case ("noise", 1): return .noise(.bms1, percent: try amount(words[0], 0...100, "%"))
    case ("ignore-limits", 1): return .inverterIgnoresLimits(amperes: try amount(words[0], -500...500, "A"))
    case ("weld", 1) where ["positive", "negative"].contains(words[0]): return .contactorWelded(isPositive: words[0] == "positive")
    case ("stuck", 1) where ["positive", "negative"].contains(words[0]):
      return .contactorStuckOpen(isPositive: words[0] == "positive")
    case ("slave-dead", 1), ("cut", 1), ("sense-wire", 2), ("ntc-open", 2), ("ntc-shorted", 2), ("hot", 2), ("cell", 3):
      return try moduleFault(order, words, scenario)
    default: return nil
    }
  }

  /// A fault of the module that the first word names.
  private static func moduleFault(_ order: String, _ words: [String], _ scenario: Scenario) throws(WorldError) -> Fault.Kind? {
    let (chain, module) = try place(words[0], scenario)
    let cells = scenario.configuration.cellsPerModule(chain)
    switch order {
    case "slave-dead": return .slaveDead(chain, module: module)
    case "cut": return .chainCut(chain, module: module)
    case "sense-wire": return .brokenSenseWire(chain, module: module, cell: try number(words[1], "cell", most: cells))
    case "ntc-open": return .sensorOpen(chain, module: module, sensor: try number(words[1], "sensor", most: 5))
    case "ntc-shorted": return .sensorShorted(chain, module: module, sensor: try number(words[1], "sensor", most: 5))
    case "hot": return .temperature(chain, module: module, celsius: try amount(words[1], -60...200, "°C"))
    case "cell":
      let cell = try number(words[1], "cell", most: cells)
      return .cellVoltage(chain, module: module, cell: cell, volts: try amount(words[2], 0...5, "V"))
    default: return nil
    }
  }

  private static func amount(_ word: String, _ range: ClosedRange<Int>, _ unit: String) throws(WorldError) -> Double {
    guard let amount = Double(word), amount >= Double(range.lowerBound), amount <= Double(range.upperBound) else {
      throw WorldError(message: "found \"\(word)\", expected \(range.lowerBound) to \(range.upperBound) \(unit)")
    }
    return amount
  }

  private static func number(_ word: String, _ what: String, most: Int) throws(WorldError) -> Int {
    guard let number = Int(word), number >= 1, number <= most else {
      throw WorldError(message: "found \"\(word)\", expected a \(what), 1 to \(most)")
    }
    return number
  }

  /// `3` = BMS1 module 3, `2:3` = BMS2 module 3. One that is not there can have no fault.
  private static func place(_ word: String, _ scenario: Scenario) throws(WorldError) -> (ChainNumber, Int) {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    let number: Int? = parts.count > 1 ? parts[0] : 1
    if parts.count <= 2, number == 1 || number == 2 {
      let chain: ChainNumber = number == 2 ? .bms2 : .bms1
      if let module = parts.last ?? nil, module >= 1, module <= scenario.installed(chain) { return (chain, module) }
    }
    var known: [String] = []
    if scenario.installed(.bms1) > 0 { known.append("1 to \(scenario.installed(.bms1))") }
    if scenario.installed(.bms2) > 0 { known.append("2:1 to 2:\(scenario.installed(.bms2))") }
    throw WorldError(message: "found \"\(word)\", expected a module, \(known.joined(separator: " or "))")
  }
}

/// The line on which slaves are played: a TCP port that waits, or a serial device.
private enum PlayedLine {
  case tcp(TapListener)
  case serial(String, LinePort)

  init(_ text: String) throws(PortError) {
    // Port 0 is no place to go to, but one to wait at.
    if text.hasPrefix("tap+tcp://"), text.hasSuffix(":0") {
      self = .tcp(try TapListener(host: String(text.dropFirst(10).dropLast(2)), port: 0))
      return
    }
    switch try LineAddress(text) {
    case .tcp(let host, let port): self = .tcp(try TapListener(host: host, port: port))
    case .serial: self = .serial(text, try LinePort(LineAddress(text)))
    }
  }

  var name: String {
    switch self {
    case .tcp(let listener): listener.name
    case .serial(let name, _): name
    }
  }
  var descriptor: Int32 {
    switch self {
    case .tcp(let listener): listener.descriptor
    case .serial(_, let port): port.descriptor
    }
  }
  var wakeTime_ns: Int64? {
    switch self {
    case .tcp(let listener): listener.wakeTime_ns
    case .serial(_, let port): port.wakeTime_ns
    }
  }

  func receive(_ take: (LineEvent) -> Void) throws(PortError) {
    switch self {
    case .tcp(let listener): listener.receive(take)
    case .serial(_, let port): try port.receive(take)
    }
  }

  /// What finds no room is lost, as on a real line.
  func write(_ text: String) throws(PortError) {
    switch self {
    case .tcp(let listener): _ = listener.write(text.utf8)
    case .serial(_, let port): _ = try port.write(text.utf8)
    }
  }

  /// A serial line cannot be hung up from here.
  func hangUp() { if case .tcp(let listener) = self { listener.hangUp() } }

  func close() {
    switch self {
    case .tcp(let listener): listener.close()
    case .serial(_, let port): port.close()
    }
  }
}

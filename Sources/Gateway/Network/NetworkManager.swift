private import Dispatch
internal import HostIO
private import Synchronization

/// A WiFi network that can be heard.
struct WiFiNetwork: Equatable, Sendable {
  var name: String
  var signal: Int
  var isSecured: Bool
  var isActive: Bool

  /// Reads `nmcli -t -f IN-USE,SIGNAL,SECURITY,SSID device wifi list`: fields between colons, colons inside them behind a backslash.
  /// The strongest of each name; those without a name are left out.
  static func parse(_ text: String) -> [WiFiNetwork] {
    var found: [WiFiNetwork] = []
    for line in text.split(separator: "\n").prefix(200) {
      let fields = split(line)
      guard fields.count == 4, !fields[3].isEmpty, let signal = Int(fields[1]) else { continue }
      let network = WiFiNetwork(
        name: fields[3], signal: max(0, min(100, signal)), isSecured: !fields[2].isEmpty && fields[2] != "--",
        isActive: fields[0] == "*")
      if let index = found.firstIndex(where: { $0.name == network.name }) {
        if network.isActive || network.signal > found[index].signal && !found[index].isActive { found[index] = network }
      } else {
        found.append(network)
      }
    }
    return found.sorted { ($0.isActive ? 1 : 0, $0.signal) > ($1.isActive ? 1 : 0, $1.signal) }
  }

  private static func split(_ line: Substring) -> [String] {
    var fields = [""]
    var isEscaped = false
    for character in line {
      if isEscaped {
        fields[fields.count - 1].append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == ":" {
        fields.append("")
      } else {
        fields[fields.count - 1].append(character)
      }
    }
    return fields
  }
}

/// WiFi through NetworkManager's own tool. Where there is none it says so in words.
public final class NetworkManager: Sendable {
  /// What was found.
  struct Answer: Sendable, Equatable {
    var networks: [WiFiNetwork] = []
    /// Why there is nothing to choose from, and what to do; `nil` where there is.
    var words: String?
    /// Whether a network can be chosen, even one that is not heard: a radio that is an access point hears none.
    var canConnect = false
  }

  let tool: String
  let interfaces: String
  private let queue = DispatchQueue(label: "linkbms.network", qos: .utility)
  // Whoever reaches the pages may ask for these, and the tool takes its time.
  private let heard: SharedRead<Answer>
  private let named: SharedRead<String?>

  /// - Parameters:
  ///   - tool: NetworkManager's tool, by name or path.
  ///   - interfaces: where the kernel shows the network's interfaces.
  public init(tool: String = "nmcli", interfaces: String = "/sys/class/net") {
    self.tool = tool
    self.interfaces = interfaces
    heard = SharedRead(on: queue) { NetworkManager.readNetworks(tool) }
    named = SharedRead(on: queue) { NetworkManager.readName(tool) }
  }

  /// The networks that can be heard, as of the last seconds.
  func networks() async -> Answer {
    await heard.value() ?? Answer(words: "Too many ask for the networks already. Load this page again in a moment.")
  }

  private static func readNetworks(_ tool: String) -> Answer {
    let outcome = NetworkManager.run(tool, ["-t", "-f", "IN-USE,SIGNAL,SECURITY,SSID", "device", "wifi", "list"], seconds: 20)
    if outcome.status == 127 {
      return Answer(
        words: "This system has no NetworkManager, so its WiFi is set up elsewhere (for example in /etc/network/interfaces or by "
          + "systemd-networkd). A cable needs nothing.")
    }
    guard outcome.status == 0 else { return Answer(words: "NetworkManager says: \(outcome.text.trimmed.prefix(300))") }
    let networks = WiFiNetwork.parse(outcome.text)
    return Answer(
      networks: networks, words: networks.isEmpty ? "No WiFi network can be heard, or this machine has no WiFi." : nil,
      canConnect: true)
  }

  /// Connects to a network. The one before stays set up until the new one works. Its key management is called wpa-psk, by which
  /// NetworkManager means WPA3 as well (nm-settings, key-mgmt).
  /// - Parameter isHidden: it does not say its name, and has to be asked for by it.
  /// - Returns: why it did not work; `nil` = connected.
  func connect(_ name: String, password: String, isHidden: Bool = false) async -> String? {
    guard !name.isEmpty, name.utf8.count <= 32, !name.hasPrefix("-"), name.unicodeScalars.allSatisfy({ $0.value >= 0x20 }) else {
      return "The name of a network has 1 to 32 characters."
    }
    guard password.isEmpty || NetworkManager.isPassword(password) else {
      return "A WiFi password has 8 to 63 letters, digits, signs and blanks, no blank at an end; or it is 64 hexadecimal digits."
    }
    let tool = tool
    return await onQueue {
      func run(_ words: [String], input: String = "") -> ToolRun.Outcome { NetworkManager.run(tool, words, input: input) }
      // A wrong password ends with NetworkManager asking for another one, and nobody there to give it.
      func said(_ outcome: ToolRun.Outcome) -> String {
        outcome.text.contains("Secrets were required") ? "The password is wrong." : NetworkManager.words(outcome)
      }
      _ = run(["connection", "delete", "linkbms-new"])
      var words = ["connection", "add", "type", "wifi", "con-name", "linkbms-new", "ifname", "*", "ssid", name]
      if isHidden { words += ["802-11-wireless.hidden", "yes"] }
      if !password.isEmpty { words += ["wifi-sec.key-mgmt", "wpa-psk"] }
      let added = run(words)
      if added.status == 127 { return "This system has no NetworkManager." }
      guard added.status == 0 else { return said(added) }
      if !password.isEmpty {
        // On its standard input: words of a command line can be read by everybody on the machine.
        let set = run(["connection", "edit", "linkbms-new"], input: "set wifi-sec.psk \(password)\nsave persistent\nquit\n")
        guard set.status == 0 else {
          _ = run(["connection", "delete", "linkbms-new"])
          return said(set)
        }
      }
      let up = run(["--wait", "40", "connection", "up", "linkbms-new"])
      guard up.status == 0 else {
        _ = run(["connection", "delete", "linkbms-new"])
        // The radio was taken from the setup network: whoever came through that must be able to come again.
        _ = run(["--wait", "20", "connection", "up", SetupNetwork.connection])
        return said(up)
      }
      _ = run(["connection", "delete", SetupNetwork.connection])
      _ = run(["connection", "delete", "linkbms"])
      _ = run(["connection", "modify", "linkbms-new", "connection.id", "linkbms"])
      return nil
    }
  }

  /// Whether it may be the password of somebody's network: signs of ASCII, or the key that is made of them. A blank at an end is one that
  /// the tool's editor would leave out.
  static func isPassword(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    if bytes.count == 64 { return text.allSatisfy { $0.isASCII && $0.isHexDigit } }
    return (8...63).contains(bytes.count) && bytes.allSatisfy { (0x20...0x7E).contains($0) } && bytes.first != 0x20
      && bytes.last != 0x20
  }

  /// Forgets the WiFi network that was chosen on the pages, so that another can be.
  /// - Returns: why not; `nil` = forgotten.
  public func forget() async -> String? {
    let tool = tool
    return await onQueue {
      let outcome = NetworkManager.run(tool, ["connection", "delete", "linkbms"], seconds: 20)
      switch outcome.status {
      case 0: return nil
      case 10: return "no WiFi network was chosen on the pages"
      case 127: return "this system has no NetworkManager"
      default: return NetworkManager.words(outcome)
      }
    }
  }

  /// The machine's name, under which avahi-daemon makes it known with `.local` behind it; `nil` where NetworkManager does not say.
  func name() async -> String? { await named.value() ?? nil }

  private static func readName(_ tool: String) -> String? {
    let outcome = NetworkManager.run(tool, ["general", "hostname"], seconds: 10)
    guard outcome.status == 0 else { return nil }
    let name = outcome.text.trimmed
    return name.isEmpty || name.utf8.count > 255 ? nil : name
  }

  /// Gives the machine another name. Where another machine has it already, avahi-daemon puts `-2` behind it.
  /// - Returns: why it did not work; `nil` = done.
  func rename(_ name: String) async -> String? {
    guard NetworkName.isLabel(name) else { return NetworkName.expectation }
    let tool = tool
    return await onQueue {
      let outcome = NetworkManager.run(tool, ["general", "hostname", name.lowercased()], seconds: 20)
      if outcome.status == 127 { return "This system has no NetworkManager." }
      return outcome.status == 0 ? nil : NetworkManager.words(outcome)
    }
  }

  /// What the tool says about its failure: the line with the error. Questions and prompts stand before it, hints behind it.
  static func words(_ outcome: ToolRun.Outcome) -> String {
    let lines = outcome.text.split(whereSeparator: \.isNewline).map(\.trimmed).filter { !$0.isEmpty }
    guard let line = lines.first(where: { $0.hasPrefix("Error:") }) ?? lines.last else {
      return "NetworkManager does not say why (status \(outcome.status))."
    }
    return "NetworkManager says: \(line.prefix(300))"
  }

  /// What the tool finds in its environment: it is to speak as it is read here, whatever the machine's language, and its editor is to find
  /// no place for a history, which would keep passwords.
  private static let environment = ["env", "LC_ALL=C.UTF-8", "LANGUAGE=", "HOME=/dev/null"]

  /// Runs the tool. Where it cannot be started, the status is 127 if there is none, else 126 with the reason.
  static func run(_ tool: String, _ words: [String], input: String = "", seconds: Int = 60) -> ToolRun.Outcome {
    do {
      return try ToolRun.run(environment + [tool] + words, input: input, seconds: seconds)
    } catch {
      return ToolRun.Outcome(status: 126, text: "\(tool) cannot be started: \(error)")
    }
  }

  func onQueue<Result: Sendable>(_ work: @Sendable @escaping () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        let result = work()
        // What runs here has changed something, or has tried to.
        heard.forget()
        named.forget()
        continuation.resume(returning: result)
      }
    }
  }
}

/// Keeps RSSI and ETH of the page up to date.
public final class NetworkWatcher: Sendable {
  private let queue = DispatchQueue(label: "linkbms.network.facts", qos: .utility)
  // Made once, cancelled in `stop`, and touched by nothing else.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// Begins to look, each five seconds.
  public init(hub: SnapshotHub) {
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now(), repeating: .seconds(5), leeway: .milliseconds(500))
    timer.setEventHandler {
      let interfaces = NetworkInterface.all()
      let signal = NetworkInterface.signal_dBm()
      hub.update { facts in
        facts.rssi_dBm = signal
        facts.isEthernetUp = interfaces.contains { !$0.isWireless && $0.hasCarrier }
      }
    }
    timer.activate()
  }

  /// Ends.
  public func stop() {
    timer.cancel()
    queue.sync {}
  }
}

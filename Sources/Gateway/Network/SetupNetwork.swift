private import HostIO

/// The WiFi network of the master's own: with nothing but a telephone one reaches `/wifi` there and chooses another. As the manual has
/// it: "LinkBMS-xxxx", and the pages on 1.2.3.4. It is there from the press of the button until a network that was chosen works,
/// a restart in between or not.
public struct SetupNetwork: Sendable, Equatable {
  /// `LinkBMS-1A2B`: the last digits of the address that the radio was made with, so that two masters are told apart.
  public var name: String
  /// The master's address in it.
  public static let address = "1.2.3.4"
  /// The password that the manual gives.
  public static let manualPassword = "pppppppp"
  /// What NetworkManager calls it.
  static let connection = "linkbms-setup"

  /// Whether it may be a WiFi password: 8 to 63 signs of ASCII, no blanks.
  public static func isPassword(_ text: String) -> Bool {
    (8...63).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }
}

extension NetworkManager {
  /// Opens the setup network.
  /// - Parameter password: see `SetupNetwork.isPassword`.
  /// - Returns: what it is called.
  /// - Throws: why there is none, for a person.
  public func openSetup(password: String) async throws(GatewayError) -> SetupNetwork {
    guard SetupNetwork.isPassword(password) else {
      throw GatewayError("its password has to have 8 to 63 letters, digits and signs, without blanks")
    }
    let (tool, interfaces) = (tool, interfaces)
    let outcome: Result<SetupNetwork, GatewayError> = await onQueue { NetworkManager.openSetup(tool, interfaces, password) }
    return try outcome.get()
  }

  private static func openSetup(_ tool: String, _ interfaces: String, _ password: String) -> Result<SetupNetwork, GatewayError> {
    func run(_ words: [String], input: String = "") -> ToolRun.Outcome { NetworkManager.run(tool, words, input: input) }
    func failed(_ words: String) -> Result<SetupNetwork, GatewayError> { .failure(GatewayError(words)) }
    func said(_ outcome: ToolRun.Outcome) -> Result<SetupNetwork, GatewayError> {
      _ = run(["connection", "delete", SetupNetwork.connection])
      return failed(NetworkManager.words(outcome))
    }
    let devices = run(["-t", "-f", "TYPE,DEVICE", "device"])
    guard devices.status != 127 else { return failed("this system has no NetworkManager") }
    guard devices.status == 0 else { return failed(NetworkManager.words(devices)) }
    guard let radio = devices.text.split(separator: "\n").first(where: { $0.hasPrefix("wifi:") })?.dropFirst(5) else {
      return failed("this machine has no WiFi")
    }
    // NetworkManager's is the one in use: while it looks for networks, one by chance, another each time.
    let address =
      NetworkInterface.permanentAddress(of: String(radio), below: interfaces)
      ?? run(["-g", "GENERAL.HWADDR", "device", "show", String(radio)]).text
    let digits = address.filter(\.isHexDigit).uppercased()
    let network = SetupNetwork(name: "LinkBMS-" + (digits.count >= 4 ? String(digits.suffix(4)) : "0000"))
    _ = run(["connection", "delete", SetupNetwork.connection])
    // The least wanted of all that come up by themselves: a network that was chosen stands above it.
    let added = run([
      "connection", "add", "type", "wifi", "con-name", SetupNetwork.connection, "ifname", String(radio), "ssid", network.name,
      "802-11-wireless.mode", "ap", "802-11-wireless.band", "bg", "connection.autoconnect-priority", "-999", "ipv4.method",
      "shared",
      "ipv4.addresses", SetupNetwork.address + "/24", "ipv6.method", "disabled", "wifi-sec.key-mgmt", "wpa-psk",
    ])
    guard added.status == 0 else { return said(added) }
    // On its standard input: words of a command line can be read by everybody on the machine.
    let set = run(
      ["connection", "edit", SetupNetwork.connection], input: "set wifi-sec.psk \(password)\nsave persistent\nquit\n")
    guard set.status == 0 else { return said(set) }
    let up = run(["--wait", "40", "connection", "up", SetupNetwork.connection])
    guard up.status == 0 else { return said(up) }
    return .success(network)
  }
}

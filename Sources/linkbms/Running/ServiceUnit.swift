import HostIO

/// A unit file for systemd.
enum ServiceUnit {
  /// The unit that starts this program with these words.
  /// - Parameters:
  ///   - secrets: files that the service's user cannot read: systemd, which is root, gives it a copy.
  ///   - port: where pages are served; `nil` = nowhere.
  ///   - ports: the addresses of the inverter's ports.
  ///   - written: files that it writes, by option.
  static func text(
    arguments: [String], secrets: [(option: String, path: String)] = [], usesGPIO: Bool = false, port: Int? = nil,
    ports: [String] = [], written: [(option: String, path: String)] = []
  ) -> String {
    let program = FileNames.ownProgram ?? "/usr/local/bin/linkbms"
    let words = ([program] + arguments).map(quoted) + secrets.map { "\($0.option) %d/\($0.option.drop { $0 == "-" })" }
    let command = words.joined(separator: " ")
    let credentials = secrets.map { secret in
      "LoadCredential=\(secret.option.drop { $0 == "-" }):\(secret.path.replacing("%", with: "%%"))\n"
    }.joined()
    // Ports below 1024, such as 80, are root's.
    let bindsLow = port.map { (1..<1024).contains($0) } ?? false
    let capabilities = "CAP_NET_RAW CAP_NET_ADMIN" + (bindsLow ? " CAP_NET_BIND_SERVICE" : "")
    return """
      [Unit]
      Description=LinkBMS battery controller
      Documentation=man:linkbms(1)
      After=network.target

      [Service]
      Type=notify
      \(credentials)\(bitRates(ports, program))\(elsewhere(written))ExecStart=\(command)
      ExecReload=/bin/kill -HUP $MAINPID
      # The control loop gives a sign of life for steps that it has made. Without one for 2 s it is killed; the PDU has opened by then.
      WatchdogSec=2
      WatchdogSignal=SIGKILL
      TimeoutStopSec=10
      Restart=on-failure
      RestartSec=2
      # All that it may write to. What stands there belongs to its user from the start on; names without a folder mean this one.
      StateDirectory=linkbms
      WorkingDirectory=\(folder)
      # The loop first: 100 ms are its step.
      CPUSchedulingPolicy=rr
      CPUSchedulingPriority=20
      # Files and pages have threads of their own, which come after it.
      CPUSchedulingResetOnFork=yes
      # Its memory is not put on a disk.
      LimitMEMLOCK=infinity
      OOMScoreAdjust=-900
      # CAN sockets, and setting up the interface\(bindsLow ? "; a port below 1024" : ""); nothing else.
      AmbientCapabilities=\(capabilities)
      CapabilityBoundingSet=\(capabilities)
      # A name that stays, though the user is made at each start: that of polkit's rule for the WiFi on the pages (README).
      DynamicUser=yes
      User=linkbms
      SupplementaryGroups=dialout\(usesGPIO ? " gpio" : "")
      NoNewPrivileges=yes
      ProtectSystem=strict
      ProtectHome=read-only
      PrivateTmp=yes
      ProtectKernelTunables=yes
      ProtectKernelModules=yes
      ProtectControlGroups=yes
      ProtectClock=yes
      RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_CAN AF_NETLINK
      RestrictNamespaces=yes
      LockPersonality=yes
      MemoryDenyWriteExecute=yes
      SystemCallArchitectures=native

      [Install]
      WantedBy=multi-user.target
      """
  }

  /// Setting an interface's bit rate is left to whoever sets up the system: it may serve others too. How it is done stands in the unit.
  private static func bitRates(_ ports: [String], _ program: String) -> String {
    let interfaces = ports.compactMap { address -> String? in
      guard case .socketCAN(let interface, _, _)? = try? PortAddress(address) else { return nil }
      return interface
    }
    guard !interfaces.isEmpty else { return "" }
    let commands = interfaces.map {
      "# ExecStartPre=\([program, "bus", $0, "--bitrate", "500000", "--up"].map(quoted).joined(separator: " "))\n"
    }
    return "# The interface must be up at the inverter's bit rate; where nothing else sets it, take away the # of the next line"
      + (interfaces.count > 1 ? "s" : "") + ".\n" + commands.joined()
  }

  /// The only folder that a service may write to (systemd's StateDirectory).
  static let folder = "/var/lib/linkbms"

  /// A warning about what the service will not be able to write. It is not changed: somebody may know better.
  private static func elsewhere(_ written: [(option: String, path: String)]) -> String {
    let options = written.filter { $0.path.hasPrefix("/") && !$0.path.hasPrefix(folder + "/") }.map { option, path in
      option + (option == "--config" ? " (what is changed on the pages is saved there)" : "")
    }
    guard !options.isEmpty else { return "" }
    return "# The service may write to \(folder) alone: move there what these name: \(options.joined(separator: ", ")).\n"
  }

  /// What a service records where nobody says how much: some 5 GB, hours. Without a limit it would fill the disk.
  static let recording = (rotate: "100M", keep: 50)

  /// A word as systemd reads it.
  static func quoted(_ word: String) -> String {
    let isPlain = !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-:=+@,".contains($0)) }
    if isPlain { return word }
    var text = ""
    for character in word {
      switch character {
      case "\"", "\\": text += "\\\(character)"
      case "%": text += "%%"
      case "$": text += "$$"
      default: text.append(character)
      }
    }
    return "\"\(text)\""
  }
}

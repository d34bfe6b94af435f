/// The capture formats that can be read. Raw values are the words of `--from` and `--to`.
public enum CaptureFormat: String, CaseIterable, Hashable, Sendable {
  /// candump compact log (`-L`, `-l`): `(1700000000.123456) can0 123#1122`.
  case candump
  /// candump console output in any of its forms.
  case candumpConsole = "candump-console"
  /// Classic pcap.
  case pcap
  /// pcapng.
  case pcapng
  /// Vector ASC.
  case asc
  /// PEAK TRC 1.1, 1.3, 2.0, 2.1.
  case trc
  /// SavvyCAN/GVRET CSV.
  case savvycan
  /// python-can CSV.
  case pythonCAN = "python-can"
  /// Battery-Emulator's log dialects.
  case batteryEmulator = "battery-emulator"
  /// Text that people paste: ESPHome, struct can_frame dumps, `ID dlc bytes`, `ID: … Data: …`, prose between.
  case pasted
  /// SPI tables and annotations of logic analysers, for LinkSlave chains.
  case analyser
  /// Value change dumps, for LinkSlave chains.
  case vcd

  /// Name for people.
  public var title: String {
    switch self {
    case .candump: "candump log"
    case .candumpConsole: "candump console output"
    case .pcap: "pcap"
    case .pcapng: "pcapng"
    case .asc: "Vector ASC"
    case .trc: "PEAK TRC"
    case .savvycan: "SavvyCAN CSV"
    case .pythonCAN: "python-can CSV"
    case .batteryEmulator: "Battery-Emulator log"
    case .pasted: "pasted text"
    case .analyser: "logic analyser's SPI table"
    case .vcd: "value change dump"
    }
  }

  /// Whether `convert` can write it.
  public var isWritable: Bool {
    switch self {
    case .candump, .pcap, .pcapng, .asc, .trc, .savvycan, .pythonCAN: true
    case .candumpConsole, .batteryEmulator, .pasted, .analyser, .vcd: false
    }
  }
}

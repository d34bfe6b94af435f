public import Controller

/// What went into and came out of the controller, as packets of link type 148 (USER1) in a native recording.
///
/// A step is: the scans that arrived, then one input packet, then one output packet, then the texts of its events. All numbers are
/// little-endian. Replaying the first two kinds gives the third again bit for bit.
public enum EngineRecord: Equatable, Sendable {
  /// The engine begins: configuration file and, where there was one, state file.
  case start(configuration: String, state: String)
  /// A complete scan of a chain.
  case scan(Scan)
  /// Everything else that a step is given.
  case input(Input)
  /// What the step decided.
  case output(Output)
  /// An event in words.
  case event(String)

  /// One chain's scan.
  public struct Scan: Equatable, Sendable {
    /// 0 or 1.
    public var chain: UInt8 = 0
    /// Modules that answered.
    public var moduleCount: UInt8 = 0
    /// Cells that the scan held.
    public var cellCount: UInt16 = 0
    /// 0.1 mV, as many as are configured.
    public var cells: [UInt16] = []
    /// mV, one a module.
    public var stacks: [Int32] = []
    /// 0.1 °C, five a module.
    public var temperatures: [Int16] = []
    /// Open sensors by module, T1 in bit 0.
    public var open: [UInt8] = []
    /// Shorted sensors by module.
    public var shorted: [UInt8] = []
  }

  /// A step's other inputs.
  public struct Input: Equatable, Sendable {
    /// `Readings.Arrivals` as bits.
    public var arrived: UInt8 = 0
    /// Raw reading of the current sensor.
    public var currentRaw: Int32 = 0
    /// Raw reading of V-in.
    public var inputRaw: Int32 = 0
    /// Raw reading of V-out.
    public var outputRaw: Int32 = 0
    /// The controller's own supply, mV.
    public var supply_mV: Int32 = 0
    /// First module that did not answer, by chain; 255 = none.
    public var lost: [UInt8] = [255, 255]
    /// 0 none, 1 reset, 2 hold, 3 release, 4 configuration unreadable, 5 configure.
    public var command: UInt8 = 0
    /// The configuration file of command 5.
    public var configuration = ""
  }

  /// A step's outputs and derived values.
  public struct Output: Equatable, Sendable {
    /// `SystemStatus` as its number.
    public var status: UInt8 = 0
    /// `ChainStatus` of BMS1 as its number.
    public var bms1: UInt8 = 0
    /// `ChainStatus` of BMS2 as its number.
    public var bms2: UInt8 = 0
    /// `Contactors` as bits.
    public var contactors: UInt8 = 0
    /// Bit 0 charging, bit 1 discharging forbidden.
    public var marks: UInt8 = 0
    /// `DigitalOutputs` as bits.
    public var digital: UInt8 = 0
    /// Charge current allowed, mA.
    public var chargeLimit_mA: Int32 = 0
    /// Discharge current allowed, mA.
    public var dischargeLimit_mA: Int32 = 0
    /// Calibrated, positive while charging, mA.
    public var current_mA: Int32 = 0
    /// Sum of the module voltages, mV.
    public var voltage_mV: Int32 = 0
    /// 0.01 %.
    public var stateOfCharge: Int32 = 0
    /// mAh.
    public var charge_mAh: Int32 = 0
    /// Whole equivalents.
    public var cycles: Int32 = 0
    /// Events of the step.
    public var events: UInt8 = 0
    /// Mask by module slot.
    public var balancing: [UInt16] = []

    /// Names and values, to say which one differs.
    public var fields: [(name: String, value: String)] {
      [
        ("status", SystemStatus(rawValue: status)?.word ?? "\(status)"), ("BMS1", ChainStatus(rawValue: bms1)?.word ?? "\(bms1)"),
        ("BMS2", ChainStatus(rawValue: bms2)?.word ?? "\(bms2)"), ("contactors", "\(contactors)"), ("marks", "\(marks)"),
        ("digital outputs", "\(digital)"), ("charge limit", "\(chargeLimit_mA) mA"),
        ("discharge limit", "\(dischargeLimit_mA) mA"), ("current", "\(current_mA) mA"), ("voltage", "\(voltage_mV) mV"),
        ("SOC", FixedDecimal.text(stateOfCharge, decimals: 2) + " %"), ("charge", "\(charge_mAh) mAh"), ("cycles", "\(cycles)"),
        ("events", "\(events)"), ("balancing", "\(balancing)"),
      ]
    }
  }
}

// MARK: Bytes

extension EngineRecord {
  /// The packet's bytes.
  public var bytes: [UInt8] {
    var out = ByteList()
    switch self {
    case .start(let configuration, let state):
      out.put(UInt8(1))
      out.put(text: configuration)
      out.put(text: state)
    case .scan(let scan):
      out.put(UInt8(2))
      out.put(scan.chain)
      out.put(scan.moduleCount)
      out.put(scan.cellCount)
      out.put(list: scan.cells)
      out.put(list: scan.stacks)
      out.put(list: scan.temperatures)
      out.put(list: scan.open)
      out.put(list: scan.shorted)
    case .input(let input):
      out.put(UInt8(3))
      out.put(input.arrived)
      for value in [input.currentRaw, input.inputRaw, input.outputRaw, input.supply_mV] { out.put(value) }
      out.put(list: input.lost)
      out.put(input.command)
      out.put(text: input.configuration)
    case .output(let output):
      out.put(UInt8(4))
      for value in [output.status, output.bms1, output.bms2, output.contactors, output.marks, output.digital, output.events] {
        out.put(value)
      }
      for value in [
        output.chargeLimit_mA, output.dischargeLimit_mA, output.current_mA, output.voltage_mV, output.stateOfCharge,
        output.charge_mAh, output.cycles,
      ] { out.put(value) }
      out.put(list: output.balancing)
    case .event(let text):
      out.put(UInt8(5))
      out.put(text: text)
    }
    return out.bytes
  }

  /// Reads a packet; `nil` if it is none of ours or is cut.
  public init?(_ bytes: [UInt8]) {
    var input = ByteTaker(bytes: bytes)
    guard let kind: UInt8 = input.take() else { return nil }
    switch kind {
    case 1:
      guard let configuration = input.text(), let state = input.text() else { return nil }
      self = .start(configuration: configuration, state: state)
    case 2:
      var scan = Scan()
      guard let chain: UInt8 = input.take(), let modules: UInt8 = input.take(), let count: UInt16 = input.take(),
        let cells: [UInt16] = input.list(), let stacks: [Int32] = input.list(), let temperatures: [Int16] = input.list(),
        let open: [UInt8] = input.list(), let shorted: [UInt8] = input.list(), chain < 2
      else { return nil }
      (scan.chain, scan.moduleCount, scan.cellCount) = (chain, modules, count)
      (scan.cells, scan.stacks, scan.temperatures, scan.open, scan.shorted) = (cells, stacks, temperatures, open, shorted)
      self = .scan(scan)
    case 3:
      var read = Input()
      guard let arrived: UInt8 = input.take(), let current: Int32 = input.take(), let voltage: Int32 = input.take(),
        let output: Int32 = input.take(), let supply: Int32 = input.take(), let lost: [UInt8] = input.list(),
        let command: UInt8 = input.take(), let configuration = input.text(), lost.count == 2
      else { return nil }
      (read.arrived, read.currentRaw, read.inputRaw, read.outputRaw) = (arrived, current, voltage, output)
      (read.supply_mV, read.lost, read.command, read.configuration) = (supply, lost, command, configuration)
      self = .input(read)
    case 4:
      var output = Output()
      var small: [UInt8] = []
      for _ in 0..<7 { if let value: UInt8 = input.take() { small.append(value) } }
      var large: [Int32] = []
      for _ in 0..<7 { if let value: Int32 = input.take() { large.append(value) } }
      guard small.count == 7, large.count == 7, let balancing: [UInt16] = input.list() else { return nil }
      (output.status, output.bms1, output.bms2, output.contactors) = (small[0], small[1], small[2], small[3])
      (output.marks, output.digital, output.events, output.balancing) = (small[4], small[5], small[6], balancing)
      (output.chargeLimit_mA, output.dischargeLimit_mA, output.current_mA, output.voltage_mV) = (
        large[0], large[1], large[2], large[3]
      )
      (output.stateOfCharge, output.charge_mAh, output.cycles) = (large[4], large[5], large[6])
      self = .output(output)
    case 5:
      guard let text = input.text() else { return nil }
      self = .event(text)
    default: return nil
    }
  }
}

/// Bytes being put together.
private struct ByteList {
  var bytes: [UInt8] = []

  mutating func put(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) } }
  mutating func put(text: String) {
    let utf8 = Array(text.utf8)
    put(UInt32(clamping: utf8.count))
    bytes += utf8
  }
  mutating func put(list: [some FixedWidthInteger]) {
    put(UInt16(clamping: list.count))
    for value in list.prefix(65_535) { put(value) }
  }
}

/// Bytes being taken apart.
private struct ByteTaker {
  let bytes: [UInt8]
  var place = 0

  mutating func take<Number: FixedWidthInteger>() -> Number? {
    let size = Number.bitWidth / 8
    guard bytes.count - place >= size else { return nil }
    defer { place += size }
    return bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: place, as: Number.self)) }
  }

  mutating func text() -> String? {
    guard let count: UInt32 = take(), bytes.count - place >= Int(count) else { return nil }
    defer { place += Int(count) }
    return String(decoding: bytes[place..<place + Int(count)], as: UTF8.self)
  }

  mutating func list<Number: FixedWidthInteger>() -> [Number]? {
    guard let count: UInt16 = take(), (bytes.count - place) * 8 >= Int(count) * Number.bitWidth else { return nil }
    var list: [Number] = []
    list.reserveCapacity(Int(count))
    for _ in 0..<count { if let value: Number = take() { list.append(value) } }
    return list
  }
}

// MARK: Engine

extension EngineRecord.Scan {
  /// A chain's part of the readings.
  public init(_ chain: ChainNumber, _ readings: Readings, _ configuration: Configuration) {
    let modules = configuration.slaves(chain)
    let slots = chain.index * 15..<chain.index * 15 + modules
    let first = chain.index * Readings.chainCells
    self.chain = chain.rawValue
    moduleCount = readings.moduleCounts[chain.index]
    cellCount = readings.cellCounts[chain.index]
    cells = Array(readings.cells[first..<min(420, first + modules * configuration.cellsPerModule(chain))])
    stacks = Array(readings.stacks[slots])
    temperatures = Array(readings.temperatures[slots.lowerBound * 5..<slots.upperBound * 5])
    open = Array(readings.openSensors[slots])
    shorted = Array(readings.shortedSensors[slots])
  }

  /// Puts it back in its slots.
  public func write(to readings: inout Readings) {
    let index = Int(chain)
    guard index < 2 else { return }
    readings.moduleCounts[index] = moduleCount
    readings.cellCounts[index] = cellCount
    for (place, cell) in cells.prefix(Readings.chainCells).enumerated() {
      readings.cells[index * Readings.chainCells + place] = cell
    }
    for (place, stack) in stacks.prefix(15).enumerated() { readings.stacks[index * 15 + place] = stack }
    for (place, value) in temperatures.prefix(75).enumerated() { readings.temperatures[index * 75 + place] = value }
    for (place, mask) in open.prefix(15).enumerated() { readings.openSensors[index * 15 + place] = mask }
    for (place, mask) in shorted.prefix(15).enumerated() { readings.shortedSensors[index * 15 + place] = mask }
  }
}

extension EngineRecord.Input {
  /// What a step was given beside the scans.
  public init(_ readings: Readings, _ command: Command) {
    arrived = readings.arrived.rawValue
    currentRaw = readings.currentRaw
    inputRaw = readings.inputRaw
    outputRaw = readings.outputRaw
    supply_mV = readings.supply_mV
    lost = [readings.lostModules[0], readings.lostModules[1]]
    switch command {
    case .none: self.command = 0
    case .reset: self.command = 1
    case .hold: self.command = 2
    case .release: self.command = 3
    case .configurationUnreadable: self.command = 4
    case .configure(let configuration):
      self.command = 5
      self.configuration = ConfigurationFile.text(configuration)
    }
  }

  /// Puts it into the readings and gives the command.
  public func write(to readings: inout Readings) -> Command {
    readings.arrived = Readings.Arrivals(rawValue: arrived)
    readings.currentRaw = currentRaw
    readings.inputRaw = inputRaw
    readings.outputRaw = outputRaw
    readings.supply_mV = supply_mV
    if lost.count == 2 { readings.lostModules = [lost[0], lost[1]] }
    switch command {
    case 1: return .reset
    case 2: return .hold
    case 3: return .release
    case 4: return .configurationUnreadable
    case 5: return .configure(ConfigurationFile.parse(configuration).configuration)
    default: return .none
    }
  }
}

extension EngineRecord.Output {
  /// What an engine decided in its last step.
  public init(_ engine: Engine) {
    let outputs = engine.outputs
    status = outputs.status.rawValue
    bms1 = outputs.bms1.rawValue
    bms2 = outputs.bms2.rawValue
    contactors = outputs.contactors.rawValue
    marks = (outputs.isChargingForbidden ? 1 : 0) | (outputs.isDischargingForbidden ? 2 : 0)
    digital = outputs.digital.rawValue
    chargeLimit_mA = outputs.chargeLimit_mA
    dischargeLimit_mA = outputs.dischargeLimit_mA
    current_mA = engine.values.current_mA
    voltage_mV = Int32(clamping: engine.values.voltage_mV)
    stateOfCharge = engine.values.stateOfCharge
    charge_mAh = engine.values.charge_mAh
    cycles = engine.values.cycles
    events = UInt8(clamping: engine.events.count)
    balancing = (0..<30).map { outputs.balancing[$0] }
  }
}

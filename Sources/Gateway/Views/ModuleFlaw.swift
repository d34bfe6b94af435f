import Controller
import Formats

/// What is wrong with a cell, a sensor or a module now: the page marks it and says it in words.
enum ModuleFlaw: Equatable {
  /// A limit of the configuration is passed: 0.1 mV of cells, 0.1 °C of sensors.
  case limit(LimitKind, isProtect: Bool, value: Int32, limit: Int32)
  /// An enabled sensor whose code says so.
  case sensorOpen, sensorShorted
  /// Its module does not answer.
  case silent
  /// A module's own voltage and the sum of its cells are more than 2 % apart, mV.
  case sum(stack: Int64, cells: Int64)
  /// The reason of the status names it, though what is measured is inside the limit again.
  case named(isFault: Bool)

  /// More than a warning.
  var isFault: Bool {
    switch self {
    case .limit(_, let isProtect, _, _): isProtect
    case .sensorOpen, .sensorShorted, .silent: true
    case .sum: false
    case .named(let isFault): isFault
    }
  }

  /// For a person, without the place.
  var words: String {
    switch self {
    case .limit(let kind, let isProtect, let value, let limit):
      "\(kind.word): \(kind.shown(value)), \(isProtect ? "protect" : "alarm") limit \(kind.shown(limit))"
    case .sensorOpen: "sensor open"
    case .sensorShorted: "sensor shorted"
    case .silent: "does not answer"
    case .sum(let stack, let cells):
      "own voltage \(ScaledNumber.text(stack, 3, digits: 2)) V and sum of its cells \(ScaledNumber.text(cells, 3, digits: 2)) V "
        + "are more than 2 % apart"
    case .named: "the status names it; inside its limit again"
    }
  }
}

extension LimitKind {
  fileprivate var isOfCells: Bool {
    switch self {
    case .overvoltage, .undervoltage, .difference: true
    case .overtemperature, .undertemperature: false
    }
  }

  fileprivate var items: (alarm: ConfigurationItem, protect: ConfigurationItem) {
    switch self {
    case .overvoltage: (.overvoltageAlarm, .overvoltageProtect)
    case .undervoltage: (.undervoltageAlarm, .undervoltageProtect)
    case .difference: (.differenceAlarm, .differenceProtect)
    case .overtemperature: (.overtemperatureAlarm, .overtemperatureProtect)
    case .undertemperature: (.undertemperatureAlarm, .undertemperatureProtect)
    }
  }

  fileprivate func isPassed(_ value: Int32, _ limit: Int32) -> Bool {
    switch self {
    case .overvoltage, .difference, .overtemperature: value > limit
    case .undervoltage, .undertemperature: value < limit
    }
  }

  fileprivate func shown(_ value: Int32) -> String {
    isOfCells ? FixedDecimal.text(value, decimals: 4) + " V" : FixedDecimal.text(value, decimals: 1) + " °C"
  }
}

extension Snapshot {
  /// What is wrong with the cell of a slot. A difference that is too great is of the lowest and the highest cell.
  func cellFlaws(_ slot: Int, isLost: Bool) -> [ModuleFlaw] {
    if isLost { return [.silent] }
    guard values.hasCells, slot < readings.cells.count else { return [] }
    let value = Int32(readings.cells[slot])
    var flaws = [LimitKind.overvoltage, .undervoltage].compactMap { passed($0, value) }
    let isExtreme = slot == Int(values.lowestCell.slot) || slot == Int(values.highestCell.slot)
    if isExtreme, let apart = passed(.difference, values.difference) { flaws.append(apart) }
    return withNamed(flaws, isCell: true, slot: slot)
  }

  /// What is wrong with an enabled sensor: module 0…29, sensor 0…4.
  func sensorFlaws(_ module: Int, _ sensor: Int, isLost: Bool) -> [ModuleFlaw] {
    let slot = module * 5 + sensor
    let bit: UInt8 = 1 << UInt8(sensor)
    if isLost { return [.silent] }
    if readings.openSensors[module] & bit != 0 { return [.sensorOpen] }
    if readings.shortedSensors[module] & bit != 0 { return [.sensorShorted] }
    guard values.hasCells, slot < readings.temperatures.count else { return [] }
    let value = Int32(readings.temperatures[slot])
    let flaws = [LimitKind.overtemperature, .undertemperature].compactMap { passed($0, value) }
    return withNamed(flaws, isCell: false, slot: slot)
  }

  /// What is wrong with a module as a whole, by the rule of the engine's event (spec/controller.md §3).
  func moduleFlaws(stack: Int64, cells: some Sequence<UInt16>, isLost: Bool) -> [ModuleFlaw] {
    if isLost { return [.silent] }
    guard values.hasCells else { return [] }
    let sum = cells.reduce(Int64(0)) { $0 + Int64($1) } / 10
    return (stack - sum).magnitude * 50 > sum.magnitude ? [.sum(stack: stack, cells: sum)] : []
  }

  private func passed(_ kind: LimitKind, _ value: Int32) -> ModuleFlaw? {
    let (alarm, protect) = (configuration[kind.items.alarm], configuration[kind.items.protect])
    if kind.isPassed(value, protect) { return .limit(kind, isProtect: true, value: value, limit: protect) }
    return kind.isPassed(value, alarm) ? .limit(kind, isProtect: false, value: value, limit: alarm) : nil
  }

  /// PROTECT and WARNING hold on for a while: what their reason names is to be found on the page as long as they do.
  private func withNamed(_ flaws: [ModuleFlaw], isCell: Bool, slot: Int) -> [ModuleFlaw] {
    guard let place = namedPlace, place.isCell == isCell, place.slot == slot else { return flaws }
    let isMarked = flaws.contains { $0.isFault || !place.isFault }
    return isMarked ? flaws : flaws + [.named(isFault: place.isFault)]
  }

  /// The cell or sensor that the reason of the status names.
  private var namedPlace: (isCell: Bool, slot: Int, isFault: Bool)? {
    switch reason {
    case .limit(let kind, let isProtect, let slot, _, _): return (kind.isOfCells, Int(slot), isProtect)
    case .sensorOpen(let slot), .sensorShorted(let slot): return (false, Int(slot), true)
    default: return nil
    }
  }
}

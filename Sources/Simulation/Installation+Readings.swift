import Controller
import Protocols

/// What the mistakes of an installation do to what is read.
extension Installation {
  /// The first module (from 0) that the master does not reach; `nil` = it reaches all of `count`.
  func firstLost(_ chain: ChainNumber, of count: Int) -> Int? {
    if isChainReversed[chain.index], count > 0 { return 0 }
    let missing = missingModule[chain.index]
    return missing > 0 && missing <= count ? missing - 1 : nil
  }

  /// What the controller makes of a sensor at so many degrees, 0.1 °C.
  func temperature(_ celsius: Double, _ configuration: Configuration) -> Int16 {
    let resistance = ntcResistance > 0 ? ntcResistance : configuration[.ntcResistance]
    let beta = ntcBeta > 0 ? ntcBeta : configuration[.ntcBeta]
    guard resistance != configuration[.ntcResistance] || beta != configuration[.ntcBeta] else {
      return Int16(max(-2731, min(32_767, (celsius * 10).rounded())))
    }
    let code = ChainConversion.temperatureCode(celsius, resistance: resistance, beta: beta)
    return ChainConversion.temperature(code, resistance: configuration[.ntcResistance], beta: configuration[.ntcBeta])
  }

  /// What `wanted` configured cells read where `volts` are soldered: by the terminals that each count uses; unused ones read 0.
  static func read(_ volts: [Double], as wanted: Int) -> [Double] {
    guard volts.count != wanted else { return volts }
    var terminals = [Double](repeating: 0, count: 15)
    for (cell, value) in volts.enumerated() {
      let terminal = CellMap.terminal(cell: cell, of: volts.count)
      if terminals.indices.contains(terminal) { terminals[terminal] = value }
    }
    return (0..<wanted).map { cell in
      let terminal = CellMap.terminal(cell: cell, of: wanted)
      return terminals.indices.contains(terminal) ? terminals[terminal] : 0
    }
  }

  /// Exchanged wires and sensors that are not connected.
  func disturb(_ chain: ChainNumber, _ configuration: Configuration, openTemperature: Int16, _ readings: inout Readings) {
    let perModule = configuration.cellsPerModule(chain)
    for place in swappedSenseWires where place.chain == chain && (1..<perModule).contains(place.number) {
      let first = chain.index * Readings.chainCells + (place.module - 1) * perModule + place.number - 1
      guard (1...15).contains(place.module), first + 2 <= 420 else { continue }
      let (lower, middle) = (UInt32(readings.cells[first]), UInt32(readings.cells[first + 1]))
      // The slave measures 0 to 5 V: what is below reads 0, what is above reads 5 V.
      readings.cells[first] = UInt16(min(50_000, lower + middle))
      readings.cells[first + 1] = 0
      if place.number + 1 < perModule, first + 2 < 420 {
        readings.cells[first + 2] = UInt16(min(50_000, UInt32(readings.cells[first + 2]) + middle))
      }
    }
    for place in openSensors where place.chain == chain && (1...15).contains(place.module) && (1...5).contains(place.number) {
      let slot = chain.index * 15 + place.module - 1
      readings.openSensors[slot] |= 1 << UInt8(place.number - 1)
      readings.temperatures[slot * 5 + place.number - 1] = openTemperature
    }
  }
}

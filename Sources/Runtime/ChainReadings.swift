public import Controller
public import Protocols

extension Readings {
  /// Puts a chain's complete scan in its slots.
  public mutating func take(_ master: ChainMaster, of chain: ChainNumber, _ configuration: Configuration) {
    let perModule = configuration.cellsPerModule(chain)
    let modules = configuration.slaves(chain)
    let measured = master.measurements
    for module in 0..<modules {
      let slot = chain.index * 15 + module
      for cell in 0..<perModule {
        cells[chain.index * Readings.chainCells + module * perModule + cell] = ChainConversion.cell(
          measured.cells[module * 14 + cell])
      }
      stacks[slot] = ChainConversion.stack(measured.stacks[module])
      var open: UInt8 = 0
      var shorted: UInt8 = 0
      for sensor in 0..<5 {
        let code = measured.sensors[module * 5 + sensor]
        temperatures[slot * 5 + sensor] = ChainConversion.temperature(
          code, resistance: configuration[.ntcResistance], beta: configuration[.ntcBeta])
        if ChainConversion.isOpen(code) { open |= 1 << UInt8(sensor) }
        if ChainConversion.isShorted(code) { shorted |= 1 << UInt8(sensor) }
      }
      openSensors[slot] = open
      shortedSensors[slot] = shorted
    }
    // Somebody behind the last module that is configured has cells that nobody watches: the counts say so, and the controller opens.
    let extra = master.hasExtraNode ? 1 : 0
    moduleCounts[chain.index] = UInt8(clamping: master.found + extra)
    // A cell whose wire is open, or whose measurement failed its self-test, is not there: the count says so, and the controller opens.
    var missing = 0
    let diagnosis = master.diagnosis
    for module in 0..<modules {
      missing += diagnosis.isUntrusted(module) ? perModule : diagnosis.openWires[module].nonzeroBitCount
    }
    // Too many and too few could make the right number.
    cellCounts[chain.index] = UInt16(clamping: (modules + extra) * perModule - (extra > 0 ? 0 : missing))
  }
}

extension ChainMaster.Fault {
  /// The module (from 0) that it is about; 255 = none in particular.
  public var place: UInt8 {
    switch self {
    case .noEcho, .wrongEcho: 255
    case .silent(let module), .damaged(let module), .unexpected(let module), .notReady(let module), .restarted(let module):
      UInt8(clamping: module)
    }
  }
}

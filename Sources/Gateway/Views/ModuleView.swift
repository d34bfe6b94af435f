import Controller

/// One module of the matrix: where it stands and what its cells and sensors read.
struct ModuleView {
  /// What makes a cell or sensor stand out.
  struct Marks: OptionSet, Hashable {
    var rawValue: UInt8
    static let lowest = Marks(rawValue: 1)
    static let highest = Marks(rawValue: 2)
    static let balancing = Marks(rawValue: 4)
    /// Beyond a protect limit, broken or not answering.
    static let fault = Marks(rawValue: 8)
    /// A sensor that is not enabled: its value counts for nothing.
    static let unused = Marks(rawValue: 16)
    /// Beyond an alarm limit; a module whose voltage is not the sum of its cells.
    static let warning = Marks(rawValue: 32)

    /// The mark of the worst of `flaws`.
    static func worst(_ flaws: [ModuleFlaw]) -> Marks {
      if flaws.contains(where: { $0.isFault }) { return .fault }
      return flaws.isEmpty ? [] : .warning
    }
  }
  /// A value of the matrix.
  struct Item {
    /// 0.1 mV of a cell, 0.1 °C of a sensor.
    var value: Int64
    /// Terminal of a cell (1…14), number of a sensor (1…5).
    var number: Int
    var marks: Marks
    /// Why it is marked as a fault or a warning.
    var flaws: [ModuleFlaw]

    init(value: Int64, number: Int, marks: Marks, flaws: [ModuleFlaw]) {
      self.value = value
      self.number = number
      self.marks = marks.union(.worst(flaws))
      self.flaws = flaws
    }
  }

  var chain: ChainNumber
  /// From 1.
  var number: Int
  /// mV.
  var stack: Int64
  /// What is wrong with the module as a whole.
  var flaws: [ModuleFlaw]
  var cells: [Item]
  var sensors: [Item]

  /// The modules of a snapshot in the order of the page.
  static func all(_ snapshot: Snapshot) -> [ModuleView] {
    let configuration = snapshot.configuration
    return ChainNumber.allCases.flatMap { chain in
      (0..<configuration.slaves(chain)).map { ModuleView(snapshot, chain, $0) }
    }
  }

  /// Terminals that a module with so many cells uses: unused ones begin at CT5 (manual, "Connecting cells to LinkSlave").
  static func terminals(_ count: Int) -> [Int] { (1...14).filter { $0 <= 4 || $0 > 18 - max(7, min(14, count)) } }

  private init(_ snapshot: Snapshot, _ chain: ChainNumber, _ module: Int) {
    let (readings, values) = (snapshot.readings, snapshot.values)
    let count = snapshot.configuration.cellsPerModule(chain)
    let slot = chain.index * 15 + module
    let first = chain.index * Readings.chainCells + module * count
    let isLost = snapshot.isLost(chain, module)
    let balanced = snapshot.outputs.balancing[slot]
    self.chain = chain
    number = module + 1
    stack = slot < readings.stacks.count ? Int64(readings.stacks[slot]) : 0
    let own = readings.cells.dropFirst(first).prefix(count)
    flaws = snapshot.moduleFlaws(stack: stack, cells: own, isLost: isLost)
    cells = ModuleView.terminals(count).enumerated().map { place, terminal in
      let number = first + place
      var marks: Marks = []
      if balanced & 1 << UInt16(place) != 0 { marks.insert(.balancing) }
      if values.hasCells {
        if number == Int(values.lowestCell.slot) { marks.insert(.lowest) }
        if number == Int(values.highestCell.slot) { marks.insert(.highest) }
      }
      return Item(
        value: number < readings.cells.count ? Int64(readings.cells[number]) : 0, number: terminal, marks: marks,
        flaws: snapshot.cellFlaws(number, isLost: isLost))
    }
    let enabled = snapshot.configuration.sensors[slot]
    sensors = (0..<5).map { sensor in
      let number = slot * 5 + sensor
      let bit: UInt8 = 1 << UInt8(sensor)
      var marks: Marks = []
      var flaws: [ModuleFlaw] = []
      if enabled & bit == 0 {
        marks = .unused
      } else {
        flaws = snapshot.sensorFlaws(slot, sensor, isLost: isLost)
        if let coldest = values.coldest, Int(coldest.slot) == number { marks.insert(.lowest) }
        if let hottest = values.hottest, Int(hottest.slot) == number { marks.insert(.highest) }
      }
      return Item(value: Int64(readings.temperatures[number]), number: sensor + 1, marks: marks, flaws: flaws)
    }
  }
}

extension Snapshot {
  /// Whether a module does not answer, or none behind it.
  fileprivate func isLost(_ chain: ChainNumber, _ module: Int) -> Bool {
    let lost = readings.lostModules[chain.index]
    let status = chain == .bms1 ? outputs.bms1 : outputs.bms2
    return status == .communicationError && (lost == 255 || module >= Int(lost))
  }

  /// Charge voltage of the page: cell count × cell charge disable, 0.1 mV.
  var chargeVoltage: Int64 { Int64(configuration[.cellCount]) * Int64(configuration[.cellChargeDisable]) }
  /// Discharge voltage of the page, 0.1 mV.
  var dischargeVoltage: Int64 { Int64(configuration[.cellCount]) * Int64(configuration[.cellDischargeDisable]) }
}

public import Bus
public import Formats
import Protocols

/// A small battery and its inverter's wishes: enough life for a link to be judged by. The whole system is `Simulator`.
public struct LinkScene: Sendable {
  /// The bus.
  public private(set) var world: LinkWorld
  private var random: SplitMix64
  private let cells: Int64
  private let modules: Int64
  private let capacity_mAh: Int64
  private var soc: Double
  private var temperature: Double
  private var current = 0.0
  private var wish = 0.0
  private var wishUntil = 0.0
  private var now = 0.0
  private let chargeLimit: Int64
  private let dischargeLimit: Int64
  private let ignoresLimits: Bool
  private let needsCurrent: Bool
  /// Restarts of either end, as they happen in a clean life.
  private var restarts: [(at: Double, side: Session.Side)] = []

  /// A scene.
  /// - Parameter restarts: how many restarts happen within `duration`.
  public init?(
    _ link: CompiledLink, faults: [LinkFault] = [], other: CompiledLink? = nil, seed: UInt64, restarts: Int = 0,
    duration: Double = 120
  ) {
    guard let world = LinkWorld(link, faults: faults, other: other, seed: seed) else { return nil }
    self.world = world
    random = SplitMix64(seed: seed &* 0x9E37_79B9 &+ 1)
    let perModule = Int64(8 + random.below(7))
    modules = Int64(8 + random.below(18))
    cells = min(400, perModule * modules)
    capacity_mAh = Int64(20 + random.below(260)) * 1000
    soc = 25 + random.unit() * 55
    temperature = 14 + random.unit() * 16
    chargeLimit = Int64(10 + random.below(40)) * 1000
    dischargeLimit = Int64(10 + random.below(40)) * 1000
    needsCurrent = faults.contains { $0.kind == .frozen }
    ignoresLimits = faults.contains { $0.kind == .ignoresLimits }
    for index in 0..<restarts {
      let at = duration * (Double(index) + 0.3 + 0.4 * random.unit()) / Double(restarts)
      self.restarts.append((at, random.below(2) == 0 ? .battery : .inverter))
    }
  }

  /// Lets a second's tenth pass. Returns what passed on the bus.
  public mutating func step() -> [CANRecord] {
    now += 0.1
    if let restart = restarts.first, now >= restart.at {
      restarts.removeFirst()
      world.restart(restart.side)
    }
    let values = pass(world.inverter.heard, isOnline: world.inverter.phase == .online, isLive: false)
    world.run(until: Int64(now * 1e6), battery: values.battery, inverter: values.inverter)
    return world.takeRecords()
  }

  /// Lets a tenth of a second pass in the battery and the inverter, without their bus: for an end that talks on a live one.
  /// - Parameters:
  ///   - heard: what the inverter has heard of the battery.
  ///   - isOnline: whether the two have come to terms.
  ///   - seconds: what passes.
  public mutating func live(
    heard: QuantityValues, isOnline: Bool, after seconds: Double = 0.1
  ) -> (battery: QuantityValues, inverter: QuantityValues) {
    now += seconds
    return pass(heard, isOnline: isOnline, isLive: true)
  }

  private mutating func pass(
    _ heard: QuantityValues, isOnline: Bool, isLive: Bool
  ) -> (battery: QuantityValues, inverter: QuantityValues) {
    draw(heard, isOnline, isLive)
    soc = max(5, min(95, soc + current * 0.1 / 3600 / (Double(capacity_mAh) / 1000) * 100))
    return (battery(), inverter())
  }

  /// What the inverter takes or gives: a wish that changes now and then, within what it has heard.
  private mutating func draw(_ heard: QuantityValues, _ isOnline: Bool, _ isLive: Bool) {
    if now >= wishUntil {
      wish = (random.unit() * 2 - 1) * 60
      // Whether values stand still can be seen only while current flows.
      if needsCurrent { wish = wish < 0 ? min(wish, -15) : max(wish, 15) }
      wishUntil = now + 5 + random.unit() * 30
    }
    var target = isOnline && isReady ? wish : 0
    let charge = Double(heard[.chargeCurrentLimit] ?? 0) / 1000
    let discharge = Double(heard[.dischargeCurrentLimit] ?? 0) / 1000
    if ignoresLimits, now > 10 {
      // Twice what is allowed, whichever way.
      target = wish > 0 ? max(2 * charge, 20) : -max(2 * discharge, 20)
      wishUntil = max(wishUntil, now + 1)
      if now < 100 { wishUntil = now + 60 }
    } else {
      // On a live bus the inverter of this scene's own bus has heard nothing.
      let taken = isLive ? target : world.current(wanted: target)
      target = max(-discharge * 0.98, min(charge * 0.98, taken))
    }
    current += (target - current) * 0.3
    if abs(current) < 0.2 { current = 0 }
  }

  private var isReady: Bool { now > 2.5 }

  private mutating func battery() -> QuantityValues {
    var values = QuantityValues()
    let noise = { (random: inout SplitMix64, size: Double) in (random.unit() * 2 - 1) * size }
    let each = 3.15 + soc / 100 * 0.25 + current * 0.0004
    let low = each - 0.006 - random.unit() * 0.002
    let high = each + 0.006 + random.unit() * 0.002
    let measured = current == 0 ? 0 : current + noise(&random, 0.15)
    let pack = each * Double(cells) + noise(&random, 0.15)
    temperature += noise(&random, 0.01)
    values[.packVoltage] = Int64(pack * 1000)
    values[.packCurrent] = Int64(measured * 1000)
    values[.packTemperature] = Int64(temperature * 1000)
    values[.soc] = Int64(soc * 1000)
    values[.soh] = 99_000
    values[.cycleCount] = 12_000
    values[.capacity] = capacity_mAh
    values[.remainingCapacity] = Int64(Double(capacity_mAh) * soc / 100)
    values[.nominalVoltage] = cells * 3200
    values[.energyCapacity] = capacity_mAh * cells * 32 / 10_000
    values[.chargeVoltageLimit] = cells * 3550
    values[.dischargeVoltageLimit] = cells * 2900
    values[.chargeCurrentLimit] = isReady ? chargeLimit : 0
    values[.dischargeCurrentLimit] = isReady ? dischargeLimit : 0
    values[.cellVoltageMax] = Int64(high * 1000)
    values[.cellVoltageMin] = Int64(low * 1000)
    values[.cellVoltageMaxNumber] = 17_000
    values[.cellVoltageMinNumber] = 3_000
    values[.cellTemperatureMax] = Int64(temperature * 1000) + 1_500
    values[.cellTemperatureMin] = Int64(temperature * 1000) - 1_000
    values[.cellTemperatureMaxNumber] = 2_000
    values[.cellTemperatureMinNumber] = 5_000
    let perModule = cells / modules
    values[.moduleVoltageMax] = Int64(high * Double(perModule) * 1000)
    values[.moduleVoltageMin] = Int64(low * Double(perModule) * 1000)
    values[.moduleVoltageMaxNumber] = 2_000
    values[.moduleVoltageMinNumber] = 1_000
    values[.moduleTemperatureMax] = Int64(temperature * 1000) + 1_000
    values[.moduleTemperatureMin] = Int64(temperature * 1000) - 1_000
    values[.moduleTemperatureMaxNumber] = 2_000
    values[.moduleTemperatureMinNumber] = 1_000
    values[.cellCount] = cells * 1000
    values[.moduleCount] = modules * 1000
    values[.cellsPerModule] = perModule * 1000
    values[.modulesOf48V] = LinkScene.modulesOf48V(cells) * 1000
    values.set(.live, now > 0.5)
    values.set(.ready, isReady)
    values.set(.charging, measured > 0.05)
    values.set(.discharging, measured < -0.05)
    values.set(.idle, abs(measured) <= 0.05)
    values.set(.chargeForbidden, !isReady)
    values.set(.dischargeForbidden, !isReady)
    return values
  }

  /// goodwe.md A.3: so many modules of 48 V that the limits lie in 50–60 V and 40–48 V a module.
  static func modulesOf48V(_ cells: Int64) -> Int64 {
    let nominal = max(1, (cells * 32 + 240) / 480)
    for tried in [nominal, nominal + 1, nominal - 1] where tried > 0 {
      let top = cells * 355 / tried
      let bottom = cells * 290 / tried
      if (5000...6000).contains(top), (4000...4800).contains(bottom) { return tried }
    }
    return nominal
  }

  private mutating func inverter() -> QuantityValues {
    var values = QuantityValues()
    let each = 3.15 + soc / 100 * 0.25 + current * 0.0004
    values[.inverterVoltage] =
      isReady ? Int64(each * Double(cells) * 1000) + Int64(random.below(400)) : Int64(now / 2.5 * each * Double(cells) * 1000)
    values[.inverterCurrent] = Int64(-current * 1000)
    values[.inverterTemperature] = 35_000
    values[.soc] = Int64(soc * 1000)
    values[.inverterTime] = (LinkWorld.epoch_ns / 1_000_000_000 + Int64(now)) * 1000
    return values
  }
}

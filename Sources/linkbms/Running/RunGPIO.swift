import Formats
import Gateway
import HostIO
import Logging
import Runtime

/// The digital lines of a run: a chip on one side, what its lines mean on the other.
struct RunGPIO {
  /// What has happened since the last look.
  enum Happening {
    case line(GPIOLogic.Event)
    case lost(String)
    case returned
  }

  /// From one look to the next, at least.
  private static let pause_ns: Int64 = 20_000_000
  /// From one try to take a lost chip again to the next.
  private static let again_ns: Int64 = 1_000_000_000

  private let chip: String
  private(set) var logic: GPIOLogic
  private var lines: GPIOLines?
  private var shown: [Bool?]
  private var nextLook_ns: Int64 = .min
  private var nextProbe_ns: Int64 = .min
  /// What the button does about the WiFi.
  var wifi = WiFiReset()

  /// Takes the lines.
  init(chip: String, _ wiring: GPIOWiring) throws(PortError) {
    self.chip = chip
    logic = GPIOLogic(wiring)
    shown = wiring.outputs.map { _ in nil }
    lines = try RunGPIO.open(chip, wiring)
  }

  private static func open(_ chip: String, _ wiring: GPIOWiring) throws(PortError) -> GPIOLines {
    try GPIOLines(
      chip: chip,
      wiring.lines.enumerated().map { place, line in
        GPIOLines.Line(
          number: line.number, isOutput: place < wiring.outputs.count, isActiveLow: line.isActiveLow,
          pullsUp: line.pull.map { $0 == .up })
      })
  }

  /// Reads inputs and button where it is time to. A chip that is gone is looked for once a second.
  mutating func look(now_ns: Int64) -> [Happening] {
    guard now_ns >= nextLook_ns else { return [] }
    nextLook_ns = now_ns + RunGPIO.pause_ns
    var happenings: [Happening] = []
    do throws(PortError) {
      if lines == nil {
        nextLook_ns = now_ns + RunGPIO.again_ns
        lines = try? RunGPIO.open(chip, logic.wiring)
        guard lines != nil else { return [] }
        shown = shown.map { _ in nil }
        happenings.append(.returned)
      }
      guard let lines else { return happenings }
      // Outputs may stand still for hours: whether their chip is there is asked all the same.
      if !logic.wiring.outputs.isEmpty, now_ns >= nextProbe_ns {
        nextProbe_ns = now_ns + RunGPIO.again_ns
        if let why = lines.absence { throw why }
      }
      var levels: [Bool] = []
      for place in logic.wiring.outputs.count..<logic.wiring.lines.count { levels.append(try lines.isActive(place)) }
      happenings += logic.take(levels, now_us: now_ns / 1000).map { .line($0) }
    } catch { happenings.append(lose(error)) }
    return happenings
  }

  /// Sets the outputs that have changed. Returns what went wrong.
  mutating func show(_ state: GPIOLogic.State) -> Happening? {
    guard let lines else { return nil }
    for (place, isActive) in logic.outputs(state).enumerated() where shown[place] != isActive {
      do throws(PortError) { try lines.set(place, isActive) } catch { return lose(error) }
      shown[place] = isActive
    }
    return nil
  }

  private mutating func lose(_ error: PortError) -> Happening {
    lines = nil
    logic.forget()
    return .lost(error.description)
  }

  /// Forgets the WiFi, beside the loop.
  func forgetWiFi() { wifi.begin() }
  /// What became of that, once.
  func wifiOutcome() -> String? { wifi.takeOutcome() }

  /// Outputs off, lines given back.
  mutating func end() {
    _ = show(GPIOLogic.State())
    lines = nil
  }
}

/// What digital lines say to a run and what a run says on them.
extension RunLoop {
  /// Reads inputs and the button. Nothing here closes a contactor.
  mutating func watchLines(_ now: Int64) {
    guard let wiring = gpio?.logic.wiring else { return }
    for happening in gpio?.look(now_ns: PortPoller.now_ns) ?? [] { meet(happening, wiring, now) }
    for place in wiring.inputs.indices where wiring.inputs[place].use == .open {
      runtime.input(place, keepsOpen: gpio?.logic.keepsOpen(place) ?? true, now_us: now)
    }
    if let outcome = gpio?.wifiOutcome() { say(.notice, "reset button: \(outcome)") }
  }

  /// Sets the outputs after a control step.
  mutating func showLines(_ now: Int64) {
    guard let wiring = gpio?.logic.wiring, let trouble = gpio?.show(GPIOLogic.State(runtime)) else { return }
    meet(trouble, wiring, now)
  }

  private mutating func meet(_ happening: RunGPIO.Happening, _ wiring: GPIOWiring, _ now: Int64) {
    switch happening {
    case .lost(let why): runtime.lost(.gpio, why, now_us: now)
    case .returned: runtime.returned(.gpio, now_us: now)
    case .line(.input(let place, let isActive)):
      say(.notice, "input \(place + 1) (\(wiring.inputs[place].use.rawValue)) is \(isActive ? "active" : "not active")")
    case .line(.press(.nothing(let milliseconds))):
      say(.notice, "reset button: held for \(milliseconds) ms: nothing; 5 to 10 s forget the WiFi, 20 s reset the BMS")
    case .line(.press(.wifi)):
      say(.notice, "reset button: held for 5 s: the WiFi is to be forgotten")
      gpio?.forgetWiFi()
    case .line(.press(.reset)):
      say(.notice, "reset button: held for 20 s: reset BMS: the contactors open, and everything is measured anew")
      runtime.reset()
    }
  }
}

import Bus
import Controller
import Formats
import Foundation
import Protocols
import Simulation
import Testing

@testable import Runtime

/// A run with two LFP modules of eight cells, an inverter that asks, and a battery half full.
enum RunRig {
  static func scenario(_ change: (inout Scenario) -> Void = { _ in }) -> Scenario {
    var scenario = Scenario()
    var configuration = Configuration(preset: .lfp)
    configuration[.bms1Slaves] = 2
    configuration[.cellCount] = 16
    configuration.setSensors(0b11, ofModule: 0)
    scenario.configuration = configuration
    scenario.pack = CellPack.Build(modules: [8, 8])
    scenario.load.steps = [.init(at: 0, current: 20)]
    change(&scenario)
    return scenario
  }

  /// Both ends of a Deye link, from the project's own definition.
  static let deye: CompiledLink? = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Dissectors")
    let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
    let files = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".dbc") }.sorted().map { name in
      (path: name, text: (try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)) ?? "")
    }
    return DefinitionLibrary(files: files).definition("deye-hv")?.link()
  }()

  static func world(_ faults: [RunFault] = [], change: (inout RunSettings) -> Void = { _ in }) -> RunWorld {
    RunWorld(
      scenario(), battery: deye?.session(.battery), inverter: deye?.session(.inverter), faults: faults
    ) {
      $0.scan_us = 500_000
      change(&$0)
    }
  }

  /// A run that charges, 20 s old.
  static func running(change: (inout RunSettings) -> Void = { _ in }) -> RunWorld {
    var world = world(change: change)
    world.run(seconds: 20)
    return world
  }
}

extension RunWorld {
  /// s until the battery is off the inverter; `nil` = it was not within `most`.
  mutating func secondsToOpen(_ most: Double) -> Double? {
    let start = now_us
    while now_us < start + Int64(most * 1e6) {
      if !plant.switches.isConnected { return Double(now_us - start) / 1e6 }
      run(seconds: 0.01)
    }
    return nil
  }

  var doubts: [Doubt] { notes.compactMap { if case .doubt(let doubt) = $0.kind { doubt } else { nil } } }
  var status: SystemStatus { runtime.engine.outputs.status }
}

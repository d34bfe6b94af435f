import Formats
import HostIO
import Protocols
import Simulation

/// Runs by chance, each with a Deye inverter on its bus: what goes wrong is everything around the battery.
struct RandomRuns {
  let seeds: ClosedRange<UInt64>
  let seconds: Double

  func run(in world: inout some World) throws -> ExitStatus {
    var options = DefinitionOptions()
    options.dissectors = nil
    let link = try TableChooser.definition("deye-hv", try world.library(options)).link()
    let ends = (battery: link.session(.battery), inverter: link.session(.inverter))
    var looks = 0
    var openings = 0
    var closings = 0
    var faults = 0
    var failed = 0
    let started = monotonicMilliseconds()
    for seed in seeds {
      if world.isInterrupted { break }
      var run = RunWorld.random(seed: seed, seconds: seconds, battery: ends.battery, inverter: ends.inverter)
      run.run(seconds: seconds)
      looks += run.auditor.looks
      openings += run.auditor.openings
      closings += run.auditor.closings
      faults += run.faults.count
      guard let violation = run.auditor.violations.first else { continue }
      failed += 1
      try world.print("seed \(seed): \(violation)")
      let fewest = shrunk(seed, run.faults, until: violation.at + 1, ends)
      try world.print("  shrunk to \(fewest.count) faults: \(fewest)")
      try world.print("  again with: simulate --random --runs --seeds \(seed) --days \(seconds / 86_400)")
    }
    let took = Double(monotonicMilliseconds() - started) / 1000
    try world.print(
      "\(seeds.count) runs of \(seconds) s in \(took) s: \(looks) looks, \(faults) faults, \(closings) closings, \(openings) openings, "
        + "\(failed) runs broke a rule")
    return failed == 0 ? .done : .findings
  }

  /// The same with fewer faults that still breaks a rule.
  private func shrunk(
    _ seed: UInt64, _ all: [RunFault], until: Double, _ ends: (battery: Session?, inverter: Session?)
  ) -> [RunFault] {
    var best = all.filter { $0.at < until }
    var index = 0
    while index < best.count {
      var fewer = best
      fewer.remove(at: index)
      var run = RunWorld.random(seed: seed, seconds: seconds, battery: ends.battery, inverter: ends.inverter)
      run.replaceFaults(fewer)
      run.run(seconds: until + 130)
      if run.auditor.count > 0 { best = fewer } else { index += 1 }
    }
    return best
  }
}

import Analysis
import Bus
import Controller
import Formats
import HostIO
import Simulation

/// Writes a simulated run: pcapng, and its lines and events as text beside it.
final class SimulationRecorder {
  private let file: ByteOutput
  private let log: ByteOutput
  private let path: String
  private let text: RecordingText
  private var starts = 0
  private var said: PDULine?

  init(_ path: String, _ simulator: Simulator) throws(WorldError) {
    self.path = path
    do throws(OutputError) {
      file = try ByteOutput(path: path, appending: false)
      log = try ByteOutput(path: path + ".log", appending: false)
    } catch { throw WorldError(error, writing: path) }
    // An inverter with several ports has a bus at each.
    text = RecordingText(ports: (0...simulator.otherPorts.count).map { "can\($0)" }, isSimulated: true)
    start(simulator, at: Simulator.epoch_ns)
    try put()
  }

  private func start(_ simulator: Simulator, at time: Int64) {
    starts = simulator.starts
    text.engine(
      .start(
        configuration: ConfigurationFile.text(simulator.scenario.configuration),
        state: simulator.startState.map(StateFile.text) ?? ""), time)
  }

  /// One step, with its events in words.
  func write(_ simulator: inout Simulator, _ events: [String]) throws(WorldError) {
    let time = simulator.time_ns
    for index in simulator.links.indices {
      let chain = simulator.links[index].number
      for passed in simulator.links[index].takePassed() {
        guard let line = TapLine(passed, chain) else { continue }
        text.line(line, Simulator.epoch_ns + passed.time_us * 1000)
      }
    }
    for frame in simulator.takeFrames() {
      var record = frame
      record.bus = RecordingText.port(Int(frame.bus.index))
      text.frame(record)
    }
    if simulator.starts != starts { start(simulator, at: time) }
    for chain in ChainNumber.allCases where simulator.readings.arrived.contains(.scan(chain)) {
      text.engine(.scan(.init(chain, simulator.readings, simulator.scenario.configuration)), time)
    }
    text.engine(.input(.init(simulator.readings, simulator.command)), time)
    text.engine(.output(.init(simulator.engine)), time)
    writeLog(simulator, events, time)
    try put()
  }

  /// Measurements, outputs that changed, and events as remarks: what a person reads.
  private func writeLog(_ simulator: Simulator, _ events: [String], _ time: Int64) {
    let readings = simulator.readings
    if readings.arrived.contains(.pdu) {
      text.logLine(.current(raw: readings.currentRaw, supply_mV: readings.supply_mV), time)
      text.logLine(.voltages(inputRaw: readings.inputRaw, outputRaw: readings.outputRaw), time)
    }
    let outputs = simulator.engine.outputs
    let now = PDULine.outputs(
      contactors: outputs.contactors.rawValue, status: outputs.status.rawValue,
      chargeLimit: UInt16(clamping: outputs.chargeLimit_mA / 100), dischargeLimit: UInt16(clamping: outputs.dischargeLimit_mA / 100)
    )
    if now != said { text.logLine(now, time) }
    said = now
    for event in events { text.event(event, time, stamp: ScenarioTime.text(simulator.now)) }
  }

  private func put() throws(WorldError) {
    let bytes = text.take()
    do throws(OutputError) {
      try file.write(bytes.capture)
      try log.write(bytes.log)
    } catch { throw WorldError(error, writing: path) }
  }

  func close() throws(WorldError) {
    do throws(OutputError) {
      try file.flush()
      try log.flush()
    } catch { throw WorldError(error, writing: path) }
    file.close()
    log.close()
  }
}

extension ByteOutput {
  /// Takes bytes.
  func write(_ bytes: [UInt8]) throws(OutputError) {
    let failure = bytes.withUnsafeBytes { bytes -> OutputError? in
      do throws(OutputError) { try write(bytes) } catch { return error }
      return nil
    }
    if let failure { throw failure }
  }
}

extension TapLine {
  /// What passed on a simulated chain.
  init?(_ passed: ChainLink.Passed, _ chain: ChainNumber) {
    switch (passed.kind, passed.frame) {
    case (0, let frame?): self = .request(chain, frame)
    case (1, let frame?): self = .echo(chain, frame)
    case (2, let frame?): self = .answer(chain, frame)
    case (3, _): self = .wake(chain)
    default: return nil
    }
  }
}

import Dispatch
import Foundation
import Glibc
import HostIO
import Synchronization
import Testing

@testable import Formats
@testable import linkbms

/// `linkbms run` as a process: against virtual slaves over TCP, with signals, with a systemd that is none.
@Suite(.serialized) struct RunCommandTests {
  /// Virtual slaves that wait on a port of their own, and where.
  static func slaves(_ folder: RunFolder, _ more: String...) throws -> (program: RunningProgram, tap: String) {
    let slaves = try RunningProgram(["virtual", "slaves", "--config", folder.config, "--chain", "tap+tcp://127.0.0.1:0"] + more)
    #expect(slaves.says("ready tap"))
    let line = slaves.text.split(separator: "\n").first { $0.hasPrefix("ready ") } ?? ""
    return (slaves, String(line.dropFirst(6)))
  }

  static func controller(_ folder: RunFolder, _ tap: String, _ more: [String] = [], _ environment: [String: String] = [:]) throws
    -> RunningProgram
  {
    // A loaded machine must not fail a test for being slow; what is late is tried by stopping the process.
    try RunningProgram(["run", "--config", folder.config, "--chain", tap, "--deadline", "900ms"] + more, environment: environment)
  }

  @Test func reachesRunningTellsSystemdAndEndsInOrder() throws {
    let folder = try RunFolder()
    let notified = NotifySocket(folder.path + "/notify")
    let (slaves, tap) = try Self.slaves(folder, "--load", "12")
    let run = try Self.controller(
      folder, tap, ["--record", folder.path + "/run.pcapng"], ["NOTIFY_SOCKET": notified.path, "WATCHDOG_USEC": "1500000"])
    #expect(run.says("→ RUNNING"), "\(run.text)\n\(slaves.text)")
    #expect(slaves.says("battery on the inverter"))
    #expect(run.says("  RUNNING, negative + positive closed"))
    run.send(SIGTERM)
    #expect(run.says("stop: SIGTERM") && run.says("ended in order"), "\(run.text)")
    #expect(run.end() == 0)
    #expect(slaves.says("battery off the inverter"))
    slaves.tell("quit")
    #expect(slaves.end() == 0)
    let state = try String(contentsOfFile: folder.config + ".state", encoding: .utf8)
    #expect(throws: Never.self) { try StateFile.parse(state) }
    let told = notified.all()
    #expect(told.first?.hasPrefix("READY=1") == true, "\(told)")
    #expect(told.contains("WATCHDOG=1"), "\(told)")
    #expect(told.contains { $0.hasPrefix("STATUS=RUNNING") }, "\(told)")
    #expect(told.contains { $0.hasPrefix("STOPPING=1") }, "\(told)")
    // What was recorded is what the engine decides.
    let recording = folder.path + "/run-0001.pcapng"
    #expect(run.text.contains("recording: \(recording), lines and events in \(recording).log"), "\(run.text)")
    let replay = try linkbmsTests.run(BuiltProgram.path, ["replay", "--through-engine", recording])
    #expect(replay.status == 0 && replay.output.contains("every output as recorded"), "\(replay)")
    let chain = try linkbmsTests.run(BuiltProgram.path, ["chain", recording])
    // How it was said is there; the last request may have been under way at the end.
    #expect(chain.output.contains("READ MEAS_STACK"), "\(chain.output.suffix(500))")
  }

  /// A battery that speaks unasked does not know who hears it (sofar.md §8.1).
  @Test func aLinkOnWhichNobodyWasHeardIsUnconfirmed() throws {
    let folder = try RunFolder()
    try folder.set("protocol=sofar1")
    let bus = NetworkBus()
    let (slaves, tap) = try Self.slaves(folder)
    let run = try Self.controller(folder, tap, ["--can", bus.address])
    #expect(run.says("  RUNNING,") && run.says("inverter unconfirmed"), "\(run.text)")
    #expect(!run.text.contains("inverter online"), "\(run.text)")
    let inverter = try RunningProgram(["virtual", "inverter", "--profile", "sofar:sofar1", "--can", bus.address])
    #expect(run.says("inverter online"), "\(run.text)\n\(inverter.text)")
    for program in [inverter, run, slaves] {
      program.send(SIGTERM)
      _ = program.end()
    }
  }

  /// The file may lie where nothing answers: that is no business of the control loop.
  @Test func aReloadThatDoesNotAnswerHoldsNothingUp() throws {
    let folder = try RunFolder()
    let text = try String(contentsOfFile: folder.config, encoding: .utf8)
    let (slaves, tap) = try Self.slaves(folder)
    let run = try Self.controller(folder, tap, ["--state", folder.path + "/state", "--status-every", "500ms"])
    #expect(run.says("→ RUNNING"), "\(run.text)")
    try FileManager.default.removeItem(atPath: folder.config)
    #expect(mkfifo(folder.config, 0o600) == 0)
    run.send(SIGHUP)
    // Steps go on meanwhile: lines are shown every so often only by them.
    let shown = run.text.components(separatedBy: "  RUNNING,").count
    #expect(run.says("  RUNNING,", count: shown + 2), "\(run.text)")
    run.send(SIGHUP)
    #expect(run.says("is still being read since the last time: it is read once more behind that"), "\(run.text)")
    // What was there before the second signal does not count.
    let pipe = try #require(FileHandle(forWritingAtPath: folder.config))
    try FileManager.default.removeItem(atPath: folder.config)
    try text.write(toFile: folder.config, atomically: true, encoding: .utf8)
    try pipe.write(contentsOf: Data("nonsense".utf8))
    try pipe.close()
    #expect(run.says("configuration read again"), "\(run.text)")
    #expect(!run.text.contains("nonsense"), "\(run.text)")
    #expect(!run.text.contains("control step came") && slaves.text.components(separatedBy: "battery off").count == 1, "\(run.text)")
    for program in [run, slaves] {
      program.send(SIGTERM)
      _ = program.end()
    }
  }

  @Test(arguments: [
    (["--can", "udp://", "--can2", "udp://239.74.163.2:43113"], "--can2: found"),
    (["--chain", "tap+tcp://127.0.0.1:1"], "--chain: found tap+tcp://127.0.0.1:1 twice"),
  ])
  func nothingIsNamedTwice(words: [String], error: String) throws {
    let folder = try RunFolder()
    let run = try Self.controller(folder, "tap+tcp://127.0.0.1:1", words)
    #expect(run.end() == 2 && run.text.contains(error), "\(run.text)")
  }

  @Test func aLineThatIsGoneOpensAndComesBack() throws {
    let folder = try RunFolder()
    let (slaves, tap) = try Self.slaves(folder)
    let run = try Self.controller(folder, tap)
    #expect(run.says("→ RUNNING"), "\(run.text)")
    #expect(slaves.says("battery on the inverter"))
    slaves.tell("hang-up")
    #expect(slaves.says("battery off the inverter"))
    #expect(run.says("is gone: "))
    #expect(run.says("→ RUNNING", count: 2), "\(run.text)")
    #expect(slaves.says("battery on the inverter", count: 2))
    slaves.tell("slave-dead 2")
    #expect(run.says("BMS1: module 2 does not answer"))
    #expect(slaves.says("battery off the inverter", count: 2))
    slaves.tell("repair")
    #expect(run.says("→ RUNNING", count: 3), "\(run.text)")
    #expect(slaves.says("battery on the inverter", count: 3))
    slaves.tell("pdu-silent")
    #expect(run.says("the PDU has not answered an order for 1 s", count: 2))
    #expect(slaves.says("battery off the inverter", count: 3))
    run.send(SIGINT)
    // It may have kept anything closed: nobody knows.
    #expect(run.end() == 2 && run.text.contains("the PDU has not said that they are"), "\(run.text)")
  }

  /// The process stands still: the PDU opens by itself, and the run finds out that it is late.
  @Test func aLoopThatStandsStillIsOpenedByThePDUAndSaysSo() throws {
    let folder = try RunFolder()
    let (slaves, tap) = try Self.slaves(folder)
    let run = try Self.controller(folder, tap)
    #expect(run.says("→ RUNNING"), "\(run.text)")
    #expect(slaves.says("battery on the inverter"))
    run.send(SIGSTOP)
    #expect(slaves.says("battery off the inverter"))
    run.send(SIGCONT)
    #expect(run.says("the control step came "), "\(run.text)")
    #expect(run.says("→ RUNNING", count: 2), "\(run.text)")
    // Killed: nobody orders anything any more.
    #expect(slaves.says("battery on the inverter", count: 2))
    run.send(SIGKILL)
    #expect(slaves.says("battery off the inverter", count: 2))
    _ = run.end()
  }

  @Test func aHangUpReadsTheConfigurationAgainWhereThatIsSafe() throws {
    let folder = try RunFolder()
    let (slaves, tap) = try Self.slaves(folder)
    defer { slaves.send(SIGTERM) }
    let run = try Self.controller(folder, tap)
    #expect(run.says("→ RUNNING"), "\(run.text)")
    try folder.set("charge-current-max=7")
    run.send(SIGHUP)
    #expect(run.says("configuration in force"), "\(run.text)")
    #expect(run.says("may charge 7 A"))
    try folder.set("bms1-slaves=3", "cell-count=24")
    run.send(SIGHUP)
    #expect(run.says("configuration not taken over: bms1-slaves differs"), "\(run.text)")
    try "nonsense: 1\n".write(toFile: folder.config, atomically: true, encoding: .utf8)
    run.send(SIGHUP)
    #expect(run.says("nothing is changed"), "\(run.text)")
    #expect(run.text.components(separatedBy: "→ RUNNING").count == 2, "\(run.text)")
    run.send(SIGTERM)
    #expect(run.end() == 0)
  }

  /// The server of the inverter's bus ends: nobody can be told any limits.
  @Test func aLostInverterBusOpensAndComesBack() throws {
    let folder = try RunFolder()
    try folder.set("protocol=deye")
    let (slaves, tap) = try Self.slaves(folder)
    defer { slaves.send(SIGTERM) }
    // Below those that the kernel gives to whoever asks for any.
    let port = UInt16.random(in: 20_000..<32_000)
    let server = """
      import socket, sys, threading
      s = socket.socket()
      s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      s.bind(("127.0.0.1", int(sys.argv[1])))
      s.listen()
      print("bus", flush=True)
      def serve(client):
          client.sendall(b"< hi >")
          text = b""
          while data := client.recv(4096):
              *words, text = (text + data).split(b">")
              client.sendall(b"".join(b"< ok >" for word in words if b"open" in word or b"rawmode" in word))
      while True:
          threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
      """
    func begin() throws -> LiveProcess {
      let bus = try LiveProcess("/usr/bin/env", ["python3", "-c", server, "\(port)"])
      #expect(bus.printed("bus\n"), "\(bus.text)")
      return bus
    }
    let address = "socketcand://127.0.0.1:\(port)/can0"
    let bus = try begin()
    let run = try Self.controller(folder, tap, ["--can", address])
    #expect(run.says("→ RUNNING"), "\(run.text)")
    #expect(slaves.says("battery on the inverter"))
    bus.signal(SIGKILL)
    #expect(slaves.says("battery off the inverter"))
    #expect(run.says("\(address) is gone: "), "\(run.text)")
    #expect(run.says("PDU ordered: all open"), "\(run.text)")
    let again = try begin()
    #expect(run.says("→ RUNNING", count: 2), "\(run.text)")
    #expect(slaves.says("battery on the inverter", count: 2))
    again.signal(SIGKILL)
    #expect(slaves.says("battery off the inverter", count: 2))
    run.send(SIGTERM)
    #expect(run.end() == 0)
  }

  @Test func aBrokenConfigurationRunsOpen() throws {
    let folder = try RunFolder()
    let text = try String(contentsOfFile: folder.config, encoding: .utf8)
    try text.replacing("cell-count: 16", with: "cell-count: 17").write(toFile: folder.config, atomically: true, encoding: .utf8)
    let whole = try RunFolder()
    let (slaves, tap) = try Self.slaves(whole)
    defer { slaves.send(SIGTERM) }
    let run = try Self.controller(folder, tap, ["--for", "3s"])
    #expect(run.end() == 0)
    #expect(run.text.contains("checksum") && run.text.contains("CONFIG ERR"), "\(run.text)")
    #expect(!run.text.contains("negative closed"))
  }

  @Test func aStateThatCannotBeStoredKeepsItOpen() throws {
    let folder = try RunFolder()
    let (slaves, tap) = try Self.slaves(folder)
    defer { slaves.send(SIGTERM) }
    let run = try Self.controller(folder, tap, ["--state", "/proc/linkbms.state"])
    #expect(run.says("the state cannot be stored"), "\(run.text)")
    run.send(SIGTERM)
    #expect(run.end() == 2)
    #expect(!run.text.contains("→ RUNNING"))
  }

  /// What is to be written aside is a pipe that nobody reads.
  @Test func anEndWithADiskThatHangsSaysThatTheStateIsNotStored() throws {
    let folder = try RunFolder()
    let scenario = folder.path + "/small.yaml"
    try "configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: none}\n"
      .write(toFile: scenario, atomically: true, encoding: .utf8)
    try #require(mkfifo(folder.path + "/state.new", 0o600) == 0)
    let run = try RunningProgram(["run", "--simulate", scenario, "--for", "3s", "--state", folder.path + "/state"])
    defer { run.send(SIGKILL) }
    try #require(run.says("error: the disk does not answer; not written: state"), "\(run.text)")
    #expect(run.says("contactors open, state not stored") && !run.text.contains("ended in order"), "\(run.text)")
    #expect(run.end() == 2)
  }

  /// A simulated battery in quick time.
  private static func recorded(_ folder: RunFolder, _ more: [String]) throws -> RunningProgram {
    let scenario = folder.path + "/small.yaml"
    try "configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: none}\n"
      .write(toFile: scenario, atomically: true, encoding: .utf8)
    return try RunningProgram(
      ["run", "--simulate", scenario, "--state", folder.path + "/state", "--record", folder.path + "/rec.pcapng"] + more)
  }

  private static func recordings(_ folder: RunFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("rec") }.sorted()
  }

  @Test func aKilledRunLeavesItsRecordingUnderItsNameAndTheNextStartDoesNotTouchIt() throws {
    let folder = try RunFolder()
    let (first, second) = (folder.path + "/rec-0001.pcapng", folder.path + "/rec-0002.pcapng")
    func content(_ name: String) -> Data { FileManager.default.contents(atPath: name) ?? Data() }
    let killed = try Self.recorded(folder, ["--speed", "20"])
    #expect(killed.says("recording: \(first), "), "\(killed.text)")
    let isWritten = LiveProcess.wait { content(first).count > 20_000 }
    #expect(isWritten, "\(killed.text)")
    killed.send(SIGKILL)
    _ = killed.end()
    #expect(try Self.recordings(folder) == ["rec-0001.pcapng", "rec-0001.pcapng.log"])
    let (capture, log) = (content(first), content(first + ".log"))
    // The last block may be cut: status 1.
    let info = try linkbmsTests.run(BuiltProgram.path, ["info", first])
    #expect(info.status <= 1 && info.output.contains(" PDU records"), "\(info)")
    let replay = try linkbmsTests.run(BuiltProgram.path, ["replay", "--through-engine", first])
    #expect(replay.status <= 1 && replay.output.contains("every output as recorded"), "\(replay)")

    let again = try Self.recorded(folder, ["--speed", "20"])
    #expect(again.says("recording: \(second), "), "\(again.text)")
    let isWrittenToo = LiveProcess.wait { content(second).count > 20_000 }
    #expect(isWrittenToo, "\(again.text)")
    again.send(SIGTERM)
    #expect(again.end() == 0, "\(again.text)")
    #expect(content(first) == capture && content(first + ".log") == log)
    #expect(
      try Self.recordings(folder) == ["rec-0001.pcapng", "rec-0001.pcapng.log", "rec-0002.pcapng", "rec-0002.pcapng.log"])
  }

  @Test func aRotatedRecordingKeepsTheLatestAndSaysWhatALaterFileIs() throws {
    let folder = try RunFolder()
    let all = try Self.recorded(folder, ["--speed", "1000", "--for", "3m", "--status-every", "0", "--rotate", "50k"])
    #expect(all.end() == 0, "\(all.text)")
    let files = try Self.recordings(folder).filter { $0.hasSuffix(".pcapng") }.map { folder.path + "/" + $0 }
    try #require(files.count >= 3, "\(files)")
    let later = try linkbmsTests.run(BuiltProgram.path, ["replay", "--through-engine", files[1]])
    #expect(later.status == 2 && later.errors.contains("as in a later file of a recording; expected all of its files"), "\(later)")
    let compared = try linkbmsTests.run(BuiltProgram.path, ["compare", files[1], "--engine"])
    #expect(compared.errors.contains("as in a later file of a recording"), "\(compared)")
    let whole = folder.path + "/whole.pcapng"
    try files.reduce(into: Data()) { $0 += FileManager.default.contents(atPath: $1) ?? Data() }
      .write(to: URL(fileURLWithPath: whole))
    let replay = try linkbmsTests.run(BuiltProgram.path, ["replay", "--through-engine", whole])
    #expect(replay.status == 0 && replay.output.contains("every output as recorded"), "\(replay)")

    let latest = try Self.recorded(
      folder, ["--speed", "1000", "--for", "3m", "--status-every", "0", "--rotate", "50k", "--keep", "2"])
    #expect(latest.end() == 0, "\(latest.text)")
    let kept = try Self.recordings(folder)
    #expect(kept.count == 4 && !kept.contains { files.contains(folder.path + "/" + $0) }, "\(kept)")
  }

  @Test func journaldGetsPriorities() throws {
    let folder = try RunFolder()
    let (slaves, tap) = try Self.slaves(folder)
    defer { slaves.send(SIGTERM) }
    let words = ["run", "--config", folder.config, "--chain", tap, "--deadline", "900ms", "--for", "1s", "--status-every", "0"]
    // Everything that a service starts inherits the variable, whatever it writes to.
    let other = try RunningProgram(words, environment: ["JOURNAL_STREAM": "8:1"])
    #expect(other.end() == 0)
    let dated = other.text.split(separator: "\n")
    #expect(!dated.isEmpty && dated.allSatisfy { $0.hasPrefix("2") }, "\(other.text)")
    let run = try RunningProgram(words, isJournal: true)
    #expect(run.end() == 0)
    let lines = run.text.split(separator: "\n")
    #expect(!lines.isEmpty && lines.allSatisfy { $0.hasPrefix("<5>") || $0.hasPrefix("<6>") || $0.hasPrefix("<3>") }, "\(run.text)")
  }

  @Test func hoursPassInSecondsWithASimulatedBattery() throws {
    let folder = try RunFolder()
    let scenario = folder.path + "/small.yaml"
    try "configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: none}\nload: [{at: 0, current: 5}]\n"
      .write(toFile: scenario, atomically: true, encoding: .utf8)
    let run = try RunningProgram(
      [
        "run", "--simulate", scenario, "--speed", "1440", "--for", "2m", "--status-every", "1m", "--state",
        folder.path + "/state",
      ])
    #expect(run.end() == 0)
    #expect(run.text.contains("RUNNING, negative + positive closed"), "\(run.text)")
    #expect(!run.text.contains("late\n") && !run.text.contains("error:"), "\(run.text)")
  }

  @Test(arguments: [
    (["run"], "--config: found none"), (["run", "--config", "x"], "name a tap with --chain"),
    (["run", "--config", "x", "--chain", "tcp://x"], "x: "),
    (["run", "--config", "x", "--chain", "a", "--for", "soon"], "--for: found"),
    (["run", "--config", "x", "--chain", "a", "--speed", "2"], "--speed: real slaves"),
    (["run", "--config", "x", "--chain", "a", "--log-level", "loud"], "--log-level: found"),
    (["run", "--config", "x", "--chain", "a", "--rotate", "1M"], "--rotate: needs --record"),
    (["run", "--config", "x", "--chain", "a", "--record", "r", "--rotate", "1h"], "--rotate: found \"1h\", expected a size"),
    (["run", "--config", "x", "--chain", "a", "--record", "r", "--keep", "2"], "--keep: needs --rotate"),
    (["run", "--config", "x", "--chain", "a", "--record", "r", "--rotate", "1M", "--keep", "0"], "--keep: found 0"),
    (["virtual", "slaves", "--chain", "tap+tcp://127.0.0.1:0"], "name a battery"),
    (["virtual", "slaves", "--plant", "/no", "--chain", "tap+tcp://127.0.0.1:0"], "/no: "),
  ])
  func mistakesAreNamed(arguments: [String], text: String) throws {
    let result = try linkbmsTests.run(BuiltProgram.path, arguments)
    #expect(result.status == 2 && result.errors.contains(text), "\(result)")
  }

  @Test func digitalLinesAreNamedAndAskedForBeforeAnythingIsClosed() throws {
    let folder = try RunFolder()
    let start = ["run", "--config", "/etc/bms.yaml", "--chain", "tap+tcp://t:1"]
    // A configuration's file may say the rest; this one does not.
    for begin in [["run", "--config", folder.config, "--chain", "tap+tcp://t:1"], ["run", "--simulate", "/no"]] {
      for (words, text) in [
        (["--gpio-output", "running=1"], "--gpio: found none"), (["--gpio", "gpiochip0"], "--gpio: needs --gpio-output"),
        (["--gpio", "gpiochip0", "--gpio-input", "closed=1"], "one of open, watch"),
      ] {
        let result = try linkbmsTests.run(BuiltProgram.path, begin + words)
        #expect(result.status == 2 && result.errors.contains(text), "\(result)")
      }
    }
    let unit = try linkbmsTests.run(
      BuiltProgram.path,
      start + ["--gpio", "gpiochip0", "--gpio-input", "open=22:low", "--gpio-reset-button", "27", "--print-unit"])
    #expect(unit.output.contains(" --gpio gpiochip0 --gpio-input open=22:low --gpio-reset-button 27 "), "\(unit)")
    #expect(unit.output.contains("SupplementaryGroups=dialout gpio\n"))
  }

  /// A service starts in a folder of its own, the only one that it may write to.
  @Test func theUnitFindsItsFilesFromItsOwnFolder() throws {
    let here = try #require(FileNames.currentFolder)
    func unit(_ words: [String]) -> [String] {
      var world = MemoryWorld(MemoryBuses())
      #expect(world.run(["run", "--chain", "tap+tcp://t:1", "--print-unit"] + words) == 0, "\(world.notes)")
      return world.text.split(separator: "\n").map(String.init)
    }
    let relative = unit([
      "--config", "bms.yaml", "--http", "80", "--history", "month.sqlite", "--tls-certificate", "./c.pem", "--tls-key", "k.pem",
    ])
    #expect(relative.contains { $0.contains("--config \(here)/bms.yaml ") && $0.contains("--history month.sqlite") })
    #expect(relative.contains { $0.contains("--tls-certificate \(here)/c.pem ") })
    #expect(relative.contains("LoadCredential=tls-key:\(here)/k.pem"))
    #expect(relative.contains("WorkingDirectory=/var/lib/linkbms"))
    // What it could not write is said. A configuration is written to where there are pages.
    func warning(_ unit: [String]) -> String? { unit.first { $0.hasPrefix("# The service may write to") } }
    #expect(warning(relative)?.hasSuffix(": --config (what is changed on the pages is saved there).") == true)
    let own = ["--config", "/var/lib/linkbms/bms.yaml"]
    #expect(warning(unit(own + ["--http", "80", "--history", "postgresql://host/bms", "--record", "run.pcapng"])) == nil)
    #expect(warning(unit(["--config", "/etc/bms.yaml"])) == nil)
    #expect(
      warning(unit(own + ["--state", "/srv/state", "--record", "/srv/run.pcapng"]))?.hasSuffix(": --state, --record.") == true)
  }

  @Test func printsAUnitThatStartsExactlyThis() throws {
    let result = try linkbmsTests.run(
      BuiltProgram.path,
      ["run", "--config", "/etc/my bms.yaml", "--can", "can0", "--chain", "tap+serial:///dev/ttyUSB0@921600", "--print-unit"])
    #expect(result.status == 0)
    for line in [
      "Type=notify", "WatchdogSec=2", "Restart=on-failure", "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN",
      "run --config \"/etc/my bms.yaml\" --state /var/lib/linkbms/state --can can0 --chain tap+serial:///dev/ttyUSB0@921600",
      "linkbms bus can0 --bitrate 500000 --up\nExecStart=",
    ] { #expect(result.output.contains(line), "\(line): \(result.output)") }
    // With every option that the command has: what is not in the unit is not what was started.
    let common = [
      "--config": "/etc/my bms.yaml", "--state": "/var/own.state", "--for": "24h", "--status-every": "10s", "--log-level": "debug",
      "--can": "can0", "--can2": "can1", "--record": "/var/run.pcapng", "--rotate": "50M", "--keep": "7",
      "--deadline": "300ms", "--variant": "short",
      "--gpio": "gpiochip0", "--gpio-output": "running=1", "--gpio-input": "open=22:low", "--gpio-reset-button": "27",
      "--address": "2", "--http": ":8080", "--tls-certificate": "/c.pem", "--tls-key": "/k.pem", "--history": "/h.sqlite",
      "--mdns": "cellar", "--setup-password-file": "/wifi", "--mqtt": "broker", "--mqtt-user": "bms",
      "--mqtt-password-file": "/mqtt", "--mqtt-ca": "/ca.pem", "--mqtt-name": "cellar", "--mqtt-queue": "/q.sqlite",
    ]
    let secrets = ["--tls-key", "--setup-password-file", "--mqtt-password-file"]
    var seen: Set<String> = ["--print-unit", "--help", "--version"]
    for own in [
      ["--chain": "tap+tcp://t:1", "--pdu": "tap+tcp://p:1"], ["--simulate": "/plant.yaml", "--speed": "20.0"],
    ] {
      let given = common.merging(own) { $1 }
      var world = MemoryWorld(MemoryBuses())
      let status = world.run(["run", "--print-unit"] + given.flatMap { [$0.key, $0.value] })
      #expect(status == 0, "\(world.notes)")
      let start = world.text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") }
      let command = start.map { "\($0) " } ?? ""
      for (option, value) in given {
        let written = secrets.contains(option) ? "%d/\(option.dropFirst(2))" : ServiceUnit.quoted(value)
        #expect(command.contains(" \(option) \(written) "), "\(option): \(command)")
        seen.insert(option)
      }
    }
    // A service records without end: not without a limit, unless its words say that there is none to be.
    for (words, unit) in [
      ([], nil), (["--record", "/r.pcapng"], " --record /r.pcapng --rotate 100M --keep 50 "),
      (["--record", "/r.pcapng", "--rotate", "1G"], " --record /r.pcapng --rotate 1G --deadline 300ms "),
    ] as [([String], String?)] {
      var world = MemoryWorld(MemoryBuses())
      #expect(
        world.run(["run", "--print-unit", "--simulate", "/plant.yaml", "--deadline", "300ms"] + words) == 0, "\(world.notes)")
      #expect(world.text.contains(" --rotate ") == (unit != nil) && world.text.contains(unit ?? " run "), "\(world.text)")
    }
    let info = try #require(CommandTree.of(LinkBMS.self).subcommand("run"))
    let names = info.shownOptions.compactMap { $0.preferredName?.written }
    let missing = names.filter { !seen.contains($0) }
    #expect(names.count > 25 && missing.isEmpty, "not tried: \(missing)")
    #expect(ServiceUnit.quoted("a\"b%c$d") == "\"a\\\"b%%c$$d\"")
    // Whose rule for NetworkManager the README gives: without one polkit refuses a user who is not logged in.
    #expect(result.output.contains("\nDynamicUser=yes\nUser=linkbms\n"))
    let readme = try String(contentsOfFile: ControllerCommandTests.root + "/README.md", encoding: .utf8)
    #expect(readme.contains("subject.user == \"linkbms\""))
    for action in ["settings.modify.system", "settings.modify.hostname", "network-control", "wifi.scan", "wifi.share.protected"] {
      #expect(readme.contains("\"\(action)\""), "\(action)")
    }
  }
}

/// Where systemd would listen.
final class NotifySocket {
  let path: String
  private final class Box: Sendable { let messages = Mutex<[String]>([]) }
  private let box = Box()
  private let source: any DispatchSourceRead

  /// - Parameter isHeld: whether nothing is read before `goOn`.
  init(_ path: String, isHeld: Bool = false) {
    self.path = path
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // Read as it comes: the kernel holds ten datagrams only.
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
    source.setEventHandler { [box] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard count >= 0 else { return }
      box.messages.withLock { $0.append(String(decoding: buffer[..<count], as: UTF8.self)) }
    }
    source.setCancelHandler { close(descriptor) }
    if !isHeld { source.resume() }
  }

  /// Begins to read.
  func goOn() { source.resume() }

  deinit { source.cancel() }

  /// Everything that was sent so far.
  func all() -> [String] { box.messages.withLock { $0 } }
}

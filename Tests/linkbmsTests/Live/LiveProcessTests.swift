import Bus
import Foundation
import Testing

@testable import linkbms

/// Live commands between processes, over python-can's multicast bus on this machine.
@Suite(.serialized) struct LiveProcessTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  private let bus = NetworkBus()

  @Test(arguments: ["log", "pcapng"]) func aKilledRecorderLeavesAReadableFile(suffix: String) throws {
    let folder = try TestFolder()
    let path = folder.file("x." + suffix)
    let speaker = try bus.start("send", "@", "4210#D80E000000003200", "--every", "10ms")
    let recorder = try bus.start("capture", "@", "--write", path)
    // The file itself says when there is something in it.
    #expect(LiveProcess.wait { (try? records(inFile: path).count > 20) ?? false })
    recorder.signal(SIGKILL)
    #expect(recorder.end() == -SIGKILL)
    let kept = try records(inFile: path)
    #expect(kept.count > 20 && kept.allSatisfy { $0.frame.id == .extended(0x4210) && $0.frame.length == 8 })
    speaker.signal(SIGINT)
    #expect(speaker.end() == 130)
  }

  @Test func controlCEndsACaptureInOrder() throws {
    let folder = try TestFolder()
    let speaker = try bus.start("send", "@", "123#01", "--every", "10ms")
    let recorder = try bus.start("capture", "@", "--write", folder.file("x.pcapng"), "--decode")
    #expect(recorder.printed("123   [1]  01"))
    recorder.signal(SIGINT)
    // It is how an endless recording is meant to end.
    #expect(recorder.end() == 0 && recorder.text.contains("frames in \(folder.file("x.pcapng"))"), "\(recorder.text)")
    let cut = try bus.start("capture", "@", "--for", "1h")
    #expect(cut.printed("udp 123#01"))
    cut.signal(SIGINT)
    #expect(cut.end() == 130, "what was to go on longer is cut short")
    speaker.signal(SIGTERM)
    #expect(speaker.end() == 143)
  }

  @Test func bothEndsAndTheDiagnosis() throws {
    let battery = try bus.start("virtual", "battery", "--profile", "deye-hv", "--can", "@")
    #expect(battery.printed("waiting: transmits nothing until it is asked"))
    let judge = try bus.start("diagnose", "--live", "@", "--for", "9s")
    let inverter = try bus.start("virtual", "inverter", "--profile", "deye-hv", "--can", "@")
    #expect(battery.printed("online: keeps answering") && inverter.printed("online: asks for values"))
    #expect(judge.end() == 0 && judge.text.contains("the link is fine"), "\(judge.text)")
    let folder = try TestFolder()
    let second = try bus.start(
      "diagnose", "--live", "@", "--for", "14s", "--report", folder.file("r.html"), "--annotate", folder.file("a.pcapng"),
      "--bundle", folder.file("b.zip"))
    #expect(second.printed("deye-hv"))
    battery.enter("fault silent-battery")
    #expect(battery.printed("fault silent-battery 1.0"))
    #expect(second.end() == 1 && second.text.contains("R02 request-unanswered (error)"), "\(second.text)")
    // The files that are made of what was heard; what was kept for them is gone.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["a.pcapng", "b.zip", "r.html"])
    let page = try String(contentsOfFile: folder.file("r.html"), encoding: .utf8)
    #expect(page.contains("R02"))
    let annotated = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.pcapng")))
    #expect(annotated.range(of: Data("R02 request-unanswered".utf8)) != nil, "the finding is a comment of its packet")
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("b.zip"))).count > 1000)
    battery.enter("fault off")
    battery.enter("quit")
    #expect(battery.end() == 0 && battery.text.contains("fault off"))
    inverter.signal(SIGINT)
    #expect(inverter.end() == 130)
  }

  /// Without --for Ctrl-C is how a person ends it: the status is the verdict's. One that was cut short, or ended by SIGTERM, says so.
  @Test func controlCEndsADiagnosisWithTheStatusOfItsVerdict() throws {
    let inverter = try bus.start("virtual", "inverter", "--profile", "deye-hv", "--can", "@")
    let endless = try bus.start("diagnose", "--live", "@")
    let short = try bus.start("diagnose", "--live", "@", "--for", "1h")
    let ended = try bus.start("diagnose", "--live", "@")
    let script = try LiveProcess(BuiltProgram.path, ["shell", "-c", "diagnose --live \(bus.address)\necho not-this"])
    for process in [endless, short, ended, script] { #expect(process.printed("(error)"), "\(process.text)") }
    for process in [endless, short, script] { process.signal(SIGINT) }
    ended.signal(SIGTERM)
    #expect(endless.end() == 1 && endless.text.contains("no battery answers"), "\(endless.text)")
    #expect(short.end() == 130 && ended.end() == 143)
    // In a script the signal stays what it is: nothing behind it runs.
    #expect(script.end() == 130 && !script.text.contains("not-this"), "\(script.text)")
    inverter.signal(SIGINT)
    #expect(inverter.end() == 130)
  }

  @Test func identifiesAndSurveysWhatItHears() throws {
    let battery = try bus.start("virtual", "battery", "--profile", "pylontech-hv", "--can", "@")
    #expect(battery.printed("waiting"))
    let inverter = try bus.start("virtual", "inverter", "--profile", "pylontech-hv", "--can", "@")
    #expect(inverter.printed("online"))
    let info = try bus.start("info", "--live", "@", "--for", "4s")
    let identify = try bus.start("identify", "--live", "@", "--for", "4s")
    let monitor = try bus.start("monitor", "@", "--for", "5s")
    #expect(identify.end() == 0 && identify.text.contains("pylontech-hv"), "\(identify.text)")
    #expect(info.end() == 0 && info.text.contains("format   live") && info.text.contains("00004200"), "\(info.text)")
    #expect(monitor.end() == 0 && monitor.text.contains("Totals  PackVoltage"), "\(monitor.text)")
  }

  /// Asks until the simulated battery, which needs a moment, answers.
  /// To the last frame of an answer: a battery that is asked while it answers takes that for the same question.
  private func awaitAnswers() throws {
    let script =
      "open --live \(bus.address) --protocol deye-hv; arm \(bus.address); send \(bus.address) 4200#0000000000000000 --every 400ms &;"
      + "wait for DeyeText2 within 60s"
    let shell = try LiveProcess(BuiltProgram.path, ["shell", "-c", script])
    #expect(shell.end() == 0, "\(shell.text)")
  }

  @Test func aRecordedInverterAgainstALiveBattery() throws {
    let capture = Self.root + "/Captures/deye-hv-clean/capture.log"
    let battery = try bus.start("virtual", "battery", "--profile", "deye-hv", "--can", "@")
    #expect(battery.printed("waiting"))
    try awaitAnswers()
    let good = try bus.start("replay", capture, "--as", "inverter", "--to", "@", "--until", "6")
    #expect(good.end() == 0 && good.text.contains("turns as recorded"), "\(good.text)")
    battery.enter("fault missing-member")
    #expect(battery.printed("fault missing-member"))
    let bad = try bus.start("replay", capture, "--as", "inverter", "--to", "@", "--until", "6")
    #expect(bad.end() == 1 && bad.text.contains("the battery does not say it"), "\(bad.text)")
  }

  @Test func aReplayArrivesWholeAndInItsTime() throws {
    let folder = try TestFolder()
    let capture = Self.root + "/Captures/deye-hv-clean/capture.log"
    let wanted = try records(inFile: capture)
    let start = try #require(wanted.first?.time.nanoseconds)
    let part = wanted.filter { $0.time.nanoseconds - start <= 4_000_000_000 }
    let ready = try bus.start("send", "@", "7FF#", "--every", "10ms")
    let recorder = try bus.start("capture", "@", "--write", folder.file("x.pcapng"), "--decode")
    #expect(recorder.printed("7FF"))
    ready.signal(SIGINT)
    #expect(ready.end() == 130)
    let replay = try bus.start("replay", capture, "--to", "@", "--speed", "2", "--until", "4")
    #expect(replay.end() == 0 && replay.text.contains("\(part.count) frames sent"), "\(replay.text)")
    #expect(
      LiveProcess.wait {
        (try? records(inFile: folder.file("x.pcapng")).filter { $0.frame.id.number != 0x7FF }.count) == part.count
      })
    recorder.signal(SIGINT)
    _ = recorder.end()
    let heard = try records(inFile: folder.file("x.pcapng")).filter { $0.frame.id.number != 0x7FF }
    #expect(heard.map(\.frame) == part.map(\.frame))
    let first = try #require(heard.first?.time.nanoseconds), last = try #require(heard.last?.time.nanoseconds)
    let took = Double(last - first) / 1e9, due = Double((part.last?.time.nanoseconds ?? 0) - start) / 2e9
    #expect(took >= due - 0.01 && took < due + 1, "\(took) s for \(due) s")
  }

  @Test func twoBusesAreBridged() throws {
    let other = NetworkBus()
    let bridge = try LiveProcess(BuiltProgram.path, ["bridge", bus.address, other.address, "--map-id", "123=124"])
    let ear = try other.start("capture", "@", "--count", "3")
    let speaker = try bus.start("send", "@", "123#AB", "--every", "20ms")
    #expect(ear.end() == 0 && ear.text.contains("udp 124#AB"), "\(ear.text)")
    speaker.signal(SIGINT)
    _ = speaker.end()
    bridge.signal(SIGINT)
    #expect(bridge.end() == 130 && bridge.text.contains("udp → udp") && !bridge.text.contains("come back"), "\(bridge.text)")
  }

  @Test func aCommissioningScriptRunsAgainstAnotherProcess() throws {
    let folder = try TestFolder()
    let battery = try bus.start("virtual", "battery", "--profile", "deye-hv", "--can", "@", "--set", "PackVoltage=380")
    #expect(battery.printed("waiting"))
    try awaitAnswers()
    let script = """
      open --live \(bus.address) --protocol deye-hv
      capture \(bus.address) --write \(folder.file("log.pcapng")) &
      arm \(bus.address)
      send \(bus.address) --protocol deye-hv Poll Request=2
      expect Configuration within 5s
      send \(bus.address) 4200#00
      expect Totals where 'PackVoltage = 380' within 5s
      let voltage = PackVoltage
      echo voltage $voltage
      assert 'PackVoltage > 300'
      """
    try script.write(toFile: folder.file("good.lbx"), atomically: true, encoding: .utf8)
    let good = try LiveProcess(BuiltProgram.path, ["shell", "-x", folder.file("good.lbx")])
    let status = good.end()
    #expect(status == 0 && good.text.contains("voltage 380.0"), "\(status): \(good.text)")
    #expect(try records(inFile: folder.file("log.pcapng")).count > 5)
    try (script + "\nassert 'PackVoltage > 500'\necho not-this").write(
      toFile: folder.file("bad.lbx"), atomically: true, encoding: .utf8)
    try FileManager.default.removeItem(atPath: folder.file("log.pcapng"))
    let bad = try LiveProcess(BuiltProgram.path, ["shell", "-x", folder.file("bad.lbx")])
    #expect(bad.end() == 1 && bad.text.contains("bad.lbx:11: assert: PackVoltage > 500 does not hold"), "\(bad.text)")
    #expect(!bad.text.contains("not-this"))
  }

  @Test func jobsGoOnWhileAPipedScriptIsSilent() throws {
    let shell = try LiveProcess(BuiltProgram.path, [])
    shell.enter("decode --live \(bus.address) --protocol deye-hv &")
    #expect(shell.printed("[1] decode --live"))
    let speaker = try bus.start("send", "@", "4210#D80E000000003200", "--every", "50ms")
    #expect(shell.printed("PackVoltage 380.0 V"))
    shell.enter("quit 3")
    #expect(shell.end() == 3)
    speaker.signal(SIGINT)
    _ = speaker.end()
  }

  @Test func speaksWithPythonCAN() throws {
    let python = Self.root + "/.build/venv/bin/python"
    guard FileManager.default.isExecutableFile(atPath: python) else {
      print("SKIPPED: python-can was not asked; tools/test installs it into .build/venv")
      #expect(ProcessInfo.processInfo.environment["CI"] == nil, "python-can is missing")
      return
    }
    let script = """
      import can, sys, time
      bus = can.Bus(interface="udp_multicast", channel="239.74.163.2", port=\(bus.port))
      print("ready", flush=True)
      m = bus.recv(30)
      print(f"heard {m.arbitration_id:X} {m.data.hex()}", flush=True)
      while True:
          bus.send(can.Message(arbitration_id=0x4210, is_extended_id=True, data=bytes.fromhex("D80E000000003200")))
          time.sleep(0.02)
      """
    let peer = try LiveProcess(python, ["-c", script])
    #expect(peer.printed("ready"), "\(peer.text)")
    let sent = try bus.start("send", "@", "4200#0000000000000000")
    #expect(sent.end() == 0 && peer.printed("heard 4200 0000000000000000"), "\(peer.text)")
    let ear = try bus.start("decode", "--live", "@", "--protocol", "deye-hv", "--count", "2")
    #expect(ear.end() == 0 && ear.text.contains("Totals") && ear.text.contains("PackVoltage 380.0 V"), "\(ear.text)")
  }
}

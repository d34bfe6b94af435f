import Bus
import Foundation
import Formats
import HostIO
import Testing

@testable import linkbms

/// Live buses at the prompt and in scripts, on buses inside this process.
@Suite struct LiveShellTests {
  /// A session with buses of its own.
  private final class Shell {
    let folder: TestFolder
    let session: ShellSession
    let buses = MemoryBuses()

    init() throws {
      folder = try TestFolder()
      let world = ShellWorld(
        output: try ByteOutput(path: folder.file("out"), appending: true),
        errors: try ByteOutput(path: folder.file("err"), appending: true, buffering: .none), terminal: Terminal())
      session = ShellSession(world: world, names: NoNames())
      session.variables["dir"] = folder.path
      session.live.open = buses.open
      session.live.examine = { _ in }
      session.valuePatience_ns = 0
    }

    func read(_ name: String) -> String { (try? String(contentsOfFile: folder.file(name), encoding: .utf8)) ?? "" }

    func run(_ script: String) throws -> (output: String, errors: String, outcome: ShellSession.Outcome) {
      let outcome = try session.run(script: .text(script))
      try session.world.flush()
      return (read("out"), read("err"), outcome)
    }
  }

  @Test func nothingIsSentBeforeArm() throws {
    let shell = try Shell()
    let ear = try shell.buses.open("mem://a")
    for line in [
      "send mem://a 4200#00", "virtual battery --profile deye-hv --can mem://a &", "bridge mem://a mem://b &",
      "replay --to mem://a \(Self.capture("deye-hv-clean"))",
    ] {
      let result = try shell.run(line)
      #expect(result.errors.contains("mem://a is not armed") && result.outcome == .goesOn(2), "\(line): \(result)")
    }
    _ = try shell.run("arm mem://a\ndisarm mem://a\nsend mem://a 4200#00")
    #expect(ear.counters.received == 0)
    try ear.receive { _ in Issue.record("something was sent") }
    #expect(try shell.run("arm mem://a\nsend mem://a 4200#00\narm").output == "mem://a\n")
    var frames = 0
    try ear.receive { _ in frames += 1 }
    #expect(frames == 1)
  }

  /// A slip of the hand arms nothing, and whoever made it is told.
  @Test(arguments: [
    ("arm cna0", "cna0: there is no such interface"), ("arm lo", "lo: is not a CAN interface"),
    ("arm a/b", "expected an interface"),
    ("arm slcan:///dev/no-such-adapter", "/dev/no-such-adapter: there is no such"), ("arm pcap://can0", "only listens"),
  ])
  func onlyABusThatIsThereIsArmed(line: String, error: String) throws {
    let shell = try Shell()
    shell.session.live.examine = LiveHub.lookUp
    let result = try shell.run(line)
    #expect(result.errors.contains(error) && result.outcome == .goesOn(2), "\(result)")
    #expect(shell.session.live.armed.isEmpty)
  }

  @Test func aBusIsArmedHoweverItIsWritten() throws {
    #expect(LiveHub.hint("cna0", ["vcan0", "can0"]) == " (did you mean \"can0\"?)")
    #expect(LiveHub.hint("eth7", ["can0", "can1"]) == " (CAN interfaces here: can0, can1)" && LiveHub.hint("eth7", []).isEmpty)
    try LiveHub.lookUp("udp://")
    let hub = LiveHub(needsArm: true)
    hub.arm("can0")
    #expect(hub.isArmed("can0,351:7FF?time=hardware") && !hub.isArmed("can1") && !hub.isArmed("a/b"))
    hub.disarm("can0?time=hardware", .at(0))
    #expect(hub.armed.isEmpty && !hub.isArmed("can0"))
  }

  @Test func jobsShowWhatWasNoFrame() throws {
    let shell = try Shell()
    let port = SilentPort()
    shell.session.live.open = { _, _ in port }
    _ = try shell.run("decode --live mem://a --protocol deye-hv &")
    port.counters.malformed = 3
    #expect(try shell.run("jobs").output.contains("0 frames, 3 that were no frame"))
    _ = shell.session.endJobs()
  }

  private static func capture(_ name: String) -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    return root + "/Captures/\(name)/capture.log"
  }

  @Test func jobsRunBesideTheScriptAndEndInOrder() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      capture mem://a --write $dir/a.log &
      arm mem://a
      send mem://a 123#01
      send mem://a 123#02
      jobs
      stop 1
      send mem://a 123#03
      jobs
      """)
    #expect(result.outcome == .goesOn(0), "\(result)")
    #expect(result.output == "[1] capture mem://a  2 frames\n", "\(result.output)")
    #expect(result.errors.contains("[1] capture mem://a") && result.errors.contains("2 frames in \(shell.folder.file("a.log"))"))
    #expect(try records(inFile: shell.folder.file("a.log")).map(\.frame.head) == [1, 2])
    #expect(try shell.run("stop 7").errors.contains("there is no job 7"))
    #expect(try shell.run("version &").errors.contains("'version' cannot go on in the background"))
  }

  @Test func jobsGoOnWhileAnotherProgramRuns() throws {
    let shell = try Shell()
    let ear = try shell.buses.open("mem://a")
    let result = try shell.run(
      """
      decode --live mem://a --protocol deye-hv > $dir/log &
      arm mem://a
      send mem://a 4210#D80E --every 20ms &
      ! sleep 0.6
      echo x | sleep 0.6
      """)
    // What is not sent at its time is not made up for: standing still it would be a few.
    var frames = 0
    try ear.receive { _ in frames += 1 }
    #expect(frames > 20, "\(frames)")
    #expect(shell.read("log").contains("Totals") && result.outcome == .goesOn(0), "\(result)")
    #expect(try shell.run("! exit 3").errors.contains("'exit 3' ended with status 3"))
    _ = shell.session.endJobs()
  }

  @Test func aCommandThatKeepsTheJobsWaitingIsNamed() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      capture mem://a --write $dir/a.log &
      ! mkfifo $dir/fifo
      ! (sleep 1.5; cat $dir/fifo > /dev/null) &
      echo x > $dir/fifo
      echo y
      """)
    #expect(result.output == "y\n" && result.outcome == .goesOn(0), "\(result)")
    let told = result.errors.split(separator: "\n").filter { $0.hasPrefix("linkbms: jobs stood still for ") }
    #expect(told.filter { $0.hasSuffix(" s while 'echo' ran") }.count == 1, "\(result.errors)")
    _ = shell.session.endJobs()
  }

  /// A time in which somebody waits for the jobs, or in which there are none, is none of standing still.
  @Test func onlyWhatJobsHadToWaitForCounts() throws {
    let hub = LiveHub(needsArm: false)
    hub.statementBegins(.at(0))
    hub.pump(.at(5))
    #expect(hub.takeStandstill() == 0)
    _ = hub.add(SendJob(JobContext("send", [SilentPort()]), CANFrame(), every_ns: 1_000_000_000, count: nil), .at(9))
    hub.statementBegins(.at(10))
    hub.waited(.at(19))
    hub.pump(.at(20))
    hub.pump(.at(20.5))
    #expect(hub.takeStandstill() == 1_000_000_000)
    #expect(hub.takeStandstill() == 0)
  }

  @Test func theOutputOfAJobGoesWhereItWasToldTo() throws {
    let shell = try Shell()
    let result = try shell.run(
      "decode --live mem://a --protocol deye-hv > $dir/log &\narm mem://a\nsend mem://a 4210#D80E\nstop\necho done")
    #expect(result.output == "done\n" && shell.read("log").contains("Totals"), "\(result), \(shell.read("log"))")
  }

  @Test func expectsWaitsAndAsserts() throws {
    let shell = try Shell()
    let good = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a
      send mem://a --protocol deye-hv Totals PackVoltage=380 Soc=50
      expect Totals where 'PackVoltage > 300' within 1s
      let x = PackVoltage
      echo $x
      assert 'PackVoltage = 380 and Soc = 50'
      send mem://a 4200#00; send mem://a 4200#02
      wait for Poll where 'Request = 2' within 1s
      wait for 4200 within 0s
      echo $?
      """)
    // The second question was used up by the wait before.
    #expect(good.output == "380.0\n", "\(good)")
    #expect(good.errors.contains("wait for: 4200: did not come within 0 s on a") && good.outcome == .goesOn(1), "\(good)")
  }

  @Test(arguments: [
    ("expect Totals within 0s", "expect: Totals: did not come within 0 s on a"),
    ("expect Totals where 'Soc > 60' within 0s", "expect: Totals where Soc > 60: did not come"),
    ("assert 'Soc > 60'", "assert: Soc > 60 does not hold on a"),
    ("assert 'CycleCount > 1'", "assert: CycleCount > 1 cannot be judged: no value of CycleCount has come on a"),
    // A value that never came proves nothing, and neither does the frame that happened to be the last.
    ("assert 'Soc > 1 and not CycleCount < 2'", "cannot be judged: no value of CycleCount has come on a"),
    ("assert 'not any fault'", "assert: not any fault cannot be judged: no value of any fault has come on a"),
    ("assert 'any fault = 0'", "assert: any fault = 0 cannot be judged: no value of any fault has come on a"),
    ("expect Totals where 'Soc = 50 and not (CycleCount < 2)' within 0s", "did not come within 0 s on a"),
  ])
  func anUnmetExpectationStopsTheScriptWithStatus1(line: String, error: String) throws {
    let shell = try Shell()
    let begin =
      "open --live mem://a --protocol deye-hv\narm mem://a\nsend mem://a --protocol deye-hv Totals Soc=50\nsleep 0\nsleep 0\n"
    let result = try shell.run(begin + line + "\necho not-this")
    #expect(result.errors.contains(error) && result.outcome == .goesOn(1), "\(result)")
    #expect(!result.output.contains("not-this"))
    // Without stopping at errors it goes on, and the status tells.
    let second = try shell.run("set onerror continue\n" + line + "\necho went-on $?")
    #expect(second.output.contains("went-on 1"))
  }

  @Test func whatHasNoBearingOnTheResultNeedNotHaveCome() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a
      send mem://a --protocol deye-hv Totals Soc=50
      assert 'Soc = 50 or CycleCount > 1'
      assert 'not (Soc > 60 and CycleCount > 1)'
      """)
    #expect(result.outcome == .goesOn(0), "\(result)")
  }

  /// Whatever came last.
  @Test func aFlagOfAnyMessageIsSeen() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a
      send mem://a 4250#02460000FFFFFF00
      send mem://a 4280#0000000000000000
      send mem://a --protocol deye-hv Totals Soc=50
      assert 'any protection'
      assert 'not any protection'
      """)
    #expect(
      result.errors.contains("-c:7: assert: not any protection does not hold on a") && result.outcome == .goesOn(1), "\(result)")
    // What carries notices only says nothing of faults, and a frame that asks for data nothing at all.
    let fresh = try Shell()
    let notices = try fresh.run(
      "open --live mem://a --protocol deye-hv\narm mem://a\nsend mem://a 4280#0000000000000000\nassert 'not any fault'")
    #expect(notices.errors.contains("no value of any fault has come"), "\(notices)")
    _ = try shell.run("send mem://a 4250#R8")
    #expect(try shell.run("assert 'any protection'").outcome == .goesOn(0))
    let after = try shell.run("send mem://a 4250#0246000000000000\nassert 'not any protection'")
    #expect(after.outcome == .goesOn(0), "\(after)")
  }

  /// A session with a bus on which these have come within one statement.
  private func shell(hearing ids: [UInt32]) throws -> Shell {
    let shell = try Shell()
    let other = try shell.buses.open("mem://a")
    _ = try shell.run("open --live mem://a --protocol deye-hv")
    for id in ids { _ = try other.send(CANFrame(id: .extended(id), length: 8, head: 0)) }
    _ = try shell.run("sleep 0.01")
    return shell
  }

  /// Answers may come in any order; a message is not used up by another.
  @Test(arguments: [("Totals", "Limits"), ("Limits", "Totals")]) func expectationsAreMetInAnyOrder(first: String, second: String)
    throws
  {
    let shell = try shell(hearing: [0x4210, 0x4220])
    let good = try shell.run("expect \(first) within 0s; echo one\nlet a = 5\nexpect \(second) within 0s; echo two")
    #expect(good.output == "one\ntwo\n" && good.outcome == .goesOn(0), "\(good)")
    let used = try shell.run("expect \(first) within 0s")
    #expect(used.errors.contains("expect: \(first): did not come within 0 s"), "\(used)")
  }

  /// Of one message only what came behind what was expected already.
  @Test func aMessageIsExpectedAsOftenAsItCame() throws {
    let shell = try shell(hearing: [0x4210, 0x4220, 0x4210])
    let result = try shell.run(
      "expect 4210 within 0s; expect 4210 within 0s; expect 4220 within 0s; echo all\nexpect 4210 within 0s")
    #expect(result.output == "all\n" && result.outcome == .goesOn(1), "\(result)")
  }

  /// What is required behind a `wait` came behind what was waited for.
  @Test func whatCameBeforeWhatWasWaitedForIsOver() throws {
    let shell = try shell(hearing: [0x4210, 0x4220, 0x4230])
    let result = try shell.run(
      "wait for 4220 within 0s; echo one\nexpect 4230 within 0s; echo two\nexpect 4210 within 0s; echo three")
    #expect(result.output == "one\ntwo\n" && result.outcome == .goesOn(1), "\(result)")
  }

  /// Values of other messages change while one is waited for, and count as they were when it came.
  @Test(arguments: [("3.0", "2.5", true), ("2.5", "3.0", false)])
  func conditionsSeeTheValuesOfOtherMessages(before: String, after: String, holds: Bool) throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a
      send mem://a --protocol deye-hv CellVoltages CellVoltageMin=\(before); sleep 0
      send mem://a --protocol deye-hv CellVoltages CellVoltageMin=\(after); sleep 0
      send mem://a --protocol deye-hv Totals PackVoltage=380
      expect Totals where 'PackVoltage > 300 and CellVoltageMin < 2.6' within 0s
      """)
    #expect(result.outcome == .goesOn(holds ? 0 : 1), "\(result)")
  }

  /// A bus that is opened behind another begins at its own beginning.
  @Test func theSecondBusHearsFromItsFirstFrameOn() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a; arm mem://b
      send mem://a 4210#00; send mem://a 4210#01; send mem://a 4210#02; sleep 0.02
      open --live mem://b --protocol deye-hv
      send mem://b 4220#00
      expect 4220 within 0s
      """)
    #expect(result.outcome == .goesOn(0), "\(result)")
  }

  @Test(arguments: [
    ("expect Totals", "no live bus is open"), ("open --live mem://a --protocol deye-hv\nexpect Totls", "did you mean \"Totals\""),
    ("open --live mem://a --protocol deye-hv\nassert 'Sox > 1'", "did you mean \"Soc\""),
    ("open --live mem://a\nassert 'id = 0x4210'", "assert: found \"id\", which belongs to one frame"),
    ("open --live mem://a\nassert 'byte[2] > 1'", "assert: found \"byte[2]\", which belongs to one frame"),
    ("open --live mem://a\nexpect Totals within soon", "expected a time"), ("open --live nothing", "nothing: there is no such"),
    ("open --live mem://a --protocol deye-hv\nexpect Totals whre x", "expected: expect MESSAGE"),
    ("open --live mem://a --protocol deye-hv\nlet x = Soc", "let: Soc: no value has come on a within 0 s"),
    (
      "open --live mem://a --protocol deye-hv\nlet x = PackVoltge",
      "let: found \"PackVoltge\", expected a signal of a (did you mean \"PackVoltage\"?); in quotes it is text: \"PackVoltge\""
    ),
    (
      "open --live mem://a\nlet x = PackVoltage",
      "let: PackVoltage: no frame has come on a within 0 s; 'open --live IFACE --protocol"
    ),
    (
      "open --live mem://a\narm mem://a\nsend mem://a 123#01\nlet x = PackVoltage",
      "let: PackVoltage: nothing of a known protocol has come on a within 0 s"
    ),
    ("let x = PackVoltage", "let: PackVoltage is a signal, and no live bus is open"),
    ("let x = PackVoltge", "let: PackVoltge could be meant as the signal PackVoltage, and no live bus is open"),
    ("arm mem://a\nsend mem://a 4200#0g", "expected ID#DATA"), ("arm mem://a\nsend mem://a Totals Soc=1", "--protocol NAME"),
    ("arm mem://a\nsend mem://a --protocol deye-hv Totals Sox=1", "did you mean \"Soc\""),
  ])
  func saysWhatIsWrong(script: String, error: String) throws {
    let result = try Shell().run(script)
    #expect(result.errors.contains(error) && result.outcome == .goesOn(2), "\(result)")
  }

  /// Right after 'open --live' nothing is known of the bus: the value is waited for.
  @Test func letWaitsUntilTheBusIsKnownAndAValueHasCome() throws {
    let shell = try Shell()
    shell.session.valuePatience_ns = 60_000_000_000
    let result = try shell.run(
      """
      open --live mem://a
      arm mem://a
      virtual battery --profile deye-hv --can mem://a --set PackVoltage=380 &
      virtual inverter --profile deye-hv --can mem://a &
      let voltage = PackVoltage
      echo it is $voltage
      """)
    #expect(result.output.contains("it is 380.0\n") && result.outcome == .goesOn(0), "\(result)")
    _ = shell.session.endJobs()
  }

  @Test(arguments: ["", "open --live mem://a --protocol deye-hv\n"]) func whatCannotBeMeantAsASignalIsText(begin: String) throws {
    let result = try Shell().run(
      begin + """
        let a = "PackVoltage"
        let b = 'Soc'
        let c = night.log
        let d = 5
        let e = deye-hv
        let f = $a
        let g = one two
        let h PackVoltage
        let i = \\Soc
        echo $a $b $c $d $e $f $g $h $i
        """)
    let expected = "PackVoltage Soc night.log 5 deye-hv PackVoltage one two PackVoltage Soc\n"
    #expect(result.output == expected && result.outcome == .goesOn(0), "\(result)")
  }

  @Test(arguments: ["", "open --live mem://a\n", "open --live mem://a --protocol deye-hv\n"])
  func aWordThatOnlyResemblesASignalIsText(begin: String) throws {
    let result = try Shell().run(begin + "let a = packvoltage; let b = Site; let c = night; echo $a $b $c")
    #expect(result.output == "packvoltage Site night\n" && result.outcome == .goesOn(0), "\(result)")
  }

  @Test func bothEndsOfALinkTalkInTheBackgroundAndFaultsAreTold() throws {
    let shell = try Shell()
    let result = try shell.run(
      """
      open --live mem://a --protocol deye-hv
      arm mem://a
      virtual battery --profile deye-hv --can mem://a --set PackVoltage=380 &
      virtual inverter --profile deye-hv --can mem://a &
      expect Totals where 'PackVoltage = 380' within 5s
      tell 1 fault silent-battery
      sleep 0.05
      expect Totals within 1500ms
      """)
    #expect(result.errors.contains("expect: Totals: did not come within 1.5 s"), "\(result)")
    #expect(result.outcome == .goesOn(1))
    #expect(
      result.output.contains("online: keeps answering") && result.output.contains("fault silent-battery 1.0"), "\(result.output)")
    #expect(shell.session.endJobs() == 0)
  }

  /// A script that went on without the fault that it asked for would test something else.
  @Test(arguments: [
    ("tell 1 nonsense", "found \"nonsense\", expected fault KIND"),
    ("tell 1 fault foo", "fault: found \"foo\", expected wrong-bit-rate, "),
    ("tell 1 fault dropped 2", "fault frames-dropped: found \"2\", expected a share of frames, 0 to 1"),
    ("tell 1 fault off dropped", "fault off: found \"dropped\", expected nothing: no fault acts"),
    ("tell 2 fault dropped", "capture mem://a: takes no commands while it runs; found \"fault dropped\""),
  ])
  func aLineThatAJobCannotObeyEndsAScript(line: String, error: String) throws {
    let shell = try Shell()
    let begin = "arm mem://a\nvirtual battery --profile deye-hv --can mem://a &\ncapture mem://a &\n"
    let result = try shell.run(begin + line + "\necho not-this")
    #expect(result.errors.contains(error) && result.outcome == .goesOn(2), "\(result)")
    #expect(!result.output.contains("not-this"))
    let second = try shell.run("set onerror continue\n" + line + "\necho went-on $?")
    #expect(second.output.contains("went-on 2"))
    _ = shell.session.endJobs()
  }

  @Test func disarmEndsWhatSends() throws {
    let shell = try Shell()
    _ = try shell.run("arm mem://a\nsend mem://a 123#01 --every 1s &\ncapture mem://a &")
    #expect(shell.session.live.jobs.count == 2)
    let result = try shell.run("disarm\njobs")
    #expect(shell.session.live.jobs.count == 1 && result.output.contains("[2] capture"), "\(result)")
  }
}

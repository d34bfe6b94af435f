import Bus
import Foundation
import Testing

@testable import HostIO

@Suite struct SlcanMessageTests {
  private func read(_ text: String) -> SlcanMessage? { SlcanMessage(Array(text.utf8)) }

  @Test func readsAndWritesEachKind() {
    for frame in PortTesting.everyKind + PortTesting.everyFDKind where !frame.flags.contains(.errorStateIndicator) {
      guard let line = SlcanMessage.line(sending: frame) else { return #expect(Bool(false), "\(frame)") }
      #expect(line.last == 13 && SlcanMessage(line.dropLast()) == .frame(frame))
    }
    #expect(
      SlcanMessage.line(sending: PortTesting.everyKind[0]).map { String(decoding: $0, as: UTF8.self) } == "t35180102030405060708\r")
    #expect(SlcanMessage.line(sending: PortTesting.everyKind[5]).map { String(decoding: $0, as: UTF8.self) } == "r3058\r")
    #expect(PortTesting.errors.compactMap(SlcanMessage.line).isEmpty)
    var asking = PortTesting.everyFDKind[0]
    asking.flags.insert(.remote)
    #expect(SlcanMessage.line(sending: asking) == nil)
  }

  @Test func lengthsOfFDFramesAreThoseOfTheStandard() {
    for (digit, length) in zip("89ABCDEF", [8, 12, 16, 20, 24, 32, 48, 64]) {
      guard case .frame(let frame)? = read("b123\(digit)" + String(repeating: "55", count: length)) else {
        Issue.record("\(digit) is no frame of \(length) bytes")
        continue
      }
      #expect(frame.length == length && frame.flags == [.fd, .bitRateSwitch] && frame.byte(length - 1) == 0x55)
    }
  }

  @Test func timeStampsAreIgnoredAndTheRawDLCIsKept() {
    #expect(read("t3512aabb") == .frame(CANFrame(id: .standard(0x351), length: 2, head: 0xBBAA)))
    #expect(read("t3512AABB1A2B") == .frame(CANFrame(id: .standard(0x351), length: 2, head: 0xBBAA)))
    var frame = CANFrame(id: .standard(1), length: 8, head: 0x0807_0605_0403_0201)
    frame.rawDLC = 12
    #expect(read("t001C0102030405060708") == .frame(frame))
    #expect(read("F24") == .status(0x24) && read("V1013") == .other && read("z") == .other)
  }

  @Test func whatIsNoneIsNone() {
    for text in [
      "", "t", "t35", "t351", "t3512AA", "t3512AABBC", "t3512AABBCCDDEE", "t8000", "T200000000", "tXYZ0", "r351800", "F2", "F245",
      "x", "t3512AAB?",
    ] {
      #expect(read(text) == nil, "\(text)")
    }
  }

  @Test func flagsBecomeAnErrorFrame() {
    #expect(SlcanMessage.errorFrame(status: 0) == nil && SlcanMessage.errorFrame(status: 0x10) == nil)
    let passive = SlcanMessage.errorFrame(status: 0x20)
    #expect(passive?.flags == .error && passive?.id.number == 4 && passive?.byte(1) == 0x30)
    #expect(SlcanMessage.errorFrame(status: 0xC0)?.id.number == 0x82)
  }

  /// Lines by chance: nothing traps, and what is read can be written and read again.
  @Test func nothingTraps() {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(seed)
    let letters = Array("tTrRdDbBF0123456789ABCDEFabcdef0000 zé".utf8)
    for _ in 0..<20_000 {
      let line = (0..<random.next() % 40).map { _ in letters[Int(random.next() % UInt64(letters.count))] }
      guard case .frame(let frame)? = SlcanMessage(line) else { continue }
      #expect(SlcanMessage.line(sending: frame).flatMap { SlcanMessage($0.dropLast()) } == .frame(frame), "seed \(seed): \(line)")
    }
  }
}

/// An adapter on a pseudo-terminal that prints each line it gets, answers as it was told, and says what it is told to.
final class ScriptedDevice {
  let companion: Companion
  let path: String

  /// - Parameter answers: `LETTER=TEXT`: how lines that begin so are answered.
  init(answers: [String] = [], end: Character = "\r") throws {
    path = NSTemporaryDirectory() + "linkbms-device-" + UUID().uuidString
    let script = """
      import os, select, sys, termios, tty
      path, end, answers = sys.argv[1], sys.argv[2].encode().decode("unicode_escape").encode(), dict(a.split("=", 1) for a in sys.argv[3:])
      def make():
          master, slave = os.openpty(); tty.setraw(slave)
          os.symlink(os.ttyname(slave), path + ".new"); os.rename(path + ".new", path)
          return master, slave
      master, slave = make(); text = b""
      print("ready", flush=True)
      while True:
          for ready in select.select([0] + ([master] if master >= 0 else []), [], [])[0]:
              if ready == 0:
                  orders = os.read(0, 65536).decode()
                  if not orders: sys.exit()
                  for line in orders.splitlines():
                      if line == "pull":
                          os.unlink(path); os.close(master); os.close(slave); master = slave = -1
                      elif line == "plug": master, slave = make(); text = b""
                      else: os.write(master, line.encode().decode("unicode_escape").encode("latin-1"))
              elif ready == master:
                  text += os.read(master, 65536)
                  while end in text:
                      line, text = text.split(end, 1)
                      line = line.decode()
                      if line: print(line, flush=True)
                      if line[:1] in answers: os.write(master, answers[line[:1]].encode().decode("unicode_escape").encode())
      """
    companion = try Companion(["python3", "-c", script, path, end == "\r" ? "\\r" : "\\n"] + answers)
    try #require(companion.line() == "ready")
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct SlcanPortTests {
  private let standard = ["C=\\x07", "S=\\r", "O=\\r", "L=\\r", "t=z\\r", "T=Z\\r"]

  @Test func setsUpSendsAndHears() throws {
    let device = try ScriptedDevice(answers: standard)
    let port = try PortOpener.open(PortAddress("slcan://\(device.path)@250000?serial=57600,status=off"))
    #expect(["C", "S5", "O"] == (0..<3).map { _ in device.companion.line() })
    #expect(try port.send(PortTesting.everyKind[0]) == .sent)
    #expect(device.companion.line() == "t35180102030405060708")
    device.companion.say("t3512AABB\\rT000042")
    device.companion.say("001FFx\\rwhat\\rr3058\\r\\x07T000042001FF\\r")
    let heard = try PortTesting.frames(port, 3)
    #expect(heard.map(\.frame.id) == [.standard(0x351), .standard(0x305), .extended(0x4200)])
    #expect(heard.allSatisfy { $0.direction == .received && abs($0.time.nanoseconds - PortPoller.wallClock_ns) < 30_000_000_000 })
    #expect(port.counters.malformed == 2 && port.counters.refused == 1 && port.counters.sent == 1)
    port.close()
    #expect(device.companion.line() == "C")
  }

  @Test func anAdapterThatIsPulledIsSetUpAnew() throws {
    let device = try ScriptedDevice(answers: standard)
    let port = try SlcanPort(device: device.path, bitRate: 500_000)
    device.companion.say("pull")
    let lost = try PortTesting.gather(port) { !$0.isEmpty }
    guard case .lost(.vanished)? = lost.first else { return #expect(Bool(false), "\(lost)") }
    #expect(try port.send(PortTesting.everyKind[0]) == .full)
    device.companion.say("plug")
    let returned = try PortTesting.gather(port) { !$0.isEmpty }
    guard case .returned? = returned.first else { return #expect(Bool(false), "\(returned)") }
    #expect(["C", "S6", "O", "C", "S6", "O"] == (0..<6).map { _ in device.companion.line() })
    device.companion.say("t3512AABB\\r")
    #expect(try PortTesting.frames(port, 1).count == 1)
  }

  @Test func adaptersThatNeverAnswerAreTakenAtTheirWord() throws {
    let device = try ScriptedDevice()
    let port = try SlcanPort(device: device.path, bitRate: 1_000_000, listenOnly: true)
    #expect(["C", "S8", "L"] == (0..<3).map { _ in device.companion.line() })
    device.companion.say("t3512AABB\\r")
    #expect(try PortTesting.frames(port, 1).count == 1)
    #expect(throws: PortError.unsupported(device.path, what: "send: it was opened only to listen")) { try port.send(CANFrame()) }
  }

  @Test func anAdapterThatRefusesEveryFrameIsLostAndSetUpAnew() throws {
    let device = try ScriptedDevice(answers: ["t=\\x07", "T=\\x07"])
    let port = try SlcanPort(device: device.path, bitRate: 500_000, refusalPatience_ns: 0)
    for _ in 0..<RefusalWatch.most { #expect(try port.send(PortTesting.everyKind[0]) == .sent) }
    let heard = try PortTesting.gather(port) { $0.count == 2 }
    guard case .lost(.refused(device.path, let reason))? = heard.first, case .returned? = heard.last else {
      return #expect(Bool(false), "\(heard)")
    }
    #expect(reason.contains("refuses every frame") && port.counters.refused == UInt64(RefusalWatch.most))
    #expect(try port.send(PortTesting.everyKind[0]) == .sent)
  }

  /// Bells that say no more than that there is no room for a moment, and those of adapters that do not know the question for their state.
  @Test func aBellNowAndThenIsNoEnd() {
    let seconds = (0..<1000).map { Int64($0) * 1_000_000_000 }
    var full = RefusalWatch()
    for second in seconds {
      for _ in 0..<3 { full.frameWent() }
      #expect(full.bell(second) && !full.refusesEverything(second))
    }
    var unknowing = RefusalWatch()
    for second in seconds {
      unknowing.frameWent()
      unknowing.asked()
      #expect(!unknowing.bell(second) && !unknowing.refusesEverything(second))
    }
    var answering = RefusalWatch()
    for second in seconds {
      answering.frameWent()
      #expect(answering.bell(second) && !answering.refusesEverything(second))
      answering.heardSomething()
    }
    // Its state an adapter tells that sends nothing, too.
    var telling = RefusalWatch()
    for (round, second) in zip(1...RefusalWatch.most, seconds) {
      telling.frameWent()
      telling.asked()
      telling.answered()
      #expect(telling.bell(second) && telling.refusesEverything(second) == (round == RefusalWatch.most))
    }
    var refusing = RefusalWatch()
    for (round, second) in zip(1...RefusalWatch.most, seconds) {
      for _ in 0..<2 { refusing.frameWent() }
      #expect(refusing.bell(second) && refusing.refusesEverything(second) == (round == RefusalWatch.most))
    }
  }

  /// What finds no room in a burst is refused in a moment; only where that goes on nothing can be expected any more.
  @Test func aBurstThatFindsNoRoomIsNoEnd() {
    var watch = RefusalWatch()
    for _ in 0..<34 { watch.frameWent() }
    for _ in 0..<4 { watch.heardSomething() }
    for _ in 0..<30 { #expect(watch.bell(1_000_000_000) && !watch.refusesEverything(1_000_000_000)) }
    watch.frameWent()
    #expect(watch.bell(2_999_999_999) && !watch.refusesEverything(2_999_999_999))
    let isOver = watch.refusesEverything(3_000_000_000)
    #expect(isOver)
    // Anything else that is heard begins anew.
    watch.heardSomething()
    for _ in 0..<RefusalWatch.most {
      watch.frameWent()
      #expect(watch.bell(9_000_000_000) && !watch.refusesEverything(9_000_000_000))
    }
    let isOverAgain = watch.refusesEverything(11_000_000_000)
    #expect(isOverAgain)
  }

  @Test func theStateIsAskedForAndToldOnce() throws {
    let device = try ScriptedDevice(answers: standard + ["F=F24\\r"])
    let port = try SlcanPort(device: device.path, bitRate: 500_000, statusInterval_ns: 20_000_000)
    let heard = try PortTesting.frames(port, 1)
    #expect(heard.first?.frame.flags == .error && heard.first?.frame.byte(1) == 0x3C)
    // Told twice more without news.
    for expected in ["C", "S6", "O", "F", "F", "F"] {
      _ = try PortTesting.gather(port, seconds: 0.03) { _ in false }
      #expect(device.companion.line() == expected)
    }
    #expect(port.counters.received == 1)
  }

  /// Takes what comes until the port waits for nothing but its descriptor.
  private func settle(_ port: SlcanPort) throws {
    let end_ns = PortPoller.now_ns + 20_000_000_000
    while let wake_ns = port.wakeTime_ns, PortPoller.now_ns < end_ns {
      _ = PortPoller.wait([port.descriptor], until_ns: wake_ns)
      try port.receive { _ in }
    }
  }

  /// One that knows no such question, and rings or says nothing, is not disturbed any more.
  @Test(arguments: [["F=\\x07"], []]) func anAdapterThatDoesNotTellItsStateIsNotAskedForever(answers: [String]) throws {
    let device = try ScriptedDevice(answers: standard + answers)
    let port = try SlcanPort(device: device.path, bitRate: 500_000, statusInterval_ns: 5_000_000)
    try settle(port)
    #expect(port.wakeTime_ns == nil)
    #expect(try port.send(PortTesting.everyKind[0]) == .sent)
    let asked = [String](repeating: "F", count: SlcanPort.mostUnanswered)
    for expected in ["C", "S6", "O"] + asked + ["t35180102030405060708"] { #expect(device.companion.line() == expected) }
    #expect(port.counters.refused == 0)
  }

  @Test func commandsLearnTheStateUnlessToldOtherwise() throws {
    let device = try ScriptedDevice(answers: standard + ["F=F20\\r"])
    let port = try PortOpener.open(PortAddress("slcan://\(device.path)"))
    #expect(try PortTesting.frames(port, 1).first?.frame.flags == .error)
  }

  /// Bytes at another rate, or of a device that never ends a line: it must not look like a quiet bus.
  @Test func whatNeverEndsIsCountedToo() throws {
    let device = try ScriptedDevice(answers: standard)
    let port = try SlcanPort(device: device.path, bitRate: 500_000)
    for _ in 0..<10 { device.companion.say(String(repeating: "U", count: 100)) }
    device.companion.say("\\rt3512AABB\\r")
    #expect(try PortTesting.frames(port, 1).count == 1)
    #expect(port.counters.malformed > 5, "\(port.counters.malformed)")
    #expect(port.advice.malformed(6).hasPrefix("6 lines were no slcan: is the rate of the serial line right"))
  }

  @Test func whatCannotBeOpenedSaysWhy() throws {
    let refusing = try ScriptedDevice(answers: ["S=\\x07"])
    #expect(throws: PortError.refused(refusing.path, reason: "the adapter refuses 500000 bit/s")) {
      try SlcanPort(device: refusing.path, bitRate: 500_000)
    }
    #expect(throws: PortError.absent("/dev/none")) { try SlcanPort(device: "/dev/none", bitRate: 500_000) }
    #expect(throws: PortError.system(HostError("/etc/passwd", attempt: "open as a serial port", code: ENOTTY))) {
      try SlcanPort(device: "/etc/passwd", bitRate: 500_000)
    }
    #expect(throws: PortError.self) { try SlcanPort(device: "/dev/null", bitRate: 500_000) }
    #expect(throws: PortError.self) { try SlcanPort(device: refusing.path, bitRate: 83_333) }
  }
}

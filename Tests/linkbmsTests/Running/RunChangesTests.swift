import Controller
import Gateway
import Runtime
import Testing

@testable import linkbms

/// What a run takes over from its pages, and what it saves there for its next start.
@Suite struct RunChangesTests {
  private static let changes = RunChanges(
    path: "/etc/bms.yaml", unfitting: [.none: "--can: no bus is wanted", .sofar2: "other cable"])

  private static func rules(isClosed: Bool) -> ChangeRules {
    var rules = ChangeRules(Configuration(), Readings())
    rules.isClosed = isClosed
    return rules
  }

  /// What becomes of it, in a word, and the item that it is about.
  private static func verdict(
    _ changes: RunChanges = RunChangesTests.changes, isClosed: Bool, _ change: (inout Configuration) -> Void
  ) -> String {
    var wanted = Configuration()
    change(&wanted)
    switch changes.verdict(on: .configure(wanted), rules(isClosed: isClosed)) {
    case .takeOver(let taken)?: return taken == wanted ? "now" : "other"
    case .forNextStart(let taken, let item)?: return (taken == wanted ? "next " : "other ") + item.row.key
    case .refused(let refusal)?: return "refused " + (refusal.item?.row.key ?? "")
    case nil: return "nothing"
    }
  }

  @Test func anotherBatteryIsSavedWithOpenContactorsOnly() {
    func larger(_ configuration: inout Configuration) {
      configuration[.bms1Slaves] = 2
      configuration[.cellCount] = 16
    }
    #expect(Self.verdict(isClosed: false, larger) == "next bms1-slaves")
    #expect(Self.verdict(isClosed: true, larger) == "refused bms1-slaves")
    // Without a file there is no next start that would know of it.
    #expect(Self.verdict(RunChanges(), isClosed: false, larger) == "refused bms1-slaves")
    #expect(Self.verdict(isClosed: false) { $0[.bms1Slaves] = 2 } == "refused bms1-slaves")
  }

  @Test func anotherProtocolIsSavedWhereTheNextStartGoesWithIt() {
    for isClosed in [false, true] {
      func verdict(_ spoken: InverterProtocol, _ change: (inout Configuration) -> Void = { _ in }) -> String {
        Self.verdict(isClosed: isClosed) {
          $0[.inverterProtocol] = spoken.rawValue
          change(&$0)
        }
      }
      #expect(verdict(.goodwe) == "next protocol")
      #expect(verdict(.sofar2) == "refused protocol")
      #expect(verdict(.none) == "refused protocol")
      #expect(verdict(.deye) == "now")
      // Nothing that protects comes along under load.
      #expect(verdict(.goodwe) { $0[.balanceDifference] = 200 } == "next protocol")
      let protecting = verdict(.goodwe) { $0[.overvoltageProtect] = 37_000 }
      #expect(protecting == (isClosed ? "refused cell-overvoltage-protect" : "next protocol"))
      #expect(Self.verdict(RunChanges(), isClosed: isClosed) { $0[.inverterProtocol] = 2 } == "refused protocol")
    }
  }

  /// Out of CONFIG ERR it is in force at once, so that what it speaks has to go with the buses that are there.
  @Test func withoutAConfigurationTheProtocolHasToFit() {
    var rules = Self.rules(isClosed: false)
    rules.lacksConfiguration = true
    for (spoken, isTaken) in [(InverterProtocol.goodwe, true), (.sofar2, false), (.none, false)] {
      var wanted = Configuration()
      wanted[.inverterProtocol] = spoken.rawValue
      switch Self.changes.verdict(on: .configure(wanted), rules) {
      case .takeOver?: #expect(isTaken, "\(spoken)")
      case .refused(let refusal)?: #expect(!isTaken && refusal.item == .inverterProtocol, "\(spoken)")
      default: Issue.record("\(spoken)")
      }
    }
  }

  @Test func onlyTheOrderToCalibrateCalibrates() {
    let point = Calibration.Point.currentHigh(raw: 10_000, milliamperes: 10_500)
    guard case .takeOver(let wanted)? = Self.changes.verdict(on: .calibrate(point), Self.rules(isClosed: true)) else {
      Issue.record("not taken")
      return
    }
    #expect(wanted[.currentHigh] == 10_500 && wanted[.currentHighRaw] == 10_000)
    #expect(Self.verdict(isClosed: true) { $0 = wanted } == "refused current-high-raw")
    #expect(Self.verdict(isClosed: false) { $0 = wanted } == "now")
    for bad in [Calibration.Point.currentHigh(raw: 10_000, milliamperes: 1000), .currentHigh(raw: 10_000, milliamperes: 20_000)] {
      guard case .refused? = Self.changes.verdict(on: .calibrate(bad), Self.rules(isClosed: true)) else {
        Issue.record("\(bad)")
        continue
      }
    }
    for other in [GatewayCommand.reset, .hold, .release] {
      #expect(Self.changes.verdict(on: other, Self.rules(isClosed: true)) == nil)
    }
  }

  /// The pages say it before anybody is asked: with the contactors as the last step shows them.
  @Test func thePagesHearTheSame() {
    var snapshot = Snapshot(Engine(configuration: Configuration()), Readings(), time_ns: 0)
    let rules = Self.changes.rules
    var protecting = snapshot.configuration
    protecting[.overvoltageProtect] = 37_000
    #expect(rules.refusal(.configure(protecting), snapshot) == nil)
    snapshot.outputs.contactors = [.negative, .positive]
    #expect(rules.refusal(.configure(protecting), snapshot)?.item == .overvoltageProtect)
    let zero = rules.refusal(.calibrate(.currentLow(raw: 9, milliamperes: 0)), snapshot)
    #expect(zero?.reason.contains("linkbms commission") == true)
    #expect(rules.refusal(.reset, snapshot) == nil)
    var spoken = snapshot.configuration
    spoken[.inverterProtocol] = InverterProtocol.sofar2.rawValue
    #expect(rules.refusal(.configure(spoken), snapshot)?.reason.contains("other cable") == true)
    #expect(Set(rules.notes.keys).isSuperset(of: [.inverterProtocol, .bms1Slaves, .cellCount, .currentLow, .inputHigh]))
  }
}

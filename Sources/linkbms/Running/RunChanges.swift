import Controller
import Formats
import Gateway
import Runtime

/// What a run takes over from its pages, and what it saves there for its next start. The loop goes by it, and the pages ask it before they
/// ask a person.
struct RunChanges: Sendable {
  /// Where a configuration is saved; `nil` = it lasts as long as the run.
  var path: String?
  /// Why the command line does not go with a protocol; with those that are not named it does.
  var unfitting: [InverterProtocol: String] = [:]
  /// The digital lines that the file named at the start.
  var lines: GPIOSection?

  /// What is done with a configuration.
  enum Verdict {
    /// Saved, then in force.
    case takeOver(Configuration)
    /// Saved: in force after the next start, for this item is another one.
    case forNextStart(Configuration, ConfigurationItem)
    case refused(ConfigurationRefusal)
  }

  /// What becomes of a command; `nil` for one that is about no configuration.
  func verdict(on command: GatewayCommand, _ rules: ChangeRules) -> Verdict? {
    switch command {
    case .reset, .hold, .release: return nil
    case .configure(let wanted): return verdict(on: wanted, rules)
    case .calibrate(let point):
      guard let wanted = Calibration.applying(point, to: rules.configuration) else {
        return .refused(ConfigurationRefusal(reason: "the point is closer than 5 % of full scale to the other one"))
      }
      return RunChanges.verdict(rules.refusal(of: wanted, isCalibration: true), wanted)
    }
  }

  private static func verdict(_ refusal: ConfigurationRefusal?, _ wanted: Configuration) -> Verdict {
    refusal.map { Verdict.refused($0) } ?? .takeOver(wanted)
  }

  private func verdict(on wanted: Configuration, _ rules: ChangeRules) -> Verdict {
    if rules.lacksConfiguration {
      let unfit = whyUnfitting(wanted).map { why in
        ConfigurationRefusal(item: .inverterProtocol, reason: "protocol does not go with how this was started: \(why)")
      }
      return RunChanges.verdict(unfit ?? rules.refusal(of: wanted), wanted)
    }
    let others = rules.otherBattery(wanted)
    // The battery's own items say more than the protocol's.
    guard wanted.violationCount == 0, let other = others.first(where: { $0 != .inverterProtocol }) ?? others.first else {
      return RunChanges.verdict(rules.refusal(of: wanted), wanted)
    }
    if let refusal = whyNotAtNextStart(wanted, other, rules) { return .refused(refusal) }
    return .forNextStart(wanted, other)
  }

  private func whyUnfitting(_ wanted: Configuration) -> String? {
    InverterProtocol(rawValue: wanted[.inverterProtocol]).flatMap { unfitting[$0] }
  }

  /// Why another battery or inverter is not even saved: with what the next start would not begin by, or under load with what may be the
  /// next thing that protects it.
  private func whyNotAtNextStart(
    _ wanted: Configuration, _ other: ConfigurationItem, _ rules: ChangeRules
  ) -> ConfigurationRefusal? {
    let what = other == .inverterProtocol ? "the inverter is another" : "the battery is another"
    let start = "\(other.row.key) differs: \(what), and that is asked for at the start only"
    guard let path else {
      return ConfigurationRefusal(
        item: other, reason: start + "; start the program again with a file in which it stands (--config)")
    }
    if wanted[.inverterProtocol] != rules.configuration[.inverterProtocol], let why = whyUnfitting(wanted) {
      return ConfigurationRefusal(
        item: .inverterProtocol,
        reason: "protocol differs: the next start would not begin as this one did: \(why); "
          + "edit \(path) and start the program again with what goes with it")
    }
    guard rules.isClosed else { return nil }
    guard other == .inverterProtocol else {
      return ConfigurationRefusal(
        item: other,
        reason: start + "; it can be saved here while the contactors are open; else edit \(path) and start the program again")
    }
    var rest = wanted
    rest[.inverterProtocol] = rules.configuration[.inverterProtocol]
    return rules.refusal(of: rest)
  }

  // MARK: For the pages

  /// What can be said on the pages beforehand.
  var rules: CommandRules { CommandRules(notes: notes) { command, snapshot in refusal(of: command, snapshot) } }

  private func refusal(of command: GatewayCommand, _ snapshot: Snapshot) -> CommandRefusal? {
    var rules = ChangeRules(snapshot.configuration, snapshot.readings)
    rules.lacksConfiguration = snapshot.violations > 0
    rules.isClosed = !snapshot.outputs.contactors.isEmpty
    rules.isConnected = ChangeRules.connects(snapshot.outputs.contactors)
    guard case .refused(let refusal)? = verdict(on: command, rules) else { return nil }
    return CommandRefusal(item: refusal.item, reason: refusal.reason)
  }

  private var notes: [ConfigurationItem: String] {
    let open = "Needs open contactors; 'linkbms commission' holds them open."
    var notes: [ConfigurationItem: String] = [.currentLow: open, .inputHigh: open]
    for item in ChangeRules.ofTheBattery {
      let saved = item == .inverterProtocol ? "Another one is saved" : "Another number is saved with open contactors only"
      let later = "\(saved), and in force when the program is started again."
      notes[item] = path == nil ? "Asked for at the start of the program only." : later
    }
    return notes
  }
}

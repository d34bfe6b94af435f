/// What `replay` does with a recording: `--to`, `--as` and `--through-engine` say which.
enum ReplayMode: CaseIterable {
  /// The frames come out when they are due.
  case inTime
  /// The frames go onto live buses.
  case onBus
  /// One recorded side against a simulated other side.
  case simulated
  /// One recorded side against whoever is on a live bus.
  case againstBus
  /// The recorded inputs through this build's controller.
  case engine

  /// How it is asked for.
  var words: String {
    switch self {
    case .inTime: "Without --to, --as and --through-engine"
    case .onBus: "--to IFACE"
    case .simulated: "--as SIDE"
    case .againstBus: "--to IFACE with --as SIDE"
    case .engine: "--through-engine"
    }
  }

  /// The options that apply, a line for each mode, for the help.
  static var overview: String {
    allCases.map { mode in
      let names = ReplayOption.allCases.filter { $0.modes.contains(mode) }.map(\.rawValue)
      return "\(mode.words): \(names.isEmpty ? "none" : names.joined(separator: " "))"
    }.joined(separator: "; ")
  }
}

/// An option of `replay` that only some modes know. The one table of what goes with what: refusals and the help are made of it.
enum ReplayOption: String, CaseIterable {
  case from = "--from"
  case until = "--until"
  case speed = "--speed"
  case loop = "--loop"
  case skipGaps = "--skip-gaps"
  case step = "--step"
  case set = "--set"
  case mapID = "--map-id"
  case mapBus = "--map-bus"

  /// Where it applies.
  var modes: Set<ReplayMode> {
    switch self {
    case .from, .until: [.inTime, .onBus, .simulated, .againstBus]
    case .speed, .loop, .skipGaps, .step, .set, .mapID: [.inTime, .onBus]
    case .mapBus: [.inTime]
    }
  }

  /// Why it does not apply; `nil` = it does.
  func refusal(in mode: ReplayMode) -> String? {
    modes.contains(mode) ? nil : "\(rawValue) does not apply to \(mode.words): \(reason(in: mode))"
  }

  private func reason(in mode: ReplayMode) -> String {
    switch (mode, self) {
    case (.engine, _): "a recording goes through the engine whole and as it is"
    case (.onBus, _): "BUS=IFACE behind --to says where a bus goes"
    case (_, .speed), (_, .loop), (_, .skipGaps), (_, .step): "the other side's answers set the pace, once through the recording"
    default: "the other side is held against what was recorded, so that is played as it is"
    }
  }
}

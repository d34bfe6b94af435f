public import Protocols

/// How both sides of a protocol behave: the sidecar's `handshake` as a value. Schema: Dissectors/README.md. Times are milliseconds.
public struct Handshake: Sendable {
  /// What the battery does.
  public var battery: Role?
  /// What the inverter does.
  public var inverter: Role?
  /// Ways in which real inverters differ, by name; see Dissectors/README.md.
  public var quirks: [String: Double] = [:]
  /// Nobody says anything.
  public init() {}

  /// One side.
  public struct Role: Sendable {
    /// What signals are filled with, in order; later entries win.
    public var say: [(signal: String, source: Say)] = []
    /// A quantity without which nothing is said.
    public var needs: String?
    /// Fixed payload bytes, by message.
    public var bytes: [String: [UInt8]] = [:]
    /// What is sent when asked.
    public var answers: [Answer] = []
    /// The first is where it starts.
    public var states: [State] = []
    /// Line in the file.
    public var line = 0
    /// A side that does nothing.
    public init() {}
  }

  /// What a signal is filled with.
  public enum Say: Sendable, Equatable {
    case number(Double)
    case text(String)
    case quantity(String)
    /// Raw value by quantity that is true, the first wins; `otherwise` where none is.
    case choice([(quantity: String, raw: Int64)], otherwise: Int64)
    /// Goes up with each frame.
    case counter
    /// The battery's address.
    case address

    /// Alike in kind and content.
    public static func == (a: Say, b: Say) -> Bool {
      switch (a, b) {
      case (.number(let x), .number(let y)): x == y
      case (.text(let x), .text(let y)), (.quantity(let x), .quantity(let y)): x == y
      case (.choice(let x, let p), .choice(let y, let q)):
        p == q && x.map(\.quantity) == y.map(\.quantity) && x.map(\.raw) == y.map(\.raw)
      case (.counter, .counter), (.address, .address): true
      default: false
      }
    }
  }

  /// A message to send, with values that differ from `say`.
  public struct Emission: Sendable {
    /// The message.
    public var message: String
    /// Raw values of its signals.
    public var set: [(signal: String, raw: Int64)] = []
  }

  /// A request and its answer.
  public struct Answer: Sendable {
    /// The request's message.
    public var to = ""
    /// Raw values of which it must have one, by signal; `nil` = our address.
    public var when: [(signal: String, values: [Int64?])] = []
    /// Frames, in order.
    public var with: [Emission] = []
    /// Frames that may be missing, after those.
    public var optional: [Emission] = []
    /// Signal of the answer ← signal of the request.
    public var copy: [(to: String, from: String)] = []
    /// From the request to the first frame.
    public var after = 10.0
    /// From frame to frame.
    public var spacing = 5.0
    /// When it has to be complete.
    public var within = 1000.0
    /// Whether it is only for display: missing answers are no fault.
    public var isOptional = false
    /// Line in the file.
    public var line = 0
  }

  /// A burst that is sent unasked.
  public struct Send: Sendable {
    /// Frames, in order.
    public var messages: [Emission] = []
    /// From burst to burst; 0 = once.
    public var every = 0.0
    /// From frame to frame.
    public var spacing = 1.0
    /// From the state's beginning to the first.
    public var offset = 0.0
    /// Also when the content changes, at most this often.
    public var onChange = 0.0
    /// Whether a checker lets these be missing.
    public var isOptional = false
    /// Line in the file.
    public var line = 0
  }

  /// A state.
  public struct State: Sendable {
    /// Short name.
    public var name = ""
    /// For people.
    public var title = ""
    /// What it means.
    public var phase = LinkPhase.waiting
    /// What is sent unasked.
    public var send: [Send] = []
    /// Where it leads.
    public var next: [Transition] = []
    /// Line in the file.
    public var line = 0
  }

  /// A way out of a state.
  public struct Transition: Sendable {
    /// What leads there.
    public enum Trigger: Sendable {
      case heard([String], when: [(signal: String, values: [Int64?])])
      case complete([String], within: Double)
      case silence([String], time: Double)
      case quantity(String, is: Bool)
    }
    /// What leads there.
    public var trigger: Trigger
    /// Name of the state.
    public var to: String
    /// Line in the file.
    public var line = 0
  }

  /// What an extending definition or a variant says on top.
  mutating func inherit(from base: Handshake) {
    Handshake.inherit(&battery, from: base.battery)
    Handshake.inherit(&inverter, from: base.inverter)
    quirks.merge(base.quirks) { own, _ in own }
  }

  private static func inherit(_ role: inout Role?, from base: Role?) {
    guard let base else { return }
    guard var own = role else {
      role = base
      return
    }
    own.needs = own.needs ?? base.needs
    own.say = base.say + own.say
    own.bytes.merge(base.bytes) { mine, _ in mine }
    if own.answers.isEmpty { own.answers = base.answers }
    if own.states.isEmpty { own.states = base.states }
    role = own
  }
}

extension LinkPhase {
  /// As the sidecar writes it.
  public var word: String {
    switch self {
    case .waiting: "waiting"
    case .opening: "opening"
    case .online: "online"
    case .quiet: "quiet"
    case .lost: "lost"
    }
  }

  /// The phase of that word.
  public init?(word: String) {
    guard let phase = LinkPhase.allCases.first(where: { $0.word == word }) else { return nil }
    self = phase
  }
}

import Controller

/// Who is logged in, and who has tried too often. Time and chance are passed in.
struct Doors: Sendable {
  /// Without a request for so long a login ends.
  static let idle: Duration = .seconds(30 * 60)
  /// A login ends after so long in any case.
  static let longest: Duration = .seconds(12 * 3600)
  /// Logins at one time.
  static let room = 32
  /// Wrong passwords from one address before it has to wait.
  static let tries = 5
  /// Wrong passwords from one IPv6 network before all of it has to wait: whoever has one address of it may take any other, but not
  /// everybody there is the same.
  static let networkTries = 20
  /// The first wait; each further wrong password doubles it, up to an hour.
  static let wait: Duration = .seconds(30)
  /// Wrong setup codes from everybody together before everybody has to wait: eight digits are soon tried out by whoever has many addresses.
  static let codeTries = 20
  /// The first of those waits; each further wrong code doubles it, up to `longestCodeWait`. At one a minute all codes take two centuries.
  static let codeWait: Duration = .seconds(5)
  /// No longer than a person waits: it ends for the owner, too.
  static let longestCodeWait: Duration = .seconds(60)

  /// A change that waits for its second confirmation.
  struct Pending: Sendable {
    var token: String
    var command: GatewayCommand
    /// What the controller worked by when the change was shown; `nil` for what is the same whatever it works by.
    var base: Configuration?
    var asked: ContinuousClock.Instant
  }
  /// One login.
  struct Session: Sendable {
    var csrf: String
    var began: ContinuousClock.Instant
    var seen: ContinuousClock.Instant
    var pending: Pending?
  }
  private struct Failures { var count = 0; var until: ContinuousClock.Instant?; var last: ContinuousClock.Instant }

  private var sessions: [String: Session] = [:]
  /// By origin: an address, or a network of IPv6.
  private var failures: [String: Failures] = [:]
  /// Of everybody together who gave a setup code, but for this machine itself.
  private var codes: Failures?

  init() {}

  // MARK: Tries

  /// How long an address has still to wait before its next try; `nil` = it may try.
  func wait(_ address: String, now: ContinuousClock.Instant) -> Duration? {
    Doors.origins(address).compactMap { failures[$0.name]?.until }.max().flatMap { $0 > now ? $0 - now : nil }
  }

  mutating func failed(_ address: String, now: ContinuousClock.Instant) {
    for origin in Doors.origins(address) { count(origin.name, most: origin.tries, now) }
  }

  /// Whom tries are counted for, and how many each has.
  private static func origins(_ address: String) -> [(name: String, tries: Int)] {
    let own = (name: ClientAddress.plain(address), tries: tries)
    guard let network = ClientAddress.network(address) else { return [own] }
    return [own, (network, networkTries)]
  }

  private mutating func count(_ origin: String, most tries: Int, _ now: ContinuousClock.Instant) {
    if failures.count >= 1000 { failures = failures.filter { now - $0.value.last < .seconds(3600) } }
    // A flood from many addresses must not fill the memory; then the oldest are forgotten.
    if failures.count >= 1000, let oldest = failures.min(by: { $0.value.last < $1.value.last }) { failures[oldest.key] = nil }
    var entry = failures[origin] ?? Failures(last: now)
    entry.count += 1
    entry.last = now
    if entry.count >= tries {
      let doublings = min(7, entry.count - tries)
      entry.until = now + min(.seconds(3600), Doors.wait * Double(1 << doublings))
    }
    failures[origin] = entry
  }

  /// Counts a try to give the setup code, or says how long everybody has still to wait; `nil` = it may be tried. Whoever sits at the
  /// machine itself waits for nobody else: there the owner comes in while strangers keep the others out.
  mutating func tryCode(_ address: String, now: ContinuousClock.Instant) -> Duration? {
    if ClientAddress.isLoopback(address) { return nil }
    if let until = codes?.until, until > now { return until - now }
    var entry = codes.flatMap { now - $0.last < .seconds(3600) ? $0 : nil } ?? Failures(last: now)
    entry.count += 1
    entry.last = now
    if entry.count >= Doors.codeTries {
      entry.until = now + min(Doors.longestCodeWait, Doors.codeWait * Double(1 << min(7, entry.count - Doors.codeTries)))
    }
    codes = entry
    return nil
  }

  // MARK: Sessions

  /// A new login; its token is the cookie.
  mutating func begin(_ address: String, now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator) -> String
  {
    for origin in Doors.origins(address) { failures[origin.name] = nil }
    sessions = sessions.filter { Doors.isAlive($0.value, now) }
    if sessions.count >= Doors.room, let oldest = sessions.min(by: { $0.value.seen < $1.value.seen }) { sessions[oldest.key] = nil }
    let token = Doors.token(using: &generator)
    sessions[token] = Session(csrf: Doors.token(using: &generator), began: now, seen: now)
    return token
  }

  /// The login that a cookie stands for.
  mutating func session(_ token: String?, now: ContinuousClock.Instant) -> Session? {
    guard let token, var session = sessions[token] else { return nil }
    guard Doors.isAlive(session, now) else {
      sessions[token] = nil
      return nil
    }
    session.seen = now
    sessions[token] = session
    return session
  }

  mutating func close(_ token: String) { sessions[token] = nil }

  /// Every login ends: the password has changed.
  mutating func closeAll() { sessions.removeAll() }

  /// Keeps a change until it is confirmed; one at a time, for five minutes.
  mutating func ask(
    _ command: GatewayCommand, base: Configuration?, session token: String, now: ContinuousClock.Instant,
    using generator: inout some RandomNumberGenerator
  ) -> String? {
    guard sessions[token] != nil else { return nil }
    let pending = Pending(token: Doors.token(using: &generator), command: command, base: base, asked: now)
    sessions[token]?.pending = pending
    return pending.token
  }

  /// The change that `confirmation` stands for; it can be taken once.
  mutating func confirm(_ confirmation: String, session token: String, now: ContinuousClock.Instant) -> Pending? {
    guard let pending = sessions[token]?.pending, Doors.areEqual(pending.token, confirmation) else { return nil }
    sessions[token]?.pending = nil
    return now - pending.asked < .seconds(300) ? pending : nil
  }

  private static func isAlive(_ session: Session, _ now: ContinuousClock.Instant) -> Bool {
    now - session.seen < idle && now - session.began < longest
  }

  /// 256 bits of chance, in hexadecimal.
  static func token(using generator: inout some RandomNumberGenerator) -> String {
    (0..<4).map { _ in
      let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
      return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }.joined()
  }

  /// In a time that does not tell where they differ.
  static func areEqual(_ one: String, _ other: String) -> Bool {
    let (a, b) = (Array(one.utf8), Array(other.utf8))
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
  }
}

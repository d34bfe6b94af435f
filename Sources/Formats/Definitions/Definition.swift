public import Bus
import Protocols

/// One protocol as it is defined: sidecar and DBC, with what it extends taken over.
public struct Definition: Sendable {
  /// What a DBC cannot say.
  public let sidecar: Sidecar
  /// All messages, under the IDs of the default address.
  public let dbc: DBCFile
  /// Overlays by file name.
  public let overlays: [String: DBCFile]

  /// A definition from its parts; overlays by the name of their file.
  public init(sidecar: Sidecar, dbc: DBCFile, overlays: [String: DBCFile] = [:]) {
    self.sidecar = sidecar
    self.dbc = dbc
    self.overlays = overlays
  }

  /// Its short name, as in `--protocol`.
  public var protocolName: String { sidecar.protocolName }

  /// The variant of that name; the first for `nil`.
  public func variant(_ name: String?) -> Sidecar.Variant? {
    guard let name else { return sidecar.variants.first }
    return sidecar.variants.first { $0.name == name }
  }

  /// The option that a choice names for a dimension; the first where it does not.
  public func option(of reading: Sidecar.Reading, in choice: [String: String]) -> Sidecar.Option? {
    choice[reading.name].flatMap { name in reading.options.first { $0.name == name } } ?? reading.options.first
  }

  /// The DBC as a choice of readings makes it: what stands in a variant's DBC file, before other IDs.
  /// - Parameter choice: dimension → option; dimensions that are not named stand at their first option.
  public func dbc(readings choice: [String: String]) -> DBCFile {
    var result = dbc
    for reading in sidecar.readings {
      guard let option = option(of: reading, in: choice) else { continue }
      if let name = option.overlay, let overlay = overlays[name] { Definition.lay(overlay, over: &result) }
      for change in option.changes { Definition.apply(change, to: &result) }
    }
    return result
  }

  /// The DBC of a variant with its own IDs, as `dissectors export` writes it.
  public func dbc(variant: Sidecar.Variant?) -> DBCFile {
    var result = dbc(readings: variant?.readings ?? [:])
    var messages: [DBCMessage] = []
    for message in result.messages {
      guard
        let slot = slots(of: message, variant: variant).first(where: {
          $0.address == (variant?.address ?? sidecar.address?.defaultAddress ?? 0) || !$0.hasAddress
        })
      else { continue }
      var message = message
      message.id = slot.id
      messages.append(message)
    }
    result.messages = messages
    return result
  }

  /// An overlay's message takes the place of the one with the same ID, keeping that one's name.
  private static func lay(_ overlay: DBCFile, over file: inout DBCFile) {
    for var message in overlay.messages {
      if let index = file.messages.firstIndex(where: { $0.id == message.id }) {
        message.name = file.messages[index].name
        if message.sender == nil { message.sender = file.messages[index].sender }
        file.messages[index] = message
      } else {
        file.messages.append(message)
      }
    }
  }

  private static func apply(_ change: Sidecar.Change, to file: inout DBCFile) {
    for name in change.signals {
      for message in file.messages.indices {
        for signal in file.messages[message].signals.indices where file.messages[message].signals[signal].name == name {
          apply(change, to: &file.messages[message].signals[signal])
        }
      }
    }
  }

  private static func apply(_ change: Sidecar.Change, to signal: inout DBCSignal) {
    if let length = change.bitLength { signal.bitLength = length }
    if let start = change.startBit { signal.startBit = start }
    if let order = change.byteOrder, order != signal.byteOrder { turn(&signal, order) }
    if let factor = change.factor { signal.factor = factor }
    if let offset = change.offset { signal.offset = offset }
    if let isSigned = change.isSigned { signal.isSigned = isSigned }
    if change.factor != nil || change.offset != nil || change.isSigned != nil {
      // The range of the reading as the DBC stands does not hold for this one.
      signal.minimum = 0
      signal.maximum = 0
    }
  }

  /// The same bytes read the other way round; whole bytes only.
  private static func turn(_ signal: inout DBCSignal, _ order: DBCSignal.ByteOrder) {
    let first = signal.linearStart / 8
    guard signal.linearStart % 8 == 0, signal.bitLength % 8 == 0 else { return }
    signal.byteOrder = order
    signal.startBit = order == .bigEndian ? first * 8 + 7 : first * 8
  }

  /// The IDs under which a message travels in a variant.
  public func slots(of message: DBCMessage, variant: Sidecar.Variant?) -> [MessageSlotPlace] {
    let address = sidecar.address
    let isAddressed = address?.messages.contains(message.name) ?? false
    let base = isAddressed ? ArbitrationID(rawValue: message.id.rawValue & ~(address?.mask ?? 0)) : message.id
    if let ids = variant?.ids {
      if ids.omit.contains(message.name) { return [] }
      // The address's place in the ID is given up for the shift.
      let cleared = message.id.number & ~(address?.mask ?? 0)
      let number = ids.map[message.name] ?? (cleared >> UInt32(ids.shift))
      let id: ArbitrationID = ids.width == .standard ? .standard(number) : .extended(number)
      if ids.width == .standard, number > 0x7FF { return [] }
      return [MessageSlotPlace(id: id, address: 0, hasAddress: false)]
    }
    guard isAddressed, let address else { return [MessageSlotPlace(id: base, address: 0, hasAddress: false)] }
    return (address.first...address.last).map { value in
      MessageSlotPlace(
        id: ArbitrationID(rawValue: base.rawValue | UInt32(value) << UInt32(address.shift)), address: UInt8(clamping: value),
        hasAddress: true)
    }
  }

  /// An ID of a message and the address in it.
  public struct MessageSlotPlace: Sendable, Hashable {
    /// The ID a frame is seen under.
    public var id: ArbitrationID
    /// The battery's address in that ID.
    public var address: UInt8
    /// Whether the ID carries an address.
    public var hasAddress: Bool
  }

  /// Adds this protocol to a plan.
  /// - Parameters:
  ///   - variant: names the readings, IDs and the variant that output shows.
  ///   - readings: on top of the variant's.
  public func add(to compiler: inout PlanCompiler, variant: Sidecar.Variant?, readings: [String: String] = [:]) {
    var context = PlanCompiler.Context()
    context.protocolName = protocolName
    context.variant = variant?.name
    context.roles = sidecar.roles
    context.flags = sidecar.flags
    context.textSignals = sidecar.textSignals
    context.ids = { message in
      slots(of: message, variant: variant).map { .init(id: $0.id, message: 0, address: $0.address, hasAddress: $0.hasAddress) }
    }
    let choice = (variant?.readings ?? [:]).merging(readings) { $1 }
    compiler.add(dbc(readings: choice), context)
  }

  /// This protocol alone as a plan.
  public func plan(variant: Sidecar.Variant?, readings: [String: String] = [:]) -> DissectionPlan {
    var compiler = PlanCompiler()
    add(to: &compiler, variant: variant, readings: readings)
    return compiler.finish()
  }
}

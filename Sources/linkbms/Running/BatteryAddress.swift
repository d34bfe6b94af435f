import Formats

/// The address of a battery as `--address` gives it. Without these the plan's lowest would be used instead, unsaid.
enum BatteryAddress {
  /// Refuses an address that no ID of the protocol's variant carries.
  static func check(_ address: UInt8?, _ link: CompiledLink) throws(WorldError) {
    guard let address else { return }
    let known = link.addresses
    guard known?.contains(address) != true else { return }
    let name = link.definition.protocolName
    // Some protocols call their first variant as themselves.
    let variant = link.variant.flatMap { $0 == name ? nil : ":" + $0 } ?? ""
    throw refusal(address, known: known, of: name + variant)
  }

  /// - Parameters:
  ///   - known: the addresses that there are; `nil` = none.
  ///   - name: the protocol or message.
  static func refusal(_ address: UInt8, known: ClosedRange<UInt8>?, of name: String) -> WorldError {
    guard let known else { return WorldError(message: "--address: found \(address), expected none: \(name) has no addresses") }
    return WorldError(message: "--address: found \(address), expected \(known.lowerBound) to \(known.upperBound)")
  }
}

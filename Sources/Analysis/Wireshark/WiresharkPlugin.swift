public import Formats
import Protocols

/// A Lua plugin for Wireshark and tshark, made from definitions: tables first, then the code that reads them. The same definitions give
/// the same bytes.
public struct WiresharkPlugin: Sendable {
  /// What the plugin's preferences stand at until somebody changes them.
  public struct Defaults: Sendable, Equatable {
    /// `protocol/variant`, or `nil` for automatic.
    public var profile: String?
    /// By bus, in the words of the preference: `can0=pylontech-hv/pylon-std; can1=none`.
    public var buses = ""
    /// Everything automatic.
    public init() {}
  }

  /// The whole file.
  public let text: String
  /// What of the definitions the plugin cannot hold, for people.
  public let omissions: [String]

  /// - Parameters:
  ///   - definitions: protocols in the order in which they are preferred where nothing else decides.
  ///   - version: of the program, named in the head of the file.
  public init(_ definitions: [Definition], defaults: Defaults = Defaults(), version: String) {
    let protocols = definitions.map(WiresharkProtocol.init)
    omissions = protocols.flatMap(\.omissions)
    text =
      WiresharkPlugin.head(protocols, version) + WiresharkTables.text(protocols) + WiresharkPlugin.defaults(defaults)
      + WiresharkRuntime.values + WiresharkRuntime.profiles + WiresharkRuntime.choosing + WiresharkRuntime.frames
      + WiresharkChain.tables + WiresharkChain.code + WiresharkRecords.code + WiresharkRuntime.end
  }

  /// Profiles that the preference `linkbms.profile` offers beside `automatic`.
  public static func profileNames(_ definitions: [Definition]) -> [String] {
    definitions.flatMap { definition in
      definition.sidecar.variants.isEmpty
        ? [definition.protocolName] : definition.sidecar.variants.map { "\(definition.protocolName)/\($0.name)" }
    }
  }

  /// What was identified, in the words of the preference `linkbms.buses`.
  public static func buses(_ verdicts: [BusIdentification]) -> String {
    verdicts.map { verdict in
      let speaks = ([verdict] + verdict.others).compactMap(profile)
      return "\(verdict.bus)=\(speaks.isEmpty ? "none" : speaks.joined(separator: " & "))"
    }.joined(separator: "; ")
  }

  private static func profile(_ verdict: BusIdentification) -> String? {
    guard let name = verdict.protocolName else { return nil }
    let readings = verdict.readings.sorted { $0.key < $1.key }.map { ",\($0.key):\($0.value)" }
    return name + (verdict.variant.map { "/\($0)" } ?? "") + readings.joined()
  }

  private static func head(_ protocols: [WiresharkProtocol], _ version: String) -> String {
    let names = protocols.map {
      "--   \(LuaText.comment($0.definition.protocolName)): \(LuaText.comment($0.definition.sidecar.title))\n"
    }
    return """
      -- LinkBMS for Wireshark and tshark: messages between batteries and inverters on CAN, LinkSlave chains, and the controller's records.
      -- Written by `linkbms export wireshark` \(LuaText.comment(version)) from these definitions; change those, not this file:
      \(names.joined())\
      -- Install: copy to ~/.local/lib/wireshark/plugins/ (Wireshark: About, Folders, Personal Lua Plugins), or give it to one run:
      --   tshark -X lua_script:linkbms.lua -r capture.pcapng
      -- Which protocol and variant: Edit, Preferences, Protocols, LINKBMS, or -o linkbms.profile:PROTOCOL/VARIANT, and by bus
      --   -o "linkbms.buses:can0=PROTOCOL/VARIANT,reading:option; can1=PROTOCOL & PROTOCOL; can2=none".
      -- Filters: linkbms.message == "Totals", linkbms.pylontech_hv.totals.pack_voltage > 380, linkbms.flag, _ws.expert.


      """
  }

  private static func defaults(_ defaults: Defaults) -> String {
    """
    local default_profile = \(LuaText.quoted(defaults.profile ?? "automatic"))
    local default_buses = \(LuaText.quoted(defaults.buses))


    """
  }
}

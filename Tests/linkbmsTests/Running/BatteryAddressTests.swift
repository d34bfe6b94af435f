import Controller
import Formats
import Protocols
import Testing

@testable import linkbms

/// `--address` of whoever plays a battery or looks for one.
@Suite struct BatteryAddressTests {
  @Test(
    arguments: [
      ("battery", "pylontech-hv", 200, "--address: found 200, expected 0 to 15"),
      ("inverter", "deye-hv", 16, "--address: found 16, expected 0 to 15"),
      ("battery", "growatt-hv", 0, "--address: found 0, expected none: growatt-hv has no addresses"),
      (
        "battery", "pylontech-hv:pylon-11bit", 1, "--address: found 1, expected none: pylontech-hv:pylon-11bit has no addresses"
      ),
    ] as [(String, String, Int, String)])
  func aVirtualEndHasNoAddressThatTheProtocolHasNot(side: String, profile: String, address: Int, message: String) throws {
    var world = MemoryWorld(MemoryBuses())
    let words = ["virtual", side, "--profile", profile, "--can", "mem://a"]
    let error = #expect(throws: WorldError.self) { _ = try world.job(words + ["--address", "\(address)"]) }
    #expect(error?.message == message, "\(error?.message ?? "")")
    _ = try world.job(words)
  }

  @Test func aVirtualEndTakesEveryAddressOfItsProtocol() throws {
    var world = MemoryWorld(MemoryBuses())
    for address in ["0", "15"] {
      _ = try world.job(["virtual", "battery", "--profile", "pylontech-hv", "--can", "mem://a", "--address", address])
    }
  }

  /// Addresses of the sessions that `run` and `commission` would have on two buses.
  private func addresses(_ spoken: InverterProtocol, _ address: UInt8?) throws -> [UInt8] {
    var configuration = Configuration()
    configuration[.inverterProtocol] = spoken.rawValue
    var world = MemoryWorld(MemoryBuses())
    var options = DefinitionOptions()
    options.dissectors = nil
    let library = try world.library(options)
    return try SystemOptions.sessions(configuration, buses: 2, variant: nil, address: address, library).map(\.address)
  }

  @Test func aRunHasNoAddressThatTheProtocolHasNot() throws {
    #expect(try addresses(.deye, nil) == [0, 0])
    #expect(try addresses(.deye, 15) == [15, 15])
    #expect(try addresses(.sofar2, nil) == [1, 1])
    let beyond = #expect(throws: WorldError.self) { _ = try addresses(.deye, 200) }
    #expect(beyond?.message == "--address: found 200, expected 0 to 15", "\(beyond?.message ?? "")")
    let none = #expect(throws: WorldError.self) { _ = try addresses(.goodwe, 1) }
    #expect(none?.message == "--address: found 1, expected none: goodwe has no addresses", "\(none?.message ?? "")")
  }
}

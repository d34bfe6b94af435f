import Testing

@testable import HostIO

@Suite struct PortAddressTests {
  @Test func readsAndWritesEachKind() throws {
    for text in [
      "can0", "socketcand://host:29536/can0", "slcan:///dev/ttyACM0@500000", "udp://239.74.163.2:43113", "pcap://can0",
      "pcap://can0?link[0:4] & 0x1fffffff = 0x351",
    ] {
      #expect(try PortAddress(text).description == text)
    }
    #expect(try PortAddress("udp://") == .multicast(group: "239.74.163.2", port: 43_113))
    #expect(try PortAddress("pcap://can0?").description == "pcap://can0")
    #expect(try PortAddress("pcap://can1?link[0] = 1?").busName == "can1")
  }

  @Test func whatIsNoneSaysWhatIs() {
    for text in [
      "", "a/b", "x y", "name-of-16-bytes", "pcap://", "pcap://?x", "pcap://a/b", "slcan://ttyACM0", "socketcand://h",
      "tap+tcp://h:1",
    ] {
      #expect(throws: PortError.badAddress(text, expected: PortAddress.expected)) { try PortAddress(text) }
    }
  }
}

@Suite struct KernelDropsTests {
  @Test func totalsBecomeDifferencesAcrossTheWrapAndANewSocket() {
    var drops = KernelDrops()
    #expect(
      drops.advance(to: 0) == 0 && drops.advance(to: 5) == 5 && drops.advance(to: 5) == 0
        && drops.advance(to: 0xFFFF_FFFE) == 0xFFFF_FFF9)
    #expect(drops.advance(to: 3) == 5)
    drops.startAnew()
    #expect(drops.advance(to: 2) == 2)
  }
}

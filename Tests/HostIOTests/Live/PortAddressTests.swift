import Testing

@testable import HostIO

@Suite struct PortAddressTests {
  @Test func readsAndWritesEachKind() throws {
    for text in [
      "can0", "socketcand://host:29536/can0", "slcan:///dev/ttyACM0@500000", "udp://239.74.163.2:43113", "pcap://can0",
      "pcap://can0?link[0:4] & 0x1fffffff = 0x351", "can0,351:7FF,4200:1FFFFFF0", "can0?time=hardware",
      "can0,80004200:9FFFFFF0,355~7FF,#40,j?time=hardware", "slcan:///dev/ttyACM0@500000?serial=57600,status=off",
      "slcan:///dev/ttyACM0@125000?status=off",
    ] {
      #expect(try PortAddress(text).description == text)
    }
    #expect(try PortAddress("udp://") == .multicast(group: "239.74.163.2", port: 43_113))
    #expect(try PortAddress("pcap://can0?").description == "pcap://can0")
    #expect(try PortAddress("pcap://can1?link[0] = 1?").busName == "can1")
    #expect(try PortAddress("can0?time=system") == .socketCAN(interface: "can0"))
    #expect(try PortAddress("slcan:///dev/x?serial=9600") == .slcan(device: "/dev/x", bitRate: 500_000, serialRate: 9600))
  }

  /// As candump reads them, but for an ID alone.
  @Test func filtersAreCandumps() throws {
    var filter = KernelFilter()
    filter.words = [
      .init(id: 0x351, mask: 0x7FF), .init(id: 0x8000_4200, mask: 0x9FFF_FFF0),
      .init(id: 0x4200, mask: 0x1FFF_FFF0, isInverted: true), .init(id: 0x355, mask: 0x9FFF_FFFF),
      .init(id: 0x8000_4200, mask: 0x9FFF_FFFF),
    ]
    filter.errorMask = 0x1FFF_FFFF
    let text = "can0,351:7FF,00004200:9FFFFFF0,4200~3FFFFFF0,355,4200,#FFFFFFFF"
    #expect(try PortAddress(text) == .socketCAN(interface: "can0", filter: filter))
    filter = KernelFilter()
    filter.isJoined = true
    #expect(try PortAddress("can0,J") == .socketCAN(interface: "can0", filter: filter))
    #expect(try PortAddress("can0").busName == "can0" && PortAddress("can0,351?time=hardware").busName == "can0")
  }

  @Test(arguments: [
    "can0,", "can0,351:", "can0,:7FF", "can0,xyz:7FF", "can0,351:7FF:1", "can0,#", "can0,123456789:1", "can0,351:7FF,",
    "can0,20000000", "can0,20000351:7FF", "can0,FFFFFFFF~7FF",
  ])
  func aFilterThatIsNoneSaysWhatIs(text: String) {
    #expect(throws: PortError.badAddress(text, expected: KernelFilter.expected)) { try PortAddress(text) }
  }

  @Test func whatElseAnAddressAsksForIsNoOtherBus() throws {
    for (one, other) in [
      ("can0", "can0,351:7FF?time=hardware"), ("slcan:///dev/x", "slcan:///dev/x@500000?serial=57600,status=off"),
      ("udp://", "udp://239.74.163.2:43113"), ("pcap://can0", "pcap://can0?link[0] = 1"),
    ] {
      #expect(try PortAddress(one).withoutOptions == PortAddress(other).withoutOptions)
    }
    #expect(try PortAddress("can0").withoutOptions != PortAddress("can1").withoutOptions)
    #expect(try PortAddress("slcan:///dev/x@250000").withoutOptions != PortAddress("slcan:///dev/x").withoutOptions)
  }

  @Test func whatIsNoneSaysWhatIs() {
    for text in [
      "", "a/b", "x y", "name-of-16-bytes", "pcap://", "pcap://?x", "pcap://a/b", "slcan://ttyACM0", "socketcand://h",
      "tap+tcp://h:1", ",351:7FF", "can0?time=now", "can0?speed=1", "can0?time", "can0?time=system,time=system",
      "slcan:///dev/x@1?status=maybe", "slcan:///dev/x?serial=0", "slcan:///dev/x?serial=",
    ] {
      #expect(throws: PortError.badAddress(text, expected: PortAddress.expected)) { try PortAddress(text) }
    }
  }
}

@Suite struct PortWordsTests {
  /// A virtual interface has no bit rate: the kernel would refuse to set one.
  @Test func anInterfaceThatIsDownIsBroughtUpAsItsKindWantsIt() {
    #expect(PortError.down("can0").description.hasSuffix("linkbms bus can0 --bitrate 500000 --up"))
    #expect(PortError.down("vcan0", isVirtual: true).description.hasSuffix("linkbms bus vcan0 --up"))
  }

  @Test func onlyLittleRoomIsWorthAWord() {
    let words = ReceiveRoom.advice(kept_bytes: 212_992, wanted_bytes: 16 << 20)
    #expect(words?.hasPrefix("the kernel lets only some 473 frames wait: more with CAP_NET_ADMIN") == true, "\(words ?? "")")
    #expect(words?.hasSuffix("sysctl net.core.rmem_max=16777216") == true)
    #expect(ReceiveRoom.advice(kept_bytes: 16 << 20, wanted_bytes: 16 << 20) == nil)
    #expect(ReceiveRoom.advice(kept_bytes: -1, wanted_bytes: 16 << 20) == nil && ReceiveRoom.advice(-1, wanted_bytes: 1) == nil)
  }

  @Test func whatIsNoFrameIsCalledByItsName() {
    let advice = PortAdvice(unit: "line", expected: "slcan", question: "is the rate right?")
    #expect(advice.malformed(1) == "1 line was no slcan: is the rate right?")
    #expect(advice.malformed(57) == "57 lines were no slcan: is the rate right?")
  }
}

@Suite struct LossReasonTests {
  @Test func eachReasonIsToldOnceUntilItIsThereAgain() {
    var reason = LossReason()
    #expect(reason.news(.down("can0")) == .down("can0"))
    #expect(reason.news(.down("can0")) == nil)
    #expect(reason.news(.absent("can0")) == .vanished("can0"))
    #expect(reason.news(.vanished("can0")) == nil)
    // Plugged in again, and down.
    #expect(reason.news(.down("can0")) == .down("can0"))
    reason.end()
    #expect(reason.news(.down("can0")) == .down("can0"))
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

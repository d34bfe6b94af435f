# ports against each other, can-utils, python-can; controllers set and read back; interfaces that go and come back
swift_tests 'SocketCAN|CANInterface|CANController|PcapPort' 21

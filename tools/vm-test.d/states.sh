# error states, counters, error frames, bus-off and restart, of adapters that a script plays
# can-vm: --usb
swift_tests CANStates 2

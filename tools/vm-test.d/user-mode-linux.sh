# the ports on another kernel, with interfaces that have no controller
# can-vm: --uml
swift_tests SocketCANPort 9

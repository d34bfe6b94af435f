# multicast where loopback is all there is, and lines over real serial ports
swift_tests 'MulticastPortTests/othersHearIt|SerialLineTests' 2

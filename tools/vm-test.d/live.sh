# live commands on real SocketCAN: bus, capture beside candump, send, replay, both ends of a link, bridge, interfaces that go and come back
# can-vm: --timeout 400
# A background job of a script ignores SIGINT: SIGTERM ends one in order just as well.
work=$(mktemp -d)
end() { kill -TERM "$1" 2> /dev/null || true; wait "$1" || true; }
holds() { grep -q -- "$1" "$2"; }

# bus: list, settings, changes.
"$linkbms" bus > "$work/list"
for name in vcan0 can0 can1; do holds "^$name" "$work/list"; done
"$linkbms" bus can0 > "$work/can0"
holds '500000 bit/s' "$work/can0"
holds 'frames in 1 s, 0.0 % of the bit rate' "$work/can0"
"$linkbms" bus can0 --bitrate 250000 --restart-ms 100 --up > "$work/can0"
holds '250000 bit/s' "$work/can0"
ip -details link show can0 | grep -q 'bitrate 250000'
ip -details link show can0 | grep -q 'restart-ms 100'
"$linkbms" bus can0 --bitrate 500000 --up --format json | python3 -c 'import json, sys; assert json.load(sys.stdin)["bitrate"] == 500000'
! "$linkbms" bus lo 2> "$work/error"
holds 'is not a CAN interface' "$work/error"
status=0
"$linkbms" shell -c 'arm cna0' 2> "$work/error" || status=$?
same "status of arming a slip of the hand" "$status" 2
holds 'cna0: there is no such interface.*did you mean "can0"' "$work/error"
"$linkbms" bus can0 --down > /dev/null
[ $(($(cat /sys/class/net/can0/flags) & 1)) = 0 ]
status=0
"$linkbms" bus can0 --bitrate 3000000 --up > /dev/null 2> "$work/error" || status=$?
same "status of a bit rate that cannot be" "$status" 2
holds 'cannot do 3000000 bit/s' "$work/error"
"$linkbms" bus can0 --bitrate 500000 --up > /dev/null

# capture beside candump: frame for frame, of every kind.
virtual vcan7
dump vcan7 "$work/candump"
"$linkbms" capture vcan7 --write "$work/ours.log" 2> "$work/said" &
capture=$!
knocked_too() { cansend vcan7 7F0# && [ -s "$work/ours.log" ]; }
until_true knocked_too
for frame in 123#11 123#R 123#R4 00004210#1122334455667788 '123##1AABBCC' 7FF#; do cansend vcan7 "$frame"; done
cangen vcan7 -g 0 -n 5000 -m -I r -L r -D r
last=7F1#5ABE5ABE5ABE5ABE
cansend vcan7 $last
both() { holds $last "$work/ours.log" && holds $last "$work/candump"; }
until_true both
status=0
kill -TERM $capture
wait $capture || status=$?
# Ours says the direction, candump -L does not.
sed 's/ [RT]$//' "$work/ours.log" > "$work/plain.log"
heard "$work/plain.log" > "$work/a"
heard "$work/candump" | tail -n "$(wc -l < "$work/a")" > "$work/b"
cmp "$work/a" "$work/b"
# 5007, less what looks like a knock by chance.
[ "$(wc -l < "$work/a")" -ge 5000 ]
holds 'frames in' "$work/said"
echo "   capture ended with status $status: $(tail -n 1 "$work/said")" >&2

# A killed recorder leaves a readable file.
"$linkbms" capture vcan7 --write "$work/killed.pcapng" &
capture=$!
cangen vcan7 -g 5 &
noise=$!
until_true test -s "$work/killed.pcapng"
sleep 2
kill -9 $capture
wait $capture || true
kill $noise
[ "$("$linkbms" decode "$work/killed.pcapng" | wc -l)" -gt 100 ]

# send and replay are heard by candump: frames of every kind as they are, in order.
virtual vcan8
dump vcan8 "$work/sent"
for frame in 351#0102030405060708 00004200# 305#R8 123##1AABB; do "$linkbms" send vcan8 $frame; done
arrived() { [ "$(heard "$work/sent" | wc -l)" -ge 4 ]; }
until_true arrived
same "sent" "$(heard "$work/sent" | tr '\n' ' ' | sed 's/##5/##1/')" "351#0102030405060708 00004200# 305#R8 123##1AABB "
"$linkbms" send vcan7 00004200#0102 --every 10ms --count 5
until_true holds '00004200#0102' "$work/candump"
"$linkbms" replay Captures/deye-hv-clean/capture.log --to vcan7 --speed max --until 2 2> /dev/null
until_true holds '00007340#' "$work/candump"

# Both ends on two controllers, and the verdict.
"$linkbms" virtual battery --profile deye-hv --can can0 < /dev/null > "$work/battery" &
battery=$!
until_true holds waiting "$work/battery"
"$linkbms" virtual inverter --profile deye-hv --can can1 < /dev/null > "$work/inverter" &
inverter=$!
until_true holds 'online' "$work/inverter"
"$linkbms" diagnose --live can0 --for 10s > "$work/verdict"
holds 'the link is fine' "$work/verdict"
"$linkbms" monitor can1 --for 3s | grep -q 'Totals  PackVoltage'
end $battery
end $inverter

# A bridge between a controller and a virtual bus, one way with a change.
dump vcan0 "$work/bridged"
"$linkbms" bridge can0 vcan0 --one-way --protocol deye-hv --set PackVoltage=380 2> "$work/bridge" &
bridge=$!
through() { cansend can1 00004210#0000000000003200 && grep -q '00004210#D80E000000003200' "$work/bridged"; }
until_true through
end $bridge
holds 'can0 → vcan0' "$work/bridge"
# What a program on this machine sends passes, too.
"$linkbms" bridge vcan7 vcan0 --one-way 2> "$work/bridge" &
bridge=$!
local_too() { cansend vcan7 00004210#C0FFEE && holds '00004210#C0FFEE' "$work/bridged"; }
until_true local_too
end $bridge
holds 'vcan7 → vcan0' "$work/bridge"

# A frame that the other side cannot carry is dropped and said, and the bridge goes on.
virtual vcan9 16
dump vcan9 "$work/classic"
"$linkbms" bridge vcan7 vcan9 --one-way 2> "$work/bridge" &
bridge=$!
flows() { cansend vcan7 126# && holds ' 126#' "$work/classic"; }
until_true flows
cansend vcan7 '127##1AABB'
until_true holds 'vcan9: cannot send CAN FD frames.*mtu 72.*such frames are dropped' "$work/bridge"
goes_on() { cansend vcan7 128#01 && holds ' 128#01' "$work/classic"; }
until_true goes_on
end $bridge
holds ', 1 could not be sent there' "$work/bridge"

# An address that filters in the kernel: nothing else is ever seen.
"$linkbms" capture 'vcan7,351:7FF?time=hardware' --write "$work/filtered.log" 2> "$work/said" &
capture=$!
passes() { cansend vcan7 350# && cansend vcan7 351#01 && holds ' 351#01' "$work/filtered.log"; }
until_true passes
end $capture
same "IDs behind a filter" "$(cut -d ' ' -f 3 "$work/filtered.log" | cut -d '#' -f 1 | sort -u)" 351

# An interface that goes and comes back, in the middle of a capture.
"$linkbms" capture vcan7 --write "$work/gone.log" 2> "$work/said" &
capture=$!
knocked_again() { cansend vcan7 111# && holds '111#' "$work/gone.log"; }
until_true knocked_again
ip link set vcan7 down
until_true holds 'linkbms: vcan7' "$work/said"
ip link set vcan7 up
back() { cansend vcan7 222# && holds '222#' "$work/gone.log"; }
until_true back
end $capture
echo "   live commands did what they say" >&2

# the program itself on real buses: bus sets and reads back, capture hears what candump hears, send is heard
virtual vcan1

echo "-- bus" >&2
"$linkbms" bus > /tmp/list
for name in can0 can1 vcan0 vcan1; do grep -q "^$name" /tmp/list || { cat /tmp/list >&2; exit 1; }; done
"$linkbms" bus can0 --bitrate 250000 --restart-ms 100 --up > /tmp/can0
same "bit rate as the system shows it" "$(ip -details link show can0 | grep -o 'bitrate [0-9]*')" "bitrate 250000"
same "restart" "$(ip -details link show can0 | grep -o 'restart-ms [0-9]*')" "restart-ms 100"
"$linkbms" bus can0 --down > /dev/null
[ $(($(cat /sys/class/net/can0/flags) & 1)) = 0 ]
status=0
"$linkbms" bus can0 --bitrate 3000000 --up > /dev/null 2> /tmp/said || status=$?
same "a bit rate that cannot be" "$status" 2
grep -q 'cannot do 3000000 bit/s' /tmp/said
"$linkbms" bus can0 --bitrate 500000 --up > /dev/null

echo "-- send is heard by candump" >&2
dump vcan1 /tmp/dump
for frame in 351#0102030405060708 00004200# 305#R8 123##1AABB; do "$linkbms" send vcan1 $frame 2> /dev/null; done
arrived() { [ "$(heard /tmp/dump | wc -l)" -ge 4 ]; }
until_true arrived
same "sent" "$(heard /tmp/dump | tr '\n' ' ' | sed 's/##5/##1/')" "351#0102030405060708 00004200# 305#R8 123##1AABB "

echo "-- capture hears what candump hears" >&2
"$linkbms" capture vcan1 --write /tmp/capture.log 2> /tmp/capture.said &
capture=$!
dump vcan1 /tmp/dump2
listening() { cansend vcan1 7F0#; sleep .1; grep -q '7F0#' /tmp/capture.log; }
until_true listening
cangen vcan1 -g 0 -n 5000 -m -I r -L r -D r
cansend vcan1 7F1#
both() { grep -q ' 7F1#' /tmp/dump2 && grep -q ' 7F1#' /tmp/capture.log; }
until_true both
# Not with SIGINT: what runs in the background of a script ignores that.
kill -TERM $capture
status=0
wait $capture || status=$?
echo "   capture ended with status $status: $(tail -n 1 /tmp/capture.said)" >&2
# Directions stand behind the frame in ours.
ours() { sed 's/ [RT]$//' "$1" | cut -d ' ' -f 3 | grep -v '^7F0#$'; }
same "frames" "$(ours /tmp/capture.log | sha256sum)" "$(ours /tmp/dump2 | sha256sum)"
same "number of frames" "$(ours /tmp/capture.log | wc -l)" 5001

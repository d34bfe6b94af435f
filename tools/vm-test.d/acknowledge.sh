# send and replay where nobody acknowledges: told with what the controller reports, status 2; with another node there they get through
# can-vm: --usb
work=$(mktemp -d)
holds() { grep -q -- "$1" "$2" || { cat "$2" >&2; return 1; }; }
controller can2 500000
said() { # STATUS EXPECTED COMMAND…
  local status=0
  "$linkbms" "${@:3}" 2> "$work/said" || status=$?
  same "status of ${*:3}" "$status" "$1" || { cat "$work/said" >&2; return 1; }
  [ -z "$2" ] || holds "$2" "$work/said"
}
# The frame stays in the controller and would go out at once with another node there: taken down, the interface throws it away.
said 2 'can2: the frame was not acknowledged within 2 s, the controller reports: .*is another node there' send can2 123#01
controller can2 500000
said 2 'can2: the frame was not acknowledged within 2 s' send can2 123#02 --every 5s
controller can2 500000
# One after the other, until the controller and the interface's queue are full.
said 2 'can2: .* of .* frames were not acknowledged within 2 s' send can2 123#03 --every 1ms
controller can2 500000
said 2 'can2: .* frames were not acknowledged within 2 s' replay Captures/deye-hv-clean/capture.log --to can2 --speed max --until 1
# Somebody who listens only acknowledges nothing.
controller can2 500000
controller can3 500000 listen-only on
said 2 'can3: only listens: .*linkbms bus can3 --listen-only off --up' send can3 123#04
said 2 'can2: the frame was not acknowledged' send can2 123#04
echo "   without another node send and replay say so" >&2

controller can2 500000
controller can3 500000 listen-only off
dump can3 "$work/heard"
said 0 '' send can2 123#05
said 0 '' send can2 124#06 --every 2ms --count 50
all() { [ "$(heard "$work/heard" | wc -l)" -ge 51 ]; }
until_true all
same "frames that were heard" "$(heard "$work/heard" | sort | uniq -c | tr -s ' \n' ' ')" " 1 123#05 50 124#06 "

# Off the bus while it sends.
"$linkbms" send can2 125#07 --every 50ms 2> "$work/said" &
send=$!
sending() { grep -q ' 125#07' "$work/heard"; }
until_true sending
echo "0 bus-off 0 255" > /run/adapters
status=0
wait $send || status=$?
same "status of send off the bus" "$status" 2
holds 'can2: the controller went off the bus (.*bus-off' "$work/said"
echo "   with one they get through; off the bus is told at once" >&2

# linkbms run against linkbms virtual inverter: every protocol on two controllers, an interface that goes and comes back, half an hour in as many seconds
# can-vm: --timeout 560
work=$(mktemp -d)
holds() { grep -q -- "$1" "$2"; }
show() { echo "-- $1 failed:" >&2; tail -n 15 "$work/$1".{out,said,inverter} >&2 || true; return 1; }

# A scenario of a battery that is used gently, and the words for both ends.
begin() { # NAME PROTOCOL PROFILE CAN CAN-OF-THE-INVERTER SPEED [options of run]
  name=$1
  cat > "$work/$name.yaml" << END
configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: $2}
plant: {soc: 60}
load-period: 7200
load: [{at: 0, current: 4}, {at: 3600, current: -4}]
END
  "$linkbms" run --simulate "$work/$name.yaml" --state "$work/$name.state" --speed "$6" --can "$4" "${@:7}" \
    > "$work/$name.out" 2> "$work/$name.said" &
  run=$!
  # At a multiple of the wall clock's pace, what an inverter asks while a program starts would be many questions at once.
  until_true holds 'RUNNING' "$work/$name.out" || show "$name"
  "$linkbms" virtual inverter --profile "$3" --can "$5" --speed "$6" < /dev/null > "$work/$name.inverter" 2>&1 &
  inverter=$!
}
finish() {
  kill -TERM $inverter 2> /dev/null || true
  wait $inverter || true
}
# SIGTERM: limits to 0, contactors open, state stored, status 0.
stop_run() {
  local status=0
  kill -TERM $run
  wait $run || status=$?
  finish
  same "status of run after SIGTERM ($name)" "$status" 0 || show "$name"
  holds 'stop: SIGTERM' "$work/$name.said" && holds 'ended in order: contactors open, state stored' "$work/$name.said" || show "$name"
  [ -s "$work/$name.state" ] || show "$name"
}
running='RUNNING, negative + positive closed,.*inverter online'

for spoken in deye=deye-hv goodwe=goodwe pylontech=pylontech-hv sofar1=sofar:sofar1 sofar2=sofar:sofar2; do
  begin "${spoken%%=*}" "${spoken%%=*}" "${spoken#*=}" can0 can1 5 --status-every 5s --record "$work/${spoken%%=*}.pcapng"
  met() { [ "$(grep -c -- "$running" "$work/$name.out")" -ge 6 ] && holds 'online' "$work/$name.inverter"; }
  until_true met || show "$name"
  stop_run
  # What it recorded has the times of the run: the link is judged as if it had run at the wall clock's pace.
  "$linkbms" diagnose "$work/$name-0001.pcapng" > "$work/$name.verdict" || { cat "$work/$name.verdict" >&2; show "$name"; }
  ! holds '(error)' "$work/$name.verdict" || { cat "$work/$name.verdict" >&2; show "$name"; }
  echo "   $name: running and online; $(head -n 1 "$work/$name.verdict")" >&2
done

# An interface that goes and comes back while the battery is on the inverter: open with the reason, then closed again.
begin gone deye deye-hv can0 can1 1 --status-every 1s
met() { holds "$running" "$work/gone.out"; }
until_true met || show gone
ip link set can0 down
opened() { tail -n 1 "$work/gone.out" | grep -q 'open,' && holds 'can0.*down' "$work/gone.said"; }
until_true opened || show gone
ip link set can0 up
closed() { tail -n 1 "$work/gone.out" | grep -q -- "$running"; }
until_true closed || show gone
grep -E 'can0' "$work/gone.said" | head -n 4 >&2
stop_run
echo "   an interface that goes opens the contactors; with it back they close again" >&2

# send on an interface that is down says so.
ip link set can0 down
status=0
"$linkbms" send can0 123#01 2> "$work/error" || status=$?
same "status of send on an interface that is down" "$status" 2
holds 'can0.*down' "$work/error"
ip link set can0 up

# A recorder that goes on in new files under a flood keeps the latest, each of its size, and loses nothing without saying so.
cangen can1 -g 0 -i -L 8 &
flood=$!
"$linkbms" capture can0 --write "$work/flood.log" --rotate 1M --keep 3 2> "$work/flood.said" &
capture=$!
fourth() { [ -e "$work/flood-0005.log" ]; }
for _ in {1..5}; do until_true fourth && break; done
kill -TERM $capture
wait $capture || true
kill $flood
[ -e "$work/flood-0005.log" ] || { ls -l "$work" >&2; exit 1; }
same "files that are kept" "$(ls "$work"/flood-*.log | wc -l)" 3
for file in "$work"/flood-*.log; do [ "$(stat -c %s "$file")" -lt 1200000 ]; done
echo "   $(tail -n 1 "$work/flood.said")" >&2

# Half an hour of use. The emulated machine has no more than about a hundred times the wall clock's pace in it.
virtual vcan1
since=$SECONDS
begin half pylontech pylontech-hv vcan1 vcan1 60 --status-every 3m --for 30m
status=0
wait $run || status=$?
finish
same "status of run after half an hour" "$status" 0 || show half
[ "$(grep -c -- "$running" "$work/half.out")" -ge 8 ] || show half
holds 'ended in order' "$work/half.said" || show half
echo "   half an hour in $((SECONDS - since)) s" >&2

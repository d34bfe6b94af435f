# a whole day of use: every protocol of `run` in every variant, and both ends of every variant that has a handshake, several at once
# can-vm: --memory 1024 --timeout 43200
# DAY_SPEED seconds pass in one, DAY_HOURS hours (24), DAY_TOGETHER links at once, each on a bus of its own; DAY_ONLY="deye goodwe:goodwe"
# takes some of them: the words of `run`, with all their variants, and PROTOCOL:VARIANT for both ends played. The virtual machine's processor
# is emulated: it has room for one link at 60 times the wall clock's pace, 24 minutes a day. With --here they go over python-can's multicast
# on this machine: two cores that do nothing else take some 25 of them at that pace.
speed=${DAY_SPEED:-60} hours=${DAY_HOURS:-24} only=" ${DAY_ONLY:-} "
together=${DAY_TOGETHER:-$([ -n "${CAN_VM:-}" ] && echo 1 || echo 32)}
work=$(mktemp -d)
# What the machine is late counts so many times over. As root the links come before whatever else runs; they sleep most of the time.
soon=()
! chrt -f 1 true 2> /dev/null || soon=(chrt -f 1)
wanted() { [ "$only" = "  " ] || [[ $only == *" $1 "* ]]; }
lines() { grep -c -- "$1" "$2" || true; }
# A bus of its own for link number N.
bus() {
  if [ -n "${CAN_VM:-}" ]; then virtual "vcan$1" >&2 && echo "vcan$1"; else echo "udp://239.74.163.77:$((43200 + $1))"; fi
}
# An end that came online stays so until the day is over: it shows no other state before that.
stayed_online() { # FILE
  awk -v end=$((hours * 3600)) '
    / online: / { online = 1; next }
    online && /^[0-9.]+ s +[a-z]+: / && $1 < end { print "   left: " $0 > "/dev/stderr"; left++ }
    END { exit !online || left }' "$1" 2> "$1.left" || { head -n 5 "$1.left" >&2; return 1; }
}

# The controller on a simulated battery that is used gently, and an inverter.
run_day() { # WORD PROFILE VARIANT BUS FOLDER
  cd "$5"
  cat > plant.yaml << END
configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: $1}
plant: {soc: 60}
load-period: 7200
load: [{at: 0, current: 4}, {at: 3600, current: -4}]
END
  local status=0 run inverter all good
  "${soon[@]}" "$linkbms" run --simulate plant.yaml --state state --speed "$speed" --can "$4" --variant "$3" --status-every 30m --for "${hours}h" > out 2> said &
  run=$!
  until_true grep -q '→ RUNNING' said
  "${soon[@]}" "$linkbms" virtual inverter --profile "$2:$3" --can "$4" --speed "$speed" < /dev/null > inverter 2>&1 &
  inverter=$!
  wait $run || status=$?
  kill -TERM $inverter 2> /dev/null || true
  wait $inverter || true
  all=$(lines . out) good=$(lines 'RUNNING, negative + positive closed,.*inverter online' out)
  echo "$good of $all states RUNNING and online, $(lines 'contactors are to open: ' said) doubts, start and end among them"
  # The first state may be shown before the inverter is there.
  [ "$status" = 0 ] && [ "$good" -ge $((hours * 2 - 2)) ] && [ $((all - good)) -le 2 ] && grep -q 'ended in order' said
  [ "$(lines 'contactors are to open: ' said)" -le 2 ]
  stayed_online inverter
}
# Both ends as `virtual` plays them.
pair_day() { # PROFILE BUS FOLDER
  cd "$3"
  local status=0 battery seconds=$((hours * 3600 / speed))
  "${soon[@]}" "$linkbms" virtual battery --profile "$1" --can "$2" --speed "$speed" < /dev/null > battery 2> said &
  battery=$!
  sleep 1
  if ! kill -0 $battery 2> /dev/null; then
    # A definition without a handshake: told, and no failure.
    sed 's/^linkbms: //; q' said
    grep -q 'does not say how its' said
    return
  fi
  "${soon[@]}" "$linkbms" virtual inverter --profile "$1" --can "$2" --speed "$speed" --for "${seconds}s" < /dev/null > inverter 2> inverter.said || status=$?
  kill -TERM $battery
  wait $battery || status=$?
  tail -n 1 inverter.said | sed 's/.*: \([0-9]* frames sent, [0-9]* heard\).*/inverter: \1/'
  [ "$status" = 0 ] || [ "$status" = 143 ]
  stayed_online inverter
  stayed_online battery
}

names=() pids=() failed=() number=0
begin() { # NAME FUNCTION ARGUMENTS…
  while [ "$(jobs -rp | wc -l)" -ge "$together" ]; do wait -n || true; done
  number=$((number + 1))
  mkdir "$work/$number"
  local bus
  bus=$(bus $number)
  (set -e; "${@:2}" "$bus" "$work/$number") > "$work/$number.words" 2>&1 &
  names+=("$1") pids+=($!)
}
since=$SECONDS
"$linkbms" dissectors | awk '
  /^[a-z]/ { profile = $1 }
  /^  / { gsub(",", ""); for (i = 1; i <= NF; i++) print profile ":" $i }' > "$work/variants"
for spoken in deye=deye-hv goodwe=goodwe pylontech=pylontech-hv sofar1=sofar sofar2=sofar; do
  word=${spoken%%=*}
  wanted "$word" || continue
  while IFS=: read -r profile variant; do
    [ "$profile" = "${spoken#*=}" ] || continue
    # The address of a Sofar battery is what its two words differ in.
    [[ "$word$variant" != sofar1sofar2 && "$word$variant" != sofar2sofar[1-]* ]] || continue
    begin "run, $word, $variant" run_day "$word" "$profile" "$variant"
  done < "$work/variants"
done
while read -r variant; do ! wanted "$variant" || begin "$variant" pair_day "$variant"; done < "$work/variants"
for place in "${!pids[@]}"; do
  status=0
  wait "${pids[$place]}" || status=$?
  [ $status = 0 ] || failed+=("${names[$place]}")
  echo "   ${names[$place]}: $([ $status = 0 ] || echo "FAILED: ")$(tr '\n' ';' < "$work/$((place + 1)).words")" >&2
done
echo "   ${#pids[@]} links, $hours h each at $speed times the wall clock's pace in $((SECONDS - since)) s; failed: ${failed[*]:-none}" >&2
[ ${#failed[@]} -eq 0 ] && [ ${#pids[@]} -gt 0 ]

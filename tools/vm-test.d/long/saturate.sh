# a bus without a gap for ten minutes: capture beside candump has every frame, or says the loss that its own socket had
# can-vm: --memory 4096 --timeout 1800
# SATURATE_SECONDS=60 makes it shorter. A virtual bus is filled by its sender without any pause; on the emulated controllers, for a tenth of
# the time, most frames are lost before the kernel has them, and both have to hear the controller say so. At last both listen without rights.
seconds=${SATURATE_SECONDS:-600}
work=$(mktemp -d)
last=7F1#5ABE5ABE5ABE5ABE
count() { cat "/sys/class/net/$1/statistics/$2"; }
# KiB of memory that a process has.
memory() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
ticks() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; }
# Frames without marks, knocks and directions, and the loss that a log tells.
frames() { sed '/^DROPCOUNT/d; s/ [RT]$//' "$1" | cut -d ' ' -f 3 | grep -vE "^(7F0#|$last)\$" || true; }
loss() { sed -n "s/^DROPCOUNT: dropped \([0-9]*\) .*/\1/p" "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }

flood() { # SENDER LISTENER SECONDS [WHO LISTENS…]
  local as=("${@:4}")
  # Both with the same room in the kernel, both with error frames.
  "${as[@]}" candump -L -d -r 16777216 "$2,0:0,#FFFFFFFF" > "$work/theirs.log" 2> /dev/null &
  local candump=$!
  "${as[@]}" "$linkbms" capture "$2" --write "$work/ours.log" 2> "$work/said" &
  local capture=$!
  knock() { cansend "$1" 7F0# && grep -q ' 7F0#' "$work/theirs.log" && grep -q ' 7F0#' "$work/ours.log"; }
  until_true knock "$1"
  local received failed begin=$SECONDS
  # Flat: what it has after a sixth of the time, or after all of it. It writes what it hears; only a leak grows with the frames.
  local early=0
  (sleep $(($3 / 6 + 1)) && memory $capture > "$work/early") &
  received=$(count "$2" rx_packets) failed=$(count "$2" rx_errors)
  timeout "$3" cangen "$1" -g 0 -i -I r -L 8 -D i > /dev/null 2>&1 || true
  local took=$((SECONDS - begin))
  received=$(($(count "$2" rx_packets) - received)) failed=$(($(count "$2" rx_errors) - failed))
  # Among what is still on its way a mark may be refused or lost.
  marked() { cansend "$1" $last; sleep .2; tail -n 20 "$work/theirs.log" | grep -q $last && tail -n 20 "$work/ours.log" | grep -q $last; }
  until_true marked "$1"
  local ours_cpu theirs_cpu status=0
  ours_cpu=$(ticks $capture) theirs_cpu=$(ticks $candump)
  local late
  early=$(cat "$work/early") late=$(memory $capture)
  kill -TERM $capture
  wait $capture || status=$?
  kill -TERM $candump
  wait $candump || true
  local ours theirs ours_lost theirs_lost errors
  ours=$(frames "$work/ours.log" | wc -l) theirs=$(frames "$work/theirs.log" | wc -l)
  ours_lost=$(loss "$work/ours.log") theirs_lost=$(loss "$work/theirs.log")
  errors=$(frames "$work/ours.log" | grep -c '^2000' || true)
  {
    echo "   $2: $took s, the kernel counts $received frames, $((received / took)) a second, and $failed failures; $errors error frames"
    echo "   linkbms $ours frames, $ours_lost lost, $ours_cpu s of CPU; candump $theirs frames, $theirs_lost lost, $theirs_cpu s"
    echo "   memory of linkbms: $early KiB early, $late KiB at the end"
    tail -n 1 "$work/said" | sed 's/^/   /'
  } >&2
  [ "$received" -gt $((took * 100)) ]
  [ "$late" -le $((early + early / 4 + 4096)) ] || same "KiB of memory" "$late" "$early"
  # The same in two ways: marks and knocks are lost like any other frame.
  local difference=$((ours + ours_lost - theirs - theirs_lost))
  [ ${difference#-} -le $([ "$ours_lost$theirs_lost" = 00 ] && echo 0 || echo 20) ] || same "frames heard and lost" $((ours + ours_lost)) $((theirs + theirs_lost))
  same "status after SIGTERM" "$status" 143
  if [ "$ours_lost" -gt 0 ]; then grep -q 'frames lost' "$work/said"; fi
  if [ "$ours_lost$theirs_lost" = 00 ]; then
    same "frames in their order" "$(frames "$work/ours.log" | sha256sum)" "$(frames "$work/theirs.log" | sha256sum)"
    echo "   the same frames in the same order" >&2
  fi
  rm "$work"/*.log
}

virtual vcan9
flood vcan9 vcan9 "$seconds"
flood can1 can0 $((seconds / 10 > 10 ? seconds / 10 : 10))
# An ordinary user has the room that the kernel gives everybody, 200 KiB: more is lost, and it is counted all the same.
chmod 777 "$work"
flood vcan9 vcan9 $((seconds / 10 > 10 ? seconds / 10 : 10)) setpriv --reuid 65534 --regid 65534 --clear-groups

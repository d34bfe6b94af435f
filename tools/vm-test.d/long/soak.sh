# half an hour at full load: every program that is meant to run for months keeps the memory, files and threads that it had early on
# can-vm: --memory 4096 --timeout 3600
# SOAK_SECONDS=300 makes it shorter. With --here it goes over python-can's multicast. What it has after a third of the time is compared with
# what it has at the end: by then caches, rings and the allocator's arenas are full.
seconds=${SOAK_SECONDS:-1800}
work=$(mktemp -d)
cd "$work"
project=$OLDPWD
names=() pids=() ended=''
trap 'kill "${pids[@]}" 2> /dev/null || true; rm -rf "$work"' EXIT

bus() { # NUMBER
  if [ -n "${CAN_VM:-}" ]; then virtual "vcan$1" >&2 && echo "vcan$1"; else echo "udp://239.74.163.78:$((43300 + $1))"; fi
}
background() { # NAME COMMAND…
  local name=$1
  shift
  "$@" >> "$name.out" 2>> "$name.said" < /dev/null &
  names+=("$name") pids+=($!)
}
measure() { # PID: KiB of memory, open files, threads
  echo "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status") $(ls "/proc/$1/fd" | wc -l) $(ls "/proc/$1/task" | wc -l)"
}
# The largest system: 390 cells on two chains, with both buses, pages, history, recording.
largest=$project/Captures/scenarios/four-hundred-volts-of-cells.yaml
sed '/^configuration:/a \  protocol: pylontech' "$largest" | sed '/^load:/,$d' > plant.yaml
echo 'load: [{at: 0, current: -2}, {at: 1800, current: 2}, {at: 3600, current: -2}]' >> plant.yaml
echo 'load-period: 3600' >> plant.yaml
link=$(bus 1) second=$(bus 2) flood=$(bus 3) far=$(bus 4)

background run "$linkbms" run --simulate plant.yaml --state state --speed 10 --can "$link" --can2 "$second" --http 127.0.0.1:18741 \
  --history history.sqlite --record run.pcapng --rotate 20M --keep 3 --status-every 1s --deadline 900ms
until_true grep -q RUNNING run.out
background inverter "$linkbms" virtual inverter --profile pylontech-hv --can "$link" --speed 10
background inverter2 "$linkbms" virtual inverter --profile pylontech-hv --can "$second" --speed 10
# Chains and a PDU behind a line, and a controller of their own.
sed -n '/^configuration:/,/^plant:/p' plant.yaml | sed '1d; $d; s/^  //' > bms.yaml
background slaves "$linkbms" virtual slaves --plant plant.yaml --chain tap+tcp://127.0.0.1:18742
until_true bash -c 'exec 3<> /dev/tcp/127.0.0.1/18742' || { cat slaves.said >&2; false; }
background run-on-a-line "$linkbms" run --config bms.yaml --state state2 --chain tap+tcp://127.0.0.1:18742 --can "$(bus 5)" --status-every 1s
# A bus that is full, and all that listens: what a link says, played without end, among frames that nobody knows.
golden=$project/Captures/deye-hv-clean/capture.log
for id in 7F1 7F2 7F3; do background "send-$id" "$linkbms" send "$flood" "$id#0011223344556677" --every 1ms; done
background replay "$linkbms" replay "$golden" --to "$flood" --loop 0 --speed 100
background capture "$linkbms" capture "$flood" "$link" --write capture.pcapng --rotate 20M --keep 3
background decode "$linkbms" capture "$flood" --decode --format json
background trigger "$linkbms" capture "$flood" --trigger '7F1 gap > 20s' --trigger '4200 unanswered 50' --before 5s
background monitor "$linkbms" monitor "$flood"
background diagnose "$linkbms" diagnose --live "$flood"
background bridge "$linkbms" bridge "$flood" "$far" --filter 7F1:7FF --map-id 7F1=7F4
cat > script.lbm << END
capture $link --decode &
monitor $far &
sleep $((seconds * 2))
END
background prompt "$linkbms" -x script.lbm
# Somebody looks at the pages all the time: the data, and the stream of changes read slowly.
background reader python3 -c '
import http.client, time
stream = http.client.HTTPConnection("127.0.0.1", 18741); stream.request("GET", "/events"); answer = stream.getresponse()
while True:
    c = http.client.HTTPConnection("127.0.0.1", 18741)
    for path in ("/", "/data.json", "/history", "/cells"):
        c.request("GET", path); c.getresponse().read()
    c.close(); answer.read1(2000); time.sleep(.2)'

begin=$SECONDS
until [ -n "$ended" ]; do
  sleep $((seconds / 180 + 1))
  [ $((SECONDS - begin)) -lt "$seconds" ] || ended=yes
  for place in "${!pids[@]}"; do
    [ -d "/proc/${pids[$place]}" ] || { echo "   ${names[$place]} ended:" >&2; tail -n 5 "${names[$place]}".{out,said} >&2; exit 1; }
    echo "$((SECONDS - begin)) $(measure "${pids[$place]}")" >> "${names[$place]}.measured"
    # Only its size counts: what decode prints would fill the disk of a small machine.
    : > "${names[$place]}.out"
  done
done
bad=''
for name in "${names[@]}"; do
  [ "$name" != reader ] || continue
  # Medians of a twelfth of the time behind the third, and of the last twelfth.
  awk -v all="$seconds" -v name="$name" '
    function median(list, n,   i, j, t) {
      for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
      return list[int((n + 1) / 2)]
    }
    $1 > all / 3 && $1 <= all * 5 / 12 { early[++e] = $2; files = $3; threads = $4 }
    $1 > all * 11 / 12 { late[++l] = $2; files_late = $3; threads_late = $4 }
    END {
      a = median(early, e); b = median(late, l)
      printf "   %-14s %7d KiB early, %7d KiB late; %d, %d files; %d, %d threads\n", name, a, b, files, files_late, threads, threads_late
      exit !(e > 0 && l > 0) || b > a + a / 20 + 2048 || files_late > files + 4 || threads_late > threads + 2
    }' "$name.measured" >&2 || { bad+=" $name"; awk 'NR % 12 == 1' "$name.measured" >&2; }
done
[ -z "$bad" ] || { echo "grew:$bad" >&2; exit 1; }

# the unit of `run --print-unit` under a real systemd: its rights, start, sign of life, reload, kills, end, and a configuration that is wrong
# can-vm: --systemd --memory 1024 --timeout 1200
[ -n "${CAN_VM:-}" ] || { echo "this needs a machine of its own: only in a virtual one" >&2; exit 1; }
# Not in /tmp: systemd puts one of its own over it.
work=/run/bench
mkdir $work
say() { echo "   $*" >&2; }
holds() { grep -q -- "$1" "$2"; }
# until_true, bounded in time: a turn takes seconds here, and what is wrong is to be shown before the machine is stopped.
soon() {
  local end=$((SECONDS + 240))
  until "$@" > /dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "waited in vain for: $*" >&2
      systemctl --no-pager list-jobs >&2 || true
      systemctl --no-pager status linkbms >&2 || true
      journalctl -o cat --no-pager -n 40 >&2 || true
      tail -n 20 "$work/systemd" "$work/slaves" >&2
      return 1
    fi
    sleep .2
  done
}

# ---------------------------------------------------------------- a systemd with nothing but what the unit needs
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
units=/etc/systemd/system
mkdir -p $units /var/lib
# What would look at the machine's devices, or do what a first start does, has nothing to do here.
for unit in systemd-udevd systemd-udev-trigger systemd-udev-settle systemd-hwdb-update systemd-firstboot systemd-update-done systemd-binfmt \
  systemd-random-seed systemd-sysctl systemd-modules-load systemd-machine-id-commit ldconfig systemd-boot-system-token systemd-sysusers \
  systemd-tmpfiles-setup-dev systemd-remount-fs systemd-pcrphase systemd-pcrphase-sysinit systemd-timesyncd systemd-networkd systemd-resolved \
  systemd-journal-catalog-update systemd-journal-flush apparmor keyboard-setup console-setup; do
  ln -sfn /dev/null $units/$unit.service
done
printf '[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n' > $units/bench.target
container=linkbms unshare --pid --fork --mount --mount-proc --kill-child /lib/systemd/systemd --system --unit=bench.target \
  --log-target=journal > "$work/systemd" 2>&1 &
soon eval 'first=$(pgrep -nx systemd)'
inside() { nsenter -t "$first" -m -p "$@"; }
systemctl() { inside systemctl "$@"; }
journalctl() { inside journalctl "$@"; }
soon systemctl is-active --quiet bench.target
say "$(/lib/systemd/systemd --version | head -n 1)"

# ---------------------------------------------------------------- battery, line and inverter outside, as they are in life
cat > "$work/plant.yaml" << 'END'
configuration: {preset: lfp, bms1-slaves: 1, bms1-cells-per-module: 8, protocol: pylontech}
plant: {soc: 60}
load: [{at: 0, current: 2}]
END
mkfifo "$work/tell"
sleep infinity > "$work/tell" &
"$linkbms" virtual slaves --plant "$work/plant.yaml" --chain tap+tcp://127.0.0.1:2000 < "$work/tell" > "$work/slaves" 2>&1 &
"$linkbms" virtual inverter --profile pylontech-hv --can can1 < /dev/null > "$work/inverter" 2>&1 &
# What the PDU holds, asked on its own side.
pdu() { local before; before=$(wc -l < "$work/slaves"); echo status > "$work/tell"; sleep 1; tail -n +$((before + 1)) "$work/slaves"; }
closed() { pdu | grep -q 'battery on the inverter'; }
open() { pdu | grep -q 'battery off the inverter'; }

# ---------------------------------------------------------------- the unit as it is printed, its bit rate too; can0 is down
ip link set can0 down
mkdir -p /var/lib/linkbms
"$linkbms" config preset lfp --file /var/lib/linkbms/bms.yaml
"$linkbms" config set bms1-slaves=1 bms1-cells-per-module=8 cell-count=8 protocol=pylontech --file /var/lib/linkbms/bms.yaml
(
  cd "$work"
  "$linkbms" run --config /var/lib/linkbms/bms.yaml --can can0 --chain tap+tcp://127.0.0.1:2000 --http :80 --history month.sqlite \
    --record run.pcapng --print-unit
) | sed 's/^# ExecStartPre=/ExecStartPre=/' > $units/linkbms.service
systemd-analyze verify $units/linkbms.service 2>&1 | grep -v 'man \|Failed to prepare filename' >&2 || true
systemctl daemon-reload
systemctl start linkbms
systemctl is-active --quiet linkbms
pid() { systemctl show -P MainPID linkbms; }
# The number of the process as this shell sees it.
main() { pgrep -nf "^$linkbms run --config /var/lib/linkbms" || pgrep -nf 'linkbms run --config /var/lib/linkbms'; }
log() { journalctl -o cat --no-pager -u linkbms; }
soon closed
say "closed, on can0 whose bit rate the unit has set: $(ip -d link show can0 | grep -o 'bitrate [0-9]*')"
soon holds 'online' "$work/inverter"

process=/proc/$(main)
# A user of systemd's making, out of its range.
user=$(stat -c %u "$process")
[ "$user" -ge 61184 ] && [ "$user" -le 65519 ] || same "user" "$user" "61184 to 65519"
effective=$(sed -n 's/^CapEff:\t//p' "$process/status")
same "capabilities (NET_BIND_SERVICE, NET_ADMIN, NET_RAW)" "$effective" 0000000000003400
same "scheduling" "$(chrt -p "$(main)" | sed -n 's/.*: //p' | tr '\n' ' ' | sed 's/|SCHED_RESET_ON_FORK//')" "SCHED_RR 20 "
# All its memory stays in: a page that must be fetched first makes a step late.
[ "$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "$process/status")" -gt 1000 ]
page=$(python3 -c 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1/data.json", timeout=60).read().decode()[:60])')
say "as user $user, in real time, memory locked; port 80: $page…"
soon test -s /var/lib/linkbms/month.sqlite
soon test -s /var/lib/linkbms/run-0001.pcapng

# ---------------------------------------------------------------- reload
"$linkbms" config set charge-current-max=11 --file /var/lib/linkbms/bms.yaml
systemctl reload linkbms
soon eval 'log | grep -A 1 "configuration read again" | grep -q "configuration in force"'
closed
say "reload: $(log | grep -A 1 "configuration read again" | tr "\n" ";") nothing opened"

# ---------------------------------------------------------------- it hangs: no sign of life, killed, there again
before=$(pid)
kill -STOP "$(main)"
began=$SECONDS
soon open
say "stopped dead: the PDU opened by itself within $((SECONDS - began)) s"
soon eval '[ "$(pid)" != 0 ] && [ "$(pid)" != "$before" ] && systemctl is-active --quiet linkbms'
soon eval 'journalctl -o cat --no-pager | grep -q "Watchdog timeout"'
soon closed
say "killed by the watchdog, started anew, closed after everything was measured; restarts: $(systemctl show -P NRestarts linkbms)"

# ---------------------------------------------------------------- it is killed
before=$(pid)
kill -KILL "$(main)"
soon eval '[ "$(pid)" != 0 ] && [ "$(pid)" != "$before" ] && systemctl is-active --quiet linkbms'
soon closed
say "killed: started anew and closed; restarts: $(systemctl show -P NRestarts linkbms)"

# ---------------------------------------------------------------- it is ended in order, and stays so
systemctl stop linkbms
soon open
log | grep -q 'ended in order: contactors open, state stored'
same "result" "$(systemctl show -P Result linkbms) $(systemctl show -P ExecMainStatus linkbms)" "success 0"
[ -s /var/lib/linkbms/state ]
say "stopped: $(log | grep 'ended in order' | tail -n 1)"

# ---------------------------------------------------------------- what is wrong is said where people look, and nothing is closed
sed -i 's/^bms1-slaves: 1/bms1-slaves: many/' /var/lib/linkbms/bms.yaml
systemctl start linkbms || true
soon eval 'log | grep -q "found .many"'
soon eval 'log | grep -q "CONFIG ERR"'
open
systemctl stop linkbms
open
say "a wrong configuration: $(log | grep -m 1 many)"

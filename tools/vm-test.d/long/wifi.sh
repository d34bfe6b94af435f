# WiFi through a real NetworkManager: networks that are heard, wrong and right passwords, the button, and the master's own network for a telephone
# can-vm: --gpio --wifi --memory 1024 --timeout 900
[ -n "${CAN_VM:-}" ] || { echo "this would take over the machine's network: only in a virtual one" >&2; exit 1; }
work=$(mktemp -d)
holds() { grep -q -- "$1" "$2"; }
say() { echo "   $*" >&2; }
show() {
  echo "-- $1" >&2
  tail -n 25 "$work"/{said,page,supplicant,network-manager} >&2 || true
  nmcli connection show >&2 || true
  nmcli device >&2 || true
  return 1
}
# until_true, bounded in time: a turn takes seconds here, and what is wrong is to be shown before the machine is stopped.
soon() {
  local end=$((SECONDS + 120))
  until "$@" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep .1
  done
}

# Somebody's access point (wlan0) and a telephone (wlan2), each with a network of its own as if they stood elsewhere. The master has wlan1: a
# radio's address is 02:00:00:00:0N:00, and LinkBMS-0000 would also be the name of one that has none.
for place in home:wlan0 telephone:wlan2; do
  ip netns add "${place%%:*}"
  iw phy "$(cat "/sys/class/net/${place#*:}/phy80211/name")" set netns name "${place%%:*}"
  ip -n "${place%%:*}" link set lo up
  ip -n "${place%%:*}" link set "${place#*:}" up
done
cat > "$work/home.conf" << 'END'
network={
  ssid="at home"
  mode=2
  frequency=2437
  key_mgmt=WPA-PSK
  proto=RSN
  pairwise=CCMP
  psk="open sesame 1"
}
END
ip netns exec home wpa_supplicant -B -i wlan0 -c "$work/home.conf" > "$work/home.log" 2>&1
ip -n home addr add 192.0.2.1/24 dev wlan0
ip netns exec home dnsmasq --conf-file=/dev/null --port=0 --interface=wlan0 --bind-interfaces --user=root --dhcp-authoritative \
  --dhcp-range=192.0.2.10,192.0.2.20,1h --dhcp-leasefile="$work/leases" --pid-file="$work/dnsmasq.pid"

# The master's system: its bus, its devices, NetworkManager for wlan1 alone, without what this machine may have set up for it.
mkdir -p /run/dbus
for folder in conf.d system-connections; do
  mkdir -p /etc/NetworkManager/$folder
  mount -t tmpfs none /etc/NetworkManager/$folder
done
dbus-daemon --system --fork
udevd=/lib/systemd/systemd-udevd
[ -e "$udevd" ] || udevd=/usr/lib/systemd/systemd-udevd
"$udevd" --daemon
udevadm trigger --action=add --subsystem-match=net
udevadm settle
# By hand: the bus may start nothing, for the program that does it for it has to be set up by its package's scripts.
wpa_supplicant -u -O /run/wpa_supplicant > "$work/supplicant" 2>&1 &
supplies() {
  dbus-send --system --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.GetNameOwner \
    string:fi.w1.wpa_supplicant1
}
soon supplies || show "wpa_supplicant does not start"
cat > /etc/NetworkManager/NetworkManager.conf << 'END'
[main]
plugins=keyfile
auth-polkit=false
dhcp=internal
dns=none
hostname-mode=none
no-auto-default=*
[keyfile]
unmanaged-devices=*,except:interface-name:wlan1
[logging]
level=INFO
END
manage() {
  # --debug: it stays, and its log comes here.
  NetworkManager --debug >> "$work/network-manager" 2>&1 &
  manager=$!
  soon nmcli general status || show "NetworkManager does not start"
}
manage

chip=$(gpiodetect | sed -n 's/^\(gpiochip[0-9]*\) \[viperboard gpio b\].*/\1/p')
wire() { echo "$1" > /run/board; }
"$linkbms" run --simulate Captures/scenarios/deye-link.yaml --state "$work/state" --gpio "$chip" --gpio-reset-button 10:low --http :8080 \
  > "$work/out" 2> "$work/said" &
run=$!
pages() { python3 tools/vm-test.d/lib/pages.py "$work/cookies" http://127.0.0.1:8080 "$@" > "$work/page"; }
code() { sed -n 's/.*password of the pages: \([0-9]*\).*/\1/p' "$work/said" | grep .; }
soon code || show "no pages"
pages login "$(code)" || show "no login"

hears_home() { pages get /wifi && holds 'at home' "$work/page"; }
soon hears_home || show "the network is not heard"
say "the pages show the network that is heard"

connected() { [ "$(nmcli -g GENERAL.STATE device show wlan1 | cut -d ' ' -f 1)" = 100 ] && [ "$(nmcli -g NAME connection show --active | grep -v '^lo$')" = "$1" ]; }
! pages post /wifi "ssid=at home" "psk=open sesame 2" || show "a wrong password was taken"
holds 'The password is wrong\.' "$work/page" || show "no words about a wrong password"
say "a wrong password: it says that it is wrong"
[ -z "$(nmcli -g NAME connection show | grep linkbms)" ] || show "something is left of it"
! pages post /wifi ssid=nowhere "psk=open sesame 1" || show "a network that is not there was taken"
holds 'NetworkManager says: Error: ' "$work/page" || show "no words about a network that is not there"
say "a network that is not there: $(grep -o 'NetworkManager says: [^<]*' "$work/page")"

# Whoever is on the machine reads every command line; this sees them as ps does, but much faster. What this script itself types is left out.
cat > "$work/watch" << 'END'
import os, sys, time
seen = set()
while not os.path.exists(sys.argv[1] + ".end"):
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "pages.py" not in line:
            seen.add(line)
    time.sleep(.005)
with open(sys.argv[1], "w") as file:
    file.write("\n".join(sorted(seen)) + "\n")
END
python3 "$work/watch" "$work/words" &
watch=$!
pages post /wifi "ssid=at home" "psk=open sesame 1" || show "the right password was not taken"
touch "$work/words.end"
wait $watch
holds 'Connected\.' "$work/page" || show "no words about the right password"
holds 'nmcli connection edit linkbms-new' "$work/words" || show "nobody has seen how the password was set"
! grep 'open sesame' "$work/words" >&2 || show "the password stands in a command line"
soon connected linkbms || show "not connected"
busybox ping -c 1 -W 5 -I wlan1 192.0.2.1 > /dev/null || show "connected, and nothing gets through"
shown() { pages get /wifi && holds 'at home</th><td>[0-9]* %</td><td>password</td><td>connected<' "$work/page"; }
soon shown || show "the page does not show it"
say "the right one, with its blanks: connected, $(ip -4 -o addr show wlan1 | awk '{ print $4 }'), in no command line"

# It has to outlive a restart.
kill $manager
wait $manager || true
ip addr flush dev wlan1
manage
soon connected linkbms || show "not connected again after a restart"
say "a restart of NetworkManager: connected again by itself"

# Six seconds on the button: forgotten, and a network of the master's own.
wire "10 0"
sleep 6
wire "10 1"
opened() { holds 'reset button: the WiFi is forgotten; to choose another: connect to the WiFi LinkBMS-' "$work/said"; }
soon opened || show "no network of its own"
own=$(grep -o 'LinkBMS-[0-9A-F]*' "$work/said" | tail -n 1)
# Whatever address it took for its search.
address=$(tr -d : < /sys/class/net/wlan1/phy80211/macaddress | tr a-f A-F)
[ "${address: -4}" != 0000 ] || show "the radio has the address $address"
same "its name" "$own" "LinkBMS-${address: -4}"
soon connected linkbms-setup || show "its own network is not up"

cat > "$work/telephone.conf" << END
network={
  ssid="$own"
  psk="pppppppp"
}
END
ip netns exec telephone wpa_supplicant -B -i wlan2 -c "$work/telephone.conf" > "$work/telephone.log" 2>&1
cat > "$work/lease" << 'END'
#!/bin/sh
[ "$1" != bound ] || ip addr add "$ip/24" dev "$interface"
END
chmod +x "$work/lease"
ip netns exec telephone busybox udhcpc -i wlan2 -s "$work/lease" -t 60 -T 1 -q > "$work/telephone.dhcp" 2>&1 &
leased() { ip -n telephone -4 -o addr show wlan2 | grep ' 1\.2\.3\.'; }
soon leased || { cat "$work"/telephone.* >&2; show "the telephone gets no address"; }
telephone() { ip netns exec telephone python3 tools/vm-test.d/lib/pages.py "$work/telephone.cookies" http://1.2.3.4:8080 "$@"; }
telephone_reads() { telephone get /wifi > "$work/telephone.page" && holds "$1" "$work/telephone.page"; }
soon telephone_reads 'Name in the network' || show "the telephone does not reach the pages"
say "the button: $own, where a telephone has $(ip -n telephone -4 -o addr show wlan2 | awk '{ print $4 }') and reads the pages on 1.2.3.4"

# A mistake leaves the way back open. The answer is lost with the radio that goes to look for the other network: it waits on the page.
telephone login '' > /dev/null || show "the telephone cannot log in"
telephone post /wifi "ssid=at home" "psk=open sesame 2" > "$work/telephone.answer" 2>&1 &
kept() { pages get /wifi && holds 'at home at .* UTC: The password is wrong\.' "$work/page"; }
soon kept || show "what became of it is not kept"
soon connected linkbms-setup || show "its own network did not come back"
soon telephone_reads 'at home at .* UTC: The password is wrong\.' || show "the telephone does not learn why"
say "a wrong password from there: $own is there again, and says why"

# The network that works takes its place.
pages post /wifi "ssid=at home" "psk=open sesame 1" || show "the right password was not taken"
soon connected linkbms || show "not connected"
same "what is left" "$(nmcli -g NAME connection show | grep linkbms | sort | tr '\n' ' ')" "linkbms "
pages get /wifi && holds 'at home at .* UTC: Connected\.' "$work/page" || show "what became of it is not kept"
say "the right one: connected, its own network is gone"

kill -TERM $run
status=0
wait $run || status=$?
same "status of run after SIGTERM" "$status" 0

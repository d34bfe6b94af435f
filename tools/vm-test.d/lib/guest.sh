# Sourced before each case of tools/vm-test, inside the virtual machine. Bash.
# shellcheck shell=bash

# Waits until a command succeeds: for readiness, never for time.
until_true() {
  local left
  for left in {1..1000}; do
    "$@" > /dev/null 2>&1 && return
    sleep .02
  done
  echo "waited in vain for: $*" >&2
  return 1
}

# Fails unless two texts are alike.
same() { # WHAT FOUND EXPECTED
  [ "$2" = "$3" ] || { printf '%s:\n  found    %s\n  expected %s\n' "$1" "$2" "$3" >&2; return 1; }
}

# A virtual interface, up, that takes FD frames.
virtual() { # NAME [MTU]
  [ ! -e "/sys/class/net/$1" ] || ip link del "$1"
  ip link add "$1" type vcan
  ip link set "$1" mtu "${2:-72}" up
}

# Sets a controller anew.
controller() { # NAME BITRATE [ip link options]
  ip link set "$1" down
  ip link set "$1" type can bitrate "$2" "${@:3}"
  ip link set "$1" up
}

# Starts candump -L on an interface into a file, and returns once it hears: it is knocked at with a frame 7F0, whose lines are to be
# ignored (heard drops them).
dump() { # INTERFACE FILE [candump options]
  candump -L -r 8388608 "${@:3}" "$1" > "$2" 2> /dev/null &
  until_true knocked "$1" "$2"
}
knocked() { cansend "$1" 7F0# && [ -s "$2" ]; }
heard() { grep -v ' 7F0#$' "$1" | cut -d ' ' -f 3- || true; }

# Runs tests of the Swift bundle. That they are there is asked for: a filter that finds nothing would pass.
swift_tests() { # FILTER LEAST-NUMBER
  local log=/tmp/swift-tests
  "$tests" --testing-library swift-testing --filter "$1" > "$log" 2>&1 || { cat "$log" >&2; return 1; }
  local count
  count=$(grep -acE 'Test [A-Za-z]+\(.*\) passed' "$log" || true)
  [ "$count" -ge "$2" ] || { cat "$log" >&2; echo "only $count tests ran, expected $2" >&2; return 1; }
  echo "   $count Swift tests passed" >&2
}

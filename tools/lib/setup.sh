# Sourced by the tools: says and installs what is missing, and knows how the project is built. Bash.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

say() { printf '%s\n' "$*" >&2; }
# Begins a stage of a long script, and says how long the one before took.
stage() {
  stage_end
  stage_began=$SECONDS
  say "== $1"
}
stage_end() { [ -z "${stage_began:-}" ] || say "   $((SECONDS - stage_began)) s"; }

# beside NAME COMMAND…: begins a command whose end is awaited later. It is stopped, with all it started, where the script ends first.
declare -A beside_process=()
beside() {
  local name=$1
  shift
  mkdir -p "$root/.build"
  set -m
  "$@" > "$root/.build/beside-$name.log" 2>&1 < /dev/null &
  beside_process[$name]=$!
  set +m
  trap stop_beside EXIT
}
# await NAME: waits for it, prints what it said, and ends with its status.
await() {
  local status=0
  wait "${beside_process[$1]}" || status=$?
  unset "beside_process[$1]"
  cat "$root/.build/beside-$1.log" >&2
  return $status
}
stop_beside() {
  local process
  for process in "${beside_process[@]}"; do kill -- "-$process" 2>/dev/null || true; done
}

fail() { say "$(basename "$0"): $*"; exit 2; }

need_swift() {
  command -v swift >/dev/null 2>&1 && return
  say "The Swift toolchain (6.2 or later) is missing. These commands install it:"
  say ""
  case "$(. /etc/os-release 2>/dev/null; printf '%s %s' "${ID:-}" "${VERSION_ID:-}")" in
    "debian 12" | "ubuntu 24.04")
      say "  sudo apt-get update && sudo apt-get install -y curl ca-certificates gnupg"
      say "  curl -O https://download.swift.org/swiftly/linux/swiftly-\$(uname -m).tar.gz"
      say "  tar xzf swiftly-\$(uname -m).tar.gz && ./swiftly init --assume-yes"
      say "  . ~/.local/share/swiftly/env.sh"
      ;;
    *)
      say "  see https://www.swift.org/install/ for this system"
      ;;
  esac
  say ""
  say "Then run this again."
  exit 2
}

# Debian packages that are not installed yet, of those named.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$package"
  done
}

need_packages() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    say "This is no Debian or Ubuntu system, so nothing is installed here. Install what corresponds to:"
    say "  $*"
    say "and run this again. (On Fedora: libsocketcan-devel libpcap-devel libserialport-devel libgpiod-devel readline-devel zlib-devel libzip-devel mosquitto-devel avahi-devel sqlite-devel libpq-devel libxcrypt-devel.)"
    [ -n "${LINKBMS_SKIP_PACKAGES:-}" ] && return
    say "If they are there, set LINKBMS_SKIP_PACKAGES=1."
    exit 2
  fi
  local missing
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "as root, run: apt-get install -y $missing"
    as_root=(sudo)
  fi
  say "Installing: $missing"
  # shellcheck disable=SC2086
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1; then
    "${as_root[@]}" apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null ||
      fail "apt-get could not install: $missing"
  fi
}

# What the program needs to be built.
need_build() {
  need_packages libsocketcan-dev libpcap-dev libserialport-dev libgpiod-dev libreadline-dev zlib1g-dev libzip-dev libmosquitto-dev libavahi-client-dev libsqlite3-dev libpq-dev \
    libcrypt-dev pkg-config gcc libc6-dev git
  need_swift
}

# What only the tests need: peers to compare with. Python packages live in a virtual environment under .build.
need_tests() {
  need_build
  need_packages can-utils tshark lua5.2 lua5.4 openssl python3 python3-venv time postgresql
  venv="$root/.build/venv"
  if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import cantools, can, msgpack, pexpect, yaml' 2>/dev/null; then
    say "Installing Python packages for the tests into .build/venv: cantools python-can msgpack pexpect PyYAML"
    mkdir -p "$root/.build"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check cantools python-can msgpack pexpect PyYAML ||
      fail "pip could not install cantools python-can msgpack pexpect PyYAML"
  fi
  export PATH="$venv/bin:$PATH"
}

# What tools/gateway-check needs: a broker and a browser to try the pages with.
need_gateway_check() {
  need_tests
  need_packages mosquitto mosquitto-clients chromium avahi-daemon avahi-utils dbus iproute2 util-linux postgresql wrk
  if ! "$venv/bin/python" -c 'import jinja2, playwright, schemathesis' 2>/dev/null; then
    say "Installing Python packages for tools/gateway-check into .build/venv: Jinja2 playwright schemathesis"
    "$venv/bin/pip" install --quiet --disable-pip-version-check Jinja2 playwright schemathesis ||
      fail "pip could not install Jinja2 playwright schemathesis"
  fi
}

# What a virtual machine with SocketCAN needs (tools/can-vm). Its kernel is unpacked from Debian's package, not installed.
need_vm() {
  need_packages qemu-system-x86 user-mode-linux busybox-static kmod xz-utils socat iproute2 can-utils gpiod util-linux python3 tar gzip
}

# One way to build for all, or every file is compiled again. Without debug information, which is half of what is written and read, and which
# nobody looks at in a release build: a debug build has it.
swift_build=(swift build -c release -debug-info-format none)

# The program as people get it: the Swift libraries are linked in, so it starts in a few milliseconds and runs where no Swift is installed.
# Where everything is built already (LINKBMS_BUILT) nobody asks again: that takes seconds each time.
build_release() {
  [ -n "${LINKBMS_BUILT:-}" ] || LINKBMS_STATIC=1 "${swift_build[@]}" --product linkbms >&2
  linkbms="$root/.build/release/linkbms"
}

# The Swift tests and the program, from the same object files (Package.swift): one build for all. The program is linked last, so that the
# tests that start it, start what people get.
build_tests() {
  [ -n "${LINKBMS_BUILT:-}" ] || "${swift_build[@]}" --build-tests >&2
  build_release
}

# The Swift tests that are built, with --filter or --skip and a pattern. Not through `swift test`, of which two at a time meet in one database.
swift_tests=("$root/.build/release/linkbmsPackageTests.xctest" --testing-library swift-testing)

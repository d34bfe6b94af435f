# digital lines on a real chip of the kernel: outputs follow a run, an input opens, the button resets after 20 s, an unplugged chip opens
# can-vm: --gpio --timeout 560
chip=$(gpiodetect | sed -n 's/^\(gpiochip[0-9]*\) \[viperboard gpio b\].*/\1/p')
[ -n "$chip" ] || { gpiodetect >&2; cat /run/board.log >&2; exit 1; }
work=$(mktemp -d)
holds() { grep -q -- "$1" "$2"; }
outputs() { [ "$(cut -c 1-4 /run/board.state)" = "$1" ]; }
await_outputs() { until_true outputs "$1" || until_true outputs "$1" || { cat /run/board.state "$work/said" >&2; return 1; }; }
wire() { echo "$1" > /run/board; }

# A line that the chip has not, and one that is taken.
status=0
"$linkbms" run --simulate Captures/scenarios/deye-link.yaml --gpio "$chip" --gpio-input open=99 2> "$work/error" || status=$?
same "status with a line that is not there" "$status" 2
holds "$chip line 99: there is no such line" "$work/error" || { cat "$work/error" >&2; exit 1; }

# The lines stand in the configuration's file, and stay there when the table is saved. All wires are at the supply: active-low inputs are not
# active. Output 2 (line 1) is active at 0 V.
config="$work/bms.yaml"
"$linkbms" config set --file "$config" bms1-slaves=12 bms1-cells-per-module=8 cell-count=96 protocol=none 2> /dev/null
cat > "$work/lines" << END
# The board beside the machine.
gpio:
  chip: $chip
  outputs: [running=0, fault=1:low, charge=2]
  inputs:
    - open=8:low:pull-up  # the emergency stop
    - watch=9:low
  reset-button: 10:low
END
{ echo; cat "$work/lines"; } >> "$config"
"$linkbms" config set --file "$config" protocol=deye 2> /dev/null
tail -n 8 "$config" | cmp - "$work/lines"
status=0
"$linkbms" run --simulate Captures/scenarios/deye-link.yaml --config "$config" --gpio-input open=8:low:pull-up --gpio-input open=99 2> "$work/error" || status=$?
same "status with an option's line that is not there" "$status" 2
holds "$config: gpio: $chip line 99: there is no such line" "$work/error" || { cat "$work/error" >&2; exit 1; }
# An option wins: these are four outputs.
"$linkbms" run --simulate Captures/scenarios/deye-link.yaml --config "$config" --state "$work/state" --gpio-output running=0 \
  --gpio-output fault=1:low --gpio-output charge=2 --gpio-output discharge=3 > "$work/out" 2> "$work/said" &
run=$!
await_outputs 1111
echo "   running, charge and discharge are on, fault is off; chip, inputs and button are those of the configuration's file" >&2
sed -i 's/watch=9:low/watch=9/' "$config"
kill -HUP $run
until_true holds 'the section gpio has changed: its lines are used when the program is started again' "$work/said"
status=0
"$linkbms" run --simulate Captures/scenarios/deye-link.yaml --state "$work/other" --gpio "$chip" --gpio-output running=0 2> "$work/error" || status=$?
same "status with a line that is taken" "$status" 2
holds "$chip line 0: another program or the kernel uses this line" "$work/error" || { cat "$work/error" >&2; exit 1; }

wire "9 0"
until_true holds 'input 2 (watch) is active' "$work/said"
await_outputs 1111
wire "8 0"
await_outputs 0000
holds 'contactors are to open: input 1 keeps them open' "$work/said"
wire "8 1"
await_outputs 1111
echo "   an input opens; with it back everything is measured anew and they close" >&2

wire "10 0"
sleep 3
wire "10 1"
until_true holds 'reset button: held for .* ms: nothing' "$work/said"
wire "10 0"
sleep 6
wire "10 1"
until_true holds 'the WiFi is to be forgotten' "$work/said"
until_true holds 'reset button: the WiFi is not forgotten: ' "$work/said"
wire "10 0"
reset() { holds 'held for 20 s: reset BMS' "$work/said"; }
until_true reset || until_true reset
wire "10 1"
opened() { [ "$(grep -c 'PDU ordered: all open' "$work/said")" -ge 2 ]; }
until_true opened || { cat "$work/said" >&2; exit 1; }
await_outputs 1111
echo "   the button: 3 s nothing, 6 s the WiFi, 20 s reset" >&2

wire unplug
gone() { holds "contactors are to open: $chip is gone" "$work/said"; }
until_true gone || { cat "$work/said" >&2; exit 1; }
open() { tail -n 1 "$work/out" | grep -q 'open,'; }
until_true open
kill -TERM $run
status=0
wait $run || status=$?
same "status of run after SIGTERM" "$status" 0
echo "   a chip that is unplugged opens the contactors; the run ends in order" >&2

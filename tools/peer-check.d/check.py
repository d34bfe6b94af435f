#!/usr/bin/env python3
"""The pairs of tools/peer-check: a line for each comparison; ends with a line `N passed, N failed`."""
import argparse, contextlib, os, pathlib, socket, sys, tempfile, time

from link import Bus, Failure, Ours, Peer, decoded, diagnosis, page, until

# What a battery of theirs is told to be; charging is positive. No two values are alike, and each reads otherwise with its bytes swapped.
BATTERY = {
    "voltage_dV": 3163, "current_dA": -87, "reported_current_dA": -87, "real_soc": 6400, "reported_soc": 6400, "soh_pptt": 9800,
    "temperature_max_dC": 274, "temperature_min_dC": 196, "cell_max_voltage_mV": 3312, "cell_min_voltage_mV": 3281,
    "max_design_voltage_dV": 3428, "min_design_voltage_dV": 2764, "max_charge_current_dA": 234, "max_discharge_current_dA": 312,
    "total_capacity_Wh": 30900, "reported_total_capacity_Wh": 30900, "remaining_capacity_Wh": 19776, "reported_remaining_capacity_Wh": 19776,
    "number_of_cells": 96, "max_cell_voltage_mV": 3650, "min_cell_voltage_mV": 2500,
    "cells": 96, "modules": 12, "cells_per_module": 8, "voltage_level": 307, "ah_capacity": 100,
}
# Ours: one simulated battery for all, discharging.
LIMITS = (13, 17)
SCENARIO = """\
configuration:
  preset: lfp
  bms1-slaves: 12
  bms1-cells-per-module: 8
  capacity: 100
  charge-current-max: {limits[0]}
  discharge-current-max: {limits[1]}
  protocol: {protocol}
  bms1-sensors: [{sensors}]
plant: {{soc: 60, capacity: 100, ambient: 21}}
load: [{{at: 0, current: -6.3}}]
"""


class Case:
    """A pair: its bus, its folder, and what is to be ended after it."""

    def __init__(self, options, name):
        self.options, self.name = options, name
        self.passed = self.failed = 0

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        if self.options.keep:
            self.folder = os.path.join(self.options.keep, self.name)
            os.makedirs(self.folder, exist_ok=True)
        else:
            self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.bus = Bus(self.options, self.folder)
        self.stack.callback(self.bus.close)
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Failure):
            self.check(str(error), False)
        self.stack.close()
        return isinstance(error, Failure)

    def check(self, what, good, found=""):
        print(f"{'ok    ' if good else 'FAILED'}  {self.name}: {what}{': ' + str(found) if found != '' else ''}", flush=True)
        if good:
            self.passed += 1
        else:
            self.failed += 1

    def near(self, what, found, expected, tolerance):
        self.check(what, found is not None and abs(found - expected) <= tolerance + 1e-9, f"{found}, expected {expected}")

    def ours(self, name, *words):
        ours = Ours(self.options.linkbms, self.folder, name, *words)
        self.stack.callback(ours.stop)
        return ours

    def run(self, protocol, *words):
        """Our controller with the simulated battery, and its pages."""
        scenario = pathlib.Path(self.folder) / "scenario.yaml"
        scenario.write_text(SCENARIO.format(protocol=protocol, limits=LIMITS, sensors=", ".join(["[4, 5]"] * 12)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        state = os.path.join(self.folder, "state")
        pathlib.Path(state).unlink(missing_ok=True)
        return self.ours("run", "run", "--simulate", str(scenario), "--state", state, "--can", self.bus.ours, "--http", str(self.port), *words)

    def peer(self, program, settings={}, **more):
        peer = Peer(self.bus, os.path.join(self.options.programs, program), settings, **more)
        self.stack.callback(peer.stop)
        return peer

    def healthy(self, *protocols, wrong=()):
        """`diagnose` names the protocol and finds nothing wrong with a link that works, but for the rules of `wrong`, which it has to find."""
        told = diagnosis(self.options.linkbms, self.bus.log)
        bus = told["buses"][0]
        self.check("diagnose names the protocol", bus["protocol"] in protocols, f"{bus['protocol']} ({bus['variant']})")
        self.check("diagnose sees both ends", sorted(bus["sides"]) == ["battery", "inverter"], bus["sides"])
        found = [finding for finding in told["findings"] if finding["severity"] != "note"]
        self.check(f"diagnose finds {' and '.join(wrong) or 'nothing wrong'}", sorted(finding["rule"] for finding in found) == sorted(wrong),
                   "; ".join(f"{finding['rule']} {finding['severity']}: {finding['text']}" for finding in found) or told["verdict"])
        return bus["variant"]

    def finds(self, *rules):
        told = diagnosis(self.options.linkbms, self.bus.log)
        found = [finding for finding in told["findings"] if finding["severity"] == "error"]
        self.check(f"diagnose finds {' and '.join(rules)}", set(rules) <= {finding["rule"] for finding in found}, told["verdict"])


PAIRS = {}


def pair(program, name):
    def add(function):
        PAIRS[name] = (program, function)
        return function
    return add


# -- theirs asks, ours answers ---------------------------------------------------------------------------------------------------------


def understood(case, peer, compared):
    """What the peer believes is what our controller believes, once both have settled. `compared` makes of our values and the peer's rows of
    name, found, expected, tolerance."""
    rows = []

    def settled():
        told, values = page(case.port), dict(peer.values)
        if not values or told.get("discharge_limit_A") != LIMITS[1]:  # limits rise slowly after a start
            return False
        rows[:] = compared(told, values)
        return all(abs(found - expected) <= tolerance for _, found, expected, tolerance in rows)

    with contextlib.suppress(Failure):
        until(25, settled, "values")
    case.check("values were heard", bool(rows))
    for row in rows:
        case.near(*row)


def watts(unsigned):
    """A negative number that it put into an unsigned one."""
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def pylontech(sign):
    def compared(told, values):
        room = told["PTV"] + LIMITS[1]  # it reckons in whole amperes and whole volts
        return [
            ("voltage, V", values["voltage_dV"] / 10, told["PTV"], 0.3),
            ("current, A", values["current_dA"] / 10, told["CAc"], 0.3),
            ("SOC, %", values["real_soc"] / 100, told["SOC"], 1),
            ("SOH, %", values["soh_pptt"] / 100, 100, 0),
            ("highest cell, V", values["cell_max_voltage_mV"] / 1000, told["CMx"], 0.003),
            ("lowest cell, V", values["cell_min_voltage_mV"] / 1000, told["CMn"], 0.003),
            ("highest temperature, °C", values["temperature_max_dC"] / 10, told["CTx"], 0.3),
            ("lowest temperature, °C", values["temperature_min_dC"] / 10, told["CTm"], 0.3),
            ("charge voltage, V", values["max_design_voltage_dV"] / 10, told["charge_voltage_V"], 0.05),
            ("discharge voltage, V", values["min_design_voltage_dV"] / 10, told["discharge_voltage_V"], 0.05),
            ("charge limit, W", watts(values["max_charge_power_W"]), LIMITS[0] * told["PTV"], room),
            ("discharge limit, W", sign(watts(values["max_discharge_power_W"])), LIMITS[1] * told["PTV"], room),
        ]
    return compared


def asked(case, program, protocol, *words, profile, sign=lambda number: number):
    """A Pylontech host of theirs and our run."""
    run = case.run(protocol, *words)
    peer = case.peer(program)
    until(20, lambda: "inverter online" in run.last, "run comes online")
    case.check("run comes online", True)
    understood(case, peer, pylontech(sign))
    case.healthy(profile)
    peer.stop()
    until(16, lambda: "inverter quiet" in run.last, "run notices that nobody asks any more")
    case.check("run notices that nobody asks any more", True)
    case.check("run ends in order", run.stop() == 0)


# Which sign the discharge limit has is in dispute (Dissectors/pylontech-hv), and their drivers have not all the same: one that wants 30000
# less the limit makes watts below 0 of the limit that a Deye inverter gets. So the number is held to, whatever its sign.
@pair("pylon-battery", "pylon-battery-pylontech")
def _(case):
    asked(case, "pylon-battery", "pylontech", profile="pylontech-hv", sign=abs)


@pair("pylon-battery", "pylon-battery-deye")
def _(case):
    asked(case, "pylon-battery", "deye", profile="deye-hv", sign=abs)


# Asks the identity until it has it and then for values alone, and now and then for what a cell monitor of another maker would answer.
@pair("dyness-battery", "dyness-battery-pylontech")
def _(case):
    asked(case, "dyness-battery", "pylontech", profile="pylontech-hv", sign=abs)


@pair("byd-box-battery", "byd-box-battery")
def _(case):
    # An unfinished driver: it asks with 29-bit IDs, which the protocol does not have, and its timer is the wrong way round (as often as it
    # is called, or never). So once a second its question goes on as an 11-bit one. What it understands of the answers is what is tried.
    latest = {}

    def passing(text):
        number, data = text.split("#")
        if time.monotonic() - latest.get(number, 0) < 0.9:
            return None
        latest[number] = time.monotonic()
        return f"{int(number, 16):03X}#{data}"

    told = {"PackVoltage": 316.3, "PackCurrent": -8.7, "Soc": 64, "Soh": 98, "ChargeVoltageLimit": 342.8, "DischargeVoltageLimit": 276.4,
            "ChargeCurrentLimit": 23.4, "DischargeCurrentLimit": 31.2, "CellTemperatureMax": 27.4, "CellTemperatureMin": 19.6}
    battery = case.ours("battery", "virtual", "battery", "--profile", "goodwe-byd", "--can", case.bus.ours,
                        *(word for name, value in told.items() for word in ("--set", f"{name}={value}")))
    until(10, lambda: "waiting" in battery.said, "our battery starts")
    peer = case.peer("byd-box-battery", passing=passing)
    until(15, lambda: "online" in battery.said, "our battery comes online")
    case.check("our battery comes online", True)
    wanted = [("voltage_dV", 10, "PackVoltage"), ("current_dA", 10, "PackCurrent"), ("real_soc", 100, "Soc"), ("soh_pptt", 100, "Soh"),
              ("max_design_voltage_dV", 10, "ChargeVoltageLimit"), ("min_design_voltage_dV", 10, "DischargeVoltageLimit"),
              ("temperature_max_dC", 10, "CellTemperatureMax"), ("temperature_min_dC", 10, "CellTemperatureMin")]
    with contextlib.suppress(Failure):
        until(25, lambda: peer.values and all(abs(peer.values[name] / unit - told[ours]) < 0.051 for name, unit, ours in wanted), "values")
    for name, unit, ours in wanted:
        case.near(f"{ours} as its {name}", peer.values.get(name, 0) / unit, told[ours], 0.051)
    case.near("charge limit, W", peer.values.get("max_charge_power_W"), 23.4 * 316.3, 1)
    case.near("discharge limit, W", peer.values.get("max_discharge_power_W"), 31.2 * 316.3, 1)
    # It does not say that it is a GoodWe: then this may be any inverter of BYD's batteries.
    case.healthy("goodwe-byd", "byd-hvm")


# -- ours asks, theirs answers ---------------------------------------------------------------------------------------------------------


def heard(case, program, settings, profile, expected, seconds=6):
    """A battery of theirs and our virtual inverter; `expected` is what `decode` must make of its frames: a value, a text, or from and to."""
    inverter = case.ours("inverter", "virtual", "inverter", "--profile", profile, "--can", case.bus.ours)
    peer = case.peer(program, BATTERY | settings)
    until(25, lambda: "online:" in inverter.said, "our inverter comes online")
    case.check("our inverter comes online", True)
    time.sleep(seconds)
    case.signals = decoded(case.options.linkbms, case.bus.log)
    for name, value in expected.items():
        signal = case.signals.get(name, {})
        found = signal.get("value")
        if isinstance(value, tuple):
            case.check(name, found is not None and value[0] <= found <= value[1], f"{found}, expected {value[0]} to {value[1]}")
        elif isinstance(value, str):
            case.check(name, signal.get("label") == value, signal.get("label"))
        else:
            case.near(name, found, value, 0.0011 if "CellVoltage" in name else 0.051)
    return peer, inverter


def lost(case, peer, inverter):
    before = len(inverter.said)
    peer.stop()
    until(16, lambda: "lost:" in inverter.said[before:], "our inverter notices that the battery is gone")
    case.check("our inverter notices that the battery is gone", True)


PYLON = {
    "PackVoltage": 316.3, "PackCurrent": -8.7, "BmsTemperature": 27.4, "Soc": 64, "Soh": 98,
    # It keeps 2 V inside the limits that it was told.
    "ChargeVoltageLimit": 340.8, "DischargeVoltageLimit": 278.4, "ChargeCurrentLimit": 23.4, "DischargeCurrentLimit": 31.2,
    "CellVoltageMax": 3.312, "CellVoltageMin": 3.281, "CellTemperatureMax": 27.4, "CellTemperatureMin": 19.6,
    # It takes a negative current for charging where it says what it does, and for discharging everywhere else.
    "BasicStatus": 1,
    "ChargeForbidden": 0, "DischargeForbidden": 0, "Cells": 96, "Modules": 12, "CellsPerModule": 8, "NominalVoltage": 307, "NominalCapacity": 100,
}
STANDARD = {"pylon_30koffset": 1, "pylon_invert_byteorder": 1}


def pylon_faults(case):
    """Until 2026 it sent the temperatures of cells without their offset of 100 °C (its PR 2311): `diagnose` has to say that, and no more."""
    data = next(line.split("#")[1] for line in reversed(case.bus.log.read_text().splitlines()) if " 0000424" in line)
    offset = f"{BATTERY['temperature_max_dC'] + 1000:04X}" in (data[0:4], data[2:4] + data[0:2])
    return [] if offset else ["R11"]


@pair("pylon-inverter", "pylon-inverter-deye")
def _(case):
    peer, inverter = heard(case, "pylon-inverter", STANDARD | {"pylon_type": 2}, "deye-hv", PYLON)
    # Its name makes a Deye battery of a Pylontech one, and it has sent names since 2026.
    case.healthy("deye-hv" if "NamePart1" in case.signals else "pylontech-hv", wrong=pylon_faults(case))
    lost(case, peer, inverter)


@pair("pylon-inverter", "pylon-inverter-group1")
def _(case):
    heard(case, "pylon-inverter", STANDARD | {"pylon_send": 1}, "pylontech-hv:pylon-sofar", PYLON)
    # With names, it sends those of group 1 from address 0: no reason to call a link that works wrong.
    case.healthy("pylontech-hv", wrong=pylon_faults(case))


@pair("pylon-inverter", "pylon-inverter-as-installed")
def _(case):
    heard(case, "pylon-inverter", {}, "pylontech-hv:be-default", PYLON)
    variant = case.healthy("pylontech-hv", wrong=pylon_faults(case))
    case.check("identified as be-default", variant == "be-default", variant)


@pair("pylon-inverter", "pylon-inverter-forbids")
def _(case):
    heard(case, "pylon-inverter", STANDARD | {"max_charge_current_dA": 0}, "deye-hv",
          {"ChargeCurrentLimit": 0, "ChargeForbidden": 170, "DischargeForbidden": 0, "DischargeCurrentLimit": 31.2})


@pair("byd-inverter", "byd-inverter")
def _(case):
    # How it reckons capacities and limits of voltage has changed over the years: they are inside of what it was told.
    peer, inverter = heard(case, "byd-inverter", {}, "goodwe-byd", {
        "PackVoltage": 316.3, "PackCurrent": -8.7, "Soc": 64, "Soh": 98, "ChargeCurrentLimit": 23.4, "DischargeCurrentLimit": 31.2,
        "ChargeVoltageLimit": (316.3, 342.8), "DischargeVoltageLimit": (276.4, 316.3), "RemainingCapacity": (57, 66), "FullCapacity": (89, 103),
        "CellTemperatureMax": 27.4, "CellTemperatureMin": 19.6, "PackTemperature": 23.5, "NominalEnergy": 30.9, "MakerName": "BYD",
        "ProductName0": "Battery", "ProductName3": "VS"}, seconds=12)
    case.healthy("goodwe-byd")
    lost(case, peer, inverter)


SOFAR = {
    "PackVoltage": 316.3, "PackCurrent": -8.7, "PackTemperature": 27.4, "Soc": 64, "Soh": 98, "ChargeVoltageLimit": 342.8,
    "DischargeVoltageLimit": 276.4, "ChargeCurrentLimit": 23.4, "DischargeCurrentLimit": 31.2, "NominalCapacity": 90,
    "ChargeAllowed": 1, "DischargeAllowed": 1,
}


@pair("sofar-inverter", "sofar-inverter-0")
def _(case):
    peer, inverter = heard(case, "sofar-inverter", {}, "sofar:sofar1", SOFAR)
    case.check("identified as layout b", case.healthy("sofar") == "sofar-layout-b")
    lost(case, peer, inverter)


@pair("sofar-inverter", "sofar-inverter-1")
def _(case):
    heard(case, "sofar-inverter", {"sofar_battery_id": 1}, "sofar:sofar2", SOFAR)
    case.healthy("sofar")


# -- pairs that cannot work, and what is said of them ------------------------------------------------------------------------------------


@pair("sofar-inverter", "wrong-battery")
def _(case):
    inverter = case.ours("inverter", "virtual", "inverter", "--profile", "pylontech-hv:pylon-std", "--can", case.bus.ours)
    case.peer("sofar-inverter", BATTERY)
    time.sleep(12)
    case.check("our Pylontech inverter does not come online on their Sofar battery", "online:" not in inverter.said)
    case.finds("R01")


@pair("pylon-battery", "wrong-inverter")
def _(case):
    # A Sofar battery talks unasked and expects next to nothing: that its inverter is none, only the capture can tell.
    case.run("sofar1")
    case.peer("pylon-battery")
    time.sleep(12)
    case.finds("R01")


@pair("pylon-inverter", "wrong-bytes")
def _(case):
    case.ours("inverter", "virtual", "inverter", "--profile", "pylontech-hv:pylon-std", "--can", case.bus.ours)
    case.peer("pylon-inverter", BATTERY | {"pylon_30koffset": 1})
    time.sleep(8)
    case.finds("R10")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--linkbms", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--interface", default="udp_multicast", choices=["udp_multicast", "socketcan"])
    parser.add_argument("--channel")
    parser.add_argument("--keep")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.list:
        print("\n".join(PAIRS))
        return 0
    if options.interface == "socketcan" and not options.channel:
        parser.error("socketcan needs --channel, such as vcan0")
    passed = failed = 0
    for name, (program, function) in PAIRS.items():
        if options.names and not any(word in name for word in options.names):
            continue
        if not os.path.exists(os.path.join(options.programs, program)):
            print(f"**** SKIPPED: {name}: this source has no {program} ****")
            continue
        with Case(options, name) as case:
            function(case)
        passed, failed = passed + case.passed, failed + case.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

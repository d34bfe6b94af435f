#!/usr/bin/env python3
"""Commissions simulated plants through a pseudo-terminal: sound ones to the end, each mistake to the step that has to find it.

Usage: commission.py PROGRAM PLANTS [NAME...]. One line per case, "ok NAME" or "FAIL NAME"; exit status 1 if one failed.
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor

import pexpect

PROGRAM = os.path.abspath(sys.argv[1])
PLANTS = os.path.abspath(sys.argv[2])
CASES = []
WORDS = "close contactors"

# By a part of the question. What a person would answer who believes that all is well.
ANSWERS = {
    "powered by 5 V": "yes",
    "on the network": "ethernet",
    "mDNS name": "",
    "single modules on the bench": "",
    "each module of BMS1": "8",
    "each module of BMS2": "",
    "lowest voltage between": "3.29",
    "Voltmeter: the highest?": "3.31",
    "LED of each module": "",
    "Modules on BMS1": "12",
    "Modules on BMS2": "",
    "by their datasheet? [lfp": "lfp",
    "Capacity of the battery": "100",
    "Resistance of the temperature": "10000",
    "Their beta": "3950",
    "How warm": "12",
    "voltage of the switch": "1000",
    "current of the switch": "63",
    "different colours": "yes",
    "end at V in+": "yes",
    "all of that connected": "yes",
    "Name of the qualified": "A. Muster",
    "I am qualified": "I am qualified",
    "in series": "in series",
    "Multimeter at": "316",
    "switched on": "switched on",
    WORDS: WORDS,
    "Clamp meter": "5",
    "Change that?": "no",
}


class Commissioning:
    """One run of the program in a terminal and a home of its own."""

    def __init__(self, home, plant, *options, answers=None):
        self.answers = {**ANSWERS, **(answers or {})}
        self.asked = []
        environment = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "dumb", "LANG": "C.UTF-8", "INPUTRC": "/dev/null"}
        self.child = pexpect.spawn(
            PROGRAM,
            ["commission", "--simulate", f"{PLANTS}/{plant}.yaml", *options],
            env=environment, cwd=home, timeout=60, encoding="utf-8", dimensions=(50, 100),
        )
        self.child.delaybeforesend = None

    def question(self):
        """Waits for a prompt; the step's number and what stood before it, in one line. None at the end."""
        if self.child.expect([r"(\d+)> ", pexpect.EOF]) == 1:
            self.child.close()
            self.last = self.child.before
            return None
        text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|║|╔|╚", " ", self.child.before)
        return int(self.child.match.group(1)), re.sub(r"\s+", " ", text)

    def reply(self, line):
        self.child.send(line + "\r")

    def go(self, until=None):
        """Answers until a step fails, a part of a question comes, or the end."""
        while True:
            found = self.question()
            if found is None:
                return None
            step, text = found
            self.asked.append((step, text))
            # Of a step's text only the end is the question.
            tail = text[-260:]
            if "This step is not passed" in tail or (until and until in tail):
                return found
            matching = [part for part in self.answers if part in tail]
            assert matching, (step, tail)
            # The one that stands last: the line before may name another.
            self.reply(self.answers[max(matching, key=tail.rfind)])

    def status(self):
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


def sound(name, answers=None):
    def run(home):
        report = home + "/report"
        session = Commissioning(
            home, name, "--report", report + ".json", "--report", report + ".html", "--report", report + ".md", answers=answers)
        ended = session.go()
        assert ended is None, ended
        assert session.child.exitstatus == 0, session.last
        assert "Congratulations" in session.last, session.last
        # Both times the words were asked for, and nothing closed without them.
        assert sum(WORDS in text[-200:] for _, text in session.asked) == 2
        with open(report + ".json", encoding="utf-8") as file:
            found = json.load(file)
        assert [step["number"] for step in found["steps"]] == list(range(1, 17))
        assert all(step["verdict"] == "passed" for step in found["steps"]), found
        assert 0.1 < found["precharge"]["timeConstant_s"] < 0.2, found["precharge"]["timeConstant_s"]
        assert 0.95 <= found["precharge"]["finalRatio"] <= 1.01
        assert len(found["charge"]) > 100
        page = open(report + ".html", encoding="utf-8").read()
        assert "<svg" in page and "http" not in page and "<script" not in page
        assert "Step 16" in open(report + ".md", encoding="utf-8").read()

    run.__name__ = name
    CASES.append(run)


def faulty(plant, step, hint, answers=None):
    """The mistake is found at this step, with this hint; until then nothing has failed."""

    def run(home):
        session = Commissioning(home, plant, answers=answers)
        found = session.go()
        assert found is not None, "nothing was found: " + session.last[-600:]
        assert found[0] == step, (found[0], found[1][-600:])
        assert hint in found[1], found[1][-900:]
        session.reply("quit")
        assert session.status() == 1

    run.__name__ = f"{plant} at step {step}"
    CASES.append(run)


def repaired(plant, answers):
    """The change that is proposed puts it right: the run goes on to the end."""

    def run(home):
        session = Commissioning(home, plant, answers={**answers, "Change that?": "yes"})
        found = session.go()
        assert found is None, found
        assert session.child.exitstatus == 0

    run.__name__ = plant + " repaired"
    CASES.append(run)


TWO = {
    "each module of BMS1": "12", "each module of BMS2": "12", "lowest voltage between": "3.68", "Voltmeter: the highest?": "3.7",
    "Modules on BMS1": "8", "Modules on BMS2": "7", "by their datasheet? [lfp": "li-ion", "Capacity of the battery": "150",
    "How warm": "20", "Multimeter at": "653",
}
sound("good-one-chain")
sound("good-two-chains", TWO)
faulty("swapped-sense-wires", 8, "Two sense wires are exchanged")
faulty("wrong-cells-per-module", 8, "fewer cells are soldered than configured", {
    "each module of BMS1": "12", "Modules on BMS1": "9"})
faulty("wrong-cells-per-module", 7, "Set the cells per module to what is soldered", {"Modules on BMS1": "9"})
faulty("missing-module", 9, "check the slave wiring and the slave count")
faulty("wrong-module-count", 7, "No of slaves")
faulty("wrong-module-count", 8, "more or fewer modules answer than are configured", {"Modules on BMS1": "11"})
faulty("chain-reversed", 9, "on the input of the first module, not on its output")
faulty("current-reversed", 16, "The current sensor is reversed")
faulty("wrong-preset", 7, "The voltages are those of another chemistry")
faulty("can-wrong-port", 12, "Is the cable in the right socket?")
faulty("other-protocol", 12, "The inverter speaks another protocol than the configuration has")
faulty("open-ntc", 8, "An enabled sensor is open")
faulty("wrong-ntc-beta", 8, "beta or resistance is not that of these sensors", {"How warm": "6"})
faulty("precharge-short", 16, "Check if there is no short at the output")
faulty("v-in-calibration", 15, "Vmeas in differs from Voltage")
faulty("v-out-calibration", 16, "Check your voltage calibration")
faulty("sofar-address", 12, "set battery address 00 in the inverter for Sofar battery 1")
faulty("current-calibration", 15, "calibrate the low point at 0 A")
repaired("wrong-preset", {})
repaired("wrong-module-count", {})
repaired("v-in-calibration", {})
repaired("current-calibration", {})
repaired("other-protocol", {})


def case(function):
    CASES.append(function)
    return function


def kill(session):
    session.child.kill(signal.SIGKILL)
    session.child.expect(pexpect.EOF)
    session.child.close()
    assert session.child.signalstatus == signal.SIGKILL


@case
def goes_on_at_the_same_step_after_kill(home):
    """Killed at questions of several steps, with contactors open and closed: each time it goes on where it was."""
    stops = [("Capacity of the battery", 7), ("current of the switch", 10), (WORDS, 16), ("Clamp meter", 16)]
    options = ()
    for part, step in stops:
        session = Commissioning(home, "good-one-chain", *options)
        found = session.go(until=part)
        assert found and found[0] == step, found
        if options:
            # Everything before was not asked again.
            assert min(number for number, _ in session.asked) == first, session.asked[0]
        first = step
        kill(session)
        options = ("--resume",)
    session = Commissioning(home, "good-one-chain", "--resume", "--report", home + "/r.json")
    assert session.go() is None and session.child.exitstatus == 0, session.last
    # Contactors were open again, and the words were wanted again.
    assert sum(WORDS in text[-200:] for _, text in session.asked) == 2
    assert all(number == 16 for number, _ in session.asked)
    with open(home + "/r.json", encoding="utf-8") as file:
        found = json.load(file)
    answers = {answer["id"]: answer["answer"] for step in found["steps"] for answer in step["answers"]}
    assert answers["switch-voltage"] == "1000" and answers["chemistry"] == "lfp", answers


@case
def control_c_at_a_question_opens(home):
    """Behind closed contactors, half an answer or half a key sequence typed: the program ends, and says that they are open."""
    for number, keys in enumerate(("1\x03", "\x1b\x03")):
        state = f"{home}/state-{number}.json"
        session = Commissioning(home, "good-one-chain", "--state", state)
        assert session.go(until="Clamp meter")[0] == 16
        session.child.send(keys)
        assert session.status() == 130, keys
        with open(state, encoding="utf-8") as file:
            kept = file.read()
        assert "opened, a signal ended the program" in kept, kept[-2000:]


@case
def words_work_at_every_question(home):
    session = Commissioning(home, "good-one-chain")
    assert session.go(until="How warm")[0] == 8
    for line, answer in [
        ("note cold day", "Kept with step 8"), ("photo IMG_1.jpg", "Kept with step 8"), ("help", "skip REASON"),
        ("lukewarm", "expected -40…80"), ("skip", "say why"),
    ]:
        session.reply(line)
        step, text = session.question()
        assert step == 8 and answer in text, (line, text)
    session.reply("back")
    assert session.question()[0] == 7
    session.reply("quit")
    assert session.status() == 1
    session = Commissioning(home, "good-one-chain")
    session.child.expect_exact("--resume goes on, --restart begins anew")
    assert session.status() == 2


@case
def safety_steps_cannot_be_skipped(home):
    session = Commissioning(home, "good-one-chain")
    assert session.go(until="voltage of the switch")[0] == 10
    session.reply("skip no time")
    assert "cannot be skipped" in session.question()[1]


@case
def contactors_want_the_very_words(home):
    session = Commissioning(home, "good-one-chain")
    assert session.go(until=WORDS)[0] == 16
    for line in ["yes", "y", "", "Close contactors", "close", "close contactors!", "close  contactors"]:
        session.reply(line)
        step, text = session.question()
        assert step == 16 and "The contactors stay open" in text and "during precharge" not in text, (line, text)
    session.reply(WORDS)
    assert "during precharge" in session.question()[1]


@case
def a_system_without_sensors_wants_the_words(home):
    with open(f"{PLANTS}/good-one-chain.yaml", encoding="utf-8") as file:
        lines = [line for line in file if "bms1-sensors" not in line]
    with open(home + "/bare.yaml", "w", encoding="utf-8") as file:
        file.writelines(lines)
    session = Commissioning(home, os.path.relpath(home + "/bare", PLANTS))
    assert session.go(until="type the words: no sensors")[0] == 8
    session.reply("yes")
    step, text = session.question()
    assert step == 8 and "expected type: no sensors" in text, text
    session.reply("no sensors")
    assert session.go(until="voltage of the switch")[0] == 10
    session.reply("quit")
    assert session.status() == 1


@case
def works_at_the_prompt(home):
    environment = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "dumb", "LANG": "C.UTF-8", "INPUTRC": "/dev/null"}
    child = pexpect.spawn(PROGRAM, env=environment, cwd=home, timeout=30, encoding="utf-8", dimensions=(50, 100))
    child.delaybeforesend = None
    child.expect_exact("linkbms> ")
    child.send(f"commission --simulate {PLANTS}/good-one-chain.yaml\r")
    child.expect_exact("1> ")
    child.send("no\r")
    child.expect_exact("This step is not passed")
    child.expect_exact("1> ")
    child.send("quit\r")
    child.expect_exact("linkbms> ")
    child.send("echo alive\r")
    child.expect_exact("\r\nalive")
    child.send("\x04")
    child.expect(pexpect.EOF)


def run(function):
    home = tempfile.mkdtemp(prefix="commission-")
    try:
        function(home)
        return f"ok {function.__name__}"
    except BaseException:
        return f"FAIL {function.__name__}\n{traceback.format_exc(limit=4)}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main():
    wanted = [f for f in CASES if not sys.argv[3:] or any(name in f.__name__ for name in sys.argv[3:])]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, wanted))
    print("\n".join(results))
    return any(line.startswith("FAIL") for line in results)


sys.exit(main())

#!/usr/bin/env python3
"""Types at the prompt through a pseudo-terminal and looks at what a person would see.

Usage: prompt.py PROGRAM [NAME...]. One line per case, "ok NAME" or "FAIL NAME"; exit status 1 if one failed.
"""

import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback

import pexpect

PROGRAM = os.path.abspath(sys.argv[1])
# A program with a sanitizer in it is several times slower (tools/sanitize).
PATIENCE = int(os.environ.get("LINKBMS_PATIENCE", "1"))
PROMPT = "linkbms> "
CASES = []


def case(function):
    CASES.append(function)
    return function


class Session:
    """One run of the program in a terminal and a home of its own."""

    def __init__(self, home, arguments=(), columns=80, **variables):
        environment = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            # The person's own key bindings must not decide the outcome.
            "INPUTRC": "/dev/null",
            **variables,
        }
        self.child = pexpect.spawn(
            PROGRAM, ["shell", *arguments], env=environment, cwd=home, timeout=8 * PATIENCE, encoding="utf-8", dimensions=(24, columns)
        )
        self.child.delaybeforesend = None

    def expect(self, text):
        self.child.expect_exact(text)
        return self

    def prompt(self, name=None):
        return self.expect(PROMPT if name is None else f"linkbms {name}> ")

    def send(self, text):
        self.child.send(text)
        return self

    def enter(self, line):
        """Types a line and waits for the echo, so that later text is the answer."""
        self.child.send(line)
        self.expect(line)
        return self.send("\r")

    def running(self):
        """Waits until the terminal is a command's: while a line is typed Ctrl-C is a key, and one that comes too early stays one."""
        until = time.monotonic() + 8 * PATIENCE
        while termios.tcgetattr(self.child.child_fd)[6][termios.VINTR] != b"\x03":
            assert time.monotonic() < until, "no command has begun"
            time.sleep(0.005)
        return self

    def status(self):
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus


def screen(raw, columns=80):
    """The lines a terminal would show: just enough of one for what readline writes."""
    rows, row, column = [[]], 0, 0
    tokens = re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|\x1b.|[\s\S]", raw)
    for token in tokens:
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
        elif token == "\b":
            column = max(0, column - 1)
        elif token.startswith("\x1b["):
            count = int(re.sub(r"\D", "", token) or 0)
            kind = token[-1]
            if kind == "K":
                rows[row] = rows[row][:column]
            elif kind == "J":
                rows[row] = rows[row][:column]
                del rows[row + 1 :]
            elif kind == "A":
                row = max(0, row - max(1, count))
            elif kind == "C":
                column += max(1, count)
            elif kind == "D":
                column = max(0, column - max(1, count))
            elif kind == "P":
                del rows[row][column : column + max(1, count)]
            elif kind == "@":
                rows[row][column:column] = [" "] * max(1, count)
        elif token >= " ":
            if column == columns:
                row, column = row + 1, 0
            while len(rows) <= row:
                rows.append([])
            line = rows[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = token
            column += 1
        while len(rows) <= row:
            rows.append([])
    return ["".join(line).rstrip() for line in rows]


@case
def answers_and_ends_on_control_d(home):
    session = Session(home)
    session.prompt().enter("echo one two").expect("one two").prompt()
    session.send("\x04")
    assert session.status() == 0


@case
def quit_gives_the_status(home):
    session = Session(home)
    session.prompt().enter("quit 3")
    assert session.status() == 3


@case
def an_error_does_not_end_the_prompt(home):
    session = Session(home)
    session.prompt().enter("ech hello; nonsense").expect("hello").expect("there is no command 'nonsense'").prompt()
    session.enter("quit")
    assert session.status() == 0


@case
def completes_commands(home):
    session = Session(home)
    session.prompt().send("apr\t").expect("apropos ").send("nothing-like-this\r").expect("nothing about").prompt()
    session.send("s\t\t").expect("set").expect("sleep").expect("source")


@case
def completes_options_and_values(home):
    session = Session(home)
    session.prompt().send("version --he\t").expect("--help ").send("\x15")
    session.send("set for\t").expect("set format ").send("j\t").expect("json ").send("\r").prompt()
    session.enter("set").expect("format      json").prompt()


@case
def completes_names_of_the_definitions(home):
    session = Session(home)
    session.prompt().send("decode --protocol pylontech-h\t").expect("pylontech-hv ").send("\x15")
    session.send("decode --format=j\t").expect("--format=json").send("\x15")


@case
def commands_work_on_the_open_capture_and_stop_on_control_c(home):
    with open(os.path.join(home, "big.log"), "w") as file:
        for number in range(400000):
            file.write(f"({1700000000 + number}.000001) can0 00004210#{number:016X}\n")
    session = Session(home)
    session.prompt().enter("open big.log").prompt("big.log")
    session.send("decode --from candump\r").expect("1700000100.000001")
    session.send("\x03echo kept\r")
    session.child.expect(r"[\r\n]kept\r", timeout=30)
    assert "1700399999.000001" not in session.child.before
    session.prompt("big.log").enter("decode --from candump --count 1 > first").prompt("big.log").enter("! cat first")
    session.expect("1700000000.000001").prompt("big.log").enter("quit")
    assert session.status() == 0


@case
def completes_file_names_with_blanks(home):
    with open(os.path.join(home, "my site.log"), "w") as file:
        file.write("(1.000000) can0 123#00\n")
    session = Session(home)
    session.prompt().send("open my\t").expect("my site.log").send("\r").prompt("my site.log")
    session.enter("close").prompt()
    session.send("! cat my\t").expect("my site.log").send("\r").expect("123#00").prompt()


@case
def remembers_lines_without_doubles(home):
    session = Session(home)
    for word in ["alpha", "beta", "alpha"]:
        session.prompt().enter(f"echo {word}").expect(word)
    session.prompt().enter(" echo secret").expect("secret").prompt()
    session.enter("history").expect("1  echo beta").expect("2  echo alpha").expect("3  history").prompt()
    session.enter("quit")
    assert session.status() == 0
    session = Session(home)
    session.prompt().send("\x1b[A").expect("quit").send("\x1b[A").expect("history").send("\r").expect("echo beta").expect("echo alpha").prompt().send("\x12bet").expect("bet\x1b").send("\r")
    session.expect("\rbeta").prompt().enter("quit")
    assert session.status() == 0
    path = os.path.join(home, ".local/state/linkbms/history")
    assert "secret" not in open(path).read()
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700


@case
def history_follows_the_xdg_variable(home):
    state = os.path.join(home, "elsewhere")
    session = Session(home, XDG_STATE_HOME=state)
    session.prompt().enter("echo x").expect("x").prompt().enter("quit")
    assert session.status() == 0
    assert open(os.path.join(state, "linkbms/history")).read() == "echo x\nquit\n"


@case
def control_c_drops_the_line(home):
    session = Session(home)
    session.prompt().send("echo not-this").expect("not-this").send("\x03").expect("^C").prompt()
    session.enter("echo this").expect("this").prompt().enter("quit")
    assert session.status() == 0
    assert "not-this\r\nnot-this" not in (session.child.before or "")


@case
def control_c_stops_a_command_and_keeps_the_next_keys(home):
    session = Session(home)
    session.prompt()
    for number in range(20):
        session.enter("sleep 60").running()
        time.sleep(0.02)
        # In one go: what is typed right behind Ctrl-C is the next command.
        session.send(f"\x03echo kept-$?-{number}\r")
        session.child.expect(rf"[\r\n]kept-\d+-{number}\r")
        session.prompt()
    session.enter("quit")
    assert session.status() == 0


@case
def keys_typed_ahead_survive_control_c(home):
    session = Session(home)
    session.prompt().enter("sleep 60")
    time.sleep(0.2)
    session.send("echo ahead\r")
    time.sleep(0.2)
    session.send("\x03")
    session.child.expect(r"linkbms> echo ahead[\s\S]*[\r\n]ahead\r")
    session.prompt().enter("quit")
    assert session.status() == 0


@case
def control_c_at_the_prompt_keeps_the_next_keys(home):
    session = Session(home)
    session.prompt()
    for number in range(40):
        session.send(f"rubbish\x03echo kept-{number}\r")
        session.child.expect(rf"[\r\n]kept-{number}\r")
        session.prompt()
    session.enter("quit")
    assert session.status() == 0


@case
def control_c_stops_a_program(home):
    session = Session(home)
    session.prompt().enter("! sleep 60")
    time.sleep(0.3)
    session.send("\x03").prompt()
    session.enter("! echo still-here").expect("\rstill-here").prompt().enter("quit")
    assert session.status() == 0


@case
def output_above_leaves_the_line_alone(home):
    path = os.path.join(home, "site.log")
    with open(path, "w") as file:
        file.write("(1.000000) can0 123#00\n")
    session = Session(home, ["site.log"])
    log = open(os.path.join(home, "screen"), "w", newline="")
    session.child.logfile_read = log
    session.prompt("site.log").send("echo half").expect("half").send("\x1b[D\x1b[D")
    time.sleep(0.2)
    with open(path, "a") as file:
        file.write("(2.000000) can0 123#00\n")
    session.expect("site.log has changed: 46 bytes (+23)").prompt("site.log")
    # The cursor still stands between "ha" and "lf".
    time.sleep(0.2)
    session.send("X\r").expect("\rhaXlf").prompt("site.log")
    log.flush()
    lines = screen(open(os.path.join(home, "screen"), newline="").read())
    at = next(i for i, line in enumerate(lines) if "has changed" in line)
    assert lines[at] == "linkbms: site.log has changed: 46 bytes (+23)", lines
    assert lines[at + 1] == "linkbms site.log> echo haXlf", lines
    assert at == 0, lines


@case
def output_above_a_line_of_several_rows(home):
    path = os.path.join(home, "site.log")
    open(path, "w").write("x\n")
    session = Session(home, ["site.log"], columns=40)
    log = open(os.path.join(home, "screen"), "w", newline="")
    session.child.logfile_read = log
    word = "0123456789" * 7
    session.prompt("site.log").send(f"echo {word}").expect("789")
    time.sleep(0.3)
    open(path, "a").write("y\n")
    session.expect("has changed")
    time.sleep(0.3)
    session.send("\r").expect(f"\r{word[:30]}").prompt("site.log")
    log.flush()
    lines = screen(open(os.path.join(home, "screen"), newline="").read(), 40)
    text = "".join(lines)
    assert lines[0].startswith("linkbms: site.log has changed"), lines
    assert text.count("echo 0123") == 1, lines


@case
def survives_a_change_of_the_window(home):
    session = Session(home)
    session.prompt().send("echo before").expect("before")
    session.child.setwinsize(24, 30)
    time.sleep(0.3)
    session.send("-after\r").child.expect(r"[\r\n]before-after\r")
    session.prompt().enter("! stty size").expect("24 30").prompt().enter("quit")
    assert session.status() == 0


@case
def pasted_lines_are_run_one_by_one(home):
    session = Session(home)
    session.prompt().send("\x1b[200~echo a1\necho b2\x1b[201~")
    time.sleep(0.2)
    session.send("\r").child.expect(r"[\r\n]a1\r\nb2\r")
    session.prompt().enter("quit")
    assert session.status() == 0


@case
def stops_and_goes_on_with_control_z(home):
    shell = pexpect.spawn("/bin/bash", ["--norc", "-i"], env={"HOME": home, "PATH": os.environ["PATH"], "TERM": "xterm", "PS1": "bash$ ", "INPUTRC": "/dev/null"}, cwd=home, timeout=8 * PATIENCE, encoding="utf-8")
    shell.delaybeforesend = None
    shell.expect_exact("bash$ ")
    shell.send(f"{PROGRAM} shell\r")
    shell.expect_exact(PROMPT)
    shell.send("echo ha")
    shell.expect_exact("ha")
    shell.send("\x1a")
    shell.expect_exact("Stopped")
    shell.expect_exact("bash$ ")
    shell.send("fg\r")
    shell.expect_exact("echo ha")
    time.sleep(0.2)
    shell.send("lf\r")
    shell.expect(r"[\r\n]half\r")
    shell.expect_exact(PROMPT)
    shell.send("quit\r")
    shell.expect_exact("bash$ ")
    shell.send("exit\r")
    shell.expect(pexpect.EOF)


@case
def a_stop_signal_gives_the_terminal_back(home):
    session = Session(home)
    session.prompt().send("echo half").expect("half")
    session.child.kill(signal.SIGTERM)
    assert session.status() == 128 + signal.SIGTERM


@case
def pages_and_redirects(home):
    session = Session(home, PAGER="tr a-z A-Z")
    session.prompt().enter("echo low | pager").expect("\rLOW").prompt()
    session.enter("echo kept > out; echo more >> out").prompt().enter("! cat out").expect("kept\r\nmore").prompt()
    # A reader that leaves early is no error.
    session.enter("history | true; echo $?").prompt().enter("quit")
    assert session.status() == 0


SCENARIOS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "Captures", "scenarios")


@case
def configuration_keys_are_completed_and_items_are_set(home):
    session = Session(home, XDG_CONFIG_HOME=home)
    session.prompt().send("config show bms1-sl\t").expect("bms1-slaves").send("\r").expect("LinkSlaves").prompt()
    session.send("config set capac\t").expect("capacity=").send("280\r").expect("wrote").prompt()
    session.enter("config show capacity").expect("280").prompt()
    session.enter("config set capacity=9999").expect("capacity").expect("2000").prompt().enter("quit")
    assert session.status() == 0


@case
def a_scenario_runs_at_the_prompt(home):
    shutil.copy(os.path.join(SCENARIOS, "manual-page.yaml"), home)
    session = Session(home, columns=120)
    session.prompt().enter("simulate --quiet manual-page.yaml").expect("327.6").expect("as expected: ").expect("0 rules broken")
    session.prompt().enter("quit")
    assert session.status() == 0


@case
def the_live_view_is_drawn_in_its_place(home):
    with open(os.path.join(home, "short.yaml"), "w") as file:
        file.write(
            "name: short\nconfiguration: {preset: lfp, bms1-slaves: 2, bms1-cells-per-module: 8, cell-count: 16}\n"
            "plant: {soc: 50}\nduration: 40\nload: [{at: 0, current: 10}]\nexpect: [{at: 30, status: RUNNING}]\n"
        )
    session = Session(home, columns=120)
    session.prompt()
    session.child.logfile_read = log = io.StringIO()
    session.enter("simulate --speed 20 short.yaml").expect("as expected: 1 of 1").prompt()
    shown = screen(log.getvalue(), 120)
    # Twenty pages were drawn, one is there: in words, with both value rows and each module once.
    assert log.getvalue().count("RUNNING") > 5, log.getvalue()[-500:]
    assert sum(line.startswith("Status") for line in shown) == 1, shown
    assert any("contactors: negative + positive closed" in line for line in shown), shown
    session.enter("quit")
    assert session.status() == 0


@case
def ctrl_c_ends_a_simulation_and_not_the_prompt(home):
    shutil.copy(os.path.join(SCENARIOS, "manual-page.yaml"), home)
    session = Session(home, columns=120)
    session.prompt().enter("simulate --speed 1 manual-page.yaml").expect("CHECKING")
    session.send("\x03").prompt().enter("echo alive").expect("\ralive").prompt().enter("quit")
    assert session.status() == 0


def network_bus():
    """A multicast bus of this machine that nobody else uses."""
    return f"udp://239.74.163.2:{random.randint(20000, 60000)}"


class Sender:
    """Another process that sends a frame again and again."""

    def __init__(self, bus, frame):
        self.process = subprocess.Popen([PROGRAM, "send", bus, frame, "--every", "50ms"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@case
def traffic_appears_above_an_intact_line(home):
    bus = network_bus()
    session = Session(home, columns=160, NO_COLOR="1")
    session.prompt().enter(f"decode --live {bus} --protocol deye-hv &").expect("[1] decode --live").prompt()
    session.child.logfile_read = log = io.StringIO()
    session.send("echo half").expect("half").send("\x1b[D\x1b[D")
    with Sender(bus, "4210#D80E000000003200"):
        for _ in range(5):
            session.expect("PackVoltage 380.0 V")
    time.sleep(0.3)
    # The cursor still stands between "ha" and "lf".
    session.send("X\r").expect("\rhaXlf").prompt()
    lines = screen(log.getvalue(), 160)
    assert sum("Totals" in line for line in lines) >= 5, lines
    assert sum("echo haXlf" in line for line in lines) == 1, lines
    # No frame stands in the line that was typed, and the line in none of the frames.
    assert not any("echo" in line and "Totals" in line for line in lines), lines
    session.enter("stop").expect("[1] ended: decode --live").prompt().enter("quit")
    assert session.status() == 0


@case
def findings_come_while_nothing_is_typed(home):
    bus = network_bus()
    session = Session(home, columns=120)
    session.child.timeout = 40
    session.prompt().enter(f"diagnose --live {bus} &").expect("[1] diagnose").prompt()
    with Sender(bus, "4200#0000000000000000"):
        session.expect("R02")
    session.enter("jobs").expect("[1] diagnose --live").prompt()
    session.enter("stop 1").expect("R02 request-unanswered").expect("[1] ended").prompt().enter("quit")
    assert session.status() == 0


@case
def sending_needs_arm_and_the_prompt_shows_it(home):
    bus = network_bus()
    session = Session(home, columns=120)
    session.prompt().enter(f"send {bus} 123#01").expect("is not armed: nothing is sent on it before").prompt()
    session.enter(f"arm {bus}").expect(f"linkbms armed: {bus}> ")
    session.enter(f"send {bus} 123#01; echo sent $?").expect("\rsent 0").expect(f"armed: {bus}> ")
    session.enter("disarm").prompt().enter(f"send {bus} 123#01").expect("is not armed").prompt().enter("quit")
    assert session.status() == 0


@case
def jobs_are_whole_when_the_prompt_ends(home):
    bus = network_bus()
    session = Session(home, columns=120)
    session.prompt().enter(f"capture {bus} --write site.log &").expect("[1] capture").prompt()
    with Sender(bus, "123#01"):
        session.enter("sleep 1").prompt()
    session.send("\x04")
    session.expect("frames in site.log")
    assert session.status() == 0
    lines = open(os.path.join(home, "site.log")).read().splitlines()
    assert len(lines) > 5 and all("udp 123#01" in line for line in lines), lines


@case
def a_monitor_takes_keys_and_gives_the_terminal_back(home):
    bus = network_bus()
    session = Session(home, columns=120)
    session.prompt()
    with Sender(bus, "4210#D80E000000003200"):
        session.enter(f"monitor {bus} --protocol deye-hv").expect("Totals  PackVoltage 380.0 V").expect("q quit")
        session.send("h")
        time.sleep(0.6)
        session.send("hn").expect("Totals")
        session.send("q").prompt()
    session.enter("echo typed").expect("\rtyped").prompt().enter("! stty -a | grep -c -- ' icanon.* echo '; true").prompt().enter("quit")
    assert session.status() == 0


@case
def a_monitor_follows_the_window(home):
    bus = network_bus()
    session = Session(home, columns=40)
    session.prompt()
    with Sender(bus, "4210#D80E000000003200"):
        # Resized while the prompt waits, and while the table stands there.
        session.child.setwinsize(24, 120)
        session.enter(f"monitor {bus} --protocol deye-hv").expect("Totals  PackVoltage 380.0 V")
        session.child.setwinsize(3, 120)
        session.expect("make the window higher")
        session.child.setwinsize(24, 60)
        session.expect("\x1b[H\x1b[2J").expect("q quit")
        session.send("q").prompt()
    session.enter("quit")
    assert session.status() == 0


@case
def control_c_ends_a_live_command_and_not_the_prompt(home):
    bus = network_bus()
    session = Session(home, columns=120)
    session.prompt()
    with Sender(bus, "123#01"):
        session.enter(f"capture {bus}").expect("udp 123#01")
        session.send("\x03").prompt()
    session.enter("echo alive").expect("\ralive").prompt().enter("quit")
    assert session.status() == 0


def main():
    # The test runner may have started this with signals blocked, which the shell and the program would inherit.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    wanted = sys.argv[2:]
    failures = 0
    for function in CASES:
        if wanted and function.__name__ not in wanted:
            continue
        home = tempfile.mkdtemp(prefix="linkbms-prompt-")
        try:
            function(home)
            print("ok", function.__name__, flush=True)
        except Exception:
            failures += 1
            print("FAIL", function.__name__, flush=True)
            traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    print(f"{failures} failed", flush=True)
    sys.exit(1 if failures else 0)


main()

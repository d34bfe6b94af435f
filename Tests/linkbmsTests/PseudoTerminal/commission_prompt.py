#!/usr/bin/env python3
"""Types a commissioning at the prompt, on a real bus, from the contactors on, and leaves it with Ctrl-C behind closed contactors.

Usage: commission_prompt.py PROGRAM BUS COMMAND. Exit status 1, with what was on the screen, if it was not as a person expects it.
"""

import os
import shutil
import sys
import tempfile
import traceback

import pexpect

PROGRAM = os.path.abspath(sys.argv[1])
BUS, COMMAND = sys.argv[2:4]
WORDS = "close contactors"


def main():
    home = tempfile.mkdtemp(prefix="commission-prompt-")
    environment = {"HOME": home, "PATH": os.environ["PATH"], "TERM": "dumb", "LANG": "C.UTF-8", "INPUTRC": "/dev/null"}
    # Wide enough that no line is scrolled sideways.
    child = pexpect.spawn(PROGRAM, ["shell"], env=environment, cwd=home, timeout=120, encoding="utf-8", dimensions=(50, 600))
    child.delaybeforesend = None
    try:
        child.expect_exact("linkbms> ")
        child.send(COMMAND + "\r")
        child.expect_exact("is not armed")
        child.expect_exact("linkbms> ")
        child.send(f"arm {BUS}\r")
        armed = f"linkbms armed: {BUS}> "
        child.expect_exact(armed)
        child.send(COMMAND + "\r")
        for _ in range(2):
            child.expect_exact("To let them")
            child.expect_exact("16> ")
            child.send(WORDS + "\r")
            child.expect_exact("V-out during precharge")
        child.expect_exact("Clamp meter")
        child.expect_exact("16> ")
        child.send("\x03")
        child.expect_exact(armed)
        child.send("echo alive\r")
        child.expect_exact("\r\nalive")
        child.expect_exact(armed)
        child.send("\x04")
        child.expect(pexpect.EOF)
        return 0
    except BaseException:
        print(traceback.format_exc(limit=4))
        return 1
    finally:
        child.close(force=True)
        shutil.rmtree(home, ignore_errors=True)


sys.exit(main())

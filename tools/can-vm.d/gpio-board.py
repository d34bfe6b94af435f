#!/usr/bin/env python3
"""A USB board with GPIO lines, played by this program: a real chip of the kernel whose wires a script holds.

The kernel's own driver (gpio-viperboard) runs on it through USB/IP; the lines are those of the chip with the label "viperboard gpio b",
0 to 15. Commands come line by line through a named pipe:

  gpio-board.py PIPE STATE      needs: modprobe vhci-hcd viperboard gpio-viperboard
  echo "7 0" > PIPE             wire 7 is at 0 V; 1 = at the supply. At first all are at the supply
  echo "unplug" > PIPE          the board goes away

STATE holds what the outputs drive: a line with 16 characters, 0, 1, or - where a line is no output.
The driver's messages were read from its source; only what it needs is here."""
import os
import select
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from usbip import Transport

GPIO_A, GPIO_B, MAJOR, MINOR = 0xED, 0xDD, 0xEA, 0xEB
SET_DIRECTION, SET_VALUE = 0, 1
DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xFF, 0, 0, 64, 0x2058, 0x1005, 0x0100, 0, 0, 0, 1)
CONFIGURATION = struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 50) + struct.pack("<9B", 9, 4, 0, 0, 0, 0xFF, 0, 0, 0)
DESCRIPTORS = {0x0100: DEVICE, 0x0200: CONFIGURATION}

wires, outputs, driven = 0xFFFF, 0, 0
usb = Transport(0)
pipe = os.open(sys.argv[1], os.O_RDWR)


def show():
    text = "".join(("1" if driven >> line & 1 else "0") if outputs >> line & 1 else "-" for line in range(16))
    with open(sys.argv[2] + ".new", "w") as file:
        file.write(text + "\n")
    os.rename(sys.argv[2] + ".new", sys.argv[2])


def control(number, length, setup, data):
    global outputs, driven
    kind, request, value, _, _ = struct.unpack("<BBHHH", setup)
    if (kind, request) == (0x80, 6):
        answer = DESCRIPTORS.get(value)
        return usb.reply(number, answer[:length] if answer else b"", status=0 if answer else -32)
    if kind == 0xC0 and request in (MAJOR, MINOR):
        return usb.reply(number, b"\1")
    if kind == 0xC0 and request == GPIO_B:
        return usb.reply(number, struct.pack(">BHH", 0, driven & outputs | wires & ~outputs & 0xFFFF, 0xFFFF)[:length])
    if kind == 0x40 and request == GPIO_B:
        command, bits, mask = struct.unpack(">BHH", data[:5])
        if command == SET_DIRECTION:
            outputs = outputs & ~mask | bits & mask
        elif command == SET_VALUE:
            driven = driven & ~mask | bits & mask
        show()
        return usb.reply(number, length=length)
    usb.reply(number, b"\0" * length if kind & 0x80 else b"", length=None if kind & 0x80 else length)


show()
while True:
    ready, _, _ = select.select([pipe, usb.socket], [], [])
    if pipe in ready:
        for line in os.read(pipe, 4096).decode().splitlines():
            if line == "unplug":
                sys.exit()
            place, level = map(int, line.split())
            wires = wires & ~(1 << place) | level << place
    if usb.socket in ready:
        for request in usb.requests():
            if request[0] == "unlink":
                usb.unlinked(request[1], False)
            else:
                _, number, endpoint, is_in, length, setup, data = request
                control(number, length, setup, data)

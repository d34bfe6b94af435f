#!/usr/bin/env python3
"""Two USB CAN adapters on one bus, played by this program: for what emulated controllers cannot do.

The kernel's own driver (usb_8dev) runs on them through USB/IP, and so the kernel's own CAN core does bit timing, error states,
counters, bus-off and restart. Commands come line by line through a named pipe:

  usb-adapters.py PIPE          needs: modprobe vhci-hcd usb_8dev; the kernel then makes two more canN
  echo "0 bus-off 0 255" > PIPE adapter 0: a state, its receive and its transmit error counter

States: active warning passive bus-off; bus errors: stuff form ack bit0 bit1 crc; overrun.
Adapters that are set to different bit rates do not hear each other: whoever sends goes off the bus. Where the other is closed or
listens only, nobody acknowledges: a frame stays with the sender until somebody does, or the sender is closed.
The driver's messages were read from its source; only what it needs is here."""
import os
import select
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from usbip import Transport

TICKS = 32_000_000
REPORTS = {"active": 0x00, "overrun": 0x01, "warning": 0x02, "passive": 0x03, "bus-off": 0x04,
           "stuff": 0x20, "form": 0x21, "ack": 0x23, "bit0": 0x24, "bit1": 0x25, "crc": 0x27}
# Endpoints: frames in and out, commands in and out.
FRAMES_IN, FRAMES_OUT, ANSWERS, COMMANDS = 1, 2, 3, 4
SET_OPEN, SET_CLOSE, GET_VERSION = 2, 3, 12


def descriptors():
    """What the adapter says of itself when it is plugged in."""
    device = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0xFF, 0, 0, 64, 0x0483, 0x1234, 0x0100, 0, 1, 0, 1)
    ends = b"".join(struct.pack("<BBBBHB", 7, 5, address, 2, 64, 0)
                    for address in (0x80 | FRAMES_IN, FRAMES_OUT, 0x80 | ANSWERS, COMMANDS))
    interface = struct.pack("<9B", 9, 4, 0, 0, 4, 0xFF, 0, 0, 0)
    configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(interface) + len(ends), 1, 1, 0, 0x80, 50) + interface + ends
    name = "USB2CAN converter".encode("utf-16le")  # the driver looks for this name
    return {0x0100: device, 0x0200: configuration, 0x0300: b"\x04\x03\x09\x04", 0x0301: bytes([2 + len(name), 3]) + name}


class Adapter:
    DESCRIPTORS = descriptors()

    def __init__(self, place):
        self.place = place
        self.usb = Transport(place)
        self.wanted = {FRAMES_IN: [], ANSWERS: []}  # reads of the kernel that wait for data
        self.stock = {FRAMES_IN: [], ANSWERS: []}  # data that waits for a read
        self.is_open = self.is_off = self.is_silent = False
        self.rate = 0
        self.held = []  # frames that nobody acknowledged, with the kernel's numbers of the transfers

    def give(self, endpoint, data):
        self.stock[endpoint].append(data)
        while self.stock[endpoint] and self.wanted[endpoint]:
            self.usb.reply(self.wanted[endpoint].pop(0), self.stock[endpoint].pop(0))

    def message(self, kind, flags, number, length, data):
        self.give(FRAMES_IN, struct.pack(">BBBIB8sIB", 0x55, kind, flags, number, length, data, 0, 0xAA))

    def report(self, word, receive=0, transmit=0):
        if word == "bus-off":
            self.is_open, self.is_off = False, True
        self.message(3, 4, 0, 8, bytes([REPORTS[word], receive, transmit, 0, 0, 0, 0, 0]))

    def serve(self):
        for request in self.usb.requests():
            if request[0] == "unlink":
                _, number, victim = request
                waiting = [list_ for list_ in self.wanted.values() if victim in list_]
                for list_ in waiting:
                    list_.remove(victim)
                is_held = any(transfer[0] == victim for transfer in self.held)
                self.held = [transfer for transfer in self.held if transfer[0] != victim]
                self.usb.unlinked(number, bool(waiting) or is_held)
                continue
            _, number, endpoint, is_in, length, setup, data = request
            if endpoint == 0:
                self.control(number, length, *struct.unpack("<BBHHH", setup))
            elif is_in:
                self.wanted[endpoint].append(number)
                if self.stock[endpoint]:
                    self.give(endpoint, self.stock[endpoint].pop())
            elif endpoint == COMMANDS:
                self.usb.reply(number, length=length)
                self.command(data)
            else:
                self.held.append((number, length, data))
                if len(self.held) == 1:
                    self.transmit()

    def control(self, number, length, kind, request, value, _index, _length):
        if (kind, request) == (0x80, 6):  # a descriptor
            answer = self.DESCRIPTORS.get(value)
            self.usb.reply(number, answer[:length] if answer else b"", status=0 if answer else -32)
        else:  # status; or address, configuration, halt, which need no answer
            self.usb.reply(number, b"\0\0"[:length] if kind & 0x80 else b"")

    def command(self, message):
        word, parameters = message[2], message[5:15]
        if word == SET_OPEN:
            segment1, segment2, _jump, prescaler, flags = struct.unpack(">BBBHI", parameters[:9])
            self.rate, self.is_open, self.is_silent = TICKS // (prescaler * (1 + segment1 + segment2)), True, bool(flags & 1)
            print(f"adapter {self.place}: {self.rate} bit/s", flush=True)
        elif word == SET_CLOSE:
            self.is_open = False
        version = b"\x01\x02\x03\x04" if word == GET_VERSION else bytes(4)
        self.give(ANSWERS, bytes([0x11, 0, word, 0, 0]) + version + bytes(6) + b"\x22")
        if word == SET_OPEN and self.is_off:
            self.is_off = False
            self.report("active")
        if word == SET_OPEN:
            for other in adapters:
                other.transmit()

    def transmit(self):
        while self.held:
            listeners = [other for other in adapters if other is not self and other.is_open]
            is_alone = all(other.is_silent for other in listeners)
            if self.is_open and not self.is_silent and is_alone:
                self.report("ack", 0, 128)
                self.report("passive", 0, 128)
                return
            number, length, message = self.held.pop(0)
            self.usb.reply(number, length=length)
            if not self.is_open or self.is_silent:
                continue
            if any(other.rate != self.rate for other in listeners):
                self.report("bus-off", 0, 255)
                continue
            identifier, = struct.unpack(">I", message[2:6])
            for other in listeners:
                other.message(0, message[1], identifier, message[6], message[7:15])


adapters = [Adapter(0), Adapter(1)]
pipe = os.open(sys.argv[1], os.O_RDWR)
while True:
    ready, _, _ = select.select([pipe] + [adapter.usb.socket for adapter in adapters], [], [])
    for source in ready:
        if source == pipe:
            for line in os.read(pipe, 4096).decode().splitlines():
                place, word, *counters = line.split()
                adapters[int(place)].report(word, *map(int, counters))
        else:
            next(adapter for adapter in adapters if adapter.usb.socket is source).serve()

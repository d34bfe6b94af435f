"""USB/IP with the kernel of the virtual machine: what plays a USB device speaks to its driver through this."""
import socket
import struct
import sys

FULL_SPEED = 2


class Transport:
    """USB/IP with the kernel: requests in, replies out."""

    HEADER = struct.Struct(">IIIIIIiIII8s")

    def __init__(self, port):
        self.socket, theirs = socket.socketpair()
        with open("/sys/devices/platform/vhci_hcd.0/attach", "w") as attach:
            attach.write(f"{port} {theirs.fileno()} {port + 1} {FULL_SPEED}")
        theirs.close()
        self.bytes = b""

    def requests(self):
        """Requests that are complete: ("submit", number, endpoint, is_in, length, setup, data) or ("unlink", number, victim)."""
        more = self.socket.recv(1 << 16)
        if not more:
            sys.exit("the kernel unplugged an adapter")
        self.bytes += more
        while len(self.bytes) >= self.HEADER.size:
            kind, number, _, is_in, endpoint, flags, length, *_, setup = self.HEADER.unpack_from(self.bytes)
            size = self.HEADER.size + (length if kind == 1 and not is_in else 0)
            if len(self.bytes) < size:
                return
            data, self.bytes = self.bytes[self.HEADER.size:size], self.bytes[size:]
            # In an unlink request the place of `flags` holds the number of the request to be given up.
            yield ("submit", number, endpoint, is_in, length, setup, data) if kind == 1 else ("unlink", number, flags)

    def reply(self, number, data=b"", status=0, length=None):
        self.socket.sendall(struct.pack(">IIIIIiiiii8x", 3, number, 0, 0, 0, status, len(data) if length is None else length,
                                        0, 0, 0) + data)

    def unlinked(self, number, was_waiting):
        self.socket.sendall(struct.pack(">IIIIIi24x", 4, number, 0, 0, 0, -104 if was_waiting else 0))

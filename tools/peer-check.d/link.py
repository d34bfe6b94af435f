"""A bus with a peer on it, and one of our ends beside it."""
import json, pathlib, random, subprocess, threading, time, urllib.request

import can


class Failure(Exception):
    pass


def until(seconds, condition, what):
    """What `condition` returns, as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise Failure(f"{what}: waited {seconds} s in vain")


class Bus:
    """The bus, everything that was on it, and our name for it."""

    def __init__(self, options, folder):
        if options.interface == "udp_multicast":
            # A group and port of its own: other tests may be talking on the usual one.
            group, port = options.channel or "239.74.66.69", random.randrange(20000, 60000)
            self.ours = f"udp://{group}:{port}"
            self.bus = can.Bus(interface="udp_multicast", channel=group, port=port)
        else:
            self.ours = options.channel
            self.bus = can.Bus(interface=options.interface, channel=options.channel)
        self.log = pathlib.Path(folder) / "bus.log"
        self.file = self.log.open("w")
        self.lock = threading.Lock()
        self.heard = []  # called with each frame that the peer did not send
        self.own = set()  # IDs that the peer sends: multicast brings them back
        self.going = True
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while self.going:
            message = self.bus.recv(0.1)
            if message is None or message.is_error_frame or message.is_remote_frame:
                continue
            number = f"{message.arbitration_id:08X}" if message.is_extended_id else f"{message.arbitration_id:03X}"
            if number in self.own:
                continue
            text = number + "#" + bytes(message.data).hex().upper()
            self.note(text)
            for listener in list(self.heard):
                listener(text)

    def note(self, text):
        with self.lock:
            if not self.file.closed:
                print(f"({time.time():.6f}) can0 {text}", file=self.file, flush=True)

    def send(self, text):
        number, data = text.split("#")
        self.own.add(number)
        self.note(text)
        self.bus.send(can.Message(arbitration_id=int(number, 16), is_extended_id=len(number) == 8, data=bytes.fromhex(data)))

    def close(self):
        self.going = False
        self.thread.join()
        with self.lock:
            self.file.close()
        self.bus.shutdown()


class Peer:
    """A driver of theirs, switched on with `settings`; `passing` may change or drop what it sends."""

    def __init__(self, bus, program, settings={}, passing=lambda text: text):
        self.bus, self.passing, self.values = bus, passing, {}
        self.sent = 0
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        threading.Thread(target=self.read, daemon=True).start()
        self.set(settings)
        bus.heard.append(self.hear)
        self.say("start")

    def say(self, text):
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def set(self, settings):
        for name, value in settings.items():
            self.say(f"set {name} {value}")

    def hear(self, text):
        self.say(text)

    def read(self):
        for line in self.process.stdout:
            line = line.strip()
            if line.startswith("= "):
                words = line.split()[1:]
                self.values = dict(zip(words[::2], map(int, words[1::2])))
            elif line:
                self.sent += 1
                line = self.passing(line)
                if line:
                    self.bus.send(line)

    def stop(self):
        if self.hear in self.bus.heard:
            self.bus.heard.remove(self.hear)
        self.process.kill()
        self.process.wait()


class Ours:
    """One of our programs on the bus; what it printed is in `said`."""

    def __init__(self, linkbms, folder, name, *words):
        self.path = pathlib.Path(folder) / (name + ".said")
        self.file = self.path.open("w")
        self.process = subprocess.Popen([linkbms, *words], stdin=subprocess.DEVNULL, stdout=self.file, stderr=subprocess.STDOUT)

    @property
    def said(self):
        return self.path.read_text()

    @property
    def last(self):
        """The latest line of a run's state."""
        return next((line for line in reversed(self.said.splitlines()) if "inverter" in line and " s  " in line), "")

    def stop(self):
        """In order, and how it ended."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(20)
        self.file.close()
        return status


def page(port):
    """What the controller itself believes: its data, which no protocol has been through."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data.json", timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return {}


def lines(linkbms, *words):
    run = subprocess.run([linkbms, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def diagnosis(linkbms, log, *words):
    found = lines(linkbms, "diagnose", "--format", "json", *words, log)
    if not found:
        raise Failure(f"diagnose said nothing of {log}")
    return found[0]


def decoded(linkbms, log):
    """The latest of every signal of the battery's."""
    signals = {}
    for frame in lines(linkbms, "decode", "--format", "json", log):
        if frame.get("sender") == "battery":
            signals |= frame["signals"]
    return signals

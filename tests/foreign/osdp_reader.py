"""OSDP readers of another make: the PD of libosdp (PyPI `libosdp`), on a pseudo-terminal.

Usage: osdp_reader.py LINK ADDRESS=KEY...     readers with these keys (32 hex digits) on one line; the key
                                              `new`: as it comes from its maker, in install mode
       osdp_reader.py LINK --replay FILE      nobody with a key: answers by what was recorded

LINK becomes a link to the terminal. Orders come on standard input, one a line:
  tap ADDRESS BITS HEX   a card is shown           tamper ADDRESS 0|1   the reader is opened or closed
  away, back             the line is cut, or whole again
  noise HEX              comes before every answer record FILE          answers are kept
What readers are told is printed: `led ADDRESS COLOUR`, `buzzer ADDRESS COUNT`.
"""
import os
import sys
import threading
import time
import tty

LINK, REST = sys.argv[1], sys.argv[2:]
MASTER, SLAVE = os.openpty()
tty.setraw(SLAVE)
if os.path.islink(LINK):
    os.unlink(LINK)
os.symlink(os.ttyname(SLAVE), LINK)


class Line:
    """What lies between the terminal and the readers."""

    def __init__(self):
        self.lock = threading.Lock()
        self.heard = {}
        self.away = False
        self.noise = b""
        self.record = None

    def listen(self):
        while True:
            data = os.read(MASTER, 4096)
            with self.lock:
                if not self.away:
                    for queue in self.heard.values():
                        queue.extend(data)

    def answer(self, data):
        with self.lock:
            if self.away:
                return
            if self.record:
                self.record.write(bytes(data).hex() + "\n")
                self.record.flush()
            os.write(MASTER, self.noise + bytes(data))


LINE = Line()


def replay(path):
    answers = [bytes.fromhex(text) for text in open(path)]
    at = 0
    while True:
        data = os.read(MASTER, 4096)
        if b"\x53" in data:
            os.write(MASTER, answers[at % len(answers)])
            at += 1


if REST[0] == "--replay":
    print("ready", flush=True)
    replay(REST[1])

import osdp  # noqa: E402
from osdp.channel import Channel  # noqa: E402


class Port(Channel):
    def __init__(self, address):
        super().__init__()
        self.queue = LINE.heard[address] = bytearray()

    def read(self, max_bytes):
        with LINE.lock:
            data = bytes(self.queue[:max_bytes])
            del self.queue[:max_bytes]
        return data

    def write(self, buf):
        LINE.answer(buf)
        return len(buf)

    def flush(self):
        with LINE.lock:
            self.queue.clear()


def told(address):
    def handler(command):
        if command["command"] == osdp.Command.LED:
            print("led", address, command["on_color"], flush=True)
        elif command["command"] == osdp.Command.Buzzer:
            print("buzzer", address, command["rep_count"], flush=True)
        return 0, None

    return handler


READERS = {}
CAPABILITIES = osdp.PDCapabilities(
    [
        (osdp.Capability.CardDataFormat, 1, 1),
        (osdp.Capability.LEDControl, 1, 1),
        (osdp.Capability.AudibleControl, 1, 1),
        (osdp.Capability.CommunicationSecurity, 1, 1),
        (osdp.Capability.ContactStatusMonitoring, 1, 1),
    ]
)
for given in REST:
    address, key = given.split("=")
    if key == "new":
        info = osdp.PDInfo(int(address), Port(int(address)), scbk=None, flags=[osdp.LibFlag.InstallMode])
    else:
        info = osdp.PDInfo(int(address), Port(int(address)), scbk=bytes.fromhex(key), flags=[osdp.LibFlag.EnforceSecure])
    reader = osdp.PeripheralDevice(info, CAPABILITIES, log_level=osdp.LogLevel.Emergency, command_handler=told(int(address)))
    READERS[int(address)] = reader

threading.Thread(target=LINE.listen, daemon=True).start()


def refresh():
    # A reader answers within 3 ms; the loop of the package would take 20.
    while True:
        for reader in READERS.values():
            with reader.lock:
                reader.ctx.refresh()
        time.sleep(0.002)


for reader in READERS.values():
    reader.lock = threading.Lock()
threading.Thread(target=refresh, daemon=True).start()
print("ready", flush=True)

for order in sys.stdin:
    word, *rest = order.split()
    if word == "tap":
        event = {
            "event": osdp.Event.CardRead,
            "reader_no": 0,
            "direction": 0,
            "format": osdp.CardFormat.Wiegand,
            "length": int(rest[1]),
            "data": bytes.fromhex(rest[2]),
        }
        READERS[int(rest[0])].submit_event(event)
    elif word == "tamper":
        report = bytes([int(rest[1]), 0])
        event = {
            "event": osdp.Event.Status,
            "type": osdp.StatusReportType.Local,
            "nr_entries": 2,
            "report": report,
        }
        READERS[int(rest[0])].submit_event(event)
    elif word in ("away", "back"):
        with LINE.lock:
            LINE.away = word == "away"
    elif word == "noise":
        with LINE.lock:
            LINE.noise = bytes.fromhex("".join(rest))
    elif word == "record":
        with LINE.lock:
            LINE.record = open(rest[0], "w")
    print("done", word, flush=True)
os._exit(0)

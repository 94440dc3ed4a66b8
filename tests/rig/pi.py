#!/usr/bin/env python3
"""Lives through a day of a gate on an emulated Raspberry Pi 3 (QEMU raspi3b, Debian arm64 kernel), which pi.sh has made.

The daemon in there is the one of the arm64 package, on the config of the drawing hardware/lane-flap-pi.toml. Everything around it is
out here: the relay lines are read and the sensor lines driven through the emulator (qtest), the flap follows its relay, the card
module is `turnstiled demo reader` at the other end of the serial line, and the power is cut by killing the emulator.

    pi.py RIG_FOLDER LAB_BINARY      one line a sight, "ok" or "WRONG"; 1 if anything was not as it should be
"""
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

RIG, LAB = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
# Lines of hardware/lane-flap-pi.wires.
FIRE, RELEASE_ENTRY, RELEASE_EXIT, ENTRY_BEAM, MIDDLE_BEAM, EXIT_BEAM, OPENED, CLOSED = 4, 17, 18, 5, 16, 6, 20, 21
# BCM2835 ARM Peripherals, chapter 6; seen from the processor at 0x3f000000.
SELECT_1, SET_0, CLEAR_0, LEVEL_0 = 0x3F200004, 0x3F20001C, 0x3F200028, 0x3F200034
BEGUN = time.monotonic()
wrong = 0
seen = 0


def say(words):
    print(f"[{time.monotonic() - BEGUN:4.0f} s] {words}", flush=True)


def saw(words, condition, seconds=60, why=None):
    """One line of the report: whether `condition` came true within so many seconds."""
    global wrong, seen
    begun = time.monotonic()
    error = None
    while True:
        try:
            if condition():
                seen += 1
                say(f"ok    {words} ({time.monotonic() - begun:.1f} s)")
                return True
            error = None
        except (OSError, TimeoutError, ValueError, KeyError, IndexError) as caught:
            error = caught
        if time.monotonic() - begun > seconds:
            wrong += 1
            say(f"WRONG {words}" + (f": {error!r}" if error else ""))
            if why:
                print("\n".join("      " + line for line in why().splitlines()[-12:]), flush=True)
            return False
        time.sleep(0.1)


class Wire:
    """A Unix socket of the emulator."""

    def __init__(self, path, on_line):
        ends = time.monotonic() + 30
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
        self.on_line = on_line
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        held = b""
        while True:
            try:
                came = self.socket.recv(65536)
            except OSError:
                came = b""
            if not came:
                return
            held += came
            *lines, held = held.split(b"\n")
            for line in lines:
                self.on_line(line.decode(errors="replace").rstrip("\r"))

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")


class Board:
    """The board from power on to power off."""

    def __init__(self, reader):
        self.folder = tempfile.mkdtemp(prefix="rig-")
        console, qtest = f"{self.folder}/console", f"{self.folder}/qtest"
        self.log = open(f"{RIG}/qemu.log", "a", encoding="utf-8")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            ["qemu-system-aarch64", "-M", "raspi3b", "-kernel", f"{RIG}/kernel.image", "-dtb", f"{RIG}/pi.dtb",
             "-initrd", f"{RIG}/root.gz", "-append", "console=ttyAMA0,115200 iomem=relaxed panic=-1 loglevel=1 rdinit=/init",
             "-display", "none", "-no-reboot", "-drive", f"if=sd,format=raw,file={RIG}/card.img",
             "-chardev", f"socket,id=console,path={console},server=on,wait=off", "-serial", "chardev:console",
             "-chardev", f"serial,id=reader,path={reader}", "-serial", "chardev:reader",
             "-chardev", f"socket,id=qtest,path={qtest},server=on,wait=off", "-qtest", "chardev:qtest", "-qtest-log", "none"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.said, self.replies = queue.Queue(), queue.Queue()
        self.lock = threading.Lock()
        self.high, self.raised, self.driven = set(), {}, {}
        self.moved = queue.Queue()
        self.console = Wire(console, self.said.put)
        self.qtest = Wire(qtest, self._on_qtest)
        self.ask("irq_intercept_out /machine/soc/peripherals/gpio")
        # At rest: beams whole, fire loop closed (all low), the leaf at its shut end.
        self.drive({FIRE: 0, ENTRY_BEAM: 0, MIDDLE_BEAM: 0, EXIT_BEAM: 0, OPENED: 1, CLOSED: 0})
        threading.Thread(target=self._flap, daemon=True).start()

    def _on_qtest(self, line):
        event = re.fullmatch(r"IRQ (raise|lower) (\d+)", line)
        if not event:
            self.replies.put(line)
            return
        pin = int(event[2])
        if event[1] == "raise":
            self.high.add(pin)
            self.raised[pin] = self.raised.get(pin, 0) + 1
        else:
            self.high.discard(pin)
        if pin in (RELEASE_ENTRY, RELEASE_EXIT):
            self.moved.put(None)

    def _flap(self):
        """The leaf follows its relay; its end switches conduct, so read low, where it is."""
        while self.process.poll() is None:
            try:
                self.moved.get(timeout=1)
                time.sleep(0.3)
                opens = self.is_released()
                self.drive({CLOSED: 1, OPENED: 1})
                time.sleep(0.3)
                self.drive({OPENED if opens else CLOSED: 0})
            except queue.Empty:
                continue
            except (OSError, TimeoutError):
                return

    def ask(self, command):
        """A command of qtest, and its answer."""
        with self.lock:
            self.qtest.send(command)
            try:
                answer = self.replies.get(timeout=10)
            except queue.Empty:
                raise TimeoutError(f"qtest: {command}") from None
        if not answer.startswith("OK"):
            raise ValueError(f"qtest: {command}: {answer}")
        return answer[2:].strip()

    def drive(self, levels):
        """Levels of input lines."""
        for register, level in ((SET_0, 1), (CLEAR_0, 0)):
            mask = sum(1 << pin for pin, wanted in levels.items() if wanted == level)
            if mask:
                self.ask(f"writel {register:#x} {mask:#x}")
        self.driven.update(levels)

    def is_released(self):
        return bool(self.high & {RELEASE_ENTRY, RELEASE_EXIT})

    def is_output(self, pin):
        """Whether the chip drives this line, 10 to 19: three bits each of a select register."""
        return int(self.ask(f"readl {SELECT_1:#x}"), 16) >> (3 * (pin - 10)) & 7 == 1

    def level(self, pin):
        return int(self.ask(f"readl {LEVEL_0:#x}"), 16) >> pin & 1

    def walk(self):
        """Somebody goes through on the way in."""
        for pin, level in ((ENTRY_BEAM, 1), (MIDDLE_BEAM, 1), (ENTRY_BEAM, 0), (EXIT_BEAM, 1), (MIDDLE_BEAM, 0), (EXIT_BEAM, 0)):
            self.drive({pin: level})
            time.sleep(0.4)

    def until_up(self, seconds=120):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            try:
                line = self.said.get(timeout=1)
            except queue.Empty:
                if self.process.poll() is not None:
                    break
                continue
            if line.startswith("PI UP"):
                self.run(f"date -s @{int(time.time())}")
                return line[6:]
            print(f"      {line}")
        raise TimeoutError("the board did not come up")

    def shell(self, command, seconds=60):
        """A line of the board's shell: exit code and what it said."""
        while not self.said.empty():
            self.said.get()
        self.console.send(command)
        said, ends = [], time.monotonic() + seconds
        while time.monotonic() < ends:
            try:
                line = self.said.get(timeout=1)
            except queue.Empty:
                continue
            ended = re.search(r"PI RC (\d+)$", line)
            if ended:
                said.append(line[: ended.start()])
                return int(ended[1]), "\n".join(said).strip()
            said.append(line)
        raise TimeoutError(f"{command!r} did not end within {seconds} s")

    def run(self, command, seconds=60):
        """The same for one that has to succeed."""
        code, said = self.shell(command, seconds)
        if code:
            raise ValueError(f"{command!r} ended with {code}: {said}")
        return said

    def does(self, command):
        return self.shell(command)[0] == 0

    def metric(self, line):
        """Whether a line of the metrics is like this."""
        return self.does(f"wget -qO- http://127.0.0.1:9464/metrics | grep -qE '{line}'")

    def daemon_log(self):
        return self.shell("tail -n 12 /tmp/gate.log; tail -n 3 /tmp/backend.log")[1]

    def show(self, picture):
        """What the camera sees."""
        self.run(f"cp /rig/{picture}.grey /tmp/next.grey && mv /tmp/next.grey /tmp/seen.grey")

    def start_camera(self):
        self.show("empty")
        self.run("/rig/player /dev/video0 640 480 /tmp/seen.grey >/tmp/player.log 2>&1 & echo started")

    def start_backend(self):
        self.run("turnstiled backend --data /var/lib/turnstiled-backend >/tmp/backend.log 2>&1 & echo $! >/tmp/backend.pid")

    def start_gate(self):
        self.run("turnstiled run --config /etc/turnstiled/gate.toml >>/tmp/gate.log 2>&1 & echo $! >/tmp/gate.pid")

    def cut_power(self):
        """Nothing that the board has not written to its card is there afterwards."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def card_number(number):
    """Of the emulated module's cards (src/lab/reader): with the check digit of GB 11643, ISO 7064 MOD 11-2."""
    body = f"11010519491231{number:03}"
    weighted = sum(int(digit) * pow(2, 17 - at, 11) for at, digit in enumerate(body))
    return body + "10X98765432"[weighted % 11]


def people():
    """Who is known: codes G1 to G9 and odd cards are green, R1 and even cards red."""
    rows = ["kind,issuer,identifier,colour"]
    rows += [f"opaque,health,HC:G{number},green" for number in range(1, 10)] + ["opaque,health,HC:R1,red"]
    rows += [f"id_card,id-card,{card_number(number)},{'green' if number % 2 else 'red'}" for number in range(1, 9)]
    return rows


def serve(board):
    """First boot: people are imported, the gate gets the config of its drawing and the lines of the backend."""
    say(f"ok    it boots: {board.until_up()} ({time.monotonic() - board.begun:.0f} s)")
    say(f"ok    the arm64 binary runs there: {board.run('turnstiled --version')}")
    board.run("mkdir -p /var/lib/etc-turnstiled /var/lib/turnstiled /var/lib/turnstiled-backend && chmod 700 /var/lib/turnstiled-backend")
    board.run("cp /rig/trust.toml /etc/turnstiled/")
    board.run("rm -f /tmp/people.csv")
    for row in people():
        board.run(f"echo {row} >>/tmp/people.csv")
    board.run("turnstiled codes import --list health --data /var/lib/turnstiled-backend /tmp/people.csv", 120)
    board.start_backend()
    saw("the backend is up", lambda: board.does("grep -q pepper_file /var/lib/turnstiled-backend/gate-fragment.toml"))
    board.run("cat /rig/gate.toml /var/lib/turnstiled-backend/gate-fragment.toml >/etc/turnstiled/gate.toml && sync")
    saw("the drawing's config passes check", lambda: board.does("turnstiled check /etc/turnstiled/gate.toml"), 5,
        lambda: board.shell("turnstiled check /etc/turnstiled/gate.toml")[1])
    board.start_camera()
    board.start_gate()


def relays(board, reader):
    """Lines, camera, card module, fire."""
    why = board.daemon_log
    for device in ("lines", "lane1-entry-camera", "lane1-entry-card"):
        saw(f"{device}: up", lambda device=device: board.metric(f'turnstile_device_up.device="{device}". 1'), 90, why)
    saw("/readyz says ready: the list is in force", lambda: board.does("wget -qO- http://127.0.0.1:9464/readyz"), 60, why)
    saw("at rest the release line is low, driven", lambda: board.level(RELEASE_ENTRY) == 0 and board.is_output(RELEASE_ENTRY), 10)
    board.show("R1")
    saw("a red code is read and held", lambda: board.metric('medium="qr_code",result="red_code". [1-9]'), 60, why)
    saw("and no release line has moved", lambda: not board.raised.get(RELEASE_ENTRY), 2)
    board.show("G1")
    saw("a green code at the camera: the release line goes high, seen from outside", board.is_released, 60, why)
    board.show("empty")
    saw("the emulator's level register says the same", lambda: board.level(RELEASE_ENTRY) == 1, 2)
    board.walk()
    saw("the flap locks behind them: the line goes low", lambda: not board.is_released(), 30, why)
    lay(reader)
    saw("a green card at the serial module opens", board.is_released, 30, why)
    board.walk()
    saw("and it locks", lambda: not board.is_released(), 30, why)
    raised = board.raised.get(RELEASE_ENTRY)
    lay(reader)
    saw("a red card is read and held", lambda: board.metric('medium="id_card",result="red_code". 1'), 30, why)
    saw("no release line has moved", lambda: board.raised.get(RELEASE_ENTRY) == raised, 2)
    board.drive({FIRE: 1})
    saw("an open fire loop opens", board.is_released, 10, why)
    board.drive({FIRE: 0})
    time.sleep(2)
    saw("the fire is latched", board.is_released, 1, why)
    saw("staff reset it", lambda: board.does("turnstiled lane reset-fire"), 10, why)
    saw("and it locks", lambda: not board.is_released(), 30, why)


def lay(reader):
    """The next card on the module; it lies there for a second and a half."""
    reader.stdin.write("\n")
    reader.stdin.flush()


def killed(board):
    """The process dies with the barrier released; then what systemd does (ExecStopPost=, Restart=)."""
    why = board.daemon_log
    board.show("G2")
    saw("it opens before it is killed", board.is_released, 60, why)
    board.show("empty")
    board.run("kill -9 $(cat /tmp/gate.pid)")
    time.sleep(1)
    say(f"note  killed, the chip keeps what was written: release line {'high' if board.level(RELEASE_ENTRY) else 'low'}")
    board.run("turnstiled undrive --config /etc/turnstiled/gate.toml")
    saw("`undrive` (ExecStopPost=): nothing drives the release lines any more",
        lambda: not board.is_output(RELEASE_ENTRY) and not board.is_output(RELEASE_EXIT), 5)
    # What the pull of the board does with an undriven line.
    board.drive({RELEASE_ENTRY: 0, RELEASE_EXIT: 0})
    board.high -= {RELEASE_ENTRY, RELEASE_EXIT}
    board.moved.put(None)
    board.start_gate()
    unknown = 'turnstile_passages_total.lane="lane1",outcome="unknown_after_restart". 1'
    saw("started again it closes the grant as unknown", lambda: board.metric(unknown), 60, why)
    saw("and is ready", lambda: board.does("wget -qO- http://127.0.0.1:9464/readyz"), 60, why)


def cut(board):
    """Power goes between a grant and its outcome, while the backend is away."""
    why = board.daemon_log
    board.run("kill -9 $(cat /tmp/backend.pid)")
    board.show("G3")
    saw("without a backend it opens", board.is_released, 60, why)
    board.cut_power()
    say("note  power is cut: the emulator is killed with the barrier released")


def back(board, grants):
    """The same card in the board, no backend at first."""
    why = board.daemon_log
    say(f"ok    it boots again: {board.until_up()} ({time.monotonic() - board.begun:.0f} s)")
    saw("at power on nothing drives the release lines", lambda: not board.is_output(RELEASE_ENTRY) and not board.is_output(RELEASE_EXIT), 1)
    saw("the journal on the card is whole", lambda: board.does("turnstiled journal verify --config /etc/turnstiled/gate.toml"), 5,
        lambda: board.shell("turnstiled journal verify --config /etc/turnstiled/gate.toml")[1])
    held = board.run("turnstiled journal export --config /etc/turnstiled/gate.toml")
    saw("the grant of the last moment is in it, without an outcome", lambda: is_open_grant(held), 0, lambda: held)
    board.start_camera()
    board.start_gate()
    unknown = 'turnstile_passages_total.lane="lane1",outcome="unknown_after_restart". 1'
    saw("the daemon closes it as unknown", lambda: board.metric(unknown), 60, why)
    board.show("G3")
    saw("whoever it was is remembered: passback", lambda: board.metric('result="passback". [1-9]'), 60, why)
    board.show("G4")
    saw("the list on the card is in force without a backend: a green code opens", board.is_released, 60, why)
    board.show("empty")
    board.walk()
    saw("and it locks", lambda: not board.is_released(), 30, why)
    board.start_backend()
    saw(f"each of the {grants + 1} grants that were seen outside is at the backend once, each with one outcome",
        lambda: are_whole(board, grants + 1), 90, lambda: board.shell("turnstiled backend passages | tail -n 8")[1])


def records(lines):
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def is_open_grant(lines):
    found = [one.get("record", one) for one in records(lines)]
    granted = [one for one in found if one.get("verdict") == "grant"]
    closed = {one.get("grant") for one in found if one.get("kind") == "outcome"}
    return bool(granted) and granted[-1]["grant"] not in closed


def are_whole(board, grants):
    found = [one["record"] for one in records(board.run("turnstiled backend passages"))]
    granted = [one["grant"] for one in found if one.get("verdict") == "grant"]
    closed = [one["grant"] for one in found if one.get("kind") == "outcome"]
    sequence = [one["seq"] for one in records(board.run("turnstiled backend passages"))]
    gapless = sequence == sorted(set(sequence)) and sequence[-1] - sequence[0] + 1 == len(sequence)
    return len(granted) == len(set(granted)) == grants and sorted(closed) == sorted(granted) and gapless


def main():
    # `timeout` asks first; the emulator must not outlive this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(124))
    folder = tempfile.mkdtemp(prefix="rig-reader-")
    line = f"{folder}/line"
    reader = subprocess.Popen([LAB, "demo", "reader", "id-card", "--pty", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    board = None
    try:
        reader.stdout.readline()
        board = Board(line)
        serve(board)
        relays(board, reader)
        killed(board)
        cut(board)
        # Fire is no grant.
        grants = 4
        board = Board(line)
        back(board, grants)
    except (OSError, TimeoutError, ValueError) as error:
        global wrong
        wrong += 1
        say(f"WRONG the rig stopped: {error!r}")
        if board and board.process.poll() is None:
            try:
                print(board.daemon_log())
            except (OSError, TimeoutError):
                pass
    finally:
        if board:
            board.cut_power()
        reader.kill()
        shutil.rmtree(folder, ignore_errors=True)
    say(f"{seen} seen, {wrong} WRONG")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

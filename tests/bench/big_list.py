#!/usr/bin/env python3
"""A gate with a very large list, from outside: packs it, serves it as plain files, runs the real daemon with scanners on
pseudo-terminals, and prints load times, memory and the own share while a second generation loads beside the live one.

    cargo build --release && python3 tests/bench/big_list.py --rows 10000000 [--turnstiled PATH] [--dir DIR]

Needs about 250 bytes a row in DIR. Everything is removed at the end.
"""

import argparse, functools, http.server, json, os, pty, re, resource, subprocess, tempfile, termios, threading, time
import tty, urllib.request

LANES = 4
CONFIG = """
gate = "bench"
data_dir = "gate"
trust_file = "trust.toml"
http = {{ listen = "127.0.0.1:0" }}
clock = {{ trust = "always" }}
gpio = {{ driver = "simulated", folder = "lines" }}
[passback]
mode = "off"
[backend]
url = "{url}"
list_keys = ["{key}"]
resolve = false
[[list]]
name = "people"
pepper_file = "{pepper}"
"""
LANE = """
[[lane]]
name = "lane-{n}"
barrier = "tripod"
fail = "safe"
directions = ["entry"]
release_ms = 500
pulse_ms = 100
outputs = {{ release_entry = {relay} }}
sensors = {{ entry_rotor = {rotor}, exit_rotor = {other} }}
reader = [{{ name = "scanner-{n}", direction = "entry", line = {{ port = "{port}" }} }}]
"""
TRUST = 'version = 1\n[[issuer]]\nid = "health"\nprofile = "opaque"\ndetect = [{ prefix = "HC:" }]\n'


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        # Passages: a folder takes none; the gate keeps them.
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_error(503)


class Gate:
    def __init__(self, binary, home):
        self.child = subprocess.Popen(
            [binary, "run", "--config", "gate.toml"], cwd=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, env={**os.environ, "RUST_LOG": "info,sled=warn"})
        self.lines, self.pages = [], None
        threading.Thread(target=self.read, daemon=True).start()
        self.wait(lambda: self.said(r"pages=(\S+)"), "the gate decides", 120)
        self.pages = "http://" + self.said(r"pages=(\S+)")

    def read(self):
        for line in self.child.stderr:
            self.lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line))

    def said(self, pattern):
        found = [match.group(1) for line in list(self.lines) if (match := re.search(pattern, line))]
        return found[-1] if found else None

    def wait(self, done, what, limit_s):
        until = time.monotonic() + limit_s
        while not done():
            if self.child.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{what}: did not happen\n" + "".join(self.lines[-20:]))
            time.sleep(0.05)

    def status(self, name):
        with open(f"/proc/{self.child.pid}/status") as file:
            return int(re.search(name + r":\s+(\d+) kB", file.read()).group(1)) / 1024

    def forget_peak(self):
        with open(f"/proc/{self.child.pid}/clear_refs", "w") as file:
            file.write("5")

    def own_share(self):
        """Cumulative buckets over all lanes: upper bound in seconds -> count."""
        text = urllib.request.urlopen(self.pages + "/metrics").read().decode()
        buckets = {}
        for bound, count in re.findall(r'own_share_seconds_bucket\{[^}]*le="([^"]+)"\} (\d+)', text):
            bound = float(bound.replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0) + int(count)
        return buckets


class Crowd:
    """Somebody at every lane, again and again, each with another code of the list."""

    def __init__(self, masters, rows):
        self.masters, self.rows, self.next, self.going = masters, rows, 1, True
        threading.Thread(target=self.come, daemon=True).start()

    def come(self):
        while self.going:
            for master in self.masters:
                self.next = self.next * 7919 % self.rows
                os.write(master, b"HC:%d\r\n" % self.next)
                time.sleep(0.75 / LANES)


def spread(before, after):
    counts = sorted((bound, after[bound] - before.get(bound, 0)) for bound in after)
    total = counts[-1][1]
    if not total:
        return {"n": 0}
    at = lambda part: next(bound for bound, count in counts if count >= part * total)
    return {"n": total, "p50_ms_at_most": at(0.5) * 1e3, "p99_ms_at_most": at(0.99) * 1e3, "max_ms_at_most": at(1) * 1e3}


def pack(binary, home, *more):
    began = time.monotonic()
    done = subprocess.run([binary, "codes", "pack", "people.csv", "out", *more], cwd=home, text=True,
                          capture_output=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": round(time.monotonic() - began, 1), "peak_rss_mib": round(peak)}, done.stdout


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--rows", type=int, default=10_000_000)
    args.add_argument("--turnstiled", default="target/release/turnstiled")
    args.add_argument("--dir", default=None)
    args = args.parse_args()
    binary = os.path.abspath(args.turnstiled)
    with tempfile.TemporaryDirectory(dir=args.dir) as home:
        measure(binary, home, args.rows)


def measure(binary, home, rows):
    figures = {"rows": rows}
    with open(f"{home}/people.csv", "w") as file:
        file.write("kind,issuer,identifier,colour\n")
        file.writelines(f"opaque,health,HC:{n},green\n" for n in range(rows))
    figures["pack"], said = pack(binary, home)
    handler = functools.partial(Files, directory=f"{home}/out")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    masters, config = [], CONFIG.format(
        url=f"http://127.0.0.1:{server.server_port}", key=re.search(r'list_keys = \["([^"]+)"', said).group(1),
        pepper=f"{home}/out.secrets/peppers/people.pepper")
    for n in range(LANES):
        master, slave = pty.openpty()
        tty.setraw(slave, termios.TCSANOW)
        masters.append(master)
        config += LANE.format(n=n, relay=2 + n, rotor=8 + n, other=16 + n, port=os.ttyname(slave))
    os.mkdir(f"{home}/lines")
    for name, text in ("gate.toml", config), ("trust.toml", TRUST):
        with open(f"{home}/{name}", "w") as file:
            file.write(text)
    gate = Gate(binary, home)
    try:
        applied = r"in force.*era=%d .*took_ms=(\d+)"
        gate.wait(lambda: gate.said(applied % 1), "the first load", 900)
        figures["load"] = {"s": int(gate.said(applied % 1)) / 1e3, "peak_rss_mib": round(gate.status("VmHWM"))}
        crowd = Crowd(masters, rows)
        time.sleep(5)
        before = gate.own_share()
        time.sleep(40)
        after = gate.own_share()
        figures["steady"] = {"rss_mib": round(gate.status("VmRSS")), "own_share": spread(before, after)}
        gate.forget_peak()
        pack(binary, home, "--era", "2")
        before = gate.own_share()
        gate.wait(lambda: gate.said(applied % 2), "the second load", 900)
        after = gate.own_share()
        figures["second_load"] = {"s": int(gate.said(applied % 2)) / 1e3, "peak_rss_mib": round(gate.status("VmHWM")),
                                  "own_share": spread(before, after)}
        crowd.going = False
        time.sleep(5)
        figures["after"] = {"rss_mib": round(gate.status("VmRSS"))}
        usage = subprocess.run(["du", "-sm", f"{home}/gate/codes"], capture_output=True, text=True).stdout
        figures["disk_mib"] = int(usage.split()[0])
        gate.child.terminate()
        gate.child.wait(30)
        began = time.monotonic()
        gate = Gate(binary, home)
        figures["restart"] = {"decides_after_s": round(time.monotonic() - began, 2)}
        gate.wait(lambda: gate.said(r"(copy of the list is whole)"), "the copy is verified", 900)
        figures["restart"].update(verified_after_s=round(time.monotonic() - began, 1), rss_mib=round(gate.status("VmRSS")))
    finally:
        gate.child.kill()
    figures["load_average"] = os.getloadavg()
    print(json.dumps(figures, indent=1))


main()

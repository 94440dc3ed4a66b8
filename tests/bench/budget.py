#!/usr/bin/env python3
"""Instructions of the daemon, counted by callgrind: idle per second, per presentation that opens; and resident memory and
start to ready without it. What that means on a Raspberry Pi is computed in tests/bench/README.md.

    tests/bench/budget.py BINARY        # a release binary
"""
import os, pathlib, pty, re, signal, socket, subprocess, sys, tempfile, time

binary = str(pathlib.Path(sys.argv[1]).resolve())
CONFIG = """
gate = "budget"
data_dir = "data"
trust_file = "trust.toml"
http = {{ listen = "127.0.0.1:0" }}
clock = {{ trust = "always" }}
passback = {{ mode = "off" }}
gpio = {{ driver = "simulated", folder = "lines" }}
policy = {{ entry = {{ unknown = "open" }} }}
[[lane]]
name = "in"
barrier = "tripod"
fail = "safe"
directions = ["entry"]
release_ms = 500
pulse_ms = 100
outputs = {{ release_entry = 17 }}
sensors = {{ entry_rotor = 5 }}
reader = [{{ name = "scanner", direction = "entry", line = {{ port = "{port}", baud = 9600 }} }}]
"""
TRUST = 'version = 1\nissuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]\n'


def run(seconds, codes, counted=True):
    """One life of the gate; instructions (or none), resident KiB, seconds to ready."""
    with tempfile.TemporaryDirectory() as home:
        master, slave = pty.openpty()
        pathlib.Path(home, "gate.toml").write_text(CONFIG.format(port=os.ttyname(slave)))
        pathlib.Path(home, "trust.toml").write_text(TRUST)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(f"{home}/notify")
        notify.settimeout(120)
        env = dict(os.environ, NOTIFY_SOCKET=f"{home}/notify", MALLOC_ARENA_MAX="2", RUST_LOG="warn")
        count = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={home}/count"] if counted else []
        begun = time.monotonic()
        gate = subprocess.Popen([*count, binary, "run", "--config", f"{home}/gate.toml"], env=env, stderr=subprocess.PIPE, text=True)
        while b"READY=1" not in notify.recv(1000):
            pass
        ready = time.monotonic() - begun
        end = time.monotonic() + seconds
        for n in range(codes):
            os.write(master, b"HC:%06d\r\n" % n)
            time.sleep(seconds / (codes + 1))
        time.sleep(max(0, end - time.monotonic()))
        resident = int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{gate.pid}/status").read_text())[1])
        gate.send_signal(signal.SIGTERM)
        said = gate.communicate(timeout=120)[1]
        os.close(master), os.close(slave)
        instructions = re.search(r"Collected : (\d+)", said)
        return int(instructions[1]) if instructions else None, resident, ready


short, long = run(10, 0)[0], run(40, 0)[0]
idle = (long - short) / 30
print(f"idle: {idle / 1e6:.2f} million instructions a second")
with_codes = run(40, 20)[0]
print(f"a presentation that opens, with its journal, lights and display: {(with_codes - long) / 20 / 1e6:.2f} million instructions")
_, resident, ready = run(3, 0, counted=False)
print(f"resident: {resident / 1024:.1f} MiB; start to ready: {ready:.2f} s")

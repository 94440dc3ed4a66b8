#!/usr/bin/env python3
"""Instructions of the daemon, counted by callgrind: idle per second, per presentation that opens, per frame of 640x480 without a
code and with one; and resident memory and start to ready without it. What that means on a Raspberry Pi is computed in
tests/bench/README.md. Needs valgrind and qrencode.

    tests/bench/budget.py BINARY        # a release binary
"""
import os, pathlib, pty, random, re, signal, socket, subprocess, sys, tempfile, time, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
from picture import HEIGHT, WIDTH, picture

binary = str(pathlib.Path(sys.argv[1]).resolve())
CONFIG = """
gate = "budget"
data_dir = "data"
trust_file = "trust.toml"
http = {{ listen = "127.0.0.1:{http}" }}
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
reader = [{{ name = "scanner", direction = "entry", line = {{ port = "{port}", baud = 9600 }} }}{camera}]
"""
CAMERA = ', { name = "camera", direction = "entry", folder = { path = "frames", fps = 2 } }'
TRUST = 'version = 1\nissuer = [{ id = "health", profile = "opaque", detect = [{ prefix = "HC:" }] }]\n'


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return answer.read().decode()


def frames_of(port):
    return sum(float(count) for count in re.findall(r"^turnstile_frames_total\{.*\} (\S+)$", page(port), re.M))


def run(seconds, codes, counted=True, frames=None):
    """One life of the gate; instructions (or none), resident KiB, seconds to ready. With `frames`, grey pictures, as a camera."""
    with tempfile.TemporaryDirectory() as home:
        master, slave = pty.openpty()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            http = free.getsockname()[1]
        pathlib.Path(home, "frames").mkdir()
        for n, grey in enumerate(frames or []):
            # Pictures that are all the same are a frozen camera to the daemon.
            noisy = bytearray(grey)
            noisy[n * 7] ^= 3
            pathlib.Path(home, "frames", f"{n:04}.pgm").write_bytes(b"P5 %d %d 255\n" % (WIDTH, HEIGHT) + noisy)
        camera = "" if frames is None else CAMERA
        pathlib.Path(home, "gate.toml").write_text(CONFIG.format(port=os.ttyname(slave), http=http, camera=camera))
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
        if frames is not None and frames_of(http) != len(frames):
            sys.exit(f"{frames_of(http):.0f} of {len(frames)} frames were looked at within {seconds} s")
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
FRAMES = 40
# A sensor has noise, of three levels either way here.
NOISE = random.Random(1).choices(range(-3, 4), k=WIDTH * HEIGHT)
without = run(90, 0, frames=[])[0]
for words, text in ("without a code", ""), ("with a code, seen again and again", "HC:CAMERA"):
    seen = bytes(min(255, max(0, grey + noise)) for grey, noise in zip(picture(text), NOISE))
    counted = run(90, 0, frames=[seen] * FRAMES)[0]
    print(f"a frame of {WIDTH}x{HEIGHT} {words}: {(counted - without) / FRAMES / 1e6:.2f} million instructions, reading the file included")
_, resident, ready = run(3, 0, counted=False)
print(f"resident: {resident / 1024:.1f} MiB; start to ready: {ready:.2f} s")

#!/usr/bin/env python3
"""Our eyes beside the decoders one would take instead: the same frames, one core, one run.

    make bench-vision            TURNSTILED_SHARED names the folder with tools/ and data/qr; SEED=20250101; EVERY=1 takes all clips

Clips are made by tools/gate_video.py, into target/vision. Times are processor time of the decoding thread, luma in, text out.
"""
import collections, json, os, pathlib, statistics, subprocess, sys, time

import cv2
import zxingcpp

cv2.setNumThreads(1)  # one core: what its other threads did would not be counted
SHARED = pathlib.Path(os.environ.get("TURNSTILED_SHARED", ""))
OURS = os.environ.get("TURNSTILED", "target/release/turnstiled")
SEED = os.environ.get("SEED", "20250101")
EVERY = int(os.environ.get("EVERY", "1"))
OUT = pathlib.Path("target/vision")
FRAMES = 12
FIT = (1280, 720)


def timed(read, luma):
    begun = time.thread_time()
    texts = read(luma)
    return texts, (time.thread_time() - begun) * 1e3


def zxing(luma):
    found = zxingcpp.read_barcodes(luma, formats=zxingcpp.BarcodeFormat.QRCode)
    return [code.text for code in found]


def opencv(luma):
    try:
        text = cv2.QRCodeDetector().detectAndDecode(luma)[0]
    except (UnicodeDecodeError, cv2.error):  # texts that its binding cannot give, and modes that it does not know
        return []
    return [text] if text else []


def zbar(luma):
    return [code.data.decode("utf-8", "replace") for code in pyzbar.decode(luma, symbols=[pyzbar.ZBarSymbol.QRCODE])]


PEERS = {"zxing-cpp": zxing, "OpenCV": opencv}
try:
    from pyzbar import pyzbar
    PEERS["ZBar"] = zbar
except ImportError as why:
    print(f"ZBar is left out: {why}", file=sys.stderr)


def ours(files, clip):
    """Texts and milliseconds of each file."""
    call = [OURS, "codes", "read-image", "--json"] + (["--clip"] if clip else []) + [str(f) for f in files]
    done = subprocess.run(call, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if len(lines) != len(files):
        sys.exit(f"{OURS}: {done.stderr}")
    return [(line["texts"], line["cpu_us"] / 1e3) for line in lines]


def clips():
    folder = OUT / SEED
    if not (folder / "manifest.tsv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, SHARED / "tools/gate_video.py", str(folder), SEED], check=True)
    by_size = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in (folder / "manifest.tsv").read_text().splitlines():
        path, size, clip, _, _, frame, _, text = line.split("\t")
        by_size[size][clip].append((int(frame), path, bytes.fromhex(text).decode()))
    return {size: [sorted(c) for c in list(all_.values())[::EVERY]] for size, all_ in by_size.items()}


def row(name, results, wanted):
    """results: for each clip, (texts, ms) a frame."""
    hits = [[want in texts for (texts, _), (_, _, want) in zip(clip, want_clip)] for clip, want_clip in zip(results, wanted)]
    wrong = sum(t != want for clip, wc in zip(results, wanted) for (texts, _), (_, _, want) in zip(clip, wc) for t in texts)
    first = [hit.index(True) + 1 if True in hit else FRAMES + 1 for hit in hits]
    times = sorted(ms for clip in results for _, ms in clip)
    share = 100 * sum(map(sum, hits)) / len(times)
    print(f"| {name} | {share:.1f} % | {sum(map(any, hits))} of {len(hits)} | {statistics.mean(first):.2f} | "
          f"{statistics.mean(times):.1f} ms | {times[int(len(times) * 0.95)]:.1f} ms | {wrong} |")


def gate():
    for size, wanted in clips().items():
        print(f"\n## Gate clips, {size}, seed {SEED}\n\n| | frames read | clips read | first frame | mean | p95 | wrong |\n|---|---|---|---|---|---|---|")
        files = [[path for _, path, _ in clip] for clip in wanted]
        row("ours, each by itself", [ours(clip, False) for clip in files], wanted)
        row("ours, --clip", [ours(clip, True) for clip in files], wanted)
        for name, read in PEERS.items():
            row(name, [[timed(read, cv2.imread(path, cv2.IMREAD_GRAYSCALE)) for path in clip] for clip in files], wanted)


def fitting(path):
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        return None
    scale = min(1, FIT[0] / image.shape[1], FIT[1] / image.shape[0])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def photographs():
    print("\n## Photographs, at most 1280x720\n\n| | set | read | mean | wrong |\n|---|---|---|---|---|")
    for name in ("zxing-java", "zxing-cpp"):
        files = sorted(f for f in (SHARED / "data/qr" / name).rglob("*") if f.suffix in (".png", ".jpg", ".webp") and f.with_suffix(".txt").exists())
        def clean(text):
            return text.strip().replace("\r\n", "\n")
        wanted = [clean(f.with_suffix(".txt").read_bytes().decode("utf-8", "replace")) for f in files]
        ways = {"ours": lambda: ours(files, False)}
        for peer, read in PEERS.items():
            ways[peer] = lambda read=read: [timed(read, fitting(f)) if fitting(f) is not None else ([], 0.0) for f in files]
        for way, run in ways.items():
            results = run()
            hits = sum(want in map(clean, texts) for (texts, _), want in zip(results, wanted))
            wrong = sum(bool(texts) and want not in map(clean, texts) for (texts, _), want in zip(results, wanted))
            mean = statistics.mean(ms for _, ms in results)
            print(f"| {way} | {name} {len(files)} | {100 * hits / len(files):.1f} % | {mean:.1f} ms | {wrong} |")


def hostile():
    folder = OUT / "adversarial"
    if not folder.exists():
        subprocess.run([sys.executable, SHARED / "tools/adversarial_frames.py", str(folder)], check=True)
    files = sorted(folder.glob("*.pgm")) + sorted((SHARED / "data/qr/adversarial").glob("*.p*"))
    worst = max(zip((ms for _, ms in ours(files, False)), files))
    empty = OUT / "empty.pgm"
    noise = cv2.randn(cv2.UMat(720, 1280, cv2.CV_8U).get(), 90, 3)
    cv2.imwrite(str(empty), noise)
    scene = [ms for _, ms in ours([empty] * 20, False)]
    print(f"\nWorst hostile frame: {worst[0]:.1f} ms ({worst[1].name}). Empty scene, 1280x720: {statistics.mean(scene):.2f} ms mean.")


if not (SHARED / "tools/gate_video.py").exists():
    sys.exit("TURNSTILED_SHARED does not name the folder with tools/gate_video.py and data/qr")
gate()
photographs()
hostile()

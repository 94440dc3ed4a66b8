#!/usr/bin/env python3
"""A QR code as a grey picture for tests/rig/player.c: picture.py TEXT >FILE, [480 x 640] u8, row-major; without TEXT an empty one."""
import subprocess
import sys

WIDTH, HEIGHT, MODULE, DARK, GREY = 640, 480, 10, b"\x18", b"\x80"


def picture(text):
    """The code in the middle of a white page, modules of ten pixels."""
    if not text:
        return GREY * (WIDTH * HEIGHT)
    drawn = subprocess.run(["qrencode", "-t", "ASCII", "-m", "4", text], check=True, capture_output=True, text=True)
    # qrencode prints two characters a module.
    rows = [line[0::2] for line in drawn.stdout.splitlines() if line]
    page = bytearray(b"\xff" * WIDTH * HEIGHT)
    left, top = (WIDTH - MODULE * len(rows[0])) // 2, (HEIGHT - MODULE * len(rows)) // 2
    for y, row in enumerate(rows):
        for x, module in enumerate(row):
            if module == "#":
                for line in range(MODULE):
                    at = (top + MODULE * y + line) * WIDTH + left + MODULE * x
                    page[at : at + MODULE] = DARK * MODULE
    return bytes(page)


if __name__ == "__main__":
    sys.stdout.buffer.write(picture(sys.argv[1] if len(sys.argv) > 1 else ""))

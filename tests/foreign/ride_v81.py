#!/usr/bin/env python3
"""Root, issuer and phone of `ride.v81`, from the format's description alone (module `codes::ride_v81` of the crate), with the
SM2 of OpenSSL 3.

    ride_v81.py SECONDS

Makes three keys and a code of that time. Prints one line of JSON: `root`, the compressed point of the root key as trust lists
hold it, under index 1, `card`, the identifier, and `code`, the bytes of the code as hex. `openssl` has to be in PATH.
"""

import json, pathlib, struct, subprocess, sys, tempfile

ID = "1234567812345678"
home = pathlib.Path(tempfile.mkdtemp())


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True).stdout


def key(name):
    """Makes a key; gives its file and its compressed point."""
    file = home / name
    openssl("genpkey", "-algorithm", "SM2", "-out", file)
    point = openssl("pkey", "-in", file, "-pubout", "-outform", "DER")[-65:]
    return file, bytes([2 + point[64] % 2]) + point[1:33]


def sign(file, message):
    """r and s, 32 bytes each, out of the DER that openssl writes."""
    (home / "message").write_bytes(message)
    options = ["-rawin", "-digest", "sm3", "-pkeyopt", "distid:" + ID]
    der = openssl("pkeyutl", "-sign", *options, "-inkey", file, "-in", home / "message")
    assert der[0] == 0x30 and der[2] == 2
    r = der[4 : 4 + der[3]]
    s = der[4 + der[3] + 2 :]
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))


def main():
    made = int(sys.argv[1])
    (root, root_point), (issuer, issuer_point), (phone, phone_point) = map(key, ["root", "issuer", "phone"])
    card = bytes.fromhex("00003104970000000123")
    signed = bytes.fromhex("12" "01021304" "1299" "000001" "04040021") + issuer_point
    body = b"\x24\x01\x01\0\0\x01" + signed + sign(root, signed)
    body += bytes(16) + card + bytes.fromhex("01021304" "00000001" "01" "000bb8") + phone_point
    body += struct.pack(">IH", made + 86_400, 600) + b"\x03abc"
    body += b"\x15" + sign(issuer, body) + struct.pack(">I", made)
    code = b"\x81" + struct.pack(">H", len(body) + 65) + body
    code += b"\x15" + sign(phone, code)
    print(json.dumps({"root": root_point.hex(), "card": card.hex(), "code": code.hex()}))


try:
    main()
finally:
    for file in home.iterdir():
        file.unlink()
    home.rmdir()

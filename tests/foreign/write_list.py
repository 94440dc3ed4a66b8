#!/usr/bin/env python3
"""Writes a list that a gate accepts, from the format's description alone (module `sync::format` of the crate).

    write_list.py OUT LIST PEPPER SEED < people.csv

OUT is a folder for any web server, PEPPER and SEED are 64 hex digits each. The first line of the CSV names the columns
kind, issuer, identifier, colour. Prints the public key as configs hold it. Standard library only: chunks are
zstd frames of raw blocks, and Ed25519 is that of RFC 8032 section 6. It is slow and not safe against whoever can measure
its time: an example, not a backend.
"""

import base64, csv, hashlib, hmac, json, os, struct, sys, time

COLOURS = {"green": 0, "yellow": 1, "red": 2, "not_applied": 3}
ROWS_MAX = (1 << 20) // 40


def row_key(pepper, kind, issuer, identifier):
    identifier = identifier.strip(" \t\r\n\f")
    if kind == "id_card":
        identifier = identifier.replace("x", "X")
    text = "\x1f".join([kind, issuer, identifier]).encode()
    return hmac.new(pepper, text, hashlib.sha256).digest()[:16]


def value(colour, subject=bytes(8), valid_from=0, valid_until=0, entitlements=1, region=0):
    return struct.pack(">8sIIBHB", subject, valid_from, valid_until, COLOURS[colour], entitlements, region)


def zstd(content):
    """RFC 8878: magic, a frame that is one segment with its size in 4 bytes, raw blocks of at most 128 KiB."""
    frame = struct.pack("<IBI", 0xFD2FB528, 0b10100000, len(content))
    for at in range(0, max(len(content), 1), 1 << 17):
        block = content[at : at + (1 << 17)]
        last = at + (1 << 17) >= len(content)
        frame += struct.pack("<I", len(block) << 3 | last)[:3] + block
    return frame


# Ed25519: RFC 8032, section 6.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def compress(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 else x
    return (x, y, 1, x * y % P)


def sha512_number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def key_pair(seed):
    hashed = hashlib.sha512(seed).digest()
    scalar = (int.from_bytes(hashed[:32], "little") & ((1 << 254) - 8)) | 1 << 254
    return scalar, hashed[32:], compress(times(scalar, base_point()))


def sign(seed, message):
    scalar, prefix, public = key_pair(seed)
    r = sha512_number(prefix, message) % ORDER
    point = compress(times(r, base_point()))
    s = (r + sha512_number(point, public, message) * scalar) % ORDER
    return point + s.to_bytes(32, "little")


def dsse(kind, body, seed):
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    text = lambda data: base64.b64encode(data).decode()
    signature = {"keyid": "", "sig": text(sign(seed, signed))}
    return json.dumps({"payloadType": kind, "payload": text(body), "signatures": [signature]})


def main():
    out, name, pepper, seed = sys.argv[1:]
    pepper, seed = bytes.fromhex(pepper), bytes.fromhex(seed)
    rows = {}
    for line in csv.DictReader(sys.stdin):
        rows[row_key(pepper, line["kind"], line["issuer"], line["identifier"])] = value(line["colour"])
    rows = sorted(rows.items())
    folder = lambda *parts: os.path.join(out, "v1", *parts)
    os.makedirs(folder("chunks"), exist_ok=True)
    os.makedirs(folder("lists", name), exist_ok=True)
    snapshot = []
    for at in range(0, len(rows), ROWS_MAX):
        chunk = zstd(b"".join(key + value + bytes(4) for key, value in rows[at : at + ROWS_MAX]))
        snapshot.append(hashlib.sha256(chunk).hexdigest())
        with open(folder("chunks", snapshot[-1]), "wb") as file:
            file.write(chunk)
    hashes = (hashlib.sha256(key + value).digest() for key, value in rows)
    digest = sum(int.from_bytes(one, "big") for one in hashes) % 2**256
    created = int(time.time())
    manifest = {
        "list": name, "era": 1, "version": 1, "created": created, "fresh_until": created + 86400,
        "pepper_id": int.from_bytes(hashlib.sha256(b"turnstiled pepper id\x1f" + pepper).digest()[:4], "big"),
        "rows": len(rows), "digest": "%064x" % digest, "snapshot": snapshot, "deltas": [],
    }
    envelope = dsse("application/vnd.turnstiled.manifest+json", json.dumps(manifest).encode(), seed)
    with open(folder("lists", name, "manifest"), "w") as file:
        file.write(envelope)
    print(base64.b64encode(key_pair(seed)[2]).decode())


main()

#!/usr/bin/env python3
"""An issuer and a phone of `ride.cwt`, from the format's description alone (module `codes::ride_cwt` of the crate).

    ride_code.py SECONDS [SEED]

SECONDS is when the code is made, since 1970; the keys follow from SEED, 1 by default. Prints one line of JSON: `key_id` and
`public` of the issuer as trust lists hold them, `account`, and `code`, the text to show. Standard library only: ECDSA on P-256
is that of FIPS 186-5 section 6.4 with the nonces of a hash. It is slow and not safe against whoever can measure its time: an
example, not an app.
"""

import hashlib, json, sys

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
ES256 = -7


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * (a[0] ** 2 - 1) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(k, point):
    sum = None
    while k:
        if k & 1:
            sum = add(sum, point)
        point = add(point, point)
        k >>= 1
    return sum


def number(*parts):
    return int.from_bytes(hashlib.sha256(b"\0".join(parts)).digest(), "big") % (N - 1) + 1


def sign(secret, message):
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    k = number(secret.to_bytes(32, "big"), message)
    r = times(k, G)[0] % N
    s = pow(k, -1, N) * (digest + r * secret) % N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def head(kind, value):
    if value < 24:
        return bytes([kind << 5 | value])
    for bits, size in (24, 1), (25, 2), (26, 4), (27, 8):
        if value < 1 << 8 * size:
            return bytes([kind << 5 | bits]) + value.to_bytes(size, "big")


def cbor(value):
    if isinstance(value, Raw):
        return value
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


class Raw(bytes):
    """CBOR already."""


def sign1(secret, protected, payload):
    protected, payload = cbor(protected), cbor(payload)
    signature = sign(secret, cbor(["Signature1", protected, b"", payload]))
    return Raw(cbor([protected, {}, payload, signature]))


def base45(data):
    out = ""
    for i in range(0, len(data), 2):
        value, size = int.from_bytes(data[i : i + 2], "big"), len(data[i : i + 2]) + 1
        for _ in range(size):
            value, digit = divmod(value, 45)
            out += BASE45[digit]
    return out


def main():
    made = int(sys.argv[1])
    seed = sys.argv[2].encode() if len(sys.argv) > 2 else b"1"
    issuer, phone = number(b"issuer", seed), number(b"phone", seed)
    x, y = times(phone, G)
    account = "FOREIGN-%s" % seed.decode()
    token = sign1(
        issuer,
        {1: ES256, 4: b"\x07"},
        {
            2: account,
            4: made + 86_400,
            8: {1: {1: 2, -1: 1, -2: x.to_bytes(32, "big"), -3: y % 2 == 1}},
            -65537: {1: 60, 2: 0, 3: 1},
        },
    )
    nonce = hashlib.sha256(b"nonce" + seed + sys.argv[1].encode()).digest()[:8]
    code = sign1(phone, {1: ES256, 14: token}, {6: made, 7: nonce})
    x, y = times(issuer, G)
    public = bytes([2 + y % 2]) + x.to_bytes(32, "big")
    print(json.dumps({"key_id": "07", "public": public.hex(), "account": account, "code": "RC1:" + base45(code)}))


main()

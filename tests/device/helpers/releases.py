"""Releases for tests: a key that signs nothing else, images, and their manifests."""

import binascii
import hashlib

from firmware.update import manifest

KEY = (
    "qb6Xaex0l8+G0X9iAe8umDQg+gsvYVo1HYiOacHR5OtItM8oJor9qGj5wvLiGU54hECYfwXpFOaKGYFE0TnzNS1F"
    "ylKSHvBs3z9K51Y81GV/vcmOqG18+x860yYOahpES5bUVNpebjboOHSFhj0IlQG5KXeFHRguhbs8EaTWcrjDwbaq"
    "+zyzQuHthfrRH8fl4Zd7jGmDEiAUqFuodsV4C6asRSdNqJC8knDXWOknd1miz7cylU6rCjf8QbQL77u1+g+ZY0bi"
    "V71+3ugMvrNtdWTKWFarBtYVd0wG1P7zBHT8YwFB3oCNCK1cAdK1Ub7dSKAfjESyQaI40vlaxE2xYxwaxZsCELeg"
    "rkOJsMvaKF8G0aHhps30HrmbrGlVYy52ibz0CEC4uKybnm4HgMlNyAeBj66UfH5lqap/ovycnjVH1NB2tLtus5BM"
    "7u9ZbaeyVq7pWqivbkLA7Zd+zv3uk3CJkGZ3jHLjQ1HSz3beANt8hJuJ2/EU3M5p5NRRrG0l"
)
_SECRET = (
    "JvX+pgrmhhPVo49j7QK7xKaubQYVNXixmVpHKeIZbbxNf2bPFe2wJDAYJ9V87QcUZXK4Leuq4Ke7yffgVk/BUZLX"
    "IoXKUTypGKLb6/Zg1vWHGQZC7sjWt4MnCuEAzPzDcUAo82L96rlCmvav0SyAJEd1ex2aWZ+7yek8c+ZMbJ+ZGwT1"
    "AN6hXLgjvy1fQ7arvph4/LUZJxdi9nO3Wq+firkScHsBea/jAI/S9e7qJpxV4OxxOVEJtDo+dcxAMyH31rsA419Y"
    "dHDnAmvS8YKlmRLRLb4XbCroutwJZqF4V4uqYBRu2/1v5mmwBZ0aQrQUiTREq57sBIL9aU/1abXo/xCtk6ZOtne3"
    "ThWnZnqJa4Z1mVQ1J0yX9hP0i1DnAxOFT0LumXUn3nsgYchda1eCY5TwsD/NbxuCbKBIrJcqomnYzr1HsebadP69"
    "cnJRcVonckScfvKaKopei1+ZydOqXk9nRIl/aEMIlpZLhODhZ9bg2p6SnTxc9rvgaHU4YvHh"
)
_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
_signed = {}


def image(files) -> bytes:
    """The image of a set of files: {path: bytes}."""
    parts = [
        b"%s %d\n" % (path.encode(), len(files[path])) + files[path] for path in sorted(files)
    ]
    return b"".join(parts) + b"end 0\n"


def rom(files) -> bytes:
    """A ROMFS image of files in one folder each: {"folder/name": bytes}."""
    folders = {}
    for path in sorted(files):
        folder, name = path.split("/")
        inside = _counted(name.encode()) + b"\x02" + _counted(files[path])
        folders[folder] = folders.get(folder, b"") + b"\x05" + _counted(inside)
    data = b"".join(
        [b"\x04" + _counted(_counted(name.encode()) + folders[name]) for name in sorted(folders)]
    )
    return b"\xd2\xcd\x31" + _counted(data)


def _counted(data) -> bytes:
    """Its length, in sevens of bits, and itself."""
    size = len(data)
    head = bytes([size & 0x7F])
    while size > 0x7F:
        size >>= 7
        head = bytes([0x80 | size & 0x7F]) + head
    return head + data


def release(data=b"", url="https://api.csip.io/releases/x", **changes) -> dict:
    """The manifest of an image, signed. changes: keys that are other than they should be."""
    tree = {
        "url": url,
        "version": "0.3.0",
        "kind": "files",
        "chip": "unix",
        "size": len(data),
        "sha256": binascii.hexlify(hashlib.sha256(data).digest()).decode(),
        "reads": [1],
        "writes": 1,
        "older": False,
    }
    tree.update(changes)
    tree["signature"] = sign(tree)
    return tree


def sign(tree) -> str:
    text = manifest.signed(tree)
    if text not in _signed:
        tail = b"\x00" + _INFO + hashlib.sha256(text).digest()
        block = b"\x00\x01" + b"\xff" * (382 - len(tail)) + tail
        _signed[text] = encoded(_power(int.from_bytes(block, "big")))
    return _signed[text]


def encoded(number) -> str:
    return binascii.b2a_base64(number.to_bytes(384, "big")).decode().strip()


def _power(base):
    modulus = number(KEY)
    exponent = number(_SECRET)
    value = 1
    while exponent:
        if exponent & 1:
            value = value * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return value


def number(text) -> int:
    return int.from_bytes(binascii.a2b_base64(text), "big")

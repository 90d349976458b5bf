"""What a release says of itself, and whether this device may take it.

The signature is RSA-3072, PKCS #1 v1.5, SHA-256 (RFC 8017, section 8.2) with the exponent 65537.
What it yields is compared as a whole with the block that it must be; nothing of it is parsed.
"""

import asyncio
import binascii
import hashlib

from micropython import const

from firmware import READS, VERSION, WRITES

_BYTES = const(384)  # of a modulus, and of a signature
_PART = const(64)  # bits that are multiplied at a time
_SQUARINGS = const(16)  # 65537 is 2**16 + 1
_PAUSE_MS = const(5)  # for the loop to go on; one squaring takes an ESP32 some 10 ms
_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
_LONGEST_URL = const(512)
_KINDS = ("app", "romfs", "files")
_TYPES = {
    "url": str,
    "version": str,
    "kind": str,
    "chip": str,
    "size": int,
    "sha256": str,
    "reads": list,
    "writes": int,
    "signature": str,
}
_ANEW = "; make the release with `csipio release`, and send what it wrote"


def check(tree: dict, kind: str, chip: str) -> None:
    """Raise ValueError, with words, unless this device may take the release of that manifest.

    kind, chip: of what runs here. The signature is left to `verify`.
    """
    for name in _TYPES:
        if type(tree.get(name)) is not _TYPES[name]:
            raise ValueError("manifest: %s is missing or no %s" % (name, _word(name)) + _ANEW)
    if type(tree.get("older", False)) is not bool:
        raise ValueError("manifest: older: expected true or false" + _ANEW)
    if not _is_whole(tree):
        raise ValueError("manifest: a value is out of its range" + _ANEW)
    if not tree["url"].startswith("https://") or len(tree["url"]) > _LONGEST_URL:
        raise ValueError("manifest: url: expected https://…, where the image is served")
    if tree["kind"] != kind:
        text = 'it is of the kind "%s", and this device runs from "%s"; make a release of that'
        raise ValueError(text % (tree["kind"][:8], kind))
    if tree["chip"] != chip and (tree["chip"] != "any" or kind == "app"):
        text = "it is for the chip %s, and this is %s; send the release for that chip"
        raise ValueError(text % (tree["chip"][:16], chip))
    new, present = _numbers(tree["version"]), _numbers(VERSION)
    if new == present:
        raise ValueError("this device runs version %s already" % VERSION)
    if new < present and not tree.get("older"):
        text = "%s is older than %s; `csipio release --older` makes one that may replace it"
        raise ValueError(text % (tree["version"], VERSION))
    if WRITES not in tree["reads"]:
        text = "it cannot read what this version keeps on flash (layout %d); update in steps"
        raise ValueError(text % WRITES)
    if tree["writes"] not in READS:
        text = "there is no way back from it: this version cannot read layout %d; update in steps"
        raise ValueError(text % tree["writes"])


def modulus_of(key: str) -> int:
    """What a public key is for `verify`: 128 bytes less. Raises ValueError, with words."""
    try:
        modulus = _number(key)
    except ValueError:
        modulus = 0
    if not modulus:
        raise ValueError("update.key: expected what `csipio keys show` prints")
    return modulus


async def verify(tree: dict, modulus: int) -> None:
    """Raise ValueError, with words, unless the holder of the key signed the manifest."""
    number = 0
    try:
        number = _number(tree["signature"])
    except ValueError:
        pass
    value = number
    for _ in range(_SQUARINGS):
        value = _product(value, value, modulus)
        await asyncio.sleep_ms(_PAUSE_MS)
    value = _product(value, number, modulus)
    digest = hashlib.sha256(signed(tree)).digest()
    padding = b"\xff" * (_BYTES - 3 - len(_INFO) - len(digest))
    block = b"\x00\x01" + padding + b"\x00" + _INFO + digest
    if number >= modulus or value.to_bytes(_BYTES, "big") != block:
        raise ValueError("its signature is not of this device's key" + _ANEW)


def _product(value: int, other: int, modulus: int) -> int:
    """Their product modulo a third one, of up to _BYTES each. In parts: the whole product would
    need a block of twice that, where the heap may be in pieces.
    """
    product = 0
    for at in range(8 * _BYTES - _PART, -1, -_PART):
        product = product << _PART
        product = product + value * (other >> at & (1 << _PART) - 1)
        product = product % modulus
    return product


def signed(tree: dict) -> bytes:
    """The text that is signed."""
    lines = ["csipio-release 1"]
    lines += ["%s %s" % (name, tree[name]) for name in ("kind", "chip", "version", "size")]
    lines.append("sha256 " + tree["sha256"])
    lines.append("reads " + " ".join([str(layout) for layout in tree["reads"]]))
    lines.append("writes %d" % tree["writes"])
    lines.append("older " + ("yes" if tree.get("older") else "no"))
    return "".join([line + "\n" for line in lines]).encode()


def _word(name):
    return {str: "text", int: "whole number", list: "list"}[_TYPES[name]]


def _is_whole(tree) -> bool:
    """Whether no value can be taken for another one in the signed text."""
    chip, sha256, reads = tree["chip"], tree["sha256"], tree["reads"]
    return (
        tree["kind"] in _KINDS
        and 0 < len(chip) <= 16
        and _only(chip.lower(), "abcdefghijklmnopqrstuvwxyz0123456789")
        and tree["size"] > 0
        and len(sha256) == 64
        and _only(sha256, "0123456789abcdef")
        and 0 < len(reads) <= 16
        and all(type(layout) is int for layout in reads)
        and _numbers(tree["version"]) is not None
    )


def _only(text, characters) -> bool:
    return all(c in characters for c in text)


def _numbers(version) -> "list | None":
    """A version for comparing: 0.10 is later than 0.9, and 1.0 is 1. None: it is none."""
    found = version.split(".")
    if len(found) > 4 or not all(
        part and len(part) < 6 and _only(part, "0123456789") for part in found
    ):
        return None
    numbers = [int(part) for part in found]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _number(text) -> int:
    """Of 384 bytes in base64. Raises ValueError."""
    data = binascii.a2b_base64(text)
    if len(data) != _BYTES:
        raise ValueError
    return int.from_bytes(data, "big")

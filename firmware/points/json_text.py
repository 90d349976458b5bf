"""Values as JSON writes them: numbers by integer arithmetic, into a buffer; others as text."""

import json
import math
import struct

from micropython import const

_DEEPEST = const(8)
_INTEGER = const(0x40)  # as in firmware.points.ring


def encode(value, decimals: int) -> bytes:
    """A value as JSON writes it; floats that stand alone get `decimals`. Raises ValueError for
    what JSON cannot say, where json.dumps would write `nan`, or the name of a class.
    """
    _check(value, _DEEPEST)
    if type(value) is float:
        return ("%.*f" % (decimals, value)).encode()
    text = json.dumps(value).encode()
    at = text.find(b"\xed")
    while at >= 0:
        if text[at + 1] >= 0xA0:
            # Half of a surrogate pair. MicroPython lets it be; but no UTF-8 has it, and the whole
            # feed would be refused.
            code = 0xD000 | (text[at + 1] & 0x3F) << 6 | text[at + 2] & 0x3F
            text = text[:at] + b"\\u%04x" % code + text[at + 3 :]
        at = text.find(b"\xed", at + 1)
    return text


def _check(value, depth: int):
    kind = type(value)
    if kind is list or kind is tuple:
        members = value
    elif kind is dict:
        for key in value:
            if type(key) is not str:
                raise ValueError("JSON cannot name a value %r" % (key,))
        members = value.values()
    else:
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return
        raise ValueError("JSON cannot say %s" % (value if kind is float else kind))
    if not depth:
        raise ValueError("a value nested more than %d deep" % _DEEPEST)
    for member in members:
        _check(member, depth - 1)


def exact(value: float, decimals: int) -> bool:
    """Does a float32 hold its last decimal, with a bit to spare?"""
    limit = (1 << 23) // 10**decimals
    return -limit < value < limit


def value_text(value, decimals: int) -> bytes:
    """A value's JSON, to the byte as a feed has it. Raises ValueError for what JSON cannot say."""
    if type(value) is float and exact(value, decimals):
        # As the ring keeps it, and as the feed prints what the ring keeps.
        digits = bytearray(20)
        single = struct.unpack("<I", struct.pack("<f", value))[0]
        return bytes(digits[: put_value(digits, 0, 0, single, decimals)])
    return encode(value, decimals)


def put_value(buf, at: int, kind: int, value: int, decimals: int) -> int:
    """Write any number as the ring holds it; return where it ends."""
    if kind >= _INTEGER:
        return put_number(buf, at, value - 0x100000000 if value >> 31 else value, 0)
    return put_number(buf, at, _rounded(value, decimals), decimals)


def _rounded(value: int, decimals: int) -> int:
    """The float32 of these bits as a whole number of the last decimal, halves away from 0."""
    # IEEE 754: the magnitude is mantissa * 2**(exponent - 150); 2**-39 and less is 0.
    shift = 150 - (value >> 23 & 0xFF)
    n = (value & 0x7FFFFF | 0x800000) * 10**decimals
    if shift > 0:
        n = n + (1 << shift - 1) >> shift if shift < 63 else 0
    else:
        n <<= -shift
    return -n if value >> 31 else n


def put_number(buf, at: int, n: int, decimals: int) -> int:
    """Write `n` / 10**decimals at `at`, digit by digit; return where it ends."""
    if n < 0:
        buf[at] = 0x2D
        at += 1
        n = -n
    end = at + 1
    whole = n
    if decimals:
        whole //= 10**decimals
        end += decimals + 1
    while whole >= 10:
        whole //= 10
        end += 1
    k = end - 1
    if decimals:
        while decimals:
            buf[k] = 48 + n % 10
            n //= 10
            k -= 1
            decimals -= 1
        buf[k] = 0x2E
        k -= 1
    while k >= at:
        buf[k] = 48 + n % 10
        n //= 10
        k -= 1
    return end

"""Values that are no 32-bit number: kept in JSON's own notation, from the start."""

import json
import math

from micropython import const

_DEEPEST = const(8)


def encode(value, decimals: int) -> bytes:
    """A value as JSON writes it; floats that stand alone get `decimals`.

    Raises ValueError for what JSON cannot say. (json.dumps would write `nan`, or the name of a
    class, and the platform would refuse the whole feed.)
    """
    _check(value, _DEEPEST)
    if type(value) is float:
        return ("%.*f" % (decimals, value)).encode()
    text = json.dumps(value)
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        # MicroPython lets them be; but no UTF-8 has them, and the whole feed would be refused.
        text = "".join([c if not 0xD800 <= ord(c) < 0xE000 else "\\u%04x" % ord(c) for c in text])
    return text.encode()


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

"""The platform's full state, taken apart while it comes: bytes in, its parts out. No network here.

A state may be larger than the whole heap, and most of it is of no use to a thermostat. So it is
not parsed as one: the parts that are of use, `ingestion` and each of the `properties`, are cut
out by counting brackets, parsed by themselves, and gone before the next one comes.
"""

import json

from micropython import const

from firmware.link import LinkError
from firmware.times import from_iso

# What is longer is skipped: a string property holds 1 KiB, and what stands around it is short.
MAX_PART = const(2048)
# What is nested deeper is skipped: whoever walks through it has a stack of about fifty calls.
_DEEPEST = const(12)
_LONGEST_KEY = const(12)  # of those that lead to a part; what is longer is another one

_QUOTE = const(0x22)
_COLON = const(0x3A)
_BACKSLASH = const(0x5C)
_BRACE = const(0x7B)
_OPEN = b"{["
_CLOSE = b"}]"
_NEXT = b":,"
_SPACE = b" \t\r\n"


class Scanner:
    """Cuts the parts out of a state that comes in pieces of any size.

    `found(kind, part)` is called for each: "ingestion" or "properties", and its dict.
    """

    def __init__(self, found):
        self._found = found
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._word = bytearray()  # the string that was read last, near the root
        self._key = b""  # of the root's member that this is
        self._inner = b""  # of the member of that
        self._kind = ""  # of the part that is being cut out
        self._base = 0  # its depth
        self._part = bytearray(MAX_PART)
        self._size = 0  # of it so far; -1: it is skipped
        self.ended = False  # the root was closed; what follows is ignored
        self.skipped = 0  # parts that are too long, too deep or no JSON

    def feed(self, data):
        """The next bytes. Raises LinkError where they do not begin an object."""
        start = 0  # of what belongs to the part
        for i in range(len(data)):
            c = data[i]
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif c == _BACKSLASH:
                    self._escaped = True
                elif c == _QUOTE:
                    self._quoted = False
                elif self._depth <= 2 and len(self._word) <= _LONGEST_KEY:
                    self._word.append(c)
            elif self.ended:
                return
            elif not self._depth:
                if c == _BRACE:
                    self._depth = 1
                elif c not in _SPACE:
                    raise LinkError("the API's answer is no state")
            elif c == _QUOTE:
                self._quoted = True
                if self._depth <= 2:
                    self._word = bytearray()
            elif c in _OPEN:
                self._depth += 1
                if self._kind:
                    if self._depth - self._base > _DEEPEST:
                        self._size = -1
                elif c == _BRACE and self._begins():
                    start = i
            elif c in _CLOSE:
                if self._kind and self._depth == self._base:
                    self._keep(data, start, i + 1)
                    self._finish()
                self._depth -= 1
                self.ended = not self._depth
            elif self._depth <= 2 and c in _NEXT:
                key = bytes(self._word) if c == _COLON else b""
                if self._depth == 1:
                    self._key = key
                    key = b""
                self._inner = key
        if self._kind:
            self._keep(data, start, len(data))

    def _begins(self) -> bool:
        """Does one of the parts begin with this brace?"""
        kind = ""
        if self._depth == 2:
            if self._key == b"ingestion":
                kind = "ingestion"
        elif self._depth == 3:
            if self._key == b"properties":
                kind = "properties"
            elif self._key == b"header" and self._inner == b"ingestion":
                kind = "ingestion"
        self._kind = kind
        self._base = self._depth
        self._size = 0
        return bool(kind)

    def _keep(self, data, start: int, end: int):
        size = self._size
        if size < 0:
            return
        self._size = size + end - start
        if self._size > MAX_PART:
            self._size = -1
            return
        self._part[size : self._size] = memoryview(data)[start:end]

    def _finish(self):
        kind = self._kind
        self._kind = ""
        part = None
        if self._size >= 0:
            try:
                part = json.loads(str(memoryview(self._part)[: self._size], "utf-8"))
            except (ValueError, TypeError, MemoryError):
                pass
        if type(part) is dict:
            self._found(kind, part)
        else:
            self.skipped += 1


def limits(ingestion: dict) -> tuple:
    """(feeds a minute, points a feed) that the platform takes; None where it does not say."""
    return _limit(ingestion.get("rateLimit")), _limit(ingestion.get("maxNrOfDpPerFeed"))


def _limit(value):
    return value if type(value) is int and value > 0 else None


def reading(entry: dict):
    """(name, value, ms since 1970) of a property; (name, None, 0) of one never written.

    The name is in lower case, and without its profile. None where there is no name, or a value
    without a time: nobody knows then what it is newer than.
    """
    name = _member(entry.get("ref"), "qname") or _member(entry.get("meta"), "name")
    if type(name) is not str:
        return None
    name = name.split("$")[-1].lower()
    value = entry.get("value")
    if value is None:
        return name, None, 0
    at = _member(value, "time")
    if type(at) is not str or "mostRecent" not in value:
        return None
    try:
        return name, value["mostRecent"], from_iso(at)
    except ValueError:
        return None


def _member(tree, key: str):
    return tree.get(key) if type(tree) is dict else None

"""The platform's full state, taken apart while it comes: bytes in, its parts out. No network here.

A state may be larger than the whole heap, and most of it is of no use to a thermostat. So it is
not parsed as a whole. `ingestion`, and the name, value and time of each of the `properties`, are
cut out by counting brackets, parsed by themselves, and forgotten before the next property comes.
"""

import gc
import json

from micropython import const

from firmware.link import LinkError
from firmware.times.calendar import from_iso

# The longest that a command may be, without the space between its signs.
MAX_VALUE = const(2048)
# Whoever walks through it has a stack of about fifty calls.
_DEEPEST = const(12)
_LONGEST_KEY = const(12)  # of those that lead to what is cut out; what is longer is another one
_KEYS = const(4)  # of members within members, down to those of a property's members
_PROPERTY = const(3)  # the depth of its members
_WANTED = (b"ref.qname", b"meta.name", b"value.mostRecent", b"value.time")  # of a property

_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_BACKSLASH = const(0x5C)
_BRACE = const(0x7B)
_OPEN = b"{["
_END = b"}],"
_SPACE = b" \t\r\n"


class Scanner:
    """Cuts the parts out of a state that comes in pieces of any size.

    `found(kind, part)` is called for each: "ingestion" and its dict, or "properties" and a dict of
    what there is of a property's `ref.qname`, `meta.name`, `value.mostRecent` and `value.time`, by
    these names as bytes. What is too long, too deep or no JSON is a range, as long as it is.
    """

    def __init__(self, found):
        self._found = found
        self._depth = 0
        self._quoted = self._escaped = False
        self._word = b""  # the string that was read last, what of it came in earlier pieces
        self._keys = [b""] * (_KEYS + 1)  # of the members that this is in, by their depth
        self._property = {}  # what was cut out of it
        self._what = b""  # is being cut out
        self._base = 0  # the depth of that
        self._text = bytearray()
        self._size = 0  # of the text; some of it may not be there
        self._fits = False  # all of it is
        self.ended = False  # the root was closed; what follows is ignored

    def feed(self, data):
        """The next bytes. Raises LinkError where they do not begin an object."""
        start = 0  # of what is cut out
        begin = end = 0  # of the string that was read last
        depth = self._depth
        quoted = self._quoted
        for i in range(len(data)):
            c = data[i]
            if quoted:
                if self._escaped:
                    self._escaped = False
                elif c == _BACKSLASH:
                    self._escaped = True
                elif c == _QUOTE:
                    quoted = False
                    end = i
            elif c == _QUOTE and depth:
                quoted = True
                begin = i + 1
                self._word = b""
            elif c in _SPACE:
                if self._what:
                    self._keep(data, start, i)
                    start = i + 1
            elif self.ended:
                return
            elif not depth:
                if c != _BRACE:
                    raise LinkError("the API's answer is no state")
                depth = 1
            elif c in _OPEN:
                depth += 1
                if depth <= _KEYS:
                    self._keys[depth] = b""
                if depth - self._base > _DEEPEST:
                    self._fits = False
            elif c in _END:
                if self._what and depth == self._base:
                    self._keep(data, start, i)
                    self._finish()
                if c != _COMMA:
                    if depth == _PROPERTY and self._property:
                        self._found("properties", self._property)
                        self._property = {}
                    depth -= 1
                    self.ended = not depth
            elif c == _COLON and depth <= _KEYS:
                self._keys[depth] = self._read(data, begin, end)
                if self._begins(depth):
                    start = i + 1
        if self._what:
            self._keep(data, start, len(data))
        self._depth = depth
        self._quoted = quoted
        self._word = self._read(data, begin, len(data) if quoted else end)

    def _read(self, data, begin: int, end: int) -> bytes:
        """The string that was read last, as much of it as a key may have."""
        end = min(end, begin + _LONGEST_KEY + 1 - len(self._word))
        return self._word + bytes(data[begin:end])

    def _begins(self, depth: int) -> bool:
        """Is the value after this colon one to be cut out?"""
        keys = self._keys
        what = keys[depth]
        if depth == _KEYS and keys[1] == b"properties":
            what = keys[_PROPERTY] + b"." + what
            if what not in _WANTED:
                return False
        elif what != b"ingestion" or depth > 2 or (depth == 2 and keys[1] != b"header"):
            return False
        self._what = what
        self._base = depth
        self._size = 0
        self._fits = True
        return True

    def _keep(self, data, start: int, end: int):
        size = self._size
        self._size = size + end - start
        if self._size > MAX_VALUE:
            self._fits = False
        if self._fits:
            self._text[size : self._size] = memoryview(data)[start:end]

    def _finish(self):
        value = range(self._size)
        if self._fits:
            text = memoryview(self._text)[: self._size]
            try:
                try:
                    value = json.loads(text)  # type: ignore[type-var]
                except MemoryError:
                    gc.collect()  # once more, before it is taken for one that cannot be read
                    value = json.loads(text)  # type: ignore[type-var]
            except (ValueError, TypeError, MemoryError):
                pass
        if self._what != b"ingestion":
            self._property[self._what] = value
        elif type(value) is dict:
            self._found("ingestion", value)
        self._what = b""


def limits(ingestion: dict) -> tuple:
    """(feeds a minute, points a feed) that the platform takes; None where it does not say."""
    return _limit(ingestion.get("rateLimit")), _limit(ingestion.get("maxNrOfDpPerFeed"))


def _limit(value):
    return value if type(value) is int and value > 0 else None


def reading(part: dict):
    """(name, value, ms since 1970) of a property; (name, None, 0) of one never written.

    The name is in lower case, without its profile. None where it is missing, or a value's time.
    """
    name = part.get(b"ref.qname") or part.get(b"meta.name")
    if type(name) is not str:
        return None
    name = name.split("$")[-1].lower()
    at = part.get(b"value.time")
    if at is None and b"value.mostRecent" not in part:
        return name, None, 0
    if type(at) is not str or b"value.mostRecent" not in part:
        return None
    try:
        return name, part[b"value.mostRecent"], from_iso(at)
    except ValueError:
        return None

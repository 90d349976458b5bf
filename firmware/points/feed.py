"""Data Feed JSON, written straight from the ring into a buffer that is allocated once.

The digits are written by integer arithmetic: no dictionary, string or float is made for a point.
That is faster, leaves no garbage, and prints 20.1 as 20.1 on a port whose floats have 7 digits.
"""

import struct
from array import array

from micropython import const

from firmware.times.calendar import iso

# As in firmware.points.ring; constants of this module are inlined, those of another one are not.
_INTEGER = const(0x40)
_TEXT = const(0x80)
_BASE = const(0xC0)
_PROPERTY = const(0x3F)

_HOUR_MS = const(3600000)
_HOUR_SIZE = const(14)  # of 2026-11-22T14:
_HEAD_SIZE = const(20)
_TIME_FORMAT = "<20sHBHBBH7s"  # head, minute, `:`, second, `.`, hundreds, the rest of the ms, end
_TIME_END = b'Z","v":'
_TIME_SIZE = const(36)
_TT = b'{"tt":'
_TT_LIMIT = const(10000000)
_TT_FORMAT = "<BHHH5s"  # seven digits, end
_TT_END = b',"v":'
_V_FORMAT = "HBH"  # of 21.37: two digits, `.`, two digits
_SHARED_FORMAT = _TT_FORMAT + _V_FORMAT + "2s"
_ALONE_FORMAT = _TIME_FORMAT + _V_FORMAT + "2s"
# The longest number: a sign, ten digits, a point, six decimals; and the longest `{"tt":...,"v":`.
_VALUE_SIZE = const(18)
_PROP_SIZE = const(9)  # of `,"prop":"`
_PROP_END = const(3)
_PREFIX_SIZE = const(36)

# The bits of 10.0 and of the first float32 above 99.99: those of positive floats order as they do.
_TEN = const(0x41200000)
_HUNDRED = const(0x42C7FAE2)

# Two digits at a time: the characters of 00 to 99, as struct's H writes them.
_PAIRS = array("H", [48 + n // 10 | 48 + n % 10 << 8 for n in range(100)])


class Property:
    """What a point is a point of: its name on the platform, and how its numbers are printed.

    A device has some forty of them: what several have in common they share.
    """

    def __init__(self, name: str, decimals: int = 0):
        self.decimals = decimals
        self.exact = _exact(decimals)
        self.suffix = b',"prop":"%s"},' % name

    @property
    def name(self) -> bytes:
        return self.suffix[_PROP_SIZE:-_PROP_END]


_limits: dict = {}  # by decimals
_forms: dict = {}  # by the size of a suffix


def _exact(decimals: int) -> tuple:
    """Between these two a float32 holds the last decimal, with a bit to spare."""
    if decimals not in _limits:
        limit = float((1 << 23) // 10**decimals)
        _limits[decimals] = (-limit, limit)
    return _limits[decimals]


def _form(compact: bool, size: int) -> str:
    """The format of a whole point with a suffix of that size."""
    key = -size if compact else size
    if key not in _forms:
        _forms[key] = (_TT_FORMAT if compact else _TIME_FORMAT) + _V_FORMAT + "%ds" % size
    return _forms[key]


class Feed:
    """Encodes points of a ring as one Data Feed document."""

    def __init__(self, properties: list, compact: bool, size: int):
        """`properties`: list of Property, as the ring counts them. `size`: longest feed, bytes."""
        self.buffer = bytearray(size)
        self._view = memoryview(self.buffer)
        self._properties = properties
        self._compact = compact
        self.prop: str | None = None  # what the last document, taken `alone`, is all of
        self._time_head = bytearray(b'{"t":"0000-00-00T00:')
        self._hour = 1 << 62  # ms since 1970 of the hour that stands there

    def encode(self, ring, cursor, end_seq: int, offset_ms: int, alone: bool = False):
        """Encode the points from the cursor on, and leave it after the last one that fitted.

        `end_seq`: the sequence number to stop before. `offset_ms`: what turns the uptime of an
        undated point into milliseconds since 1970. `alone`: where one property fills the
        document, leave its name out of it, and in `prop`. Returns a memoryview of the document,
        valid until the next call; None when there is no point, or not even one fits.
        """
        self.prop = None
        i = ring.next_point(cursor)
        if i < 0:
            return None
        end_seq = min(end_seq, ring.tail.seq)
        compact = self._compact
        shift_ms = cursor.base + (offset_ms if cursor.cycle >= 0 else 0)
        first_ms = shift_ms + ring.times[i]
        shared = None
        if compact or alone:
            shared = self._shared_property(ring, cursor, end_seq)
        if alone and shared:
            self.prop = str(shared.name, "utf-8")
        at = start = self._put(0, self._head(first_ms, None if alone else shared))
        # Keep room for the end of the document, in which `]` takes the place of the last comma.
        limit = len(self.buffer) - 1 - _PREFIX_SIZE - _VALUE_SIZE
        # This loop is the hottest of the firmware: what it needs is local, and most points (two
        # decimals, 10 to 99.99) are written by one call.
        buf = self.buffer
        pack = struct.pack_into
        pairs = _PAIRS
        kinds = ring.kinds
        times = ring.times
        values = ring.values
        slots = ring.slots
        time_head = self._time_head
        hour = self._hour
        digits = 1
        ten = 10  # to the power of digits
        current = _BASE  # kind of the point before
        pos = cursor.pos
        seq = cursor.seq
        while seq < end_seq:
            i = pos % slots
            kind = kinds[i]
            if kind != current:
                if kind >= _BASE:
                    cursor.pos = pos
                    cursor.seq = seq
                    if ring.next_point(cursor) < 0:
                        break
                    pos = cursor.pos
                    seq = cursor.seq
                    shift_ms = cursor.base + (offset_ms if cursor.cycle >= 0 else 0)
                    continue
                current = kind
                prop = self._properties[kind & _PROPERTY]
                suffix = b"},"
                size = 2
                form = _SHARED_FORMAT if compact else _ALONE_FORMAT
                if shared is None:
                    suffix = prop.suffix
                    size = len(suffix)
                    form = _form(compact, size)
                room = limit - size
                quick = kind < _INTEGER and prop.decimals == 2
            if at > room:
                break
            value = values[i]
            ms = shift_ms + times[i] - first_ms
            if compact:
                if quick and _TEN <= value < _HUNDRED and 0 < ms < _TT_LIMIT:
                    shift = 150 - (value >> 23)
                    n = (value & 0x7FFFFF | 0x800000) * 100 + (1 << shift - 1) >> shift
                    while ms >= ten:
                        ten *= 10
                        digits += 1
                    while ms * 10 < ten:
                        ten //= 10
                        digits -= 1
                    # Seven digits, the leading zeros of which the head then covers.
                    k = ms // 100
                    pack(
                        form,
                        buf,
                        at + digits - 1,
                        48 + k // 10000,
                        pairs[k // 100 % 100],
                        pairs[k % 100],
                        pairs[ms % 100],
                        _TT_END,
                        pairs[n // 100],
                        0x2E,
                        pairs[n % 100],
                        suffix,
                    )
                    pack("6s", buf, at, _TT)
                    at += 16 + digits + size
                    pos += 1
                    seq += 1
                    continue
                if kind >= _TEXT and at + value > room:
                    break
                at = self._put_relative(at, ms)
            else:
                ms += first_ms - hour
                if not 0 <= ms < _HOUR_MS:
                    ms += hour
                    hour = self._start_hour(ms)
                    ms -= hour
                second = ms // 1000
                ms %= 1000
                if quick and _TEN <= value < _HUNDRED:
                    shift = 150 - (value >> 23)
                    n = (value & 0x7FFFFF | 0x800000) * 100 + (1 << shift - 1) >> shift
                    pack(
                        form,
                        buf,
                        at,
                        time_head,
                        pairs[second // 60],
                        0x3A,
                        pairs[second % 60],
                        0x2E,
                        48 + ms // 100,
                        pairs[ms % 100],
                        _TIME_END,
                        pairs[n // 100],
                        0x2E,
                        pairs[n % 100],
                        suffix,
                    )
                    at += 41 + size
                    pos += 1
                    seq += 1
                    continue
                if kind >= _TEXT and at + value > room:
                    break
                pack(
                    _TIME_FORMAT,
                    buf,
                    at,
                    time_head,
                    pairs[second // 60],
                    0x3A,
                    pairs[second % 60],
                    0x2E,
                    48 + ms // 100,
                    pairs[ms % 100],
                    _TIME_END,
                )
                at += _TIME_SIZE
            if kind >= _TEXT:
                at = self._put(at, ring.text(pos))
                pos += (value + 3) // 4
            else:
                at = put_value(buf, at, kind, value, prop)
            at = self._put(at, suffix)
            pos += 1
            seq += 1
        cursor.pos = pos
        cursor.seq = seq
        if at == start:
            return None
        self._put(at - 1, b"]}")
        return self._view[: at + 1]

    def _head(self, base: int, shared) -> bytes:
        if not self._compact:
            return b'{"dps":['
        if shared is None:
            return b'{"t":"%s","dps":[' % iso(base)
        return b'{"t":"%s","prop":"%s","dps":[' % (iso(base), str(shared.name, "utf-8"))

    def _shared_property(self, ring, cursor, end_seq: int):
        """The property that all these points are of, or None."""
        first = ring.kinds[cursor.pos % ring.slots] & _PROPERTY
        scout = type(cursor)()
        scout.go(cursor)
        while scout.seq < end_seq:
            i = ring.next_point(scout)
            if i < 0:
                break
            if ring.kinds[i] & _PROPERTY != first:
                return None
            ring.skip_point(scout, i)
        return self._properties[first]

    def _start_hour(self, t: int) -> int:
        """Put the hour of `t` into the head of a point; return when it began."""
        self._hour = t - t % _HOUR_MS
        self._time_head[_HEAD_SIZE - _HOUR_SIZE :] = iso(self._hour)[:_HOUR_SIZE].encode()
        return self._hour

    def _put_relative(self, at: int, ms: int) -> int:
        if not ms:
            return self._put(at, b'{"v":')
        at = self._put(at, b'{"tt":')
        at = _put_number(self.buffer, at, ms < 0, abs(ms), 0)
        return self._put(at, b',"v":')

    def _put(self, at: int, data: bytes) -> int:
        end = at + len(data)
        self.buffer[at:end] = data
        return end


def put_value(buf, at: int, kind: int, value: int, prop) -> int:
    """Write any number as the ring holds it; return where it ends."""
    negative = value >> 31
    if kind >= _INTEGER:
        return _put_number(buf, at, negative, 0x100000000 - value if negative else value, 0)
    # IEEE 754: the magnitude is mantissa * 2**(exponent - 150). It is scaled to a whole number
    # of the last decimal, rounded half up; 2**-39 and less is 0.
    shift = 150 - (value >> 23 & 0xFF)
    n = (value & 0x7FFFFF | 0x800000) * 10**prop.decimals
    if 0 < shift < 63:
        n = n + (1 << shift - 1) >> shift
    else:
        n = n << -shift if shift <= 0 else 0
    return _put_number(buf, at, negative, n, prop.decimals)


def _put_number(buf, at: int, negative, n: int, decimals: int) -> int:
    """Write `n` / 10**decimals at `at`, digit by digit; return where it ends."""
    if negative and n:
        buf[at] = 0x2D
        at += 1
    end = at + 1
    power = 10
    whole = n
    if decimals:
        whole //= 10**decimals
        end += decimals + 1
    while power <= whole:
        power *= 10
        end += 1
    k = end - 1
    if decimals:
        point = k - decimals
        while k > point:
            buf[k] = 48 + n % 10
            n //= 10
            k -= 1
        buf[k] = 0x2E
        k -= 1
    while k >= at:
        buf[k] = 48 + n % 10
        n //= 10
        k -= 1
    return end

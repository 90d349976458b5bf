"""Data Feed JSON, written straight from the ring, piece after piece into one small buffer.

A transport has to say how long a document is before it sends its first byte. So `measure` computes
the length, and `pieces` writes the document while it is sent. No feed needs more memory than a
piece, however many points it has.

The digits are written by integer arithmetic: no dictionary, string or float is made for a point.
That is faster, leaves no garbage, and prints 20.1 as 20.1 on a port whose floats have 7 digits.
"""

import struct
from array import array

from micropython import const

from firmware.points.json_text import put_number, put_value
from firmware.points.ring import Cursor
from firmware.times.calendar import iso

# As in firmware.points.ring; constants of this module are inlined, those of another one are not.
_INTEGER = const(0x40)
_TEXT = const(0x80)
_BASE = const(0xC0)
_HOLE = const(0xFE)
_PROPERTY = const(0x3F)

# A piece and what TLS adds to it are one TCP segment of an ESP32 (1440 bytes). The longest text
# fits, with the longest head and the longest point around it.
_PIECE_SIZE = const(1408)
_MAX_TEXT = const(1024)
# What is kept free for a point that is no text, and for the end of the document.
_POINT_SIZE = const(160)
# A feed ends where its texts have this size for each point that it may have, or that of a piece.
_TEXT_SIZE = const(80)

_HOUR_MS = const(3600000)
_HOUR_SIZE = const(14)  # of 2026-11-22T14:
_HEAD_SIZE = const(23)
_NO_HOUR = const(1 << 62)

# A point is written with the end of the one before it: then one call writes most points, whatever
# they are called. A name is padded with zeros, which the next point overwrites.
_END = b'"},'  # without its quotation mark where points have no name of their own
_NAME = b',"prop":"'
_NAME_SIZE = const(9)
_NAME_FORMAT = "9s64s"
_NO_NAME_FORMAT = "0s0s"
# Head, minute, `:`, second, `.`, hundreds, the rest of the ms, end
_TIME_FORMAT = "<23sHBHBBH7s"
_SHARED_TIME_FORMAT = "<22sHBHBBH7s"
_TIME_END = b'Z","v":'
_TIME_SIZE = const(16)  # without its head
_TT = b'"},{"tt":'
_FIRST = b'"},{"v":'  # of a point at the feed's own time
_TT_LIMIT = const(10000000)
_TT_FORMAT = "<BHHH5s"  # seven digits, end
_TT_END = b',"v":'
_V_FORMAT = "HBH"  # of 21.37: two digits, `.`, two digits
_V_SIZE = const(5)

# Of a point in the document: `{"t":"2026-11-22T14:05:17.123Z","v":` and `},`, then the same of
# `{"tt":,"v":` and of `{"v":`.
_PLAIN_AROUND = const(38)
_TT_AROUND = const(13)
_V_AROUND = const(7)

# The bits of 10.0 and of the first float32 above 99.99: those of positive floats order as they do.
_TEN = const(0x41200000)
_HUNDRED = const(0x42C7FAE2)

# Two digits at a time: the characters of 00 to 99, as struct's H writes them.
_PAIRS = array("H", [48 + n // 10 | 48 + n % 10 << 8 for n in range(100)])


class Encoder:
    """Encodes points of rings as Data Feed documents, one document at a time."""

    def __init__(self, properties, compact: bool, max_points: int):
        """`properties`: a properties.Properties, as the rings count them."""
        self._properties = properties
        self._compact = compact
        self._texts = max(_PIECE_SIZE, _TEXT_SIZE * max_points)
        self._buffer = bytearray(_PIECE_SIZE)
        self._digits = bytearray(20)
        self._time_head = bytearray(b'"},{"t":"0000-00-00T00:')
        self._hour = _NO_HOUR  # ms since 1970 of the hour that stands there
        self._turn = 0  # of the last document that was begun

    def measure(self, feed, end_seq: int, alone: bool):
        """Say what an in_flight.Feed, which begins with a point, holds up to `end_seq`: points,
        end and size. `alone`: the name of the one property that fills it is in `feed.prop`, and
        not in the document.
        """
        ring = feed.window.ring
        cursor = feed.end
        i = cursor.pos % ring.slots
        end_seq = min(end_seq, ring.tail.seq)
        compact = self._compact
        names = self._properties.names
        scratch = self._digits
        kinds = ring.kinds
        times = ring.times
        values = ring.values
        slots = ring.slots
        offset_ms = feed.window.offset_ms  # of the undated
        first_ms = cursor.base + times[i] + (offset_ms if cursor.cycle >= 0 else 0)
        shift_ms = -times[i]  # what makes the time of a point one after the first point's
        shared = kinds[i] & _PROPERTY
        # Most numbers have the form 21.37: `size` is what the others have beyond that.
        size = named = name_size = points = 0
        digits = 1
        ten = 10  # to the power of digits
        current = _BASE  # kind of the point before
        pos = cursor.pos
        seq = cursor.seq
        last_pos = ring.tail.pos
        while seq < end_seq and pos < last_pos:
            # So many slots hold no more points than are wanted.
            start = pos % slots
            stop = min(slots, start + end_seq - seq, start + last_pos - pos)
            since = start  # points from here on have this property
            here = stop - start
            for i in range(start, stop):
                kind = kinds[i]
                if kind != current:
                    named += (i - since) * name_size
                    since = i
                    if kind >= _BASE:
                        since += 1
                        here -= 1
                        if kind == _HOLE:
                            seq += 1
                        elif kind <= _BASE + 1:
                            cursor.pos = pos + i - start
                            ring.next_point(cursor)
                            undated_ms = offset_ms if cursor.cycle >= 0 else 0
                            shift_ms = cursor.base + undated_ms - first_ms
                        continue
                    current = kind
                    prop = kind & _PROPERTY
                    if prop != shared:
                        shared = -1
                    name_size = _NAME_SIZE + 1 + len(names[prop])
                    decimals = self._properties.decimals[prop]
                    quick = kind < _INTEGER and decimals == 2
                if compact:
                    ms = shift_ms + times[i]
                    if 0 < ms < _TT_LIMIT:
                        while ms >= ten:
                            ten *= 10
                            digits += 1
                        while ms * 10 < ten:
                            ten //= 10
                            digits -= 1
                        size += digits
                    elif ms:
                        size += put_number(scratch, 0, ms < 0, abs(ms), 0)
                    else:
                        size += _V_AROUND - _TT_AROUND
                value = values[i]
                if quick and _TEN <= value < _HUNDRED:
                    continue
                if kind < _TEXT:
                    size += put_value(scratch, 0, kind, value, decimals) - _V_SIZE
                    continue
                size += value - _V_SIZE
                if size > self._texts:
                    # The feed ends with this point.
                    here -= stop - i - 1
                    stop = i + 1
                    end_seq = seq + here
                    break
            named += (stop - since) * name_size
            pos += stop - start
            seq += here
            points += here
        cursor.pos = pos
        cursor.seq = seq
        feed.points = points
        feed.shared = shared
        if alone and shared >= 0:
            feed.prop = names[shared]
        if self._named(feed):
            size += named
        size += points * (_V_SIZE + (_TT_AROUND if compact else _PLAIN_AROUND))
        # In the end `]}` takes the place of the last comma.
        feed.size = len(self._head(feed, first_ms)) + size + 1

    def pieces(self, feed):
        """Generator: the document of a feed that was measured, as memoryviews.

        Each is valid until the next one is asked for. It ends early, with fewer bytes than were
        measured, where points to come have left the ring, or another document was begun.
        """
        turn = self._turn = self._turn + 1 & 0xFFFF
        ring = feed.window.ring
        cursor = Cursor()
        cursor.go(feed.first)
        if not feed.intact(cursor.pos):
            return
        offset_ms = feed.window.offset_ms
        shift_ms = -ring.times[cursor.pos % ring.slots]
        first_ms = cursor.base - shift_ms + (offset_ms if cursor.cycle >= 0 else 0)
        compact = self._compact
        # This loop is the hottest of the firmware: what it needs is local, and most points (two
        # decimals, 10 to 99.99) are written by one call.
        buf = self._buffer
        view = memoryview(buf)
        pack = struct.pack_into
        pairs = _PAIRS
        kinds = ring.kinds
        times = ring.times
        values = ring.values
        slots = ring.slots
        end_pos = feed.end.pos
        hour_ms = shift_ms + first_ms - self._hour  # makes it one in the hour of `_time_head`
        named = self._named(feed)
        # The end of the point before is shorter by its quotation mark where points have no name.
        skip = 0 if named else 1
        end = memoryview(_END)[skip:]
        tt = memoryview(_TT)[skip:]
        tt_size = len(tt)
        tt_form = "9s" if named else "8s"
        time_head = memoryview(self._time_head)[skip:]
        time_size = _TIME_SIZE + len(time_head)
        time_form = _TIME_FORMAT if named else _SHARED_TIME_FORMAT
        form = (_TT_FORMAT if compact else time_form) + _V_FORMAT
        form += _NAME_FORMAT if named else _NO_NAME_FORMAT
        name = ""
        size = name_size = 0
        # The head of the document is put in last, over the end that its first point brings.
        head = self._head(feed, first_ms)
        at = len(head) - len(end)
        low = high = minus = half = shift = 0
        digits = 1
        ten = 10  # to the power of digits
        current = _BASE  # kind of the point before
        pos = cursor.pos
        while pos < end_pos:
            start = pos % slots
            pos -= start  # of the ring's first slot
            stop = min(slots, end_pos - pos)
            for i in range(start, stop):
                kind = kinds[i]
                if kind != current:
                    if kind >= _BASE:
                        if kind <= _BASE + 1:
                            cursor.pos = pos + i
                            ring.next_point(cursor)
                            undated_ms = offset_ms if cursor.cycle >= 0 else 0
                            shift_ms = cursor.base + undated_ms - first_ms
                            hour_ms = shift_ms + first_ms - self._hour
                        continue
                    current = kind
                    prop = kind & _PROPERTY
                    decimals = self._properties.decimals[prop]
                    quick = kind < _INTEGER and decimals == 2
                    high = 0
                    size = time_size + _V_SIZE
                    room = _PIECE_SIZE - _POINT_SIZE - (0 if kind < _TEXT else _MAX_TEXT)
                    if named:
                        name = self._properties.names[prop]
                        name_size = _NAME_SIZE + len(name)
                        size += name_size
                value = values[i]
                if low <= value < high:
                    n = (value - minus) * 100 + half >> shift
                elif quick and _TEN <= value < _HUNDRED:
                    # All numbers up to the next power of two are printed by the same calculation.
                    shift = 150 - (value >> 23)
                    half = 1 << shift - 1
                    minus = (value >> 23) - 1 << 23
                    low = max(_TEN, minus + 0x800000)
                    high = min(_HUNDRED, minus + 0x1000000)
                    n = (value - minus) * 100 + half >> shift
                else:
                    n = 0
                if at > room:
                    if head:
                        self._put(0, head)
                        head = None
                    yield view[:at]
                    if turn != self._turn or not feed.intact(pos + i):
                        return
                    at = 0
                if compact:
                    ms = shift_ms + times[i]
                    if n and 0 < ms < _TT_LIMIT:
                        while ms >= ten:
                            ten *= 10
                            digits += 1
                        while ms * 10 < ten:
                            ten //= 10
                            digits -= 1
                        # Seven digits, the leading zeros of which `tt` then covers.
                        k = ms // 100
                        pack(
                            form,
                            buf,
                            at + tt_size + digits - 7,
                            48 + k // 10000,
                            pairs[k // 100 % 100],
                            pairs[k % 100],
                            pairs[ms % 100],
                            _TT_END,
                            pairs[n // 100],
                            0x2E,
                            pairs[n % 100],
                            _NAME,
                            name,
                        )
                        pack(tt_form, buf, at, tt)
                        at += tt_size + digits + 10 + name_size
                        continue
                    if ms:
                        at = self._put(at, tt)
                        at = put_number(buf, at, ms < 0, abs(ms), 0)
                        at = self._put(at, _TT_END)
                    else:
                        at = self._put(at, memoryview(_FIRST)[skip:])
                else:
                    ms = hour_ms + times[i]
                    if not 0 <= ms < _HOUR_MS:
                        ms = shift_ms + times[i]
                        hour_ms = shift_ms + first_ms - self._start_hour(first_ms + ms)
                        ms = hour_ms + times[i]
                    second = ms // 1000
                    ms %= 1000
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
                        _NAME,
                        name,
                    )
                    if n:
                        at += size
                        continue
                    at += time_size  # any other value is written over that one
                if kind >= _TEXT:
                    at = self._put(at, ring.text(pos + i))
                else:
                    at = put_value(buf, at, kind, value, decimals)
                if named:
                    pack(_NAME_FORMAT, buf, at, _NAME, name)
                    at += name_size
            pos += stop
        if head:
            self._put(0, head)
        at = self._put(at, memoryview(b'"}]}')[skip:])
        yield view[:at]

    def _named(self, feed) -> bool:
        """Has every point of the document a name of its own?"""
        return feed.shared < 0 or not (self._compact or feed.prop)

    def _head(self, feed, first_ms: int) -> bytes:
        if not self._compact:
            return b'{"dps":['
        if feed.prop or feed.shared < 0:
            return b'{"t":"%s","dps":[' % iso(first_ms)
        name = self._properties.names[feed.shared]
        return b'{"t":"%s","prop":"%s","dps":[' % (iso(first_ms), name)

    def _start_hour(self, t: int) -> int:
        """Put the hour of `t` into `_time_head`; return when it began."""
        hour = t - t % _HOUR_MS
        text = iso(hour)[:_HOUR_SIZE].encode()
        self._hour = _NO_HOUR  # until both are there
        self._time_head[_HEAD_SIZE - _HOUR_SIZE :] = text
        self._hour = hour
        return hour

    def _put(self, at: int, data) -> int:
        end = at + len(data)
        self._buffer[at:end] = data
        return end

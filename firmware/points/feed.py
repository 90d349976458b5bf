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

from firmware.base.rare import rare
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
_NO_HOUR = const(1 << 62)

# A point is written with the end of the one before it: then one call writes most points, whatever
# they are called. Its name is padded with zeros, which the next point overwrites. Four characters
# are a number in the call, because `pack_into` takes long to read the size of a text; this number
# is below 2**30, which needs no object on a port whose words have 32 bits.
_END = b"},"
_TIME_FORMAT = b"<22sHIBI"  # hour, minute, `:17.`, hundreds of the ms, the rest and `Z"`
_TIME_SIZE = const(38)  # with `,"v":`
_TIME_END = const(0x225A0000)
_TT_FORMAT = b"<%s%sI%s"  # what comes before the digits, the first of these, four more
_TT_SIZE = const(18)  # of `},{"tt":`, five digits and `,"v":`
_TT_LIMIT = const(10000000)
_BEFORE = const(0x227B2C7D)  # `},{"`
_BEFORE_DIGITS = const(0x3A227474)  # `tt":`
_BEFORE_SEVEN = const(0x303A227474227B2C)  # `,{"tt":0`
_V_FORMAT = b"IIH"  # of 21.37: `,"v"`, `:21.`, `37`
_V_SIZE = const(5)
_V = const(0x2276222C)
_PAIR = const(0x2E00003A)  # `:`, two digits, `.`
_NAME_FORMAT = b"74s"
_NAME_SIZE = const(10)  # what is around a name

# Of the document's head: `{"dps":[`, and `{"t":"2026-11-22T14:05:17.123Z","dps":[`.
_PLAIN_HEAD = const(8)
_COMPACT_HEAD = const(39)
# Of a point without its value: `{"t":"…","v":` and `},`; of `{"tt":,"v":`; the less of `{"v":`.
_PLAIN_AROUND = const(38)
_TT_AROUND = const(13)
_NO_TT = const(-6)

# The upper 16 bits of 10.0 and 99.5; those of positive floats order as they do. All 32 would be an
# object on the heap of a port whose words have 32.
_TEN = const(0x4120)
_HUNDRED = const(0x42C7)

# Two digits at a time: the characters of 00 to 99, as struct's H writes them.
_PAIRS = array("H", [48 + n // 10 | 48 + n % 10 << 8 for n in range(100)])


class Encoder:
    """Encodes points of rings as Data Feed documents, one document at a time."""

    @rare
    def __init__(self, properties, compact: bool, max_points: int):
        """`properties`: a properties.Properties, as the rings count them."""
        self._properties, self._compact = properties, compact
        self._texts = max(_PIECE_SIZE, _TEXT_SIZE * max_points)
        self._buffer = bytearray(_PIECE_SIZE)
        self._digits = bytearray(20)
        self._time_head = bytearray(b'},{"t":"0000-00-00T00:')
        self._hour = _NO_HOUR  # ms since 1970 of the hour that stands there
        self._turn = 0  # of the last document that was begun

    def measure(self, feed, end_seq: int, alone: bool):
        """Say what an in_flight.Feed, which begins with a point, holds up to `end_seq`: points,
        end and size. `alone`: the name of the one property that fills it is in `feed.prop`, and
        not in the document.
        """
        # Most numbers have the form 21.37: `size` is what the others have beyond that.
        k = end = top = low = high = size = named = points = ranges = 0
        digits = 1
        ten = 10  # to the power of digits
        ring = feed.window.ring
        halves = ring.halves
        cursor = feed.end
        pos = cursor.pos
        seq = cursor.seq
        end_seq = min(end_seq, ring.tail.seq)
        last_pos = ring.tail.pos
        compact = self._compact
        names = self._properties.names
        scratch = self._digits
        kinds = ring.kinds
        times = ring.times
        values = ring.values
        slots = ring.slots
        shared = kinds[pos % slots] & _PROPERTY
        offset_ms = feed.window.offset_ms  # of the undated
        shift_ms = -times[pos % slots]  # makes the time of a point one after the first point's
        first_ms = cursor.base - shift_ms + (offset_ms if cursor.cycle >= 0 else 0)
        current = _BASE  # kind of the point before
        while seq < end_seq and pos < last_pos:
            # So many slots hold no more points than are wanted.
            start = i = pos % slots
            stop = min(slots, start + end_seq - seq, start + last_pos - pos)
            alike = ring.alike(pos, stop - start)
            while i < stop:
                kind = kinds[i]
                if kind != current:
                    if kind >= _BASE:
                        if kind == _HOLE:
                            seq += 1
                        elif kind <= _BASE + 1:
                            cursor.pos = pos + i - start
                            ring.next_point(cursor)
                            undated_ms = offset_ms if cursor.cycle >= 0 else 0
                            shift_ms = cursor.base + undated_ms - first_ms
                        i += 1
                        continue
                    current = kind
                    prop = kind & _PROPERTY
                    if prop != shared:
                        shared = -1
                    name_size = _NAME_SIZE + len(names[prop])
                    decimals = self._properties.decimals[prop]
                    high = 0
                    limit = _HUNDRED if kind < _INTEGER and decimals == 2 else 0
                end = stop if alike else i + 1
                k = i if compact else end
                while k < end:
                    ms = shift_ms + times[k]
                    after = k + 1
                    if ms > 0:
                        while ms >= ten:
                            ten *= 10
                            digits += 1
                        while ms * 10 < ten:
                            ten //= 10
                            digits -= 1
                        if alike:
                            after = ring.until(k, end, ten - shift_ms)
                        size += digits * (after - k)
                    else:
                        size += put_number(scratch, 0, ms, 0) if ms else _NO_TT
                    k = after
                if kind < _TEXT:
                    for k in range(2 * i + 1, 2 * end, 2):
                        top = halves[k]
                        if not low <= top < high:
                            # As `pieces` prints them, up to a power of two.
                            ranges += 1
                            if _TEN <= top < limit:
                                low = max(_TEN, top & 0xFF80)
                                high = min(limit, (top & 0xFF80) + 0x80)
                            else:
                                size += put_value(scratch, 0, kind, values[k >> 1], decimals)
                                size -= _V_SIZE
                else:
                    size += values[i] - _V_SIZE
                seq += end - i
                points += end - i
                named += (end - i) * name_size
                i = end
                if kind >= _TEXT and size > self._texts:
                    # The feed ends with this point.
                    stop = i
                    end_seq = seq
            pos += stop - start
        cursor.pos = pos
        cursor.seq = seq
        feed.points = points
        feed.shared = shared
        feed.even = ranges == 1
        if alone and shared >= 0:
            feed.prop = names[shared]
        size += named if self._named(feed) else 0
        if not compact:
            size += _PLAIN_HEAD + points * (_PLAIN_AROUND + _V_SIZE)
        else:
            size += _COMPACT_HEAD + points * (_TT_AROUND + _V_SIZE)
            if shared >= 0 and not feed.prop:
                size += name_size
        feed.size = size + 1  # `]}` takes the place of the last comma

    def pieces(self, feed):
        """Generator: the document of a feed that was measured, as memoryviews.

        Each is valid until the next one is asked for. It ends early, with fewer bytes than were
        measured, where points to come have left the ring, or another document was begun.
        """
        # The hottest loops of the firmware. What they need is local and comes first: the first
        # sixteen variables are faster than the others.
        k = at = ms = n = less = shift = since_ms = size = 0
        pairs = _PAIRS
        pack = struct.pack_into
        buf = self._buffer
        ring = feed.window.ring
        times = ring.times
        halves = ring.halves
        values = ring.values
        low_ms = high_ms = tail_size = 0
        kinds = ring.kinds
        slots = ring.slots
        turn = self._turn = self._turn + 1 & 0xFFFF
        first = feed.first
        pos = first.pos
        if not feed.intact(pos):
            return
        view = memoryview(buf)
        offset_ms = feed.window.offset_ms
        shift_ms = -times[pos % slots]
        first_ms = first.base - shift_ms + (offset_ms if first.cycle >= 0 else 0)
        end_pos = feed.end.pos
        named = self._named(feed)
        compact = self._compact
        time_head = self._time_head
        form_end = _V_FORMAT + (_NAME_FORMAT if named else b"")
        tail = bytearray(_NAME_SIZE + 64 if named else 0)
        form = _TIME_FORMAT + form_end
        time_size = _TIME_SIZE
        # The head of the document is put in last, over the end that its first point brings.
        head = self._head(feed, first_ms)
        at = len(head) - len(_END)
        current = _BASE  # kind of the point before
        while pos < end_pos:
            i = pos % slots
            stop = min(slots, i + end_pos - pos)
            alike = feed.even and ring.alike(pos, stop - i)
            pos -= i  # of the ring's first slot
            while i < stop:
                kind = kinds[i]
                if kind != current:
                    if kind >= _BASE:
                        if kind <= _BASE + 1:
                            cursor = Cursor()
                            cursor.pos = pos + i
                            ring.next_point(cursor)
                            undated_ms = offset_ms if cursor.cycle >= 0 else 0
                            shift_ms = cursor.base + undated_ms - first_ms
                            high_ms = 0
                        i += 1
                        continue
                    current = kind
                    prop = kind & _PROPERTY
                    decimals = self._properties.decimals[prop]
                    quick = kind < _INTEGER and decimals == 2
                    room = _PIECE_SIZE - _POINT_SIZE - (0 if kind < _TEXT else _MAX_TEXT)
                    if named:
                        name = self._properties.names[prop]
                        tail_size = _NAME_SIZE + len(name)
                        pack("9s64s", tail, 0, b',"prop":"', name)
                        tail[tail_size - 1] = 0x22  # `"`
                if at > room:
                    if head:
                        self._put(0, head)
                        head = None
                    yield view[:at]
                    if turn != self._turn or not feed.intact(pos + i):
                        return
                    at = 0
                top = halves[2 * i + 1]
                short = quick and _TEN <= top < _HUNDRED
                # All up to the next power of two are printed by the same calculation; others as 0.
                shift = 134 - (top >> 7) if short else 60
                less = ((top >> 7) - 1) * 12800 - (1 << shift - 1) if short else 0
                ms = since_ms + times[i]
                if not low_ms <= ms < high_ms:
                    ms = shift_ms + times[i]
                    since_ms = shift_ms
                    if not compact:
                        since_ms += first_ms - self._start_hour(first_ms + ms)
                        high_ms = _HOUR_MS
                    elif not 10000 <= ms < _TT_LIMIT:
                        high_ms = 0
                    else:
                        six = ms >= 100000
                        low_ms = 100000 if six else 10000
                        high_ms = 10 * low_ms
                        start = "II"
                        before = _BEFORE
                        before_digits = _BEFORE_DIGITS
                        tops = pairs if six else b"0123456789"
                        time_size = _TT_SIZE + six
                        if ms >= 1000000:
                            # The first of seven digits stands with what is before them.
                            start = "BQ"
                            before = 0x7D
                            before_digits = _BEFORE_SEVEN + (ms // 1000000 << 56)
                            since_ms -= ms // 1000000 * 1000000
                            time_size += 1
                            low_ms = 0
                        form = _TT_FORMAT % (start, "H" if six else "B", form_end)
                size = time_size + _V_SIZE + tail_size
                end = i + 1 if high_ms else i
                if alike and high_ms:
                    # As many as there is room for.
                    end = min(stop, end + (room - at) // size)
                    end = ring.until(i, end, high_ms - since_ms)
                if compact:
                    for k in range(2 * i + 1, 2 * end, 2):
                        ms = since_ms + times[k >> 1]
                        n = halves[k] * 100 - less + (halves[k - 1] * 100 >> 16) >> shift
                        pack(
                            form,
                            buf,
                            at,
                            before,
                            before_digits,
                            tops[ms // 10000],
                            pairs[ms // 100 % 100] + (pairs[ms % 100] << 16),
                            _V,
                            _PAIR + (pairs[n // 100] << 8),
                            pairs[n % 100],
                            tail,
                        )
                        at += size
                else:
                    for k in range(2 * i + 1, 2 * end, 2):
                        ms = since_ms + times[k >> 1]
                        n = halves[k] * 100 - less + (halves[k - 1] * 100 >> 16) >> shift
                        pack(
                            form,
                            buf,
                            at,
                            time_head,
                            pairs[ms // 60000],
                            _PAIR + (pairs[ms // 1000 % 60] << 8),
                            48 + ms // 100 % 10,
                            _TIME_END + pairs[ms % 100],
                            _V,
                            _PAIR + (pairs[n // 100] << 8),
                            pairs[n % 100],
                            tail,
                        )
                        at += size
                if short and high_ms:
                    i = end
                    continue
                # Any other value is written over that one.
                if high_ms:
                    at += time_size - size
                else:
                    at = self._put(at, b'},{"tt":%d,"v":' % ms if ms else b'},{"v":')
                if kind >= _TEXT:
                    at = self._put(at, ring.text(pos + i))
                else:
                    at = put_value(buf, at, kind, values[i], decimals)
                if named:
                    pack(_NAME_FORMAT, buf, at, tail)
                    at += tail_size
                i += 1
            pos += stop
        if head:
            self._put(0, head)
        at = self._put(at, b"}]}")
        yield view[:at]

    def _named(self, feed) -> bool:
        """Has every point of the document a name of its own?"""
        return feed.shared < 0 or not (self._compact or feed.prop)

    def _head(self, feed, first_ms: int) -> bytes:
        if not self._compact:
            return b'{"dps":['
        name = b""
        if feed.shared >= 0 and not feed.prop:
            name = b'"prop":"%s",' % self._properties.names[feed.shared]
        return b'{"t":"%s",%s"dps":[' % (iso(first_ms), name)

    def _start_hour(self, t: int) -> int:
        """Put the hour of `t` into `_time_head`; return when it began."""
        hour = t - t % _HOUR_MS
        if hour != self._hour:
            self._hour = _NO_HOUR  # until both are there
            self._time_head[8:] = iso(t)[:14].encode()
            self._hour = hour
        return hour

    def _put(self, at: int, data) -> int:
        end = at + len(data)
        self._buffer[at:end] = data
        return end

"""Points in RAM: nine bytes each, all allocated once.

A slot is three columns: a byte that says what it holds, and two 32-bit words. Columns instead of
packed records, because indexing an array allocates nothing and unpacking a record does.

| slot | kind byte | word `times` | word `values` |
|---|---|---|---|
| number | FLOAT or INTEGER, and the property | ms after the time base | float32, or int32 |
| text | TEXT and the property | ms after the time base | length in bytes |
| more text | MORE | unused | four of its bytes |
| set aside | HOLE, its text VOID | | |
| time base | BASE or BASE + 1 (undated) | low 32 bits of ms | high 16 bits of ms, power cycle |

Times are relative to the last time base before them, so that a millisecond of this century fits
into 32 bits; a new base is written when one no longer does (49.7 days), or when the clock
becomes known.

What runs for each reading, here and in the modules around it, has few variables. MicroPython takes
the frame of a function from the heap where it has more than eleven words, and to find them there
takes longer than most functions do.
"""

from array import array
from struct import pack_into

import uctypes
from micropython import const

from firmware.base.rare import rare

FLOAT = const(0x00)
INTEGER = const(0x40)
TEXT = const(0x80)
BASE = const(0xC0)
MORE = const(0xFF)
HOLE = const(0xFE)
VOID = const(0xFD)
KIND = const(0xC0)
PROPERTY = const(0x3F)

MAX_PROPERTIES = const(63)
# A property of type string holds 1 KiB on the platform; a thermostat has no use for longer ones.
MAX_TEXT = const(1024)

_WORD = const(0xFFFFFFFF)


class Cursor:
    """A place in a ring: the next slot, and the time base in force there."""

    def __init__(self):
        self.pos = 0
        self.seq = 0  # points before this place, since the ring was made
        self.base = 0  # ms: since 1970 when dated, else of the power cycle's uptime
        self.cycle = -1  # power cycle of an undated base; -1 when dated

    def go(self, other):
        self.pos = other.pos
        self.seq = other.seq
        self.base = other.base
        self.cycle = other.cycle


class Ring:
    """A first-in, first-out buffer of points; when it is full the oldest go, and are counted."""

    @rare
    def __init__(self, slots: int, make_room=None):
        """`slots`: see above. `make_room`: called when the ring is full. It gives up some points,
        or returns False: then the new point is dropped. Without it the oldest point is.
        """
        self.head = Cursor()  # the oldest point
        self.tail = Cursor()  # where the next one goes
        self.dropped = 0
        self.changes = 0  # how often points changed where they stand
        self._make_room = make_room or self.drop_oldest
        self.resize(slots)

    @rare
    def resize(self, slots: int):
        """Have so many slots from now on; the ring must be empty."""
        kinds = bytearray(slots)
        times = array("I", bytes(4 * slots))
        values = array("I", bytes(4 * slots))
        # The same memory as `values`: floats and text are put there as bytes.
        raw = uctypes.bytearray_at(uctypes.addressof(values), 4 * slots)
        # And as 16-bit words, the lower one first: none of them is an object on the heap.
        layout = {"words": (uctypes.ARRAY | 0, 2 * slots | uctypes.UINT16)}
        halves = uctypes.struct(uctypes.addressof(values), layout, uctypes.NATIVE).words
        # All of them or, where memory was short, none: `raw` does not keep its memory.
        self.kinds, self.times, self.values = kinds, times, values
        self.raw, self.halves = raw, halves
        self.slots = slots
        self.changes += 1
        self.tail.cycle = -2  # no base written yet
        self._latest = 0  # time of the last point
        self._ascends = 0  # from this position on no time is before the one before it

    def __len__(self) -> int:
        return self.tail.seq - self.head.seq

    def room(self) -> int:
        """Free slots."""
        return self.slots + self.head.pos - self.tail.pos

    def append_float(self, prop: int, t: int, cycle: int, value: float):
        """Append a number. Allocates nothing.

        `t`: ms since 1970; or, of an undated point, of the uptime in power cycle `cycle`, else -1.
        """
        i = self.claim(FLOAT | prop, t, cycle)
        if i >= 0:
            pack_into("<f", self.raw, 4 * i, value)

    def append_int(self, prop: int, t: int, cycle: int, value: int):
        """Append a whole number of at most 32 bits with its sign. Allocates nothing."""
        i = self.claim(INTEGER | prop, t, cycle)
        if i >= 0:
            # Not as a word, which may be allocated: the point is in the ring by now.
            pack_into("<i", self.raw, 4 * i, value)

    def append_text(self, prop: int, t: int, cycle: int, text: bytes):
        """Append a value in JSON's own notation. Raises ValueError for one that is too long."""
        size = len(text)
        more = (size + 3) // 4
        # Two more slots: its own and that of a time base.
        if size > MAX_TEXT or more + 2 > self.slots:
            most = min(MAX_TEXT, 4 * (self.slots - 2))
            words = "a value of %d bytes is too long to be buffered: at most %d fit"
            raise ValueError(words % (size, most))
        i = self.claim(TEXT | prop, t, cycle, 1 + more)
        if i < 0:
            return
        # From here on nothing is allocated: what was begun has to be finished.
        self.values[i] = size
        for k in range(size):
            if not k & 3:
                i = (i + 1) % self.slots
                self.kinds[i] = MORE
            self.raw[4 * i + (k & 3)] = text[k]

    def text(self, pos: int) -> bytes:
        """The value of the text whose first slot is at `pos`."""
        i = pos % self.slots
        size = self.values[i]
        first = 4 * (i + 1) % (4 * self.slots)
        run = min(size, 4 * self.slots - first)
        return bytes(self.raw[first : first + run]) + bytes(self.raw[: size - run])

    def next_point(self, cursor: Cursor) -> int:
        """Move the cursor past any time bases; return the slot of the point there, or -1."""
        while cursor.pos < self.tail.pos:
            i = cursor.pos % self.slots
            kind = self.kinds[i]
            if kind < BASE:
                return i
            if kind <= BASE + 1:
                high = self.values[i]
                cursor.base = self.times[i] | (high & 0xFFFF) << 32
                cursor.cycle = high >> 16 if kind & 1 else -1
            elif kind == HOLE:
                cursor.seq += 1
            cursor.pos += 1
        return -1

    def alike(self, pos: int, slots: int) -> bool:
        """Do so many slots from the position on, up to the last at most, hold points that take one
        each, all of one property and kind, whose times ascend?
        """
        i = pos % self.slots
        kind = self.kinds[i : i + 1]
        return pos >= self._ascends and self.kinds.count(kind, i, i + slots) == slots

    def until(self, i: int, end: int, limit: int) -> int:
        """The first slot from `i` on whose time is `limit` or later, or `end`; all are alike."""
        times = self.times
        if times[end - 1] < limit:
            return end
        while i < end:
            middle = (i + end) // 2
            if times[middle] < limit:
                i = middle + 1
            else:
                end = middle
        return end

    def skip_point(self, cursor: Cursor, i: int):
        """Move the cursor past the point in slot `i`, where next_point found it."""
        cursor.seq += 1
        cursor.pos += 1
        if self.kinds[i] & KIND == TEXT:
            cursor.pos += (self.values[i] + 3) // 4

    @rare
    def void(self, cursor: Cursor):
        """Make the point at the cursor one that never was."""
        self.changes += 1
        end = Cursor()
        end.go(cursor)
        self.skip_point(end, self.next_point(end))
        for pos in range(cursor.pos, end.pos):
            i = pos % self.slots
            if self.kinds[i] < BASE:
                self.kinds[i] = HOLE
            elif self.kinds[i] == MORE:
                self.kinds[i] = VOID

    def claim(self, kind: int, t: int, cycle: int, slots: int = 1) -> int:
        """Make room for a point of so many slots, date its first and return the index of that; -1
        when there is no room for it, which is counted.
        """
        tail = self.tail
        offset = t - tail.base
        if cycle != tail.cycle or offset > _WORD:
            offset = -1  # as of one before that base: it needs a base of its own
        while tail.pos + slots + (offset < 0) - self.head.pos > self.slots:
            if not self._make_room():
                self.dropped += 1
                return -1
        if offset < 0:
            i = tail.pos % self.slots
            self.kinds[i] = BASE if cycle < 0 else BASE + 1
            self.times[i] = t & _WORD
            self.values[i] = t >> 32 & 0xFFFF | (cycle & 0xFFFF) << 16
            tail.base = t
            tail.cycle = cycle
            tail.pos += 1
            offset = 0
        if offset < self._latest:
            self._ascends = tail.pos
        self._latest = offset
        i = tail.pos % self.slots
        self.kinds[i] = kind
        self.times[i] = offset
        tail.pos += slots
        tail.seq += 1
        return i

    def moved(self, pos: int, count: int):
        """So many points, one slot each and none before the one before it, were put there."""
        if self.times[pos % self.slots] < self._latest:
            self._ascends = pos
        self._latest = self.times[(pos + count - 1) % self.slots]

    def drop_oldest(self) -> bool:
        i = self.next_point(self.head)
        if i >= 0:
            self.skip_point(self.head, i)
            self.dropped += 1
        return True

    @rare
    def squeeze(self, end_pos: int, keeps) -> int:
        """Leave out points before the position for which `keeps(property, ms)` is False. Returns
        how many. The others move up: no cursor into the ring but head and tail is valid after it.
        A MemoryError of `keeps` is raised when what was left out until then is gone.
        """
        self.changes += 1
        self._ascends = self.tail.pos
        kinds = self.kinds
        slots = self.slots
        cursor = Cursor()
        cursor.go(self.head)
        left_out = 0
        short = None
        while True:
            i = self.next_point(cursor)
            if i < 0 or cursor.pos >= end_pos:
                break
            try:
                kept = keeps(kinds[i] & PROPERTY, cursor.base + self.times[i])
            except MemoryError as error:
                short = error
                break
            pos = cursor.pos
            self.skip_point(cursor, i)
            if not kept:
                left_out += 1
                kinds[i] = HOLE
                for p in range(pos + 1, cursor.pos):
                    kinds[p % slots] = VOID
        to = cursor.pos
        for pos in range(cursor.pos - 1, self.head.pos - 1, -1):
            i = pos % slots
            kind = kinds[i]
            if kind == HOLE:
                self.head.seq += 1
            elif kind != VOID:
                to -= 1
                k = to % slots
                kinds[k] = kind
                self.times[k] = self.times[i]
                self.values[k] = self.values[i]
        self.head.pos = to
        if short:
            raise short
        return left_out

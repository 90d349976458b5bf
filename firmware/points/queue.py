"""The one face of the buffer: put a reading in, take a feed out, acknowledge it.

A point leaves only when a feed that holds it was acknowledged, or when the buffer is full, which is
counted. Several feeds may be in flight; they may be acknowledged in any order.
"""

from micropython import const

from firmware.points.feed import Feed
from firmware.points.ring import Cursor, Ring
from firmware.points.text import encode

# The buffer that feeds are written into: 100 points of the plain format fit, and RAM is scarce.
_FEED_SIZE = const(8192)
_POINT_SIZE = const(80)
_SMALLEST_FEED = const(2048)  # the longest single value, and what stands around it

_DATED = const(-1)
_THIS_CYCLE = const(0)
_INT_LIMIT = const(0x7FFFFFFF)


class Batch:
    """A feed on its way: the points from `start` (a sequence number) to `end` (a cursor)."""

    def __init__(self, start: int):
        self.start = start
        self.end = Cursor()
        self.done = False
        self.data = None  # memoryview of the document; valid until the next batch is taken

    def __len__(self) -> int:
        return self.end.seq - self.start


class Queue:
    """Readings of every property, from the moment they are taken until the platform has them."""

    def __init__(
        self, properties: list, clock, slots: int, compact: bool, max_points: int, max_age_ms: int
    ):
        """`properties`: list of feed.Property; `slots`: numbers that fit; see ring.Ring."""
        self._properties = properties
        self._clock = clock
        self._ring = Ring(slots)
        size = min(_FEED_SIZE, max(_SMALLEST_FEED, max_points * _POINT_SIZE))
        self._feed = Feed(properties, compact, size)
        self._max_points = max_points
        self._max_age_ms = max_age_ms
        self._sent = Cursor()  # the first point that is in no feed
        self._in_flight = []
        # The newest millisecond of each property: two readings never share one.
        self._newest = [-1] * len(properties)
        self._dated = False

    def put(self, prop: int, value):
        """Buffer a reading of the property with that index, taken now.

        `value`: a number, which allocates nothing, or anything that JSON can say. Raises
        ValueError for what it can't say (NaN, infinities) or what is too long.
        """
        t = self._clock.now()
        cycle = _DATED
        if not self._clock.known:
            cycle = _THIS_CYCLE
        elif not self._dated:
            self._date_newest()
        if t <= self._newest[prop]:
            t = self._newest[prop] + 1
        kind = type(value)
        fits = self._properties[prop]
        if kind is float and fits.exact_above < value < fits.exact_below:
            self._ring.append_float(prop, t, cycle, value)
        elif kind is int and -_INT_LIMIT <= value <= _INT_LIMIT:
            self._ring.append_int(prop, t, cycle, value)
        else:
            self._ring.append_text(prop, t, cycle, encode(value, fits.decimals))
        self._newest[prop] = t

    def __len__(self) -> int:
        """Points that the platform does not have yet."""
        return len(self._ring)

    @property
    def dropped(self) -> int:
        """Points that were lost because the buffer was full."""
        return self._ring.dropped

    def due(self) -> bool:
        """Is there a feed worth sending: a full one, or one whose oldest point is old enough?"""
        ring = self._ring
        sent = self._catch_up()
        i = ring.next_point(sent)
        if i < 0 or not self._clock.known:
            return False
        if ring.tail.seq - sent.seq >= self._max_points:
            return True
        if sent.cycle != _DATED:
            return True
        age = self._clock.now() - sent.base - ring.times[i]
        return not 0 <= age < self._max_age_ms

    def take(self, max_points=None):
        """The next feed as a Batch, or None. It is in flight until acknowledged or released."""
        if not self._clock.known:
            return None
        sent = self._catch_up()
        batch = Batch(sent.seq)
        batch.end.go(sent)
        last = sent.seq + self._max_points
        batch.data = self._feed.encode(self._ring, batch.end, last, self._clock.first_offset)
        if batch.data is None:
            return None
        sent.go(batch.end)
        self._in_flight.append(batch)
        return batch

    def acknowledge(self, batch: Batch):
        """The platform has every point of the batch."""
        batch.done = True
        ring = self._ring
        while self._in_flight and self._in_flight[0].done:
            first = self._in_flight.pop(0)
            # What was dropped while it was in flight has arrived all the same.
            overtaken = ring.head.seq - first.start
            if overtaken > 0:
                ring.dropped -= min(overtaken, len(first))
            if first.end.seq > ring.head.seq:
                ring.free_to(first.end)

    def release(self):
        """Nothing in flight will be acknowledged any more: it has to be sent again."""
        self._in_flight.clear()
        self._sent.go(self._ring.head)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def _catch_up(self) -> Cursor:
        """What is to be sent next; a full buffer may have dropped points from under it."""
        if self._sent.pos < self._ring.head.pos:
            self._sent.go(self._ring.head)
        return self._sent

    def _date_newest(self):
        """The clock has become known: readings so far are dated with its first offset."""
        self._dated = True
        for i, newest in enumerate(self._newest):
            if newest >= 0:
                self._newest[i] = newest + self._clock.first_offset

"""The one face of the buffer: put a reading in, take a feed out, acknowledge it.

A point leaves only when a feed that holds it was acknowledged, or when the buffer is full, which is
counted. Several feeds may be in flight; they may be acknowledged in any order.
"""

from micropython import const

from firmware.log import Log
from firmware.points.clock import iso
from firmware.points.feed import Feed
from firmware.points.lane import Lane
from firmware.points.ring import PROPERTY, Cursor, Ring
from firmware.points.text import encode

# The buffer that feeds are written into: 100 points of the plain format fit, and RAM is scarce.
_FEED_SIZE = const(8192)
_POINT_SIZE = const(80)
_SMALLEST_FEED = const(2048)  # the longest single value, and what stands around it

_DATED = const(-1)
_THIS_CYCLE = const(0)
_INT_LIMIT = const(0x7FFFFFFF)


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
        self._live = Lane(self._ring, Feed(properties, compact, size))
        self._max_points = max_points
        self._max_age_ms = max_age_ms
        self._log = Log("queue")
        self.rejected = 0  # points that the platform will not have, set aside
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
        if not self._clock.known:
            return False
        ring = self._ring
        first = self._live.next()
        i = ring.next_point(first)
        if i < 0:
            return False
        if first.cycle != _DATED or self._live.unsent() >= self._max_points:
            return True
        age = self._clock.now() - first.base - ring.times[i]
        return not 0 <= age < self._max_age_ms

    def take(self, max_points=None):
        """The next feed as a Batch, or None. It is in flight until acknowledged or released.

        `max_points`: take no more than these.
        """
        if not self._clock.known:
            return None
        most = min(max_points or self._max_points, self._max_points)
        return self._live.take(most, self._clock.first_offset)

    def acknowledge(self, batch):
        """The platform has every point of the batch."""
        batch.lane.acknowledge(batch)

    def release(self):
        """Nothing in flight will be acknowledged any more: it has to be sent again."""
        self._live.release()

    def refuse(self, batch):
        """The platform refuses the feed as a whole, whatever it is that it does not like.

        Its points are sent again in halves, until the one that is to blame is alone; that one is
        set aside. Everything else in flight is released.
        """
        if len(batch) > 1:
            self.release()
            batch.lane.refuse(batch)
        else:
            self.set_aside(batch)

    def set_aside(self, batch):
        """Never send the one point of this batch again. Raises ValueError if there are more."""
        if len(batch) != 1:
            raise ValueError("a batch of %d points cannot be set aside" % len(batch))
        ring = batch.lane.ring
        at = Cursor()
        at.go(batch.first)
        i = ring.next_point(at)
        if i >= 0 and batch.first.seq >= ring.head.seq:
            t = at.base + ring.times[i] + (0 if at.cycle == _DATED else self._clock.first_offset)
            name = str(self._properties[ring.kinds[i] & PROPERTY].name, "utf-8")
            self._log.warning("a point is refused by the platform: %s at %s", name, iso(t))
        self.rejected += 1
        batch.lane.set_aside(batch)

    @property
    def in_flight(self) -> int:
        return len(self._live.in_flight)

    def _date_newest(self):
        """The clock has become known: readings so far are dated with its first offset."""
        self._dated = True
        for i, newest in enumerate(self._newest):
            if newest >= 0:
                self._newest[i] = newest + self._clock.first_offset

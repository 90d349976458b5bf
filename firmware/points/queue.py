"""The one face of the buffer: put a reading in, take a feed out, acknowledge it.

A point leaves only when a feed that holds it was acknowledged, or when the buffer is full, which
is counted. Several feeds may be in flight; they may be acknowledged in any order.
"""

from array import array

from micropython import const

from firmware.base.log import Log
from firmware.points.feed import Encoder
from firmware.points.in_flight import Window
from firmware.points.json_text import encode, exact
from firmware.points.ring import PROPERTY, Ring
from firmware.times.calendar import iso

_DATED = const(-1)
_INT_LIMIT = const(0x7FFFFFFF)
_WORD = const(0xFFFFFFFF)
_NEVER_MS = const(0x3FFFFFFF)


class Queue:
    """Readings of every property, from the moment they are taken until the platform has them."""

    def __init__(
        self,
        *,
        properties,
        clock,
        slots: int,
        compact: bool,
        max_points: int,
        max_age_ms: int,
        when_full: str,
        flash_kib: int,
        spill_after_ms: int,
        survived: bool,
        lost: int,
    ):
        """`properties`: a properties.Properties; `slots`: numbers that fit, see ring.Ring.

        `when_full`: "oldest", "newest" or "thin", see the config; `flash_kib`: for the journal in
        the folder `journal`, or 0; `survived`: the counter of `clock` goes on since the last run;
        `lost`: points that were only in RAM when the last run was cut short.
        """
        self.properties = properties
        self._clock = clock
        self._thinner = None
        make_room: object = None
        if when_full == "newest":
            make_room = bool  # is False: what is in it stays
        elif when_full == "thin":
            # Imported by those who use it, as the journal is.
            from firmware.points.thin import Thinner

            self._thinner = Thinner()
            make_room = self._thin
        self._ring = Ring(slots, make_room)
        encoder = Encoder(properties, compact, max_points)
        self._live = Window(self._ring, encoder)
        self._max_points = max_points
        # Or readings would go to flash before they are due, and the newest not be first.
        self._longest_ms = spill_after_ms // 2 if flash_kib else None
        self.max_age_ms = max_age_ms
        self._log = Log("queue")
        self.lost = lost
        self.rejected = 0  # points that the platform will not have, set aside
        self._offset_ms = 0  # what dates the undated ones, once `_dated`
        self._dated = False
        self._first_undated = -1
        self._era = 0
        self._backlog = None
        self._live_went = False  # and was acknowledged, since the last feed from flash
        self._live_ms = -_NEVER_MS  # uptime at which it was
        first_ms = 0
        if flash_kib:
            from firmware.points.spill import Backlog

            kept = flash_kib, properties, when_full, clock.uptime_ms, survived, clock.now()
            self._backlog = Backlog(self._live, encoder, spill_after_ms, *kept)
            self._era = self._backlog.journal.era
            first_ms = self._backlog.journal.era_newest + 1
        # The first millisecond that the next reading of each property may have, for no two share
        # one; its low 32 bits and its high 16 bits, as a list of them would take 36 bytes each.
        count = len(properties.names)
        self._free_low = array("I", [first_ms & _WORD] * count)
        self._free_high = array("H", [first_ms >> 32] * count)

    @property
    def max_age_ms(self) -> int:
        """A feed is due when its oldest point is this old; at most half of `spill_after_ms`."""
        return self._max_age_ms

    @max_age_ms.setter
    def max_age_ms(self, ms: int):
        self._max_age_ms = min(ms, self._longest_ms or ms)

    def put(self, prop: int, value, t_ms=None):
        """Buffer a reading of the property with that index, taken now.

        `value`: a number, which allocates nothing, or anything that JSON can say. `t_ms`: what
        the clock said when it was taken, if that was earlier; kept, unless the property has a
        point that is not older. Raises ValueError for NaN, infinities and what is too long.
        """
        t = self._clock.now() if t_ms is None else t_ms
        cycle = _DATED
        if not self._clock.known:
            cycle = self._era
            if self._first_undated < 0:
                self._first_undated = t
        elif not self._dated:
            self._date()
        t = max(t, self._free_high[prop] << 32 | self._free_low[prop])
        # First of all: where memory is short in what follows, the reading is not in the buffer.
        self._taken(prop, t)
        kind = type(value)
        decimals = self.properties.decimals[prop]
        limit = exact(decimals)
        if kind is float and -limit < value < limit:
            self._ring.append_float(prop, t, cycle, value)
        elif kind is int and -_INT_LIMIT <= value <= _INT_LIMIT:
            self._ring.append_int(prop, t, cycle, value)
        else:
            self._ring.append_text(prop, t, cycle, encode(value, decimals))

    def _taken(self, prop: int, t: int):
        """A reading of the property has this millisecond: the next one gets another."""
        t += 1
        self._free_low[prop] = t & _WORD
        self._free_high[prop] = t >> 32

    def tick(self):
        """To be called a few times a second: spills to flash, some 10 ms of it in one go."""
        if self._backlog:
            self._backlog.tick(self._clock.uptime_ms(), self._dating())

    def flush(self):
        """Everything to flash, before a restart; takes its time."""
        if self._backlog:
            self._backlog.flush(self._dating())

    def __len__(self) -> int:
        return len(self._ring) + self.spilled

    @property
    def in_ram(self) -> int:
        """Points that a power cut would take."""
        return len(self._ring)

    @property
    def spilled(self) -> int:
        """Points on flash."""
        return self._backlog.points() if self._backlog else 0

    @property
    def dropped(self) -> int:
        """Points that were lost because the buffer was full."""
        return self._ring.dropped + (self._backlog.journal.dropped if self._backlog else 0)

    @property
    def thinned(self) -> int:
        """Points that made room for others of their curve."""
        thinned = self._thinner.thinned if self._thinner else 0
        return thinned + (self._backlog.journal.thinned if self._backlog else 0)

    @property
    def damaged(self) -> int:
        """Records that could not be read back from flash."""
        if not self._backlog:
            return 0
        return self._backlog.journal.damaged + self._backlog.journal.eras.damaged

    @property
    def undated(self) -> int:
        """Points that could not be dated, and were not sent."""
        return self._backlog.replay.undated if self._backlog else 0

    def due(self) -> bool:
        """Is there a feed worth sending: a full one, an old one, or one from flash?"""
        if not self._clock.known:
            return False
        return self._live_due() or (self._backlog is not None and self._backlog.waiting())

    def _live_due(self) -> bool:
        ring = self._ring
        first = self._live.next()
        i = ring.next_point(first)
        if i < 0:
            return False
        if first.cycle != _DATED or self._live.unsent() >= self._max_points:
            return True
        age = self._clock.now() - first.base - ring.times[i]
        return not 0 <= age < self._max_age_ms

    def take(self, max_points=None, alone: bool = False):
        """The next in_flight.Feed, of at most `max_points`, or None. It is in flight until
        acknowledged or released. `alone`: see Encoder.measure.
        """
        offset_ms = self._dating()
        if offset_ms is None:
            return None
        most = min(max_points or self._max_points, self._max_points)
        if self._backlog and not self._live_first(most):
            feed = self._backlog.take(most, alone)
            if feed:
                self._live_went = False
                return feed
        return self._live.take(most, offset_ms, alone)

    def _live_first(self, most: int) -> bool:
        """Do the newest readings go now? Otherwise those from flash.

        They do when they are due, or when none of them went for as long as they may wait. But
        after each feed of them that was not full one from flash follows, or those would stay
        there where feeds are due as often as the platform takes any.
        """
        unsent = self._live.unsent()
        if self._live_went:
            return unsent >= most
        waited_ms = self._clock.uptime_ms() - self._live_ms
        return self._live_due() or (unsent > 0 and waited_ms >= self._max_age_ms)

    def acknowledge(self, feed):
        feed.window.acknowledge(feed)
        if self._backlog:
            self._live_went = feed.window is self._live
            if self._live_went:
                self._live_ms = self._clock.uptime_ms()
            self._backlog.replay.settle()

    def release(self):
        """As Window.release, of both windows."""
        self._live.release()
        if self._backlog:
            self._backlog.window.release()

    def refuse(self, feed):
        """The platform refuses the feed as a whole. Its points are sent again in halves, until the
        one that is to blame is alone; that one is set aside. All else in flight is released.
        """
        if feed not in feed.window.in_flight:
            return  # it is going to be sent again as it is
        if feed.points > 1:
            self.release()
            feed.window.refuse(feed)
        else:
            self.set_aside(feed)

    def set_aside(self, feed):
        """Never send the one point of this feed again. Raises ValueError if there are more."""
        if feed.points != 1:
            raise ValueError("a feed of %d points cannot be set aside" % feed.points)
        if feed not in feed.window.in_flight:
            return
        ring = feed.window.ring
        first = feed.first
        if first.seq >= ring.head.seq:
            i = first.pos % ring.slots
            t = first.base + ring.times[i] + (0 if first.cycle == _DATED else self._offset_ms)
            name = self.properties.names[ring.kinds[i] & PROPERTY]
            self._log.warning("a point is refused by the platform: %s at %s", name, iso(t))
        feed.window.set_aside(feed)
        self.rejected += 1
        if self._backlog:
            self._backlog.replay.settle()

    @property
    def in_flight(self) -> int:
        """Feeds that were taken, and neither acknowledged nor released."""
        backlog = self._backlog
        return len(self._live.in_flight) + (len(backlog.window.in_flight) if backlog else 0)

    def _dating(self):
        """What turns the time of an undated point into ms since 1970; None while unknown."""
        if not self._clock.known:
            return None
        if not self._dated:
            self._date()
        return self._offset_ms

    def _date(self):
        """The clock has become known: readings so far are dated with its first offset, unless this
        would put them before what is on flash, which was read before them.
        """
        offset = self._clock.first_offset
        first = self._first_undated
        before = -1
        if self._backlog:
            journal = self._backlog.journal
            before = journal.newest
            if journal.era_first >= 0 and not 0 <= first < journal.era_first:
                first = journal.era_first
            if first >= 0:
                offset = max(offset, before + 1 - first)
            if journal.era_first >= 0:
                journal.date(offset)
        self._offset_ms = offset
        # Anew, as this is done again where memory was short in it.
        low, high = array("I", self._free_low), array("H", self._free_high)
        for i in range(len(low)):
            free = high[i] << 32 | low[i]
            free = max(before + 1, free + offset if free else 0)
            low[i] = free & _WORD
            high[i] = free >> 32
        self._free_low, self._free_high = low, high
        self._dated = True

    def _thin(self) -> bool:
        """Make room in the full ring; points in flight are released."""
        if self._backlog:
            self._backlog.cancel()
        self._live.release()
        return self._thinner.thin(self._ring, len(self.properties.names))

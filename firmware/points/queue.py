"""The one face of the buffer: put a reading in, take a feed out, acknowledge it.

A point leaves only when a feed that holds it was acknowledged, or when the buffer is full, which
is counted. Several feeds may be in flight; they may be acknowledged in any order.
"""

from array import array

from micropython import const

from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.points.feed import Encoder
from firmware.points.in_flight import Window
from firmware.points.json_text import encode, exact
from firmware.points.report import Report
from firmware.points.ring import PROPERTY, Ring
from firmware.times.calendar import iso
from firmware.times.clock import WRONG_MS

_DATED = const(-1)
_INT_LIMIT = const(0x7FFFFFFF)
_WORD = const(0xFFFFFFFF)
_NEVER_MS = const(0x3FFFFFFF)
_TICK_MS = const(1000)
_ENDLESS_MS = 1 << 48


class Queue:
    """Readings of every property, from the moment they are taken until the platform has them."""

    @rare
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
        `lost`: points that are gone since the last run was cut short; see Intake.
        """
        self.properties, self._clock, self._when_full = properties, clock, when_full
        self._thinner = None
        if when_full == "thin":
            from firmware.points.thin import Thinner

            self._thinner = Thinner()
        encoder = Encoder(properties, compact, max_points)
        self._ring = ring = Ring(slots, self._make_room)
        self._live, self._max_points = Window(ring, encoder), max_points
        # Or readings would go to flash before they are due, and the newest not be first.
        self._longest_ms = spill_after_ms // 2 if flash_kib else None
        self.max_age_ms = max_age_ms
        self.wait_ms = _TICK_MS  # as `due` last found: until the oldest point is that old
        self._log = Log("queue")
        self.lost = lost
        self.rejected = 0  # points that the platform will not have, set aside
        self._unfit = 0  # readings that could not be buffered at all
        self._overflowed = 0  # those that the log knows to have made the ring overflow
        self._overflows = self._dated = self._live_went = False
        # Where there is no such property, the log tells.
        self._report = Report(0 if "dropped" in properties.names else lost)
        self._offset_ms = 0  # what dates the undated ones, once `_dated`
        self._moved_ms = 0  # as clock.moved_ms was then
        self._first_undated = -1
        self._era = first_ms = 0
        self._backlog = None
        self._live_ms = -_NEVER_MS  # uptime at which it was
        if flash_kib:
            from firmware.points.spill import Backlog

            kept = flash_kib, properties, when_full, clock.uptime_ms, survived, clock.now()
            self._backlog = Backlog(self._live, encoder, spill_after_ms, *kept)
            self._era = self._backlog.journal.era
            first_ms = self._backlog.journal.era_newest + 1
        # The first millisecond that the next reading of each property may have, for no two share
        # one; its low 32 bits and its high 16 bits, as a list of them would take 36 bytes each.
        self._free_low = array("I", [first_ms & _WORD] * len(properties.names))
        self._free_high = array("H", [first_ms >> 32] * len(properties.names))

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
        point that is not older. Raises ValueError for NaN and infinities, which are no readings,
        and for what is too long, which is counted as dropped; so is what there is no memory for.
        """
        cycle = _DATED
        self._unfit += 1  # until it is in the ring
        if not self._clock.sure:
            cycle = self._era
            if t_ms is None:
                t_ms = self._clock.counted()
            elif self._clock.known:
                t_ms -= self._clock.first_offset
            if self._first_undated < 0:
                self._first_undated = t_ms
        else:
            if t_ms is None:
                t_ms = self._clock.now()
            if not self._dated or self._clock.moved_ms != self._moved_ms:
                self._date()
        t_ms = max(t_ms, self._free_high[prop] << 32 | self._free_low[prop])
        # First: where memory is short in what follows, the reading is not in the buffer.
        self._taken(prop, t_ms)
        if type(value) is float and exact(value, self.properties.decimals[prop]):
            self._ring.append_float(prop, t_ms, cycle, value)
        elif type(value) is int and -_INT_LIMIT <= value <= _INT_LIMIT:
            self._ring.append_int(prop, t_ms, cycle, value)
        else:
            self._put_text(prop, t_ms, cycle, value)
        self._unfit -= 1

    def _put_text(self, prop: int, t: int, cycle: int, value):
        try:
            text = encode(value, self.properties.decimals[prop])
        except ValueError:
            self._unfit -= 1  # it is no reading
            raise
        self._ring.append_text(prop, t, cycle, text)

    def _taken(self, prop: int, t: int):
        """A reading of the property has this millisecond: the next one gets another."""
        t += 1
        high = t >> 32  # both, or none of them where memory is short
        self._free_low[prop] = t & _WORD
        self._free_high[prop] = high

    def tick(self) -> int:
        """Spills to flash, some 10 ms of it in one go; in how many ms is it to be called again?"""
        wait_ms = _TICK_MS
        if self._backlog:
            wait_ms = self._backlog.tick(self._clock.uptime_ms(), self._dating(), self._live_due())
            self._date_for_now()
        overflowed = self._overflowed
        self._overflowed = self._ring.dropped
        if self._overflowed > overflowed and not self._overflows:
            self._overflows = True
            self._log.warning("full: readings are dropped (buffer.when_full: %s)", self._when_full)
        elif self._overflows and 4 * self._ring.room() > self._ring.slots:
            self._overflows = False
            self._log.info("has room again; %d readings were dropped so far", self.dropped)
        self._report.settle(self._gone(), self._ring)
        return wait_ms

    def flush(self):
        """Everything to flash, before a restart; takes its time."""
        if self._backlog:
            self._backlog.flush(self._dating())
            self._date_for_now()

    def __len__(self) -> int:
        return len(self._ring) + self.spilled

    @property
    def in_ram(self) -> int:
        """Points that a power cut would take."""
        return self._ring.tail.seq - self._ring.head.seq

    @property
    def numbers(self) -> tuple:
        """(first, end) of the points in RAM, counted in this run."""
        return self._ring.head.seq, self._ring.tail.seq

    @property
    def spilled(self) -> int:
        """Points on flash."""
        return self._backlog.points() if self._backlog else 0

    @property
    def dropped(self) -> int:
        """Points that were lost because the buffer was full, or they too long for it."""
        dropped = self._ring.dropped + self._unfit
        return dropped + (self._backlog.journal.dropped if self._backlog else 0)

    @property
    def thinned(self) -> int:
        """Points that made room for others of their curve."""
        thinned = self._thinner.thinned if self._thinner else 0
        return thinned + (self._backlog.journal.thinned if self._backlog else 0)

    @property
    def damaged(self) -> int:
        """Records that could not be read back from flash."""
        journal = self._backlog and self._backlog.journal
        return journal.damaged + journal.eras.damaged if journal else 0

    @property
    def undated(self) -> int:
        """Points that could not be dated, and were not sent."""
        return self._backlog.undated if self._backlog else 0

    @property
    def untold(self) -> int:
        """Points that are gone, in this run or before it, and whose count only RAM has."""
        return self._report.untold(self._gone())

    def _gone(self) -> int:
        return self.lost + self.dropped + self.thinned + self.damaged + self.undated

    @rare
    def reporting(self):
        """What is gone is about to be put into this queue, as properties."""
        self._report.begin(self._gone())

    def due(self) -> bool:
        """Is there a feed worth sending: a full one, an old one, or one from flash?"""
        if not self._clock.sure:
            return False
        return self._live_due() or bool(self._backlog and self._backlog.waiting(self._max_points))

    def _live_due(self) -> bool:
        ring = self._ring
        first = self._live.next()
        i = ring.next_point(first)
        self.wait_ms = self._max_age_ms
        if i < 0:
            return False
        if first.cycle != _DATED or self._live.unsent() >= self._max_points:
            return True
        age = self._clock.now() - first.base - ring.times[i]
        self.wait_ms -= age
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
            # Where no doubt is left about the time, what is later was dated by a wrong clock.
            latest = self._clock.now() + WRONG_MS if self._clock.vouched else _ENDLESS_MS
            feed = self._backlog.take(most, alone, latest)
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
            self._backlog.acknowledged()
            self._live_went = feed.window is self._live
            if self._live_went:
                self._live_ms = self._backlog.well_ms

    def release(self):
        """As Window.release, of both windows."""
        self._live.release()
        if self._backlog:
            self._backlog.release()

    @rare
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

    @rare
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
            self._backlog.settle()

    def _dating(self):
        """What turns the time of an undated point into ms since 1970; None while unknown."""
        if not self._clock.sure:
            return None
        if not self._dated or self._clock.moved_ms != self._moved_ms:
            self._date()
        return self._offset_ms

    def _date_for_now(self):
        """What is undated on flash gets the time that the clock has while it is not sure, in case
        the power is cut before it is.
        """
        clock = self._clock
        journal = self._backlog.journal
        if clock.sure or not clock.known or journal.era_first < 0:
            return
        if journal.eras.offsets.get(journal.era) != clock.first_offset:
            journal.date(clock.first_offset, False)

    @rare
    def _date(self):
        """The clock has become sure: readings so far are dated with its first offset, unless this
        would put them before what is on flash, which was read before them.
        """
        clock = self._clock
        if self._backlog:
            self._backlog.journal.distrust(clock.now() + WRONG_MS)
        if self._dated:
            self._set_back()
            return
        self._moved_ms = clock.moved_ms
        offset = clock.first_offset
        first = self._first_undated
        before = -1
        if self._backlog:
            journal = self._backlog.journal
            before = journal.newest
            if journal.era_first >= 0 and not 0 <= first < journal.era_first:
                first = journal.era_first
            if first >= 0:
                offset = max(offset, before + 1 - first)
        # Anew, as this is done again where memory was short in it.
        low, high = array("I", self._free_low), array("H", self._free_high)
        for i in range(len(low)):
            free = high[i] << 32 | low[i]
            free = max(before + 1, free + offset if free else 0)
            low[i] = free & _WORD
            high[i] = free >> 32
        if self._backlog and journal.era_first >= 0:
            journal.date(offset, True)
        self._offset_ms = offset
        self._free_low, self._free_high = low, high
        self._dated = True

    @rare
    def _set_back(self):
        """The clock was wrong. Where it was ahead, those that it dated keep their times alone."""
        back_ms = self._clock.moved_ms - self._moved_ms
        self._moved_ms = self._clock.moved_ms
        if back_ms < 0:
            for i in range(len(self._free_low)):
                free = self._free_high[i] << 32 | self._free_low[i]
                self._taken(i, max(-1, free - 1 + back_ms if free else -1))

    def _make_room(self) -> bool:
        """Make room in the full ring: on flash or, where that has none, as `when_full` says. Then
        points in flight are released where the ring is thinned.
        """
        if self._backlog and self._backlog.relieve(self._dating()):
            return True
        if self._when_full == "newest":
            return False
        if not self._thinner:
            return self._ring.drop_oldest()
        if self._backlog:
            self._backlog.cancel()
        self._live.release()
        return self._thinner.thin(self._ring, len(self.properties.names))

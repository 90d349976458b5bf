"""Whether a reading can be the temperature of a room.

A sensor fails in one of four ways, each of which has a word:

    "no reading"  none came for `stale_after_s`
    "range"       it is no number, or outside of what the sensor can measure at all
    "jump"        it differs from the one before, or from one of a minute or two before, by more
                  than a room can change
    "stuck"       it has been the same to the last digit for `stuck_after_s`, or for four hours in
                  which a relay was on nearly all the time: no room is left cold by that

From then on nothing is believed until three readings in a row are in range and follow from each
other. One may be chance, and so may its repetition: a loose wire, or a bus that picks up noise,
often gives the same wrong value twice. More than three would keep a room cold for minutes after a
single bad reading. The three need not be near those from before the fault: where a sensor was
moved, or its power was away, the new place is believed as well.

A reading may also be off by less than a jump: noise on a wire does that now and then. What changes
as rooms do is believed at once. A reading that is farther from the temperature is believed when
it is the fourth in a row on that side; the nearest of the four is the temperature then. Of three
in a row, chance makes one in some hours.
"""

from micropython import const

from firmware.base.rare import rare

_BELIEVED_AFTER = const(3)
_MINUTE_MS = const(60000)
_ASIDE = const(4)  # readings in a row that are no chance
_DRIFT_C = 0.1  # in a minute: a radiator lifts a room by 6 K in an hour at most
_DRIVEN_MS = const(14400000)  # four hours
_IDLE_WEIGHT = const(3)  # a minute without heat takes back three with: three quarters is full heat


class Plausible:
    """fault: one of the four words or None; since_ms: when it began.

    temp_c: the temperature, or None where there is none that can be believed.
    """

    @rare
    def __init__(self, settings: dict, range_c: "tuple | None", now_ms: int):
        """settings: the section `thermostat`. range_c: (lowest, highest) that the sensor can
        measure, None if not known. Until the first reading there is no fault, for a while.
        """
        self._range_c = range_c
        self._jump_c = settings["jump"]
        self._stale_ms = int(1000 * settings["stale_after_s"])
        self._stuck_ms = int(1000 * settings["stuck_after_s"])
        self._last_c: "int | float | None" = None  # the last reading in range, believed or not
        self._last_ms = now_ms  # when that was
        self._before_c: "int | float | None" = None  # one of a minute or two before that
        self._before_ms = now_ms
        self._seen_ms = now_ms  # when there was any reading
        self._changed_ms = now_ms  # since when it is the same to the last digit
        self._driven_ms = 0  # for which a relay was on since then
        self._looked_ms = now_ms
        self._near_c = settings["hysteresis"] / 2  # nearer than this a reading changes little
        self._aside = []  # the last readings, if they are farther away; all above it, or below
        self._above = False
        self._good = 0  # readings in a row that follow from each other
        self.temp_c: "int | float | None" = None
        self.fault: "str | None" = None
        self.since_ms = 0

    def reading(self, temp_c: "int | float", now_ms: int) -> None:
        """A reading was taken. The first of all is believed: nothing speaks against it."""
        self._seen_ms = now_ms
        if not self._in_range(temp_c):
            self._fail("range", now_ms)
            return
        follows = self._follows(self._last_c, self._last_ms, temp_c, now_ms) and self._follows(
            self._before_c, self._before_ms, temp_c, now_ms
        )
        if self._last_c is None or not follows or now_ms - self._before_ms >= _MINUTE_MS:
            self._before_c = temp_c
            self._before_ms = now_ms
        if temp_c != self._last_c or self.fault == "no reading":
            self._changed_ms = now_ms
            self._driven_ms = 0
        near_c = self._near_c + _DRIFT_C * (now_ms - self._last_ms) / _MINUTE_MS
        self._last_c = temp_c
        self._last_ms = now_ms
        if not follows:
            self._fail("jump", now_ms)
            self._good = 1
        elif self._is_stuck(now_ms):
            self._fail("stuck", now_ms)
        else:
            self._good += 1
            if self._good >= _BELIEVED_AFTER:
                self.fault = None
            if self.fault is None:
                self.temp_c = self._smoothed(temp_c, near_c)

    def look(self, now_ms: int, driven: bool = False) -> None:
        """Time has passed, with or without a reading. driven: a relay was on meanwhile."""
        ms = now_ms - self._looked_ms
        self._looked_ms = now_ms
        if driven:
            self._driven_ms += ms
        elif self.fault != "stuck":
            self._driven_ms = max(0, self._driven_ms - _IDLE_WEIGHT * ms)
        if now_ms - self._seen_ms > self._stale_ms and self.fault != "no reading":
            self._fail("no reading", now_ms)

    def _is_stuck(self, now_ms):
        same_ms = now_ms - self._changed_ms
        return self._driven_ms >= _DRIVEN_MS or (self._stuck_ms and same_ms >= self._stuck_ms)

    def _smoothed(self, temp_c, near_c):
        """The temperature after a good reading."""
        believed_c = self.temp_c
        aside = self._aside
        few = self._good <= _BELIEVED_AFTER  # to hold the next one against
        if believed_c is None or few or abs(temp_c - believed_c) <= near_c:
            aside.clear()
            return temp_c
        above = temp_c > believed_c
        if above != self._above:
            self._above = above
            aside.clear()
        elif len(aside) == _ASIDE:
            aside.pop(0)
        aside.append(temp_c)
        if len(aside) < _ASIDE:
            return believed_c
        return min(aside) if above else max(aside)

    def _in_range(self, temp_c):
        if type(temp_c) not in (int, float):
            return False
        # A range that is not known excludes NaN, which equals nothing, and infinities.
        lowest, highest = self._range_c or (-1e9, 1e9)
        return lowest <= temp_c <= highest

    def _follows(self, then_c, then_ms, temp_c, now_ms):
        """Whether a room can have got here from that reading: the jump in up to a minute, and as
        much again in each further one.
        """
        if then_c is None:
            return True
        minutes = max(1, (now_ms - then_ms) / _MINUTE_MS)
        return abs(temp_c - then_c) <= self._jump_c * minutes

    def _fail(self, fault, now_ms):
        if self.fault is None:
            self.since_ms = now_ms
        self.fault = fault
        self.temp_c = None
        self._good = 0

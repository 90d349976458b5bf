"""Whether a reading can be the temperature of a room.

A sensor fails in one of four ways, each of which has a word:

    "no reading"  none came for `stale_after_s`
    "range"       it is no number, or outside of what the sensor can measure at all
    "jump"        it differs from the one before, or from one of a minute or two before, by more
                  than a room can change
    "stuck"       it has been the same to the last digit for `stuck_after_s`

From then on nothing is believed until three readings in a row are in range and follow from each
other. One may be chance, and so may its repetition: a loose wire, or a bus that picks up noise,
often gives the same wrong value twice. More than three would keep a room cold for minutes after a
single bad reading. The three need not be near those from before the fault: where a sensor was
moved, or its power was away, the new place is believed as well.
"""

from micropython import const

_BELIEVED_AFTER = const(3)
_MINUTE_MS = const(60000)


class Plausible:
    """fault: one of the four words or None; since_ms: when it began.

    temp_c: the last reading, or None where there is none that can be believed.
    """

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
        self._last_c = temp_c
        self._last_ms = now_ms
        if not follows:
            self._fail("jump", now_ms)
            self._good = 1
        elif self._stuck_ms and now_ms - self._changed_ms >= self._stuck_ms:
            self._fail("stuck", now_ms)
        else:
            self._good += 1
            if self._good >= _BELIEVED_AFTER:
                self.fault = None
            if self.fault is None:
                self.temp_c = temp_c

    def look(self, now_ms: int) -> None:
        """Time has passed, with or without a reading."""
        if now_ms - self._seen_ms > self._stale_ms and self.fault != "no reading":
            self._fail("no reading", now_ms)

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

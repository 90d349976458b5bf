"""UTC in milliseconds, built on the uptime counter, so that no step of it can disorder readings.

The clock is the uptime plus an offset. The offset is unknown until link.sntp, or the operating
system, has told the time. What was told need not be right: the clock is known from then on, and
sure once link.timekeeper says so. Until then readings carry the board's counter alone; they are
dated afterwards.
"""

import time

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.times.calendar import DAY_S, iso

# A correction below a second is spread out, 1 ms in 32, so that the distance of two readings is
# never wrong by more than 3 %. A larger one means that the clock was wrong: it is set.
_STEP_MS = const(1000)
_SLEW_SHIFT = const(5)
# From here on a correction is no drift: what was dated by this clock was wrong by as much.
WRONG_MS = 60000


def epoch_s(gmtime) -> int:
    """Where a port's `gmtime` counts from, 1970 or 2000, in seconds since 1970."""
    return 10957 * DAY_S if gmtime(0)[0] == 2000 else 0


UNIX_EPOCH_S = epoch_s(time.gmtime)


class Clock:
    """Milliseconds since 1970, once they are known. sure: readings may be dated by them.
    vouched: the platform's own clock says the same. moved_ms: the sum of all corrections by which
    what was dated before them is wrong.
    """

    @rare
    def __init__(self, uptime_ms=uptime.ms, counter_ms=None):
        """`counter_ms`: the board's own counter of ms, which goes on over some restarts."""
        self.uptime_ms = uptime_ms
        self.known = self.sure = self.vouched = False
        self.moved_ms = 0
        self.first_offset = 0  # dates what was read before the clock was sure
        self._offset = self._counted = counter_ms() - uptime_ms() if counter_ms else 0
        self._owed = 0  # correction still to be slewed in
        self._slewed_at = 0
        self._log = Log("clock")

    def now(self) -> int:
        """Milliseconds since 1970 if `known`, else those of the board's counter, or the uptime."""
        up = self.uptime_ms()
        if self._owed:
            self._slew(up)
        return up + self._offset

    def counted(self) -> int:
        """Milliseconds of the board's counter."""
        return self.uptime_ms() + self._counted

    @rare
    def set(self, utc_ms: int, at_ms: int, sure: bool = True):
        """It was `utc_ms` when the uptime was `at_ms`. sure: there is no doubt about it."""
        self._set(utc_ms, at_ms)
        self.sure = self.sure or sure

    @rare
    def _set(self, utc_ms, at_ms):
        offset = utc_ms - at_ms
        if not self.known:
            self.known = True
            self.first_offset = offset - self._offset
            self._offset = offset
            self._log.info("it is %s", iso(utc_ms))
            return
        error = offset - self._offset
        if -_STEP_MS < error < _STEP_MS:
            self._owed = error
            self._slewed_at = self.uptime_ms()
        else:
            self._owed = 0
            self._offset = offset
            if not self.sure:
                self.first_offset += error
            if not -WRONG_MS < error < WRONG_MS:
                self.moved_ms += error
            self._log.warning("stepped by %d ms: it is %s", error, iso(utc_ms))

    def _slew(self, up: int):
        step = (up - self._slewed_at) >> _SLEW_SHIFT
        if not step:
            return
        self._slewed_at += step << _SLEW_SHIFT  # the rest of 32 ms counts the next time
        step = max(-step, min(step, self._owed))
        self._offset += step
        self._owed -= step


def system_ms() -> int:
    """The operating system's clock, in ms since 1970."""
    return time.time_ns() // 1000000 + UNIX_EPOCH_S * 1000

"""Milliseconds since the firmware started, which never wrap.

`time.ticks_ms` wraps after 12.4 days on an ESP32 (at 2**30). Differences of it are added up here,
which is right as long as somebody asks once in 6.2 days: the regulation does so every second.
"""

import time


class Uptime:
    """A 64-bit millisecond counter over a wrapping one."""

    def __init__(self, ticks_ms=time.ticks_ms, ticks_diff=time.ticks_diff):
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._last = ticks_ms()
        self._ms = 0

    def ms(self) -> int:
        now = self._ticks_ms()
        self._ms += self._ticks_diff(now, self._last)
        self._last = now
        return self._ms


ms = Uptime().ms

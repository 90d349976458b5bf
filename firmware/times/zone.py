"""Local time by a rule: a POSIX TZ string; firmware/times/zone_rule.py says how it is written.

Whole seconds since 1970 all the way: a float of an ESP32 does not hold them.
"""

from firmware.times.calendar import DAY_S, days, is_leap

_NEVER = 1 << 60


class Zone:
    """begin_s, until_s: from when to when the offset holds that was last asked for."""

    def __init__(self, text: str):
        """Raises ValueError("", words) for what is no such rule."""
        from firmware.times import zone_rule  # it is not needed again

        self._std_s, self._dst_s, self._start, self._end = zone_rule.read(text)
        self.begin_s = 1
        self.until_s = 0
        self._offset_s = 0
        self._before_s = 0  # the offset before that

    def offset(self, utc_s: int) -> int:
        """Seconds that local time is ahead of UTC."""
        if not self.begin_s <= utc_s < self.until_s:
            self._find(utc_s)
        return self._offset_s

    def wall(self, utc_s: int) -> int:
        """The latest time that local clocks have shown by then, in seconds since 1970.

        It never goes back. In an hour that comes twice it stands still the second time.
        """
        return max(utc_s + self.offset(utc_s), self.begin_s + self._before_s - 1)

    def utc(self, wall_s: int, now_s: int) -> int:
        """When `wall` reached that time, seen from `now_s`, which is after it."""
        utc_s = wall_s - self.offset(now_s)
        earlier_s = wall_s - self._before_s
        return earlier_s if earlier_s < self.begin_s else max(utc_s, self.begin_s)

    def _find(self, utc_s):
        """Find the last change before that time, and the next: of its year or those beside it."""
        self.begin_s = -_NEVER
        self.until_s = _NEVER
        self._offset_s = self._before_s = self._std_s
        if self._start is None:
            return
        year = 1970 + utc_s // 31556952
        for y in (year - 1, year, year + 1):
            start_s = _second(self._start, y) - self._std_s
            end_s = _second(self._end, y) - self._dst_s
            # Where both are one moment, in a year that is all summer, the start is the later.
            changes = ((end_s, self._std_s), (start_s, self._dst_s))
            for at_s, offset_s in changes if end_s <= start_s else (changes[1], changes[0]):
                if at_s <= utc_s:
                    if at_s >= self.begin_s:
                        self._before_s = self._dst_s if offset_s == self._std_s else self._std_s
                        self.begin_s = at_s
                        self._offset_s = offset_s
                elif at_s < self.until_s:
                    self.until_s = at_s


def _second(rule, year):
    """The moment of a rule in a year, in seconds since 1970 of a clock that has yet to change."""
    kind, month, week, n, second = rule
    if kind == "M":
        begin = days(year, month)
        end = days(year, month + 1)
        # The first of that weekday; 1970-01-01 was a Thursday, day 4 counted from Sunday.
        day = begin + (n - begin - 4) % 7 + 7 * (week - 1)
        if day >= end:
            day -= 7
    else:
        day = days(year, 1) + n
        if kind == "J" and not (n >= 60 and is_leap(year)):
            day -= 1
    return day * DAY_S + second

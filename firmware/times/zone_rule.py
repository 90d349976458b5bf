"""The rule of a time zone as people write it: a POSIX TZ string (IEEE 1003.1, 8.3), with the
extensions of RFC 8536.

    UTC0                                        no summer time
    CET-1CEST,M3.5.0,M10.5.0/3                  last Sundays of March at 2 and of October at 3
    <+03>-3                                     a name of digits and signs
    AEST-10AEDT,M10.1.0,M4.1.0/3                south of the equator, summer is over New Year

An offset comes after its name; it is positive west of Greenwich. Two days follow, on which summer
time begins and ends. `Mm.w.d` is weekday d (0 is Sunday) of week w (5 is the last) of month m.
`Jn` is the n-th day of the year, and never counts the 29th of February. `n` counts from 0, and
counts that day. `/time` is the local time of the change, by the clock before it, from -167 to 167
hours; without it the clocks change at 2 o'clock.
"""

from micropython import const

_TWO = const(7200)
_EXAMPLE = " as in CET-1CEST,M3.5.0,M10.5.0/3"


def read(text) -> tuple:
    """(offset, offset in summer, start of summer, its end) of a rule.

    Offsets are seconds ahead of UTC; start and end are (kind, month, week, day, second of the
    day), or None. Raises ValueError("", words) for what is no rule.
    """
    if type(text) is not str:
        raise ValueError("", "expected a rule," + _EXAMPLE)
    reader = _Reader(text)
    reader.name()
    std_s = -reader.offset()
    if not reader.left():
        return std_s, std_s, None, None
    reader.name()
    dst_s = std_s + 3600
    if reader.left() and reader.peek() != ",":
        dst_s = -reader.offset()
    start = reader.rule()
    end = reader.rule()
    if reader.left():
        raise ValueError("", "it goes on after its end," + _EXAMPLE)
    return std_s, dst_s, start, end


class _Reader:
    """Reads a rule from its left to its right."""

    def __init__(self, text):
        self._text = text
        self._at = 0

    def left(self):
        return self._at < len(self._text)

    def peek(self):
        return self._text[self._at : self._at + 1]

    def name(self):
        """Three letters or more. In angle brackets it may have digits and signs, too."""
        quoted = self._takes("<")
        start = self._at
        while self.peek().isalpha() or (quoted and self.peek() and self.peek() in "0123456789+-"):
            self._at += 1
        if self._at - start < 3:
            raise ValueError("", "expected a name of three letters or more," + _EXAMPLE)
        if quoted and not self._takes(">"):
            raise ValueError("", "expected a > at the end of the name, as in <+03>-3")

    def offset(self):
        return self._time(24, "an offset to UTC")

    def rule(self):
        """(kind, month, week, day, second of the day) of a `,day` or `,day/time`."""
        if not self._takes(","):
            raise ValueError("", "expected the two days on which the clocks change," + _EXAMPLE)
        kind = "n"
        month = week = 0
        if self._takes("M"):
            kind = "M"
            month = self._number(1, 12)
            self._takes_dot()
            week = self._number(1, 5)
            self._takes_dot()
            day = self._number(0, 6)
        elif self._takes("J"):
            kind = "J"
            day = self._number(1, 365)
        else:
            day = self._number(0, 365)
        second = self._time(167, "a time") if self._takes("/") else _TWO
        return kind, month, week, day, second

    def _takes(self, character):
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def _takes_dot(self):
        if not self._takes("."):
            raise ValueError("", "expected month.week.weekday after M," + _EXAMPLE)

    def _time(self, most_h, what):
        """Seconds of `hours`, `hours:minutes` or `hours:minutes:seconds`, with a sign or not."""
        sign = -1 if self._takes("-") else 1
        if sign > 0:
            self._takes("+")
        if not self.peek().isdigit():
            raise ValueError("", "expected %s in hours,%s" % (what, _EXAMPLE))
        seconds = self._number(0, most_h) * 3600
        if self._takes(":"):
            seconds += self._number(0, 59) * 60
            if self._takes(":"):
                seconds += self._number(0, 59)
        return sign * seconds

    def _number(self, lowest, highest):
        start = self._at
        while self.peek().isdigit() and self._at - start < 3:
            self._at += 1
        digits = self._text[start : self._at]
        if not digits or not lowest <= int(digits) <= highest:
            got = self._text[start : start + 8] or "its end"
            text = "expected a number %d to %d at character %d, got %s"
            raise ValueError("", text % (lowest, highest, start + 1, got))
        return int(digits)

"""How soon to try again, and how fast to send. Times are milliseconds of the uptime."""

import os

from micropython import const

_FIRST_MS = const(1000)
_LONGEST_MS = const(300000)
_SPREAD_MS = const(5000)
_SLOWEST = const(64)
_AHEAD = const(8)  # turns of feeds that values which cannot wait may take


class Backoff:
    """Exponential back-off with full jitter, so that a thousand devices do not return together.

    The n-th delay is drawn evenly from 0 to `_FIRST_MS` * 2**n, at most `_LONGEST_MS` (Marc
    Brooker, "Exponential Backoff And Jitter"). One with a floor is that and up to `_SPREAD_MS`.
    """

    def __init__(self):
        self._failures = 0
        self.refused = False  # the last failure had a floor
        self.at_ms = 0  # when to try again

    def failed(self, now_ms: int, floor_ms: int = 0) -> int:
        """Note a failure; return the delay in ms, at least `floor_ms`."""
        if floor_ms:
            delay = floor_ms + draw(_SPREAD_MS)
        else:
            delay = draw(min(_FIRST_MS << min(self._failures, 20), _LONGEST_MS))
            self._failures += 1
        self.refused = floor_ms > 0
        self.at_ms = now_ms + delay
        return delay

    def succeeded(self) -> bool:
        """Had it failed before?"""
        failed = self._failures > 0 or self.refused
        self._failures = 0
        self.refused = False
        self.at_ms = 0
        return failed

    def restart(self, now_ms: int):
        """The cause of the failures may be gone: wait no longer than after a first one. A floor
        stays: a better network does not cure what it is for.
        """
        if not self.refused:
            self._failures = 0
            self.at_ms = min(self.at_ms, now_ms + draw(_FIRST_MS))


class Pace:
    """At most so many feeds a minute, evenly spaced, of at most so many points each.

    The limits are the configured ones or those that the platform states, whichever are lower. Each
    time that the platform says it is too fast the pace is halved; it recovers feed by feed.
    """

    def __init__(self, per_minute: int, most_points: int):
        self._configured = (per_minute, most_points)
        self.limit(None, None)
        self._slowness = 1
        self._next_ms = 0

    def limit(self, per_minute, most_points) -> bool:
        """What the platform states, None where it does not; is any of it below the configured?"""
        feeds, points = self._configured
        feeds = min(feeds, per_minute or feeds)
        points = min(points, most_points or points)
        self._gap_ms = (60000 + feeds - 1) // feeds  # a minute never holds one feed too many
        self.most_points = points
        self._too_many = points + 1
        return (feeds, points) != self._configured

    def too_large(self, points: int):
        """A feed of so many points was too large for the platform, whatever it stated."""
        self._too_many = points
        self.most_points = points // 2

    def ready(self, now_ms: int) -> bool:
        return now_ms >= self._next_ms

    def sent(self, now_ms: int):
        self._next_ms = now_ms + self._gap_ms * self._slowness

    def ahead(self, now_ms: int) -> bool:
        """May something that cannot wait be sent now? Then it has taken a turn from the feeds."""
        gap_ms = self._gap_ms * self._slowness
        if self._next_ms - now_ms > _AHEAD * gap_ms:
            return False
        self._next_ms = max(self._next_ms, now_ms) + gap_ms
        return True

    def too_fast(self, now_ms: int, wait_ms: int):
        """The platform answered 429; be silent for `wait_ms`, and slower from then on."""
        self._slowness = min(self._slowness * 2, _SLOWEST)
        self._next_ms = now_ms + wait_ms

    def accepted(self, points: int = 0):
        """A feed of so many points was taken: a step back towards the full pace and size."""
        if self._slowness > 1:
            self._slowness -= 1
        if points == self.most_points and points + 1 < self._too_many:
            self.most_points += 1


def draw(ceiling: int) -> int:
    """0 to `ceiling`, evenly."""
    return int.from_bytes(os.urandom(3), "little") % (ceiling + 1)

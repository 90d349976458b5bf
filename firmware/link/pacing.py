"""How soon to try again, and how fast to send. Times are milliseconds of the uptime."""

import json
import os

from micropython import const

from firmware.base import files
from firmware.base.rare import rare

_FIRST_MS = const(1000)
_SOON_MS = const(2750)
_SOON = const(3)  # rounds of these
_DOUBLINGS = const(6)  # up to three minutes
_TRY_MS = const(5000)  # what takes longer is nothing but a wait
_PHASES = const(4096)
_SPREAD_MS = const(5000)
_SLOWEST = const(64)
_MINUTE_MS = const(60000)
_LATE_MS = const(2000)  # on its way for longer than this, something counts as sent again
_BURST = const(8)  # of what may be sent at once, at most, where some of it cannot wait
_TURN = const(4)  # a feed has one of so many
# Over MQTT nobody says that a feed was too large; this holds until the platform has told a limit.
_POINTS_UNTOLD = const(5)
_PATH = const("limits.json")


class Backoff:
    """When to try again, so that a thousand devices do not return together, and none late.

    Tries are in rounds: the first one takes `_FIRST_MS`, a few take `_SOON_MS`, and then each one
    twice as long as the one before it. A device draws its place in them once. So the tries of all
    are spread evenly, and nobody waits for longer than a round: with delays that are drawn anew
    (full jitter) a few do, by far. A delay with a floor is that and up to `_SPREAD_MS`.
    """

    def __init__(self):
        self._failures = 0
        self._phase = self._round_ms = 0  # this device's place, and the last round
        self.refused = False  # the last failure had a floor
        self.at_ms = 0  # when to try again

    def failed(self, now_ms: int, floor_ms: int = 0) -> int:
        """Note a failure; return the delay in ms, at least `floor_ms`."""
        if floor_ms:
            delay = floor_ms + draw(_SPREAD_MS)
        else:
            if self._failures:
                # The try itself is a part of the round, which is longer where that takes long.
                took_ms = max(0, min(now_ms - self.at_ms, _TRY_MS))
                before_ms = self._round_ms
                round_ms = _SOON_MS << min(max(0, self._failures - _SOON), _DOUBLINGS)
                round_ms += max(0, took_ms - _FIRST_MS)
            else:
                took_ms = before_ms = 0
                round_ms = _FIRST_MS
                self._phase = draw(_PHASES)
            # What is left of the round before, and what of this one comes before its place.
            delay = max(0, before_ms - took_ms)
            delay += (round_ms - before_ms) * self._phase // _PHASES
            self._round_ms = round_ms
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
    """At most so many feeds in any minute, of at most so many points each.

    The platform counts what reaches it, feeds and single values alike, and over MQTT drops what is
    too much without a word. Feeds are evenly spaced. Values that cannot wait may be a few turns
    ahead, and the turns come more slowly for it: a generic cell rate algorithm (ITU-T I.371). Its
    minute has two seconds more, as something may be on its way for so long. What took longer takes
    another turn, after the next feed: that one brings the news of a stall's end.

    The limits are the configured ones or those that the platform states, whichever are lower. What
    it stated is kept on flash: after a restart its API may be out of reach, and the broker not.
    Each time that the platform says it is too fast the pace is halved; it recovers feed by feed.
    """

    @rare
    def __init__(self, per_minute: int, most_points: int, now_ms: int, values: bool = False):
        """`values`: some cannot wait. It begins as if the run before had just sent all it may."""
        self._configured = (per_minute, most_points)
        self._values = values
        self.hurried = False  # what is in the queue does not wait for a feed's age
        self._slowness = 1
        self._stated = self._kept = None
        try:
            with open(_PATH) as file:
                stated = feeds, points = json.load(file)
            if all(n is None or (type(n) is int and n > 0) for n in stated):
                self._stated = self._kept = feeds, points
        except (OSError, ValueError, TypeError):
            pass  # it was never told, or cannot be read: it will be told again
        self.reset()
        self._fed_ms = now_ms  # when a feed was last sent
        self._late = False  # the last answer was
        self._owed_ms = now_ms  # as `_next_ms`, once what came late has had its turns
        self._next_ms = now_ms + self._burst * self._gap_ms  # when one that waits its turn may be

    @rare
    def limit(self, per_minute, most_points) -> bool:
        """What the platform states, None where it does not; is any of it news? Raises OSError
        where it cannot be kept; it is in force all the same.
        """
        stated = per_minute, most_points
        news = stated != self._stated
        if news:
            self._stated = stated
            self.reset()
        if stated != self._kept:
            files.replace_json(_PATH, stated)
            self._kept = stated
        return news

    @rare
    def reset(self):
        """Forget what was learnt beyond what the platform has stated."""
        per_minute, most_points = self._stated or (None, _POINTS_UNTOLD)
        feeds, points = self._configured
        feeds = min(feeds, per_minute or feeds)
        points = min(points, most_points or points)
        burst = self._burst = max(1, min(_BURST, feeds // 4)) if self._values else 1
        turns = feeds + 1 - burst
        self._gap_ms = (_MINUTE_MS + _LATE_MS + turns - 1) // turns
        self.most_points = points
        self._too_many = points + 1

    @rare
    def too_large(self, points: int):
        """A feed of so many points was too large for the platform, whatever it stated."""
        self._too_many = points
        self.most_points = max(1, points // 2)

    def ready(self, now_ms: int) -> bool:
        """May a feed be sent? Values ahead of it do not make it wait for long."""
        gap_ms = self._gap_ms * self._slowness
        ahead = self._burst - 1 if now_ms - self._fed_ms >= _TURN * gap_ms else 0
        return self._next_ms - now_ms <= ahead * gap_ms

    def wait_ms(self, now_ms: int) -> int:
        """In so many ms at the latest a feed may be sent."""
        return max(0, self._next_ms - now_ms)

    def sent(self, now_ms: int, feed, newest: int):
        """What the queue had: a feed, or None. `newest`: the number at which its points end."""
        # A feed that is full, or from flash, leaves some.
        self.hurried = self.hurried and feed is not None and feed.end.seq != newest
        if feed:
            self._fed_ms = now_ms
            self._count(now_ms)

    def ahead(self, now_ms: int) -> bool:
        """May something that cannot wait be sent now? Then it is counted as sent."""
        # One turn is left for a feed that has waited.
        ahead = max(0, self._burst - 2)
        if self._next_ms - now_ms > ahead * self._gap_ms * self._slowness:
            return False
        self._count(now_ms)
        return True

    def arrived(self, now_ms: int, sent_ms: int):
        """The answer is here: what took long may have reached the platform only now."""
        late = now_ms - sent_ms > _LATE_MS
        if late:
            gap_ms = self._gap_ms * self._slowness
            self._owed_ms = max(self._owed_ms, self._next_ms, now_ms) + gap_ms
            # What was read during a stall goes at its end; where all is slow, as it is due.
            self.hurried = self.hurried or not self._late
        self._late = late

    def _count(self, now_ms: int):
        begin_ms = max(self._next_ms, self._owed_ms, now_ms)
        self._next_ms = begin_ms + self._gap_ms * self._slowness

    @rare
    def too_fast(self, now_ms: int, wait_ms: int):
        """The platform answered 429; be silent for `wait_ms`, and slower from then on."""
        self._slowness = min(self._slowness * 2, _SLOWEST)
        # None may be ahead of that.
        self._next_ms = now_ms + wait_ms + (self._burst - 1) * self._gap_ms * self._slowness

    def accepted(self, points: int = 0):
        """A feed of so many points was taken: a step back towards the full pace and size."""
        if self._slowness > 1:
            self._slowness -= 1
        if points == self.most_points and points + 1 < self._too_many:
            self.most_points += 1


def draw(ceiling: int) -> int:
    """0 to `ceiling`, evenly."""
    return int.from_bytes(os.urandom(3), "little") % (ceiling + 1)

"""Which readings may go when there is no room for all of them: those nearest to the one before.

A buffer has a resolution, the least time from a reading of a property to the next one that is
kept. It begins with one and a half periods of the property that has the most readings, which
halves that one, and doubles when this no longer makes room: so a sensor that is read every second
loses readings until it has no more than the one that is read every minute, and every curve keeps
its shape, from its first reading on.
"""

from array import array

from micropython import const

_COARSEST = const(40)  # doublings: longer than anything lives


class Thinner:
    """Decides on one reading after the other; its memory begins anew with every `start`."""

    def __init__(self):
        self.resolution_ms = 0
        self.thinned = 0  # points for which it said no
        self._last = array("q")

    def start(self, properties: int):
        """What comes now does not follow on what came."""
        self._last = array("q", [-1] * properties)

    def keeps(self, prop: int, t: int) -> bool:
        """Is this reading to be kept? `t`: its ms."""
        last = self._last[prop]
        if last >= 0 and 0 <= t - last < self.resolution_ms:
            self.thinned += 1
            return False
        self._last[prop] = t
        return True

    def coarser(self):
        """Nothing more can be had at this resolution."""
        self.resolution_ms *= 2

    def thin(self, ring, properties: int) -> bool:
        """Make room for an eighth of a ring; its newest quarter keeps all its readings."""
        end = ring.tail.pos - ring.slots // 4
        before = ring.room()
        if not self.resolution_ms:
            measure = Measure(properties)
            ring.squeeze(end, measure.see)
            self.resolution_ms = measure.resolution_ms()
        for _ in range(_COARSEST):
            self.start(properties)
            ring.squeeze(end, self.keeps)
            if ring.room() > before and 8 * ring.room() >= ring.slots:
                return True
            self.coarser()
        # No more than one reading of each property is left: these are long texts.
        self.resolution_ms = 0
        return ring.room() > before or ring.drop_oldest()


class Measure:
    """Finds the period of the property that has the most readings."""

    def __init__(self, properties: int):
        self._counts = array("I", bytes(4 * properties))
        self._first = array("q", bytes(8 * properties))
        self._last = array("q", bytes(8 * properties))

    def see(self, prop: int, t: int) -> bool:
        """Every reading is shown to this, in their order; returns True."""
        if not self._counts[prop]:
            self._first[prop] = t
        self._counts[prop] += 1
        self._last[prop] = t
        return True

    def resolution_ms(self) -> int:
        """One and a half of its periods, at least 2 ms."""
        most = max(self._counts)
        i = list(self._counts).index(most)
        span = abs(self._last[i] - self._first[i])
        return max(2, 3 * span // (2 * max(1, most - 1)))

"""How long the event loop was held up: the longest time for which one task let no other one run,
or by which the regulation was late. Garbage collection, flash and a TLS step are part of it.
"""

import time
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

# Between two tasks that are due nobody looks at the sockets more often: it is most of what a step
# of the loop costs.
_LOOK_MS = const(4)


class LoopMeter(core.IOQueue):
    """Measures from inside the loop, which asks its queue of sockets between any two steps."""

    def __init__(self):
        super().__init__()
        self._longest_ms = 0
        self._since = self._looked = time.ticks_ms()

    def install(self) -> None:
        """To be called before the loop runs; asyncio.new_event_loop takes it out again."""
        core._io_queue = self

    def wait_io_event(self, dt):
        now = time.ticks_ms()
        self.late(time.ticks_diff(now, self._since))
        if dt or not 0 <= time.ticks_diff(now, self._looked) < _LOOK_MS:
            core.IOQueue.wait_io_event(self, dt)
            now = self._looked = time.ticks_ms()
        self._since = now

    def late(self, ms: int) -> None:
        """A task ran so much later than it had asked for: several steps of others, in a row."""
        if ms > self._longest_ms:
            self._longest_ms = ms

    def take(self) -> int:
        """The longest pause in ms since the last call."""
        longest_ms = self._longest_ms
        self._longest_ms = 0
        return longest_ms

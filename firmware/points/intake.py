"""Where values come into the buffer, and the buffer's task.

A sensor's readings come by their property's index, all other values by its name. The next run is
told how many of them only RAM has, and how many are gone without a report of it, in case this one
is cut short.
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.points.properties import Properties
from firmware.points.queue import Queue

_FIRST_COUNT = const("dropped")  # in a report of what is gone

# Slots of the ring by default: at most, and without a journal, so many.
_MOST_SLOTS = const(1024)
# With a journal it is spilled when three quarters are taken. Of the least ring these hold the
# longest text, in 258 slots, and thirty numbers beside it.
_LEAST_SLOTS = const(384)
# Of a larger one they hold what comes until it is old enough to be spilled, or the flash would be
# written more often. With what comes in these seconds the ring lasts until a file system that
# fails has been tried twice again, ten seconds apart.
_RETRIES_S = const(25)


@rare
def make_queue(
    columns: list, a_second: float, clock, feed: dict, buffer: dict, survived: bool, lost: int
) -> Queue:
    """The queue of these properties, [(name, decimals)], as those sections of the settings say.

    `a_second`: values that come in a second, as far as that is known; `survived` and `lost`: see
    Queue.
    """
    slots = buffer["ram_points"]
    if slots is None:
        slots = _MOST_SLOTS
        if buffer["flash_kib"]:
            # And each property once: states and answers come when they please.
            slots = len(columns) + a_second * (4 * buffer["spill_after_s"] / 3 + _RETRIES_S)
            slots = max(_LEAST_SLOTS, min(round(slots), _MOST_SLOTS))
    return Queue(
        properties=Properties(columns),
        clock=clock,
        slots=slots,
        compact=feed["format"] == "compact",
        max_points=feed["max_points"],
        max_age_ms=round(1000 * feed["max_age_s"]),
        when_full=buffer["when_full"],
        flash_kib=buffer["flash_kib"],
        spill_after_ms=round(1000 * buffer["spill_after_s"]),
        survived=survived,
        lost=lost,
    )


class Intake:
    """alive_ms: the uptime at which the task last got on."""

    @rare
    def __init__(self, queue, retained, in_flight):
        """`retained`: the board's. `in_flight()`: values on their way and not in the queue."""
        self._queue = queue
        self._retained = retained
        self._in_flight = in_flight
        self._untold = queue.untold  # as `retain` last found it
        self._in_ram = 0  # as the next run was last told
        self.alive_ms = 0
        if queue.lost:
            text = "%d readings that were only in RAM are lost (or earlier ones, not yet reported)"
            Log("intake").warning(text, queue.lost)
        retained.set(self._untold)

    def put(self, index: int, value, t_ms: "int | None" = None) -> None:
        self._queue.put(index, value, t_ms)
        if self._queue.in_ram == self._in_ram + 1:
            self._in_ram += 1
            self._retained.set(self._in_ram + self._in_flight() + self._untold)
        else:
            self.retain()

    def tell(self, name: str, value, t_ms: "int | None" = None) -> None:
        if name == _FIRST_COUNT:
            self._queue.reporting()
        self.put(self._queue.properties.names.index(name), value, t_ms)

    def has(self, name: str) -> bool:
        return name in self._queue.properties.names

    def retain(self) -> None:
        """To be called whenever values have come or gone otherwise."""
        self._untold = self._queue.untold
        self._in_ram = self._queue.in_ram
        self._retained.set(self._in_ram + self._in_flight() + self._untold)

    async def run(self):
        while True:
            self.alive_ms = uptime.ms()
            wait_ms = self._queue.tick()
            self.retain()
            await asyncio.sleep_ms(wait_ms)

"""Where values come into the buffer, and the buffer's task.

A sensor's readings come by their property's index, all other values by its name. The next run is
told how many of them only RAM has, in case this one is cut short.
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.points.feed import Property
from firmware.points.queue import Queue

_SPILL_MS = const(250)  # between two looks for readings that have to go to flash


def make_queue(columns: list, clock, feed: dict, buffer: dict, survived: bool) -> Queue:
    """The queue of these properties, [(name, decimals)], as those sections of the settings say."""
    return Queue(
        [Property(*column) for column in columns],
        clock,
        buffer["ram_points"],
        feed["format"] == "compact",
        feed["max_points"],
        round(1000 * feed["max_age_s"]),
        buffer["when_full"],
        buffer["flash_kib"],
        round(1000 * buffer["spill_after_s"]),
        survived,
    )


class Intake:
    """alive_ms: the uptime at which the task last got on."""

    def __init__(self, queue, names: list, retained, in_flight):
        """`names`: of the queue's properties, in their order. `retained`: a number that outlives a
        restart, the board's. `in_flight()`: values that are on their way and not in the queue.
        """
        self._queue = queue
        self._index = {name: i for i, name in enumerate(names)}
        self._retained = retained
        self._in_flight = in_flight
        self.alive_ms = 0
        queue.lost = retained.get()
        if queue.lost:
            Log("intake").warning("%d readings that were only in RAM are lost", queue.lost)
        retained.set(0)

    def put(self, index: int, value, t_ms: "int | None" = None) -> None:
        """As Queue.put."""
        self._queue.put(index, value, t_ms)
        self.retain()

    def tell(self, name: str, value, t_ms: "int | None" = None) -> None:
        """The same, of the property with that name."""
        self.put(self._index[name], value, t_ms)

    def has(self, name: str) -> bool:
        """Whether this device has that property."""
        return name in self._index

    def retain(self) -> None:
        """To be called whenever values have come or gone otherwise."""
        self._retained.set(self._queue.in_ram + self._in_flight())

    async def run(self):
        while True:
            self.alive_ms = uptime.ms()
            self._queue.tick()
            self.retain()
            await asyncio.sleep_ms(_SPILL_MS)

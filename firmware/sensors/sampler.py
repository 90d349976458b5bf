"""Reads one sensor on its grid, and hands each reading on."""

import asyncio

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware import sensors
from firmware.base import uptime
from firmware.base.log import Log


class Sampler:
    """The task of one sensor. alive_ms: the uptime at which it last got on."""

    def __init__(self, spec: dict, index: int, listeners: tuple, intake, failed, offer=None):
        """`spec`: an entry of config.json's `sensors`; `index`: of its property in the buffer.

        `listeners`: called as (value, uptime in ms) with each reading, before the buffer has it.
        `offer`: see Uplink. `failed(name, error)`: told of each that could not be taken.
        """
        self._spec = spec
        self._sensor: Any = None  # made by the first reading
        self._prop = spec["prop"]
        self._index = index
        self._every_ms = round(1000 * spec["every_s"])
        self._listeners = listeners
        self._intake = intake
        self._failed = failed
        self._offer = offer
        self.alive_ms = 0

    async def run(self):
        """The n-th reading is due n periods after the first one."""
        log = Log("sampler " + self._prop)
        every_ms = self._every_ms
        failing = None
        due = uptime.ms()
        while True:
            lost = "no reading"
            try:
                if self._sensor is None:
                    self._sensor = sensors.driver(self._spec["driver"]).Driver(self._spec)
                    self._spec = None
                wait_ms = self._sensor.start()
                if wait_ms:
                    await asyncio.sleep_ms(wait_ms)
                value = self._sensor.value()
                lost = "a reading is lost"
                # The heat first.
                for listener in self._listeners:
                    listener(value, uptime.ms())
                if self._offer and self._offered(value):
                    self._intake.retain()
                else:
                    self._intake.put(self._index, value)
                if failing is not None:
                    log.info("reads again")
                    failing = None
            except Exception as error:  # a driver may raise anything; the next reading is due
                self._failed(self._prop, error)
                text = str(error) or type(error).__name__
                if text != failing:
                    log.error("%s: %s", lost, text)
                    failing = text
            now = self.alive_ms = uptime.ms()
            due += every_ms
            if due < now:
                # Readings that could not be taken in time are left out; the grid stays.
                due += (now - due + every_ms - 1) // every_ms * every_ms
            await asyncio.sleep_ms(due - now)

    def _offered(self, value) -> bool:
        try:
            return self._offer(self._index, self._prop, value)
        except MemoryError:
            return False  # the buffer counts what it cannot take

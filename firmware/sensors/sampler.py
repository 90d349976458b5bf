"""Reads one chip on its grid, and hands on what it measured."""

import asyncio

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from micropython import const

from firmware import sensors
from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.passing import whole

_NO_POLL_MS = const(0x3FFFFFFF)


def samplers(specs: list, listeners: dict, intake, failed, offer):
    """A Sampler for each chip of config.json's `sensors`, whose properties are the buffer's first.

    `listeners`: who else wants the readings of a property, by its name; see Channel. `failed`: see
    Sampler. `offer`: see Uplink.
    """
    for places in sensors.chips(specs):
        channels = []
        for place in places:
            spec = specs[place]
            at_once = None if spec["send"] == "feed" else offer
            channels.append(Channel(spec, place, listeners.get(spec["prop"], ()), at_once))
        yield Sampler([specs[place] for place in places], channels, intake, failed)


class Channel:
    """One property, and who wants its readings."""

    def __init__(self, spec: dict, index: int, listeners: tuple, offer=None):
        """`spec`: an entry of config.json's `sensors`; `index`: of its property in the buffer.

        `listeners`: called as (value, uptime in ms) with each reading, before the buffer has it.
        `offer`: see Uplink.
        """
        self.prop = spec["prop"]
        self.index = index
        self.listeners = listeners
        self.offer = offer
        self.log = Log("sampler " + self.prop)
        self.failing: "str | None" = None
        self._offset = spec["offset"]
        self._smooth = spec["filter"] == "median"
        self._last = self._before = None

    def corrected(self, value):
        """With its offset, and after its filter. An outlier alone among three is left out."""
        if self._offset and type(value) is not bool:
            value += self._offset
        if not self._smooth:
            return value
        last, before = self._last, self._before
        self._before, self._last = last, value
        if before is None:
            return value
        return max(min(last, before), min(max(last, before), value))


class Sampler:
    """The task of one chip. name: of its first property. alive_ms: the uptime at which it last got
    on.
    """

    def __init__(self, specs: list, channels: list, intake, failed):
        """`specs`: the entries that are this chip; `channels`: theirs, in the same order.

        `failed(name, error)`: told of each reading that could not be taken.
        """
        self._specs = specs
        self._channels = channels
        self._chip: Any = None  # made by the first reading
        self._poll_ms = _NO_POLL_MS
        self.name = channels[0].prop
        self.every_ms = round(1000 * specs[0]["every_s"])
        self._intake = intake
        self._failed = failed
        self.alive_ms = 0

    async def run(self):
        """The n-th reading is due n periods after the first one. A change is read at once, too."""
        every_ms = self.every_ms
        due = uptime.ms()
        while True:
            try:
                if self._chip is None:
                    self._make()
                wait_ms = self._chip.start()
                if wait_ms:
                    await asyncio.sleep_ms(wait_ms)
                self._chip.read()
                for n in range(len(self._channels)):
                    channel, value = self._channels[n], None
                    try:
                        value = channel.corrected(self._chip.value(n))
                        # The heat first.
                        for listener in channel.listeners:
                            listener(value, uptime.ms())
                        self._buffer(channel, value)
                    except Exception as error:  # as below; the other channels do not mind
                        self._tell_failure(channel, error, value)
            except Exception as error:  # a driver may raise anything; the next reading is due
                for channel in self._channels:
                    self._tell_failure(channel, error)
            now = self.alive_ms = uptime.ms()
            if due <= now:
                due += every_ms
                if due < now:
                    # Readings that could not be taken in time are left out; the grid stays.
                    due += (now - due + every_ms - 1) // every_ms * every_ms
            while True:
                await asyncio.sleep_ms(min(due - now, self._poll_ms))
                if self._poll_ms == _NO_POLL_MS:
                    break
                now = uptime.ms()
                if due <= now or self._chip.changed():
                    break

    def _make(self):
        driver = whole(sensors.driver, self._specs[0]["driver"])
        chip = driver.Driver(self._specs)
        self._poll_ms = getattr(driver, "POLL_MS", _NO_POLL_MS)
        self._chip = chip
        self._specs = None

    def _buffer(self, channel, value):
        if channel.offer and self._offered(channel, value):
            self._intake.retain()
        else:
            self._intake.put(channel.index, value)
        if channel.failing is not None:
            channel.log.info("reads again")
            channel.failing = None

    def _offered(self, channel, value) -> bool:
        try:
            return channel.offer(channel.index, channel.prop, value)
        except MemoryError:
            return False  # the buffer counts what it cannot take

    def _tell_failure(self, channel, error, value=None):
        self._failed(channel.prop, error)
        text = str(error) or type(error).__name__
        if text != channel.failing:
            what = "no reading: %s" if value is None else "a reading is lost: %s"
            channel.log.error(what, text)
            channel.failing = text

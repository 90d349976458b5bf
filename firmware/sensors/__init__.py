"""The sensors: one file a driver, and this registry of them by name.

A driver is a module `firmware/sensors/<name>.py` with

    MEASURES  what its readings are, and their unit
    RANGE     (lowest, highest) that the sensor can measure at all, None where there are no limits:
              what is outside is a fault of the sensor, and not regulated by
    KEYS      the keys of its own in an entry of config.json's `sensors`, a text of rows as in
              firmware/config/schema.py
    Driver    a class made from such an entry, every key filled in, that follows `Sensor`

and its name in DRIVERS. A driver knows its bus and nothing else; one that the configuration does
not name is not imported.
"""

import asyncio

DRIVERS = ("counter", "ds18x20", "room")


class SensorError(Exception):
    """A reading could not be taken: says why, and what to look at."""


class Sensor:
    """What every driver has: readings taken in one step, or in two where a sensor needs time.

    The two steps exist because `start`, a sleep and `value` allocate nothing but the value itself,
    and a coroutine does: the sampling uses them, and whoever has memory to spare uses `read`.
    """

    def start(self) -> int:
        """Begins a reading; its value is there after the returned milliseconds.

        Raises SensorError.
        """
        return 0

    def value(self) -> "int | float":
        """Ends the reading that was begun, and returns it. Raises SensorError."""
        raise NotImplementedError

    async def read(self) -> "int | float":
        """Takes a reading. Raises SensorError."""
        wait_ms = self.start()
        if wait_ms:
            await asyncio.sleep_ms(wait_ms)
        return self.value()


def driver(name: str):
    """The module of one of DRIVERS."""
    return __import__("firmware.sensors." + name, None, None, ("Driver",))


def create(spec: dict) -> Sensor:
    """The sensor of an entry of config.json's `sensors`. Raises SensorError."""
    return driver(spec["driver"]).Driver(spec)

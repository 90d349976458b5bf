"""What a reading costs in RAM: while it waits in the buffer, and while it is taken.

    memory.py

Prints bytes of heap; on the 64-bit unix port that is in blocks of 32.
"""

import gc
import json

from firmware import sensors
from firmware.points.properties import Properties
from firmware.points.queue import Queue
from firmware.points.ring import Ring
from firmware.times.clock import Clock

_NUMBERS = 1024
_READINGS = 200
_START_MS = 1795389431178


class Thermometer:
    """A driver that computes its reading from what a chip's register held, as ds18x20 does."""

    def __init__(self):
        self._raw = 320

    def start(self):
        return 0

    def value(self, n=0):
        self._raw += 1
        return self._raw / 16


def held():
    """Bytes in use when everything that can go has gone."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def ring_bytes():
    """Of a number in a full ring, with all that belongs to the ring."""
    before = held()
    ring = Ring(_NUMBERS)
    while not ring.dropped:
        ring.append_float(0, _START_MS + 5000 * len(ring), -1, 21.5)
    return (held() - before) / len(ring)


def list_bytes():
    """Of a number in a list of dictionaries."""
    before = held()
    readings = []
    for n in range(_NUMBERS):
        readings.append({"t": _START_MS + 5000 * n, "v": 21.5 + n / 100, "prop": "temperature"})
    return (held() - before) / len(readings)


def allocated(function):
    """Bytes allocated by one of many calls, garbage included."""
    function()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(_READINGS):
        function()
    after = gc.mem_alloc()
    gc.enable()
    return (after - before) / _READINGS


def taken(sensor):
    """By taking one reading of the sensor and buffering it, as sensors.sampler does."""
    clock = Clock()
    clock.set(_START_MS, 0)
    queue = Queue(
        properties=Properties([("temperature", 2)]),
        clock=clock,
        slots=_NUMBERS,
        compact=False,
        max_points=100,
        max_age_ms=10000,
        when_full="oldest",
        flash_kib=0,
        spill_after_ms=30000,
        survived=False,
        lost=0,
    )

    def read():
        sensor.start()
        queue.put(0, sensor.value(0))

    return allocated(read)


def appended():
    """By what people write instead: a dictionary in a list."""
    sensor = Thermometer()
    readings = []
    clock = Clock()
    clock.set(_START_MS, 0)

    def read():
        readings.append({"t": clock.now(), "v": sensor.value(), "prop": "temperature"})

    return allocated(read)


def counter():
    sensor = sensors.driver("counter").Driver([{"file": "counter.txt"}])
    # The line of its file grows with every further digit: not within what is measured.
    for _ in range(1000):
        sensor.value(0)
    return sensor


one_float = allocated(Thermometer().value)
print(
    json.dumps(
        {
            "ring": ring_bytes(),
            "list": list_bytes(),
            "float": one_float,
            "taken_float": taken(Thermometer()),
            "taken_int": taken(counter()),
            "appended": appended(),
        }
    )
)

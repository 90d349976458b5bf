"""What the tests of the journal share: queues that spill, in empty folders."""

import os

from firmware.times.clock import Clock
from model import make_queue, points

SEGMENT = "journal/%08x.seg"


class Ticks:
    """The time module, on a machine that needs 2 ms from one look at the clock to the next."""

    ms = 0

    @classmethod
    def ticks_ms(cls):
        cls.ms += 2
        return cls.ms

    @staticmethod
    def ticks_diff(a, b):
        return a - b


def elsewhere():
    """An empty folder, for what comes next in a test."""
    root = os.getcwd().split("/elsewhere-")[0]
    os.chdir(root)
    name = "elsewhere-%d" % len(os.listdir())
    os.mkdir(name)
    os.chdir(name)


def spilling(time, names=("temperature",), **kw):
    settings = {"slots": 64, "max_points": 10, "spill_after_ms": 30000, "flash_kib": 512}
    settings.update(kw)
    return make_queue(time, names, **settings)


def spill(queue, time, count, first=0, every=1000):
    """Readings first, first + 1, …, all of them on flash."""
    for n in range(first, first + count):
        queue.put(0, n)
        time.ms += every
        if n % 32 == 31:
            queue.flush()
    queue.flush()


def delivered(queue):
    """Every point, feed by feed, acknowledged."""
    found = []
    while True:
        batch = queue.take()
        if batch is None:
            return found
        found += points(batch)
        queue.acknowledge(batch)


def values(found):
    return [v for _, _, v in found]


def counters(queue):
    return {
        name: getattr(queue, name)
        for name in ("dropped", "thinned", "rejected", "undated", "damaged")
        if getattr(queue, name)
    }


def segments():
    return sorted(name for name in os.listdir("journal") if name.endswith(".seg"))


def undated_queue(time, counter, survived, **kw):
    clock = Clock(time, lambda: counter)
    return clock, spilling(time, clock=clock, survived=survived, **kw)

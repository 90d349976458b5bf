"""When readings go to flash: before they are too old or the ring is full, a little at a time."""

import os
import sys
import time as system_time

from flights import in_flight
from model import T0, Time, known_clock
from spilling import counters, delivered, elsewhere, spilling, values

HEAP = "16M"


def test_nothing_is_written_while_all_is_delivered():
    time = Time()
    queue = spilling(time)
    for n in range(100):
        queue.put(0, n)
        time.ms += 5000
        queue.tick()
        if n % 2:
            delivered(queue)
    assert "journal" not in os.listdir()


def test_a_reading_is_on_flash_before_it_is_too_old():
    for every in (100, 1000, 5000, 29000):
        time = Time()
        queue = spilling(time, slots=1024)
        taken = []
        for _ in range(1000):
            if time.ms % every == 0:
                queue.put(0, len(taken))
                taken.append(time.ms)
            time.ms += 100
            if time.ms % 200 == 0:
                queue.tick()
            on_flash = queue.spilled
            assert on_flash == len(taken) or taken[on_flash] > time.ms - 30000
        assert queue.spilled
        assert counters(queue) == {}
        # The newest ones came first.
        assert sorted(values(delivered(queue))) == list(range(len(taken)))


def test_a_clock_that_is_set_spills_neither_too_early_nor_too_late():
    for step in (-86400000, 86400000):
        elsewhere()
        time = Time()
        clock = known_clock(time)
        queue = spilling(time, clock=clock)
        queue.put(0, 1)
        queue.tick()
        clock.set(T0 + step, 0)
        time.ms = 10000
        queue.put(0, 2)
        queue.tick()
        assert queue.spilled == 0
        time.ms = 29000
        queue.tick()
        assert queue.spilled == 2


def test_a_ring_that_fills_up_is_spilled_before_it_loses_anything():
    time = Time()
    queue = spilling(time, slots=64)
    for n in range(1000):
        queue.put(0, n)
        time.ms += 1
        if n % 8 == 0:
            queue.tick()
    assert counters(queue) == {}
    queue.flush()
    assert queue.spilled == 1000
    assert values(delivered(queue)) == list(range(1000))


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


def test_a_tick_spills_no_longer_than_its_time():
    time = Time()
    queue = spilling(time, slots=4096)
    for n in range(3000):
        queue.put(0, n)
    queue.tick()
    time.ms += 30000
    module = sys.modules["firmware.points.journal"]
    module.time = Ticks
    try:
        before = 0
        ticks = 0
        while queue.spilled < 3000:
            queue.tick()
            assert queue.spilled - before <= 128
            before = queue.spilled
            ticks += 1
            assert ticks < 100
    finally:
        module.time = system_time
    assert values(delivered(queue)) == list(range(3000))


def test_points_in_flight_are_spilled_and_a_late_acknowledgement_changes_nothing():
    time = Time()
    queue = spilling(time)
    for n in range(20):
        queue.put(0, n)
    a, b = queue.take(), queue.take()
    queue.flush()
    assert (len(queue), queue.spilled, in_flight(queue)) == (20, 20, 0)
    queue.acknowledge(b)
    queue.acknowledge(a)
    assert counters(queue) == {}
    assert values(delivered(queue)) == list(range(20))

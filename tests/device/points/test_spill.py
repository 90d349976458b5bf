"""When readings go to flash: before they are too old or the ring is full, a little at a time."""

import os
import sys
import time as system_time

from flights import in_flight
from model import T0, Time, known_clock
from spilling import Ticks, counters, delivered, elsewhere, spilling, values

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


class Still(Ticks):
    """A machine so fast that no time passes at its work."""

    @classmethod
    def ticks_ms(cls):
        return 0


class Line:
    """A queue at default settings, into which 32 readings a second come, and which delivers what
    is due, unless the link is broken or stalled.
    """

    def __init__(self):
        self.time = Time()
        self.queue = spilling(self.time, slots=1024, max_points=100)
        self.count = 0

    def run(self, seconds, link="well"):
        """Returns the most readings that were in RAM alone, and how often some went to flash."""
        module = sys.modules["firmware.points.journal"]
        module.time = Still
        try:
            return self._run(seconds, link)
        finally:
            module.time = system_time

    def _run(self, seconds, link):
        most = writes = 0
        queue = self.queue
        if link == "broken":
            queue.release()
        for step in range(32 * seconds):
            queue.put(0, self.count)
            self.count += 1
            self.time.ms += 31
            most = max(most, queue.in_ram)
            if step % 8 == 7:
                before = queue.in_ram
                queue.tick()
                writes += queue.in_ram < before
            if queue.due() and link != "broken":
                if link == "well":
                    queue.acknowledge(queue.take())
                elif not in_flight(queue):
                    queue.take()
        return most, writes


def test_in_an_outage_few_readings_are_in_ram_alone():
    for link in ("broken", "stalled"):
        elsewhere()
        line = Line()
        assert line.run(60)[1] == 0
        assert line.run(7, link)[0] <= 230  # a feed in flight, and what comes until it is late
        most, writes = line.run(60, link)
        assert most <= 30 and writes <= 100, (link, most, writes)
        line.queue.release()
        assert line.run(60)[1] <= 1
        delivered(line.queue)
        assert counters(line.queue) == {} and len(line.queue) == 0


def test_a_reconnection_writes_nothing():
    line = Line()
    line.run(20)
    for _ in range(100):
        assert line.run(2, "broken")[1] == 0
        assert line.run(1)[1] == 0
    assert "journal" not in os.listdir()


def test_a_start_in_an_outage_is_an_outage():
    line = Line()
    assert line.run(12, "broken")[1] == 0
    line.run(2, "broken")
    assert line.run(20, "broken")[0] <= 30


def test_an_endless_outage_spills_seldom():
    line = Line()
    line.run(3600, "broken")
    writes = line.run(3600, "broken")[1]
    # As spill_after_ms wants it, and once in three minutes more.
    assert writes <= 3600 // 22 + 20, writes
    assert counters(line.queue) == {"dropped": line.queue.dropped}

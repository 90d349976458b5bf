"""Times of readings on flash: none is shared, each era has one offset for life, or none."""

import os

from firmware.times.clock import Clock
from model import T0, Time, points
from spilling import counters, delivered, spill, spilling, undated_queue, values

HEAP = "16M"


def test_no_new_reading_shares_a_millisecond_with_one_on_flash():
    time = Time()
    queue = spilling(time, ("a", "b"))
    queue.put(0, 1)
    time.ms = 5000
    queue.put(1, 1)
    queue.flush()
    for known_first in (True, False):
        time = Time()
        clock = Clock(time)
        if known_first:
            clock.set(T0 - 3600000, 0)
        queue = spilling(time, ("a", "b"), clock=clock)
        queue.put(0, 2)
        queue.put(0, 3)
        clock.set(T0 - 3600000, 0)
        queue.put(0, 4)
        queue.put(1, 4)
        found = delivered(queue)
        queue.release()
        times = [t for v, t in sorted([(v, t) for prop, t, v in found if prop == "a"])]
        assert len(times) == 4 and times == sorted(set(times)), times
        # And put it back for the other way.
        queue = spilling(Time(), ("a", "b"))
        queue.put(0, 1)
        time.ms = 5000
        queue.put(1, 1)
        queue.flush()


def test_undated_readings_are_dated_after_a_restart_of_the_same_power_cycle():
    time = Time()
    _, queue = undated_queue(time, 5000, False)
    spill(queue, time, 3)
    time = Time()
    clock, queue = undated_queue(time, 65000, True)
    spill(queue, time, 3, first=3)
    assert queue.take() is None and not queue.due()
    clock.set(T0 + 68000, time.ms)  # so that the counter's 0 was at T0
    assert queue.due()
    times = [5000, 6000, 7000, 65000, 66000, 67000]
    assert delivered(queue) == [("temperature", T0 + t, n) for n, t in enumerate(times)]
    assert counters(queue) == {}


def test_one_power_cycle_has_one_offset_for_life():
    time = Time()
    _, queue = undated_queue(time, 5000, False)
    spill(queue, time, 25)
    clock, queue = undated_queue(time, 65000, True)
    clock.set(T0, time.ms)
    first = points(queue.take())
    queue.flush()
    # It is restarted before the rest is delivered, and now the clock is not quite the same.
    clock, queue = undated_queue(time, 95000, True)
    clock.set(T0 + 30123, time.ms)
    assert points(queue.take()) == first
    assert counters(queue) == {}


def test_what_can_never_be_dated_is_counted_and_given_up():
    time = Time()
    _, queue = undated_queue(time, 0, False)
    spill(queue, time, 3)
    time = Time()
    clock, queue = undated_queue(time, 0, False)
    spill(queue, time, 4, first=10)
    clock.set(T0, time.ms)
    assert values(delivered(queue)) == [10, 11, 12, 13]
    assert counters(queue) == {"undated": 3}
    assert len(queue) == 0
    assert os.listdir("journal") == []


def test_a_power_cycle_that_has_ended_is_over_for_good():
    time = Time()
    _, queue = undated_queue(time, 0, False)
    spill(queue, time, 3)
    # Power is cut, and the clock is known at once; then there is a restart by the watchdog.
    clock, queue = undated_queue(time, 7000, False)
    clock.set(T0, time.ms)
    spill(queue, time, 3, first=10)
    clock, queue = undated_queue(time, 90000, True)
    spill(queue, time, 3, first=20)
    clock.set(T0 + 90000, time.ms)
    assert values(delivered(queue)) == [10, 11, 12, 20, 21, 22]
    assert counters(queue) == {"undated": 3}


def test_readings_that_an_earlier_run_has_dated_are_not_shared_with_later():
    time = Time()
    _, queue = undated_queue(time, 60000, False)
    spill(queue, time, 3)
    clock, queue = undated_queue(time, 70000, True)
    clock.set(T0 + 70000, time.ms)
    queue.take()
    # A restart; and the clock is an hour behind.
    clock, queue = undated_queue(Time(), 1000, False)
    clock.set(T0 - 3600000, 0)
    queue.put(0, 3)
    found = sorted(delivered(queue), key=lambda p: p[2])
    assert [t - T0 for _, t, _ in found] == [60000, 61000, 62000, 62001]


def test_a_counter_that_went_back_is_another_power_cycle():
    time = Time()
    _, queue = undated_queue(time, 50000, False)
    spill(queue, time, 3)
    clock, queue = undated_queue(Time(), 10000, True)
    clock.set(T0, 0)
    assert delivered(queue) == []
    assert counters(queue) == {"undated": 3}

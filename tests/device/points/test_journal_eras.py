"""Times of readings on flash: none is shared, each era has one offset for life, or none."""

import os

from firmware.times.clock import Clock
from model import T0, Time, known_clock, points
from spilling import counters, delivered, elsewhere, spill, spilling, undated_queue, values

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
        assert len(times) == 4 and len(set(times)) == 4, times
        assert times[1:] == [T0 - 3600000 + n for n in range(3)], "as the clock says now"
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
    # A restart; and the clock is half a minute behind.
    clock, queue = undated_queue(Time(), 1000, False)
    clock.set(T0 + 32000, 0)
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


YEARS = 10 * 365 * 86400000


def test_a_wrong_time_on_flash_dates_nothing_later():
    """Neither a reading of years ahead, nor the time that an era was dated by, nor both."""
    for ahead_ms in (YEARS, 7200000):
        for dated in (True, False):
            for undated_first in (True, False):
                elsewhere()
                time = Time()
                clock, queue = undated_queue(time, 0, False)
                spill(queue, time, 3)
                clock.set(T0 + ahead_ms, time.ms)
                if dated:
                    spill(queue, time, 3, first=3)
                else:
                    assert queue.take() is not None
                # The power was away for a minute.
                for run in range(2):
                    time = Time()
                    clock, queue = undated_queue(time, 0, False)
                    now_ms = T0 + 60000 * (run + 1)
                    if undated_first:
                        spill(queue, time, 2, first=10 * run + 10)
                    clock.set(now_ms + time.ms, time.ms)
                    clock.vouched = True
                    spill(queue, time, 2, first=10 * run + 12)
                found = delivered(queue)
                firsts = [(10, 11), (20, 21)] if undated_first else [(), ()]
                for run, undated in enumerate(firsts):
                    wanted = list(undated) + [10 * run + 12, 10 * run + 13]
                    times = [t for _, t, v in found if v // 10 == run + 1]
                    assert [v for _, _, v in found if v // 10 == run + 1] == wanted
                    first_ms = T0 + 60000 * (run + 1)
                    assert times == [first_ms + 1000 * n for n in range(len(wanted))]
                # What was dated by the wrong clock is counted: nobody knows when it was.
                assert len(found) == 2 * len(wanted)
                assert counters(queue) == {"undated": 6 if dated else 3}
                assert len(queue) == 0


def test_what_seems_to_be_of_the_future_stays_where_the_clock_is_in_doubt():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 3)
    queue = spilling(Time(), clock=known_clock(Time(), T0 - 7200000))
    assert values(delivered(queue)) == [0, 1, 2]
    assert counters(queue) == {}


def test_what_the_clock_says_while_it_is_not_sure_dates_nothing_for_good():
    """Nor does it lose anything: the power may be cut before it is sure."""
    for cut in (True, False):
        for spills_before in (True, False):
            elsewhere()
            time = Time()
            clock, queue = undated_queue(time, 500000, False)
            queue.put(0, 0)
            time.ms += 1000
            if spills_before:
                queue.flush()
            clock.set(T0 + 7200000, time.ms, False)
            queue.tick()
            for n in (1, 2):
                queue.put(0, n, clock.now() if n == 2 else None)
                time.ms += 1000
            queue.flush()
            assert not queue.due() and queue.take() is None
            if cut:
                # A restart over which the counter goes on, but as the clock was set.
                clock, queue = undated_queue(Time(), T0, True)
                clock.set(T0 + 8000000, 0)
                ahead_ms = 7200000
            else:
                clock.set(T0 + 2000, time.ms)
                ahead_ms = 0
            first_ms = T0 + ahead_ms - 1000
            wanted = [("temperature", first_ms + 1000 * n, n) for n in range(3)]
            assert delivered(queue) == wanted
            assert counters(queue) == {}


def test_readings_on_flash_are_not_later_for_what_dated_them_before_the_clock_was_sure():
    time = Time()
    clock, queue = undated_queue(time, 0, False)
    spill(queue, time, 20)
    clock.set(T0 + time.ms, time.ms, False)
    queue.put(0, 20)
    queue.tick()  # in case the power is cut now
    time.ms += 1000
    clock.set(T0 + time.ms, time.ms)
    queue.put(0, 21)
    found = sorted([(v, t) for _, t, v in delivered(queue)])
    assert found == [(n, T0 + 1000 * n) for n in range(22)]
    assert counters(queue) == {}

"""The queue: no reading leaves it but by an acknowledgement, or counted."""

import gc
import sys

from firmware.times.clock import Clock
from flights import in_flight
from model import T0, Time, drain, fill, known_clock, make_queue, points, values
from skip import Skip

# When a feed is due


def test_an_empty_queue_is_not_due_and_gives_nothing():
    queue = make_queue(Time())
    assert not queue.due() and queue.take() is None
    assert (len(queue), in_flight(queue), queue.dropped) == (0, 0, 0)


def test_a_feed_is_due_when_it_is_full():
    time = Time()
    queue = make_queue(time, max_points=3)
    fill(queue, time, 2)
    assert not queue.due()
    fill(queue, time, 1)
    assert queue.due()
    queue.take()
    assert not queue.due()


def test_a_feed_is_due_when_its_oldest_point_is_old():
    time = Time()
    queue = make_queue(time, max_age_ms=10000)
    fill(queue, time, 2, every=4000)
    time.ms = 9999
    assert not queue.due()
    time.ms = 10000
    assert queue.due()


def test_a_point_from_the_future_is_due():
    time = Time()
    clock = known_clock(time)
    queue = make_queue(time, clock=clock)
    queue.put(0, 1)
    clock.set(T0 - 3600000, 0)
    assert queue.due()


def test_a_feed_holds_at_most_its_number_of_points():
    time = Time()
    queue = make_queue(time, max_points=3)
    fill(queue, time, 8)
    assert drain(queue) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert len(queue) == 0


# Values


def test_every_kind_of_value_arrives_as_itself():
    sent = [0, -1, 2147483647, 2147483648, -2147483648, 10**18, True, False, None, "on", "21 °C"]
    sent += ['a "quoted"\n\\ \x01 one', "", [1, 2], {"config": {"volume": 34}}, {}, 1.5, -0.25]
    time = Time()
    for compact in (False, True):
        queue = make_queue(time, slots=256, compact=compact, max_points=100)
        for value in sent:
            queue.put(0, value)
        assert values(queue.take()) == sent


def test_numbers_too_large_for_a_float32_keep_their_decimals():
    time = Time()
    queue = make_queue(time, slots=256, max_points=100)
    sent = [83885.99, 83886.25, -83886.25, 123456.78, -1234567.89, 1e12, 1e100, -3.4e38]
    if float("inf") == 1e100:  # a port whose floats are of 32 bits
        sent.remove(1e100)
    for value in sent:
        queue.put(0, value)
    found = values(queue.take())
    assert len(found) == len(sent)
    for there, here in zip(found, sent):
        assert abs(there - here) <= 1e-15 * abs(here) + 1e-9, (there, here)


def refused(value, queue):
    try:
        queue.put(0, value)
    except ValueError as e:
        return str(e)
    raise AssertionError("%r was taken" % (value,))


def test_what_json_cannot_say_is_refused():
    queue = make_queue(Time())
    nan, inf = float("nan"), float("inf")
    for value in (nan, inf, -inf, [nan], {"a": {"b": [inf]}}, b"bytes", {1, 2}, {1: 2}, queue):
        refused(value, queue)
    deep = []
    for _ in range(100):
        deep = [deep]
    refused(deep, queue)
    assert len(queue) == 0


def test_what_is_too_long_is_refused_and_costs_nothing():
    queue = make_queue(Time(), slots=300)
    queue.put(0, 1)
    assert "1025 bytes" in refused("x" * 1023, queue)
    refused(["x"] * 5000, queue)
    assert values(queue.take()) == [1]
    queue.put(0, "x" * 1022)
    assert values(queue.take()) == ["x" * 1022]


# Times


def times(queue):
    found = {}
    while True:
        batch = queue.take()
        if batch is None:
            return found
        for prop, t, _ in points(batch):
            found.setdefault(prop, []).append(t)
        queue.acknowledge(batch)


def test_two_readings_of_a_property_never_share_a_millisecond():
    time = Time()
    queue = make_queue(time, ("a", "b"))
    for _ in range(3):
        queue.put(0, 1)
        queue.put(1, 1)
    time.ms = 1
    queue.put(0, 1)
    assert times(queue) == {"a": [T0, T0 + 1, T0 + 2, T0 + 3], "b": [T0, T0 + 1, T0 + 2]}


def test_a_step_neither_shares_a_millisecond_nor_disorders():
    """But for one back by more than a minute: what came before it was dated by a wrong clock."""
    for hours in (1, 5, 24, 1 / 3600, -1 / 3600, -59 / 3600):
        time = Time()
        clock = known_clock(time)
        queue = make_queue(time, ("a", "b"), clock=clock)
        for n in range(12):
            queue.put(0, n)
            if n % 3 == 0:
                queue.put(1, n)
            time.ms += 500
            if n == 6:
                clock.set(clock.now() + int(hours * 3600000), time.ms)
        for found in times(queue).values():
            assert found == sorted(set(found))


def test_readings_are_right_from_a_correction_on():
    """Whatever the clock said before: hours, or an era, ahead."""
    for ahead_ms in (7200000, 10 * 365 * 86400000):
        for undated in (0, 3):
            time = Time()
            clock = Clock(time)
            queue = make_queue(time, clock=clock, max_points=20)
            fill(queue, time, undated)
            clock.set(T0 + ahead_ms, time.ms)
            fill(queue, time, 3)
            first_ms = T0 + ahead_ms - 1000 * undated
            before = [first_ms + 1000 * n for n in range(undated + 3)]
            assert times(queue)["temperature"] == before
            clock.set(T0 + 3000, time.ms)
            fill(queue, time, 2)
            queue.put(0, 9)
            queue.put(0, 10)
            expected = [T0 + 3000, T0 + 4000, T0 + 5000, T0 + 5001]
            assert times(queue)["temperature"] == expected, (ahead_ms, undated)


def test_undated_readings_are_not_sent_before_the_clock_is_known():
    time = Time()
    clock = Clock(time)
    queue = make_queue(time, clock=clock, max_points=2)
    fill(queue, time, 5)
    time.ms = 1000000
    assert not queue.due() and queue.take() is None and len(queue) == 5
    clock.set(T0, time.ms)
    assert queue.due()
    assert times(queue)["temperature"] == [T0 - 1000000 + 1000 * n for n in range(5)]


def test_undated_and_dated_readings_go_in_one_feed():
    time = Time()
    clock = Clock(time)
    queue = make_queue(time, clock=clock)
    fill(queue, time, 2)
    clock.set(T0, time.ms)
    fill(queue, time, 2)
    assert times(queue)["temperature"] == [T0 - 2000, T0 - 1000, T0, T0 + 1000]


def test_readings_around_the_first_setting_do_not_share_a_millisecond():
    time = Time()
    clock = Clock(time)
    queue = make_queue(time, clock=clock)
    queue.put(0, 1)
    queue.put(0, 2)
    clock.set(T0, 0)
    queue.put(0, 3)
    assert times(queue)["temperature"] == [T0, T0 + 1, T0 + 2]


def test_undated_readings_keep_their_time_when_the_clock_is_corrected_later():
    time = Time()
    clock = Clock(time)
    queue = make_queue(time, clock=clock)
    fill(queue, time, 2)
    clock.set(T0, time.ms)
    first = points(queue.take())
    queue.release()
    clock.set(T0 + 7200000, time.ms)
    assert points(queue.take()) == first


# Costs


def test_a_reading_allocates_nothing_beyond_its_float():
    if sys.maxsize < 1 << 32:
        raise Skip("a millisecond of this century is an object on the heap of a 32-bit port")
    time = Time()
    queue = make_queue(time, slots=64)
    value = 20.5
    put = queue.put

    def hundred():
        for _ in range(100):
            time.ms += 100
            put(0, value)
            put(0, 7)

    hundred()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    hundred()
    used = gc.mem_alloc() - before
    gc.enable()
    assert used == 0


def test_a_feed_may_be_smaller_than_the_most():
    time = Time()
    queue = make_queue(time, max_points=5)
    fill(queue, time, 9)
    assert values(queue.take(max_points=2)) == [0, 1]
    assert values(queue.take(max_points=100)) == [2, 3, 4, 5, 6]
    assert values(queue.take(None)) == [7, 8]


def test_a_batch_that_one_property_fills_may_go_without_its_name():
    time = Time()
    queue = make_queue(time, ("a", "b"), max_points=3)
    for prop in (1, 1, 1, 0, 1):
        queue.put(prop, 7)
        time.ms += 1
    alone, mixed = queue.take(alone=True), queue.take(alone=True)
    assert (alone.prop, mixed.prop) == ("b", None)
    queue.release()
    named = queue.take()
    assert (named.prop, len(points(named))) == (None, 3)


def test_a_point_may_bring_its_own_millisecond():
    time = Time(5000)
    queue = make_queue(time, ("a", "b"))  # T0 is at 5000
    queue.put(0, 1, T0 - 700)
    queue.put(0, 2, T0 - 700)
    queue.put(0, 3, T0 - 900)
    queue.put(1, 4, T0 - 900)
    queue.put(0, 5)
    assert times(queue) == {"a": [T0 - 700, T0 - 699, T0 - 698, T0], "b": [T0 - 900]}


def test_the_age_at_which_a_feed_is_due_may_be_changed():
    time = Time()
    queue = make_queue(time, max_age_ms=10000)
    fill(queue, time, 1)
    time.ms = 5000
    assert not queue.due()
    queue.max_age_ms = 5000
    assert queue.due() and queue.max_age_ms == 5000
    queue.max_age_ms = 3600000
    assert not queue.due() and queue.max_age_ms == 3600000


def test_with_flash_a_feed_is_due_before_its_points_are_spilled():
    queue = make_queue(Time(), max_age_ms=20000, flash_kib=64, spill_after_ms=30000)
    assert queue.max_age_ms == 15000
    queue.max_age_ms = 1000
    assert queue.max_age_ms == 1000
    queue.max_age_ms = 60000
    assert queue.max_age_ms == 15000


def test_feeds_that_are_always_due_do_not_keep_the_history_on_flash():
    time = Time()
    queue = make_queue(time, slots=64, max_age_ms=500, flash_kib=64)
    fill(queue, time, 30)
    queue.flush()
    found = []
    for n in range(30, 60):
        queue.put(0, n)
        time.ms += 1000  # as often as the platform takes a feed
        assert queue.due()
        batch = queue.take()
        if n == 30:
            queue.release()  # one that failed is none
            batch = queue.take()
        found.append(values(batch))
        queue.acknowledge(batch)
    # In turns, the newest first.
    assert [feed[0] for feed in found[:6]] == [30, 0, 31, 10, 33, 20]
    assert queue.spilled == 0


def test_after_an_outage_the_newest_readings_go_first_however_young():
    time = Time()
    queue = make_queue(time, slots=64, max_age_ms=10000, flash_kib=64)
    fill(queue, time, 30)
    queue.flush()
    fill(queue, time, 2, every=100)
    batch = queue.take()
    assert values(batch) == [0, 1] and queue.spilled == 30
    queue.acknowledge(batch)
    fill(queue, time, 1)
    for n in (0, 10, 20):
        batch = queue.take()  # the next one of the newest is not due yet
        assert values(batch) == list(range(n, n + 10))
        queue.acknowledge(batch)


def test_full_feeds_of_the_newest_readings_all_go_before_the_history():
    time = Time()
    queue = make_queue(time, slots=64, max_points=10, flash_kib=64)
    fill(queue, time, 30)
    queue.flush()
    for n in range(5):
        fill(queue, time, 10)
        batch = queue.take()
        assert batch.points == 10 and queue.spilled == 30, n
        queue.acknowledge(batch)

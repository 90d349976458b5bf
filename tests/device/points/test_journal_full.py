"""When the buffer is full: what each policy keeps, and that all it gives up is counted."""

import os
import random
import sys

from firmware.points import journal, journal_thinning  # noqa: F401 their time is replaced
from firmware.points.journal_record import SIZE
from firmware.times.clock import Clock
from flights import in_flight
from model import T0, Time, known_clock, make_queue, points

HEAP = "32M"


def full_queue(time, when_full, names=("a",), **kw):
    settings = {"slots": 64, "max_points": 10, "when_full": when_full}
    settings.update(kw)
    return make_queue(time, names, **settings)


def taken(queue):
    found = []
    while True:
        batch = queue.take()
        if batch is None:
            return sorted(found, key=lambda p: p[1])
        found += points(batch)
        queue.acknowledge(batch)


def gaps(found, prop="a"):
    times = [t for p, t, _ in found if p == prop]
    return [b - a for a, b in zip(times, times[1:])]


def put_many(queue, time, count, every=1000, tick=5):
    for n in range(count):
        queue.put(0, n)
        time.ms += every
        if n % tick == 0:
            queue.tick()


def blocks():
    if "journal" not in os.listdir():
        return 0
    return sum(
        (os.stat("journal/" + name)[6] + 4096 + 23) // 4096
        for name in os.listdir("journal")
        if name.endswith(".seg")
    )


# In RAM


def test_newest_keeps_what_it_has():
    time = Time()
    queue = full_queue(time, "newest")
    put_many(queue, time, 100)
    assert queue.dropped == 37
    assert [v for _, _, v in taken(queue)] == list(range(63))
    queue.put(0, "again")
    assert [v for _, _, v in taken(queue)] == ["again"]


def test_newest_counts_texts_too():
    time = Time()
    queue = full_queue(time, "newest")
    for _ in range(50):
        queue.put(0, "a text of several slots")
    assert queue.dropped + len(queue) == 50 and queue.dropped > 30


def test_thin_spans_everything_evenly():
    for every in (100, 1000, 7001):
        time = Time()
        queue = full_queue(time, "thin", slots=256)
        put_many(queue, time, 256 * 30, every)
        assert queue.dropped == 0
        found = taken(queue)
        assert len(found) + queue.thinned == 256 * 30
        assert len(found) > 64
        assert found[0][2] == 0 and found[-1][2] == 256 * 30 - 1
        between = gaps(found)
        # The newest quarter is whole; of the rest no piece is much coarser than another.
        assert between[-60:] == [every] * 60
        old = between[:-64]
        assert max(old) <= 128 * every, max(old)
        assert max(old) <= 2 * sorted(old)[len(old) // 2], (max(old), sorted(old)[len(old) // 2])
        for _, t, v in found:
            assert t == T0 + v * every


def test_thin_takes_from_the_sensor_that_has_the_most():
    time = Time()
    queue = full_queue(time, "thin", ("fast", "slow"), slots=256)
    for n in range(3000):
        queue.put(0, n)
        if n % 60 == 0:
            queue.put(1, n)
        time.ms += 1000
    found = taken(queue)
    assert len(found) + queue.thinned == 3050 and queue.dropped == 0
    slow = [p for p in found if p[0] == "slow"]
    assert len(slow) >= 40, len(slow)


def test_thinning_keeps_texts_whole_and_undated_points_undated():
    time = Time()
    clock = Clock(time)
    queue = full_queue(time, "thin", ("a", "b"), clock=clock, slots=64)
    for n in range(300):
        if n == 150:
            clock.set(T0 + time.ms, time.ms)
        queue.put(n % 2, n if n % 3 else "text %d" % n)
        time.ms += 1000
    found = taken(queue)
    assert len(found) + queue.thinned + queue.dropped == 300
    assert queue.dropped == 0
    for prop, t, v in found:
        n = int(v[5:]) if type(v) is str else v
        assert (prop, t) == (("a", "b")[n % 2], T0 + 1000 * n)
        assert (type(v) is str) == (n % 3 == 0)
    # The newest quarter of the slots is whole.
    assert found[-1][2] == 299 and found[-2][2] == 298


def test_thin_with_texts_that_leave_no_choice_drops():
    time = Time()
    queue = full_queue(time, "thin", ["p%d" % n for n in range(20)], slots=64)
    for n in range(100):
        queue.put(n % 20, "x" * 60)
        time.ms += 1000
    assert queue.dropped + queue.thinned + len(queue) == 100
    assert queue.dropped > 0


def test_thinning_releases_what_is_in_flight():
    time = Time()
    queue = full_queue(time, "thin")
    put_many(queue, time, 60)
    batch = queue.take()
    put_many(queue, time, 60)
    assert in_flight(queue) == 0
    queue.acknowledge(batch)
    assert len(queue) + queue.thinned == 120
    found = taken(queue)
    assert len(found) == 120 - queue.thinned


# On flash


def test_flash_kib_is_never_exceeded():
    for kib in (8, 64):
        for when_full in ("oldest", "newest", "thin"):
            for name in os.listdir():
                for file in os.listdir(name):
                    os.remove(name + "/" + file)
            time = Time()
            queue = full_queue(time, when_full, flash_kib=kib, slots=128)
            for n in range(5 * kib * 1024 // SIZE // 4):
                put_many(queue, time, 4)
                if n % 50 == 0:
                    queue.tick()
                    assert blocks() <= kib // 4, (kib, when_full)
            count = 4 * (5 * kib * 1024 // SIZE // 4)
            assert queue.dropped + queue.thinned + len(queue) == count
            for _ in range(100):
                queue.tick()
            found = taken(queue)
            assert len(found) == count - queue.dropped - queue.thinned, (kib, when_full)
            assert queue.damaged == 0


def test_oldest_on_flash_keeps_the_newest():
    time = Time()
    queue = full_queue(time, "oldest", flash_kib=64)
    put_many(queue, time, 10000)
    found = taken(queue)
    assert [v for _, _, v in found] == list(range(queue.dropped, 10000))
    assert len(found) > 64 * 1024 // SIZE * 3 // 4


def test_newest_on_flash_keeps_the_oldest():
    time = Time()
    queue = full_queue(time, "newest", flash_kib=64)
    put_many(queue, time, 10000)
    found = taken(queue)
    assert [v for _, _, v in found] == list(range(10000 - queue.dropped))
    assert len(found) > 64 * 1024 // SIZE * 3 // 4
    put_many(queue, time, 100)
    assert len(taken(queue)) == 100


def test_thin_on_flash_spans_a_month_in_the_space_of_a_day():
    time = Time()
    queue = full_queue(time, "thin", flash_kib=64)
    count = 29 * 64 * 1024 // SIZE
    put_many(queue, time, count, every=5000)
    restarted = full_queue(time, "thin", flash_kib=64, clock=known_clock(time, T0 + time.ms))
    there = len(queue)
    queue.flush()
    restarted = full_queue(time, "thin", flash_kib=64, clock=known_clock(time, T0 + time.ms))
    assert len(restarted) == there
    found = taken(restarted)
    assert queue.dropped == 0
    assert len(found) == there == count - queue.thinned
    assert len(found) > 64 * 1024 // SIZE // 4
    assert found[0][2] == 0 and found[-1][2] == count - 1
    between = gaps(found)
    print(
        "thinned %d of %d, the widest gap is %d periods"
        % (queue.thinned, count, max(between) // 5000)
    )
    assert max(between) < 2 * 96 * 5000  # twice the resolution
    for _, t, v in found:
        assert t == T0 + 5000 * v


def test_a_flush_leaves_nothing_in_ram_where_a_segment_is_full_to_the_brim():
    time = Time()
    queue = full_queue(time, "oldest", flash_kib=32)
    for n in range(1200):
        queue.put(0, n)
        time.ms += 1000
        queue.flush()
        assert queue.in_ram == 0, n
    assert blocks() > 2
    assert [v for _, _, v in taken(queue)] == list(range(1200))


class Slow:
    """The time module of a port whose flash is slow: each look at it may be the last of a step."""

    ticks = 0

    def ticks_ms(self):
        self.ticks += random.choice((0, 0, 9))
        return self.ticks

    @staticmethod
    def ticks_diff(a, b):
        return a - b


def test_thinning_survives_restarts_in_the_middle():
    for slow in (False, True):
        modules = [
            sys.modules["firmware.points." + name] for name in ("journal", "journal_thinning")
        ]
        real = modules[0].time
        try:
            if slow:
                for module in modules:
                    module.time = Slow()
            thin_over_restarts()
        finally:
            for module in modules:
                module.time = real


def thin_over_restarts():
    time = Time()
    queue = full_queue(time, "thin", flash_kib=32)
    thinned = dropped = 0
    count = 0
    for _ in range(60):
        for _ in range(200):
            queue.put(0, count)
            count += 1
            time.ms += 1000
            if count % 5 == 0:
                queue.tick()
        queue.flush()
        thinned += queue.thinned
        dropped += queue.dropped + len(queue) - queue.spilled
        queue = full_queue(time, "thin", flash_kib=32, clock=known_clock(time, T0 + time.ms))
    found = taken(queue)
    assert dropped == 0
    assert len({t for _, t, _ in found}) == count - thinned
    assert found[0][2] == 0 and found[-1][2] == count - 1

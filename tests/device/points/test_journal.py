"""Readings on flash: what was spilled comes back after a restart, in order, exactly; what damage
costs is counted, and stops nothing.
"""

import os
import sys
import time as system_time

from firmware.times.clock import Clock
from model import T0, Time, known_clock, make_queue, points

HEAP = "16M"
SEGMENT = "journal/%08x.seg"


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


# When


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
    assert (len(queue), queue.spilled, queue.in_flight) == (20, 20, 0)
    queue.acknowledge(b)
    queue.acknowledge(a)
    assert counters(queue) == {}
    assert values(delivered(queue)) == list(range(20))


# Back again


def test_a_restart_loses_nothing_and_changes_nothing():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 100)
    expected = points(queue.take())
    for _ in range(3):
        queue = spilling(Time(), clock=known_clock(Time(), T0 + 200000))
        assert queue.spilled == len(queue) == 100
        batch = queue.take()
        assert points(batch) == expected
    queue.acknowledge(batch)
    found = delivered(queue)
    assert expected + found == [("temperature", T0 + 1000 * n, n) for n in range(100)]
    assert len(queue) == 0
    assert segments() == []
    assert counters(queue) == {}


def test_every_kind_of_value_comes_back_as_itself():
    sent = [20.5, -3.25, 7, -7, 2147483647, 10**12, True, None, "on", "", "21 °C", "x" * 1022]
    sent += [{"config": {"volume": 34}}, 123456.75, 'a "b" \\', -0.01]
    time = Time()
    queue = spilling(time, ("a", "b"), slots=600)
    for n, value in enumerate(sent):
        queue.put(n % 2, value)
        time.ms += 100
    queue.flush()
    queue = spilling(time, ("a", "b"))
    expected = [(("a", "b")[n % 2], T0 + 100 * n, v) for n, v in enumerate(sent)]
    assert delivered(queue) == expected


def test_many_restarts_go_on_in_the_same_segment():
    for n in range(50):
        time = Time()
        queue = spilling(time, clock=known_clock(time, T0 + 1000000 * n))
        spill(queue, time, 3, first=3 * n)
    assert len(segments()) == 1
    assert values(delivered(spilling(Time()))) == list(range(150))


def test_segments_are_removed_as_they_are_delivered():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 4000)
    assert len(segments()) == 3
    seen = set()
    while True:
        batch = queue.take()
        if batch is None:
            break
        queue.acknowledge(batch)
        seen.add(len(segments()))
    assert seen == {3, 2, 1, 0}


def test_live_readings_go_first_and_the_backlog_fills_in():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 25)
    assert queue.due()
    order = []
    for n in range(25, 60):
        queue.put(0, n)
        time.ms += 1000
        if n % 4 == 0:
            batch = queue.take()
            if batch:
                order.append(values(points(batch))[0])
                queue.acknowledge(batch)
    # The newest are due every ten readings, and go first after an outage.
    assert order[:5] == [25, 0, 10, 29, 20], order
    found = delivered(queue)
    assert len(queue) == 0, found


def test_what_was_not_acknowledged_is_sent_again_and_segments_stay():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 30)
    first = points(queue.take())
    queue.take()
    assert queue.in_flight == 2
    queue.release()
    assert points(queue.take()) == first
    queue.release()
    assert len(segments()) == 1
    assert values(delivered(queue)) == list(range(30))
    assert segments() == []


def test_refused_points_of_the_backlog_are_set_aside():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 40)
    found = []
    while True:
        batch = queue.take()
        if batch is None:
            break
        here = values(points(batch))
        if 17 in here or 39 in here:
            queue.refuse(batch)
        else:
            found += here
            queue.acknowledge(batch)
    assert found == [n for n in range(40) if n not in (17, 39)]
    assert counters(queue) == {"rejected": 2}
    assert len(queue) == 0 and segments() == []


def test_a_changed_config_maps_by_name_and_keeps_what_it_no_longer_has():
    time = Time()
    queue = spilling(time, ("a", "b", "c"))
    for n in range(6):
        queue.put(n % 3, 20.5 + n)
    queue.flush()
    time.ms += 10000
    queue = spilling(time, ("c", "a"), clock=known_clock(time, T0 + 10000))
    queue.put(0, 1)
    queue.flush()
    assert len(segments()) == 2  # another table of properties is another segment
    queue = spilling(time, ("c", "a"))
    found = [(prop, v) for prop, _, v in delivered(queue)]
    assert found == [
        ("a", 20.5),
        ("b", 21.5),
        ("c", 22.5),
        ("a", 23.5),
        ("b", 24.5),
        ("c", 25.5),
        ("c", 1),
    ]


# Times


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


def undated_queue(time, counter, survived, **kw):
    clock = Clock(time, lambda: counter)
    return clock, spilling(time, clock=clock, survived=survived, **kw)


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


# Damage


def flipped(name, bit):
    with open(name, "rb") as f:
        data = bytearray(f.read())
    data[bit >> 3] ^= 1 << (bit & 7)
    with open(name, "wb") as f:
        f.write(data)


def test_any_flipped_bit_costs_at_most_the_record_it_hits():
    time = Time()
    queue = spilling(time, ("a", "b"))
    for n in range(4):
        queue.put(n % 2, 20.5 + n)
        queue.put(n % 2, "text %d" % n)
        time.ms += 1000
    queue.flush()
    name = SEGMENT % 1
    expected = delivered(spilling(time, ("a", "b"), clock=known_clock(time)))
    assert len(expected) == 8
    queue = spilling(Time(), ("a", "b"))
    for n in range(4):
        queue.put(n % 2, 20.5 + n)
        queue.put(n % 2, "text %d" % n)
        time.ms += 1000
    queue.flush()
    with open(name, "rb") as f:
        whole = f.read()
    silent = sys_print_off()
    try:
        for bit in range(0, 8 * len(whole), 3):
            data = bytearray(whole)
            data[bit >> 3] ^= 1 << (bit & 7)
            with open(name, "wb") as f:
                f.write(data)
            queue = spilling(Time(), ("a", "b"))
            found = delivered(queue)
            assert len(found) >= 7, (bit, found)
            assert queue.damaged <= 1 and len(found) >= 8 - queue.damaged
            assert len(queue) == 0
            good = {(p, v) for p, _, v in expected}
            assert {(p, v) for p, _, v in found} <= good, (bit, found)
    finally:
        silent()


def sys_print_off():
    module = sys.modules["firmware.base.log"]
    module.print = lambda *args: None

    def on():
        del module.print

    return on


def test_a_torn_tail_costs_its_record_and_new_readings_go_elsewhere():
    for cut in range(1, 12):
        time = Time()
        queue = spilling(time)
        spill(queue, time, 5)
        with open(SEGMENT % 1, "rb") as f:
            data = f.read()
        with open(SEGMENT % 1, "wb") as f:
            f.write(data[:-cut])
        queue = spilling(time, clock=known_clock(time, T0 + 60000))
        spill(queue, time, 3, first=5)
        assert values(delivered(queue)) == [0, 1, 2, 3, 5, 6, 7]
        assert counters(queue) == ({"damaged": 1} if cut < 11 else {})
        assert segments() == []


def test_a_segment_without_a_header_is_counted_and_removed():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 5)
    for size, name in ((5000, 2), (3, 3), (0, 4)):
        with open(SEGMENT % name, "wb") as f:
            f.write(b"\x93Csipio1\xff" * (size // 9) + b"x" * (size % 9))
    queue = spilling(time)
    assert values(delivered(queue)) == list(range(5))
    assert counters(queue) == {"damaged": 2}
    assert segments() == []


def test_files_that_are_none_of_ours_are_left_alone():
    os.mkdir("journal")
    names = ["notes.txt", "0000001.seg", "0000000g.seg", "-0000001.seg", "00000001.SEG", "a"]
    for name in names:
        with open("journal/" + name, "w") as f:
            f.write("mine")
    os.mkdir("journal/00000009.seg")
    os.mkdir("journal/folder")
    with open("journal/thin.tmp", "w") as f:
        f.write("a rewriting that was cut off")
    time = Time()
    queue = spilling(time)
    spill(queue, time, 40)
    queue = spilling(time)
    assert values(delivered(queue)) == list(range(40))
    assert sorted(os.listdir("journal")) == sorted(names + ["00000009.seg", "folder"])
    assert counters(queue) == {}


def test_a_damaged_file_of_eras_undates_what_it_dated():
    time = Time()
    _, queue = undated_queue(time, 0, False)
    spill(queue, time, 5)
    clock, queue = undated_queue(time, 9000, True)
    clock.set(T0, time.ms)
    assert len(points(queue.take())) == 5
    queue.release()
    for bit in range(0, 400, 7):
        flipped("journal/eras", bit)
        clock, again = undated_queue(time, 19000, True)
        clock.set(T0 + 3456, time.ms)
        found = points(again.take())
        assert [t for _, t, _ in found] == [t for _, t, _ in points(queue.take())]
        queue.release()
        flipped("journal/eras", bit)


def test_a_folder_that_cannot_be_made_costs_only_the_journal():
    with open("journal", "w") as f:
        f.write("a file")
    time = Time()
    queue = spilling(time, slots=16)
    for n in range(100):
        queue.put(0, n)
        time.ms += 1000
        queue.tick()
    queue.flush()
    assert len(queue) == 16
    assert queue.dropped == 84
    os.remove("journal")
    time.ms += 20000
    queue.tick()
    assert queue.spilled == 16
    assert values(delivered(queue)) == list(range(84, 100))


def test_properties_are_not_more_than_a_point_can_name():
    time = Time()
    for k in range(3):
        names = ["p%d" % n for n in range(30 * k, 30 * k + 30)]
        queue = spilling(time, names, slots=256)
        for n in range(30):
            queue.put(n, n)
        queue.flush()
    queue = spilling(time, ["q"])
    found = delivered(queue)
    assert len(found) == 62
    assert queue.damaged == 28
    assert len(queue.properties.names) == len(queue.properties.decimals) == 63

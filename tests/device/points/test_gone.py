"""What goes without being delivered: nothing while flash has room; else it is counted, and told by
the log when it begins, by a report, or by the next run.
"""

import os
import sys

from firmware.points.intake import Intake
from firmware.times.clock import Clock
from model import T0, Time, make_queue
from spilling import counters, delivered, elsewhere, spilling, values

HEAP = "16M"


class Lines:
    """`with Lines() as lines:` the log, without its times."""

    def __enter__(self):
        lines = []
        sys.modules["firmware.base.log"].print = lambda line: lines.append(line[13:])
        return lines

    def __exit__(self, *_):
        del sys.modules["firmware.base.log"].print


class Retained:
    number = 0

    def get(self):
        return self.number

    def set(self, number):
        self.number = number


class Device:
    """A device without flash that is started, cut short, and started again."""

    def __init__(self, **queue):
        self.time = Time()
        self.retained = Retained()
        self.kept = dict({"flash_kib": 0}, **queue)
        self.start()

    def start(self):
        lost = self.retained.get()
        names = ("temperature", "dropped", "lost")
        self.queue = make_queue(self.time, names, lost=lost, **self.kept)
        self.intake = Intake(self.queue, self.retained, lambda: 0)

    def take(self, count):
        for n in range(count):
            self.intake.put(0, n)
            self.time.ms += 1000

    def tick(self):
        self.queue.tick()
        self.intake.retain()

    def report(self):
        self.intake.tell("dropped", self.queue.dropped)
        self.intake.tell("lost", self.queue.lost)

    def deliver(self):
        found = delivered(self.queue)
        self.tick()
        return found


# While flash has room


def test_a_burst_between_two_ticks_goes_to_flash():
    for when_full in ("oldest", "newest", "thin"):
        for value in (None, "a text of some forty characters, in many slots"):
            elsewhere()
            queue = spilling(Time(), slots=64, when_full=when_full)
            for n in range(500):
                queue.put(0, n if value is None else "%s %d" % (value, n))
            assert counters(queue) == {}, (when_full, counters(queue))
            assert len(queue) == 500
            assert len(set(values(delivered(queue)))) == 500


def test_so_does_one_before_the_clock_is_known_and_it_is_dated_later():
    time = Time()
    clock = Clock(time, lambda: 5000 + time.ms)
    queue = spilling(time, slots=64, clock=clock)
    for n in range(500):
        queue.put(0, n)
        time.ms += 1
    clock.set(T0 + time.ms, time.ms)
    found = delivered(queue)
    assert counters(queue) == {}
    assert sorted([(v, t) for _, t, v in found]) == [(n, T0 + n) for n in range(500)]


def test_one_during_a_spill_loses_nothing():
    time = Time()
    queue = spilling(time, slots=256)
    taken = 0
    for _ in range(30):
        queue.put(0, taken)
        taken += 1
        time.ms += 1000
    queue.tick()
    for _ in range(400):
        queue.put(0, taken)
        taken += 1
    assert counters(queue) == {}
    assert sorted(values(delivered(queue))) == list(range(taken))


def test_where_flash_is_full_or_broken_it_goes_as_it_would_without():
    for when_full in ("oldest", "newest", "thin"):
        elsewhere()
        queue = spilling(Time(), slots=64, when_full=when_full, flash_kib=8)
        for n in range(5000):
            queue.put(0, n)
        assert len(queue) + queue.dropped + queue.thinned == 5000
        elsewhere()
        with open("journal", "w"):
            pass  # no folder can be made here
        queue = spilling(Time(), slots=64, when_full=when_full)
        for n in range(500):
            queue.put(0, n)
        assert queue.spilled == 0
        assert len(queue) + queue.dropped + queue.thinned == 500
        os.remove("journal")


# What does not fit


def test_a_reading_that_is_too_long_is_counted_and_what_json_cannot_say_is_none():
    queue = make_queue(Time(), slots=300)
    queue.put(0, "x" * 1022)
    for value in ("x" * 1023, ["x"] * 5000, "ä" * 512):
        try:
            queue.put(0, value)
            raise AssertionError("it was taken")
        except ValueError as error:
            assert str(error).endswith("is too long to be buffered: at most 1024 fit"), error
    for value in (float("nan"), b"bytes"):
        try:
            queue.put(0, value)
            raise AssertionError("it was taken")
        except ValueError:
            pass
    assert (queue.dropped, len(queue)) == (3, 1)
    # The buffer is not full for it.
    with Lines() as lines:
        queue.tick()
    assert lines == []


def test_a_reading_for_which_there_is_no_memory_is_counted():
    class Short:
        def append_float(self, *_):
            raise MemoryError

    queue = make_queue(Time())
    ring, queue._ring = queue._ring, Short()
    try:
        queue.put(0, 21.5)
        raise AssertionError("it was taken")
    except MemoryError:
        pass
    queue._ring = ring
    assert queue.dropped == 1


# What is told


def test_the_log_says_when_readings_begin_to_go_and_when_that_ends():
    device = Device(slots=64)
    with Lines() as lines:
        device.take(60)
        device.tick()
        assert lines == []
        for _ in range(20):
            device.take(10)
            device.tick()
        assert lines == ["W queue: full: readings are dropped (buffer.when_full: oldest)"], lines
        device.deliver()
        assert lines[1:] == ["I queue: has room again; 196 readings were dropped so far"], lines
        device.tick()
        assert len(lines) == 2


def test_the_next_run_is_told_of_all_that_went():
    for when_full in ("oldest", "newest"):
        device = Device(slots=64, when_full=when_full)
        device.take(308)
        with Lines() as lines:
            device.start()
        assert device.queue.lost == 308
        words = "308 readings that were only in RAM are lost (or earlier ones, not yet reported)"
        assert lines[1:] == ["W intake: " + words], lines
        # And so is the one after that, whether or not it took any.
        device.start()
        assert device.queue.lost == 308
        device.take(10)
        device.start()
        assert device.queue.lost == 318


def test_where_there_are_no_reports_the_log_tells_of_each_once():
    time, retained = Time(), Retained()
    for taken, lost in ((80, 0), (0, 80), (70, 0), (5, 70)):
        queue = make_queue(time, slots=64, lost=retained.get())
        intake = Intake(queue, retained, lambda: 0)
        assert queue.lost == lost
        for n in range(taken):
            intake.put(0, n)


def test_what_is_delivered_is_not_lost():
    device = Device(slots=64)
    device.take(50)
    assert device.retained.number == 50
    device.deliver()
    assert device.retained.number == 0


def test_what_a_report_has_told_is_not_told_again():
    device = Device(slots=64)
    device.take(164)
    assert device.retained.number == 164
    device.deliver()
    assert device.retained.number == 100
    device.report()
    device.tick()
    assert device.retained.number == 102
    assert device.deliver()[0][2] == 100
    assert device.retained.number == 0
    # The next run tells of its own.
    device.take(64)
    device.start()
    assert device.queue.lost == 64
    device.report()
    device.tick()
    device.deliver()
    device.start()
    assert device.queue.lost == 0


def test_a_report_that_went_itself_has_told_nothing():
    device = Device(slots=64)
    device.take(164)
    device.report()
    device.tick()
    device.take(200)  # over the report
    device.deliver()
    assert device.retained.number == device.queue.dropped == 302
    device.report()
    device.tick()
    device.deliver()
    assert device.retained.number == 0


def test_a_report_is_not_overtaken_by_the_next_one():
    device = Device(slots=64)
    device.take(164)
    device.deliver()
    device.report()
    for _ in range(5):
        device.tick()
        batch = device.queue.take()
        device.report()
        device.queue.acknowledge(batch)
    device.tick()
    device.queue.release()
    assert device.queue.untold == 0

"""A file system that fails: at every single call, for a while, or because it is full. Nothing
raises, nothing that was on flash changes, and it works again when the file system does.
"""

import os
import sys

from flash import Flash, formatted, mount, umount
from model import T0, Time, known_clock, make_queue, points

HEAP = "16M"
_ENOSPC = 28


class Failing:
    """`open`, the files that it opens, and `os`, of which the n-th call raises."""

    def __init__(self, fail_at=-1, fail_for=1):
        self.calls = 0
        self.fail_at = fail_at
        self.fail_for = fail_for

    def call(self, function, *args):
        self.calls += 1
        if self.fail_at <= self.calls < self.fail_at + self.fail_for:
            raise OSError(5)
        return function(*args)

    def open(self, *args):
        return File(self, self.call(open, *args))

    def __getattr__(self, name):  # as the module os
        function = getattr(os, name)
        if name == "urandom":
            return function
        return lambda *args: self.call(function, *args)


class File:
    def __init__(self, failing, file):
        self.failing = failing
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def close(self):
        try:
            self.failing.call(int)
        finally:
            self.file.close()

    def __getattr__(self, name):
        function = getattr(self.file, name)
        return lambda *args: self.failing.call(function, *args)


def under(failing, work):
    modules = [
        module for name, module in sys.modules.items() if name.startswith("firmware.points.")
    ]
    for module in modules:
        module.open = failing.open
        if hasattr(module, "os"):
            module.os = failing
    log = sys.modules["firmware.base.log"]
    log.print = lambda *args: None
    try:
        return work()
    finally:
        del log.print
        for module in modules:
            del module.open
            if hasattr(module, "os"):
                module.os = os


_places = [0]


def elsewhere():
    """An empty folder, for what comes next in a test."""
    os.chdir(os.getcwd().split("/elsewhere-")[0])
    _places[0] += 1
    name = "elsewhere-%d" % _places[0]
    os.mkdir(name)
    os.chdir(name)


def drain(queue, time, found):
    idle = 0
    while idle < 10:
        batch = queue.take()
        if batch:
            idle = 0
            for prop, t, value in points(batch):
                assert found.get((prop, t), value) == value
                found[prop, t] = value
            queue.acknowledge(batch)
        else:
            idle += 1
            time.ms += 10000
            queue.tick()


def scenario(when_full):
    """Take, spill, restart, deliver; returns (taken, found, what the queues counted)."""
    taken = {}
    found = {}
    counted = 0
    time = Time()
    settings = {"slots": 64, "max_points": 10, "flash_kib": 16, "when_full": when_full}
    for life in range(3):
        clock = known_clock(time, T0 + time.ms)
        queue = make_queue(time, ("a", "b"), clock=clock, **settings)
        for n in range(40 if when_full == "oldest" else 500):
            value = n if n % 7 else "a text"
            queue.put(n % 2, value)
            taken["ab"[n % 2], T0 + time.ms] = value
            time.ms += 1000
            queue.tick()
        if life == 1:
            batch = queue.take()
            if batch:
                for prop, t, value in points(batch):
                    found[prop, t] = value
                queue.acknowledge(batch)
        time.ms += 60000
        queue.tick()
        queue.tick()
        if life < 2:
            queue.flush()
            # What is still in RAM now is lost by the restart, and not by the journal.
            counted += len(queue) - queue.spilled
        else:
            drain(queue, time, found)
            queue.tick()
            counted += len(queue)
        counted += queue.dropped + queue.thinned + queue.damaged
    return taken, found, counted


def fail_everywhere(when_full, fail_for, step):
    failing = Failing()
    taken, found, counted = under(failing, lambda: scenario(when_full))
    assert counted or found == taken
    calls = failing.calls
    for fail_at in range(1, calls, step):
        elsewhere()
        failing = Failing(fail_at, fail_for)
        taken, found, counted = under(failing, lambda: scenario(when_full))
        for key, value in found.items():
            assert taken[key] == value, (fail_at, key)
        missing = len(taken) - len(found)
        assert missing <= counted, (fail_at, missing, counted)
    print("failed at each %d. of %d calls" % (step, calls))


def test_any_single_call_may_fail():
    fail_everywhere("oldest", 1, 1)


def test_any_ten_calls_may_fail():
    fail_everywhere("oldest", 10, 1)


def test_any_single_call_may_fail_while_thinning():
    fail_everywhere("thin", 1, 97)


def test_a_full_file_system_drops_the_oldest_and_goes_on():
    flash = Flash(16, formatted(16))
    mount(flash)
    os.chdir("/flash")
    try:
        time = Time()
        queue = make_queue(time, slots=64, max_points=10, flash_kib=512)
        for n in range(6000):
            queue.put(0, n)
            time.ms += 1000
            if n % 4 == 0:
                queue.tick()
        assert queue.dropped
        assert queue.damaged == 0
        found = {}
        drain(queue, time, found)
        kept = sorted(found.values())
        assert kept[-1] == 5999
        assert len(kept) + queue.dropped == 6000
        assert len(kept) > 2000
    finally:
        os.chdir("/")
        umount()


def test_a_chip_that_fails_for_an_hour_costs_what_the_ring_cannot_hold():
    flash = Flash(32, formatted(32))
    mount(flash)
    os.chdir("/flash")
    try:
        time = Time()
        queue = make_queue(time, slots=64, max_points=10, flash_kib=64)
        for n in range(8000):
            flash.failing = 2000 <= n < 5600
            queue.put(0, n)
            time.ms += 1000
            if n % 4 == 0:
                queue.tick()
        assert 3400 < queue.dropped < 3800
        found = {}
        drain(queue, time, found)
        missing = sorted(set(range(8000)) - set(found.values()))
        assert len(missing) == queue.dropped, (len(missing), missing[0], missing[-1])
        assert set(range(1900)) < set(found.values())
        assert set(range(5700, 8000)) < set(found.values())
    finally:
        os.chdir("/")
        umount()

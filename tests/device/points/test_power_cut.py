"""The power is cut at every single program and erase of a scenario, with the block left as it was,
as it should be, or half done. After each, the firmware's own code mounts, replays and delivers,
and what arrives is compared with a list of what was taken and what was known to be on flash.
"""

import gc
import os
import sys
import time

from firmware.points import journal, journal_thinning
from firmware.times.clock import Clock
from flash import HALF, NEW, OLD, Flash, formatted, mount, umount
from model import T0, Time, known_clock, make_queue, points

HEAP = "16M"
TIMEOUT_S = 100

_BLOCKS = 24


class Device:
    """A device with a flash chip, and the plain list of what it has done."""

    def __init__(self, flash, **settings):
        self.flash = flash
        self.settings = settings
        self.taken = {}  # (property, ms): value
        self.safe = set()  # of those, what must be on flash
        self.delivered = set()
        self.dated = True  # everything on flash
        self.thins = False
        self.count = 0
        self.skew = 0  # ms, of the clock
        self.counter = 5000
        self.queue = None

    def start(self, known=True, survived=False):
        """The firmware starts; on a chip that dies meanwhile it does not."""
        self.time = Time()
        self.clock = Clock(self.time, lambda: self.counter)
        if known:
            self.clock.set(T0 + self.counter + self.skew, 0)
        self.queue = make_queue(
            self.time, ("a", "b"), clock=self.clock, survived=survived, **self.settings
        )

    def run(self, ms):
        self.time.ms += ms
        self.counter += ms

    def put(self, count, texts=True):
        for _ in range(count):
            n = self.count
            self.count += 1
            prop = n % 2
            value = "text number %d" % n if texts and n % 5 == 0 else n
            self.queue.put(prop, value)
            # The counter is at 0 when it is T0, in every run of the scenario.
            self.taken["ab"[prop], T0 + self.counter + self.skew] = value
            self.run(1000)

    def spill(self):
        self.queue.flush()
        if not self.flash.dead:
            self.safe = set(self.taken) - self.delivered

    def deliver(self, feeds):
        for _ in range(feeds):
            batch = self.queue.take()
            if batch is None:
                return
            found = points(batch)
            self.queue.acknowledge(batch)
            self.delivered.update(p[:2] for p in found)
            self.safe -= self.delivered


def spilling(device):
    """Steps: spills, restarts and deliveries of dated readings."""
    device.start()
    device.put(5)
    yield device.spill()
    device.put(5)
    yield device.spill()
    yield remount(device)
    device.start()
    device.put(4)
    yield device.spill()
    yield device.deliver(1)
    yield remount(device)
    device.start()
    yield device.deliver(2)
    device.put(3)
    yield device.spill()
    yield device.deliver(9)
    device.put(3)
    yield device.spill()


def undated(device):
    """Steps: readings before the clock is known, restarts, and then it is known."""
    device.dated = False
    device.start(known=False)
    device.put(4)
    yield device.spill()
    yield remount(device)
    device.start(known=False, survived=True)
    device.put(4)
    yield device.spill()
    device.clock.set(T0 + device.counter, device.time.ms)
    device.queue.tick()
    device.dated = not device.flash.dead
    yield device.deliver(1)
    device.put(2)
    yield device.spill()
    yield remount(device)
    # The clock is not quite the same now; what is on flash keeps its times.
    device.skew = 123
    device.start(known=False, survived=True)
    device.clock.set(T0 + device.counter + device.skew, device.time.ms)
    yield device.deliver(1)
    device.put(2)
    yield device.spill()


def large(device):
    """Steps: enough for several segments."""
    device.start()
    for _ in range(8):
        device.put(45)
        yield device.spill()
    yield device.deliver(20)
    yield remount(device)
    device.start()
    for _ in range(3):
        device.put(45)
        yield device.spill()
    yield device.deliver(14)


def thinning(device):
    """Steps: more than flash has room for, of which only the last one can be cut."""
    device.thins = True
    cut_at = device.flash.cut_at
    device.flash.cut_at = -1
    device.start()
    for _ in range(17):
        device.put(100, texts=False)
        device.queue.flush()
    device.flash.operations = 0
    device.flash.cut_at = cut_at
    device.safe = set(sorted(device.taken, key=lambda key: key[1])[-100:])
    for _ in range(20):
        yield device.queue.tick()
    assert device.queue.thinned or device.flash.dead


def remount(device):
    os.chdir("/")
    umount()
    mount(device.flash)
    os.chdir("/flash")


def run(image, scenario, cut_at, leaves, settings):
    """The scenario, to its end or to the cut; returns the device."""
    # By what is written littlefs decides whether it erases a block: it is the same in every run.
    eras = iter(range(1000, 2000))
    journal.new_era = lambda: next(eras)
    flash = Flash(_BLOCKS, image)
    mount(flash)
    os.chdir("/flash")
    flash.cut_at = cut_at
    flash.cut_leaves = leaves
    device = Device(flash, **settings)
    try:
        for _ in scenario(device):
            if flash.dead:
                break
    except OSError:
        # Only mounting may say so: without a file system there is no firmware.
        if not flash.dead:
            raise
    finally:
        device.operations = flash.operations
        os.chdir("/")
        try:
            umount()
        except OSError:
            pass
    return device


def check(device):
    """Mount what the cut has left, and deliver it all."""
    flash = Flash(_BLOCKS, device.flash.data)
    mount(flash)
    os.chdir("/flash")
    try:
        device.flash = flash
        device.time = Time()
        device.clock = known_clock(device.time, T0 + 100000000)
        queue = make_queue(device.time, ("a", "b"), clock=device.clock, **device.settings)
        found = {}
        while True:
            batch = queue.take()
            if batch is None:
                break
            for prop, t, value in points(batch):
                assert found.get((prop, t), value) == value, "twice with different values"
                found[prop, t] = value
            queue.acknowledge(batch)
        for key, value in found.items():
            assert device.taken.get(key) == value, (key, value, device.taken.get(key))
        missing = device.safe - set(found)
        if device.thins:
            # A reading in 2 s of each property, of which at most every other one may be missing.
            for name in ("a", "b"):
                times = sorted(t for prop, t in found if prop == name)
                gap = max(b - a for a, b in zip(times, times[1:]))
                assert times[0] <= T0 + 6000 and gap <= 8000, (name, gap)
        assert queue.damaged == 0 and queue.dropped == 0
        assert len(queue) == 0
        assert "journal" not in os.listdir() or os.listdir("journal") in ([], ["eras"]), (
            os.listdir("journal")
        )
        # And it works as before.
        queue.put(0, 1)
        queue.flush()
        assert queue.spilled == 1
        return missing, queue.undated
    finally:
        os.chdir("/")
        umount()


class Steady:
    """Eight looks at it take a millisecond: work is cut into the same pieces in each run."""

    looks = 0
    ticks_diff = time.ticks_diff

    @classmethod
    def ticks_ms(cls):
        cls.looks += 1
        return cls.looks >> 3


def every_cut(scenario, leaves, **settings):
    defaults = {"slots": 128, "max_points": 6, "flash_kib": 32}
    defaults.update(settings)
    module = sys.modules["firmware.base.log"]
    module.print = lambda *args: None
    journal.time = journal_thinning.time = Steady
    try:
        image = formatted(_BLOCKS)
        whole = run(image, scenario, -1, OLD, defaults)
        assert check(whole) == (set(), 0)
        operations = whole.operations
        for cut_at in range(1, operations + 1):
            device = run(image, scenario, cut_at, leaves, defaults)
            assert device.flash.dead
            missing, undated_ones = check(device)
            if device.dated:
                assert not missing, (cut_at, missing)
            else:
                assert len(missing) <= undated_ones, (cut_at, missing)
            if not cut_at & 15:
                gc.collect()
    finally:
        del module.print
        journal.time = journal_thinning.time = time
    print("the power was cut at each of %d programs and erases" % operations)


def test_spilling_cut_before_each_operation():
    every_cut(spilling, OLD)


def test_spilling_cut_after_each_operation():
    every_cut(spilling, NEW)


def test_spilling_cut_in_each_operation():
    every_cut(spilling, HALF)


def test_undated_cut_before_each_operation():
    every_cut(undated, OLD)


def test_undated_cut_after_each_operation():
    every_cut(undated, NEW)


def test_undated_cut_in_each_operation():
    every_cut(undated, HALF)


def test_large_cut_before_each_operation():
    every_cut(large, OLD)


def test_large_cut_after_each_operation():
    every_cut(large, NEW)


def test_large_cut_in_each_operation():
    every_cut(large, HALF)


def test_thinning_cut_before_each_operation():
    every_cut(thinning, OLD, flash_kib=24, when_full="thin")


def test_thinning_cut_after_each_operation():
    every_cut(thinning, NEW, flash_kib=24, when_full="thin")


def test_thinning_cut_in_each_operation():
    every_cut(thinning, HALF, flash_kib=24, when_full="thin")

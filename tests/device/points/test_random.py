"""Ten thousand random steps against a plain list: take, batch, acknowledge in any order, fail,
restart, set the clock, fill up, thin. Whatever happens, what arrives is a reading that was taken,
with one millisecond for life; none of a property share one; and what does not arrive is counted.
"""

import gc
import random
import sys

from firmware.times.clock import Clock
from model import T0, Time, make_queue, points

HEAP = "16M"
TIMEOUT_S = 100

_NAMES = ("a", "b", "c")
_VALUES = (20.5, -3.25, 7, 2147483647, True, "on", "a longer text, of many slots", {"x": [1, 2]})


class Walk:
    """A device that does things at random, and the list of what it took."""

    def __init__(self, seed, exact=False, **settings):
        self.exact = exact  # nothing is sent twice, so the count is exact, too
        random.seed(seed)
        self.settings = settings
        self.taken = []  # (name, value): value is unique
        self.arrived = {}  # value: (name, ms)
        self.life = 0
        self.lives = []  # the life that each of them was taken in
        self.epoch = 0  # how often the clock was found to be hours ahead
        self.epochs = []  # the one that each of them was dated in
        self.arrivals = {}  # value: the life it first arrived in
        self.in_flight = []
        self.lost = 0  # by restarts, and counted by queues that are gone
        self.counter = 1000
        self.skew = 0
        self.number = 0
        self.queue = None
        self.time = None
        self.clock = None
        self.spill_failures = 0
        self.start()

    def start(self):
        if self.queue is not None:
            queue = self.queue
            self.lost += queue.dropped + queue.thinned + queue.undated + queue.damaged
            self.lost += queue.rejected
            self.lost += len(queue) - queue.spilled  # what was in RAM
        self.in_flight = []
        self.life += 1
        self.counter += 10  # a start takes its time
        self.time = Time()
        self.clock = Clock(self.time, lambda: self.counter)
        self.queue = make_queue(
            self.time, _NAMES, clock=self.clock, survived=random.random() < 0.7, **self.settings
        )
        if random.random() < 0.5:
            self.clock.set(T0 + self.counter + self.skew, self.time.ms)

    def run(self, ms):
        self.time.ms += ms
        self.counter += ms

    def put(self):
        for _ in range(random.choice((1, 1, 5, 20))):
            prop = random.randrange(3)
            kind = random.choice(_VALUES)
            self.number += 1
            # A number that says which reading this is, in every kind of value.
            if type(kind) is float:
                value = self.number + 0.5
            elif type(kind) is int:
                value = self.number
            elif type(kind) is str:
                value = "%s %d" % (kind, self.number)
            else:
                value = [self.number, kind]
            self.taken.append((_NAMES[prop], value))
            self.lives.append(self.life)
            self.epochs.append(self.epoch)
            self.queue.put(prop, value)
            self.run(random.choice((0, 0, 1, 100, 1000)))

    def take(self):
        batch = self.queue.take(random.choice((None, None, 1, 3)))
        if batch:
            assert len(batch) > 0
            self.in_flight.append((batch, points(batch)))

    def acknowledge(self):
        if self.in_flight:
            batch, found = self.in_flight.pop(random.randrange(len(self.in_flight)))
            self.arrive(found)
            self.queue.acknowledge(batch)

    def arrive(self, found):
        for name, t, value in found:
            number = self.number_of(value)
            assert self.taken[number - 1] == (name, value), (name, value)
            if number in self.arrived:
                assert self.arrived[number] == (name, t), "another millisecond"
            self.arrived[number] = name, t
            self.arrivals.setdefault(number, self.life)

    @staticmethod
    def number_of(value):
        if type(value) is str:
            return int(value.split(" ")[-1])
        return int(value[0]) if type(value) is list else int(value)

    def fail(self):
        # The platform may have got them, and only the acknowledgement was lost.
        for _, found in self.in_flight:
            if random.random() < 0.5 and not self.exact:
                self.arrive(found)
        self.queue.release()
        if random.random() < 0.5 or self.exact:
            self.in_flight = []  # else acknowledgements come too late

    def refuse(self):
        if self.in_flight and not self.exact:
            batch, _ = self.in_flight.pop()
            if batch.points:
                self.queue.refuse(batch)
                self.in_flight = []

    def step_clock(self):
        step = random.choice((-7200000, -1500, -300, 300, 1500, 7200000))
        self.skew += step
        if step < -60000:
            self.epoch += 1
            if not self.clock.known:
                for i in range(len(self.lives)):
                    if self.lives[i] == self.life:
                        self.epochs[i] = self.epoch
        self.clock.set(T0 + self.counter + self.skew, self.time.ms)

    def wait(self):
        self.run(random.choice((1000, 10000, 40000)))
        self.queue.tick()

    def tick(self):
        self.queue.tick()
        assert self.queue.due() in (True, False)

    def flush(self):
        self.queue.flush()

    def drain(self):
        if not self.clock.known:
            self.clock.set(T0 + self.counter + self.skew, self.time.ms)
        self.queue.release()
        self.in_flight = []
        idle = 0
        while True:
            batch = self.queue.take()
            if not batch:
                if not len(self.queue):
                    break
                self.queue.tick()  # thinning is under way
                idle += 1
                assert idle < 1000, "stuck"
                continue
            self.arrive(points(batch))
            self.queue.acknowledge(batch)

    def walk(self, steps):
        choices = (
            [self.put] * 30
            + [self.take] * 12
            + [self.acknowledge] * 10
            + [self.tick] * 10
            + [self.wait] * 4
            + [self.fail] * 4
            + [self.refuse] * 2
            + [self.flush] * 2
            + [self.step_clock]
            + [self.start] * (not self.exact)
        )
        log = sys.modules["firmware.base.log"]
        log.print = lambda *args: None
        try:
            for n in range(steps):
                random.choice(choices)()
                assert len(self.queue) >= 0 and self.queue.dropped >= 0
                if n % 1000 == 999:
                    self.drain()
                if not n & 127:
                    gc.collect()
            self.drain()
        finally:
            del log.print
        queue = self.queue
        lost = self.lost + queue.dropped + queue.thinned + queue.undated + queue.rejected
        missing = len(self.taken) - len(self.arrived)
        print("%d taken, %d missing, %d counted" % (len(self.taken), missing, lost))
        assert queue.damaged == 0
        assert missing == lost if self.exact else missing <= lost, (missing, lost)
        self.check_order()
        return missing, lost

    def check_order(self):
        """In a life, and after what was on flash when it began, times only grow, unless the clock
        was found to be ahead.
        """
        for life in range(1, self.life + 1):
            newest = {}
            for number, (name, t) in self.arrived.items():
                if self.lives[number - 1] < life <= self.arrivals[number]:
                    name = name, self.epochs[number - 1]
                    newest[name] = max(newest.get(name, (-1, 0)), (t, number))
            for number in range(1, len(self.taken) + 1):
                if self.lives[number - 1] == life and number in self.arrived:
                    name, t = self.arrived[number]
                    name = name, self.epochs[number - 1]
                    assert t > newest.get(name, (-1, 0))[0], (life, number, t, newest[name])
                    newest[name] = t, number


def walk(seed, **settings):
    defaults = {"slots": 128, "max_points": 10, "flash_kib": 64}
    defaults.update(settings)
    return Walk(seed, **defaults).walk(2500)


def test_oldest():
    walk(1)


def test_newest():
    walk(2, when_full="newest", flash_kib=16)


def test_thin():
    walk(3, when_full="thin", flash_kib=16)


def test_without_flash():
    walk(4, flash_kib=0)


def test_without_flash_thin():
    walk(5, flash_kib=0, when_full="thin", compact=True)


def test_what_is_missing_is_counted_exactly():
    # Where nothing is dropped that was in flight: when its acknowledgement comes too late, it is
    # counted as dropped, and has arrived.
    walk(10, exact=True, slots=4096, flash_kib=512)
    walk(11, exact=True, slots=1024, flash_kib=0, when_full="newest")

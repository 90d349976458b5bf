"""Memory that runs out between a reading and its acknowledgement, at every single allocation:
nothing is lost or called damaged, no half-made object stays, and the next attempt works.
"""

from firmware.times.clock import Clock
from model import T0, Time, known_clock, points
from shortage import shortages
from spilling import counters, delivered, elsewhere, spilling, values

TIMEOUT_S = 240
HEAP = "1M"
MANY = {"slots": 1024, "flash_kib": 16, "max_points": 100}  # segments of one block


class Device:
    """A queue with readings on flash, and some in RAM: 0, 1, 2, …, or texts of them."""

    def __init__(self, on_flash=0, in_ram=0, restart=False, text="", known=True, **kw):
        elsewhere()
        self.time = Time()
        self.text = text
        self.settings = kw
        self.settings.setdefault("slots", 256)
        self.count = 0
        self.start(known)
        self.put(on_flash)
        self.queue.flush()
        assert self.queue.spilled == on_flash and not self.queue.in_ram
        if restart:
            self.start(known)
        self.put(in_ram)

    def start(self, known=True):
        clock = Clock(self.time, self.time)
        if known:
            clock.set(T0 + self.time.ms, self.time.ms)
        self.queue = spilling(self.time, clock=clock, survived=True, **self.settings)
        self.clock = clock

    def know(self):
        self.clock.set(T0 + self.time.ms, self.time.ms)

    def value(self, n):
        return self.text + str(n) if self.text else n

    def put(self, count):
        for n in range(self.count, self.count + count):
            self.queue.put(0, self.value(n))
            self.time.ms += 1000
        self.count += count

    def rest(self):
        """All that is delivered when there is memory again."""
        if not self.clock.known:
            self.know()
        self.queue.release()
        found = delivered(self.queue)
        for _ in range(5):
            self.time.ms += 11000
            self.queue.tick()
            found += delivered(self.queue)
        return found

    def whole(self, n):
        """Everything is delivered, with its own time, and nothing is called damaged."""
        found = self.rest()
        wanted = [self.value(i) for i in range(self.count)]
        assert sorted(set(values(found))) == sorted(wanted), (n, values(found))
        for _, t, value in found:
            i = int(value[len(self.text) :]) if self.text else value
            assert t == T0 + 1000 * i, (n, t - T0, value)
        assert not counters(self.queue), (n, counters(self.queue))
        assert not len(self.queue), n

    def whole_again(self, n):
        """The same after a restart, before which there was memory to spill."""
        self.queue.flush()
        self.start()
        self.whole(n)


def everywhere(begin, operation, least, step=1):
    """It fails often enough, and never does harm, neither to what goes on nor to a restart."""

    def check(device, n):
        (device.whole_again if n and n & 1 else device.whole)(n)

    failures = shortages(begin, operation, check, step)
    import time; print(time.ticks_ms(), "failed %d times" % failures)
    assert failures >= least, failures


def feeds(device):
    """Two feeds, from their points to their acknowledgement."""
    found = []
    for _ in range(2):
        batch = device.queue.take()
        for piece in batch:
            found.append(len(piece))
        device.queue.acknowledge(batch)
    # What was acknowledged does not come again.


def test_readings_on_their_way_from_flash():
    def read(device):
        device.queue.take()
        device.queue.take()

    everywhere(lambda: Device(20), read, 20)
    everywhere(lambda: Device(20, restart=True), read, 20)
    everywhere(lambda: Device(10, text="a text of " * 8), read, 20)


def test_a_segment_after_another_on_their_way_from_flash():
    def read(device):
        for _ in range(5):
            device.queue.take()

    everywhere(lambda: Device(500, **MANY), read, 30)


def test_spilling_into_a_new_segment():
    everywhere(lambda: Device(0, 20), lambda device: device.queue.flush(), 30)
    everywhere(lambda: Device(0, 20, text="a text of "), lambda device: device.queue.flush(), 30)


def test_spilling_behind_what_is_on_flash():
    everywhere(lambda: Device(20, 20), lambda device: device.queue.flush(), 3)
    everywhere(lambda: Device(20, 20, restart=True), lambda device: device.queue.flush(), 3)


def test_spilling_into_several_segments():
    everywhere(lambda: Device(300, 500, **MANY), lambda device: device.queue.flush(), 20)


def test_spilling_when_it_is_time():
    def tick(device):
        device.time.ms += 30000
        device.queue.tick()
        assert device.queue.spilled == 20

    def begin():
        device = Device(0, 20)
        device.queue.tick()
        return device

    everywhere(begin, tick, 30)


def test_the_start():
    everywhere(lambda: Device(20), lambda device: device.start(), 60, 5)
    everywhere(lambda: Device(20, known=False), lambda device: device.start(False), 60, 5)


def test_undated_readings_are_dated():
    def undated(on_flash, in_ram, restart):
        device = Device(on_flash, in_ram, restart, known=False)
        device.know()
        return device

    def take(device):
        device.queue.take()

    everywhere(lambda: undated(20, 0, False), take, 20)
    everywhere(lambda: undated(20, 0, True), take, 20)
    everywhere(lambda: undated(0, 20, False), take, 3)
    everywhere(lambda: undated(20, 20, True), take, 20)

"""Memory that runs out between a reading and its acknowledgement, at every single allocation:
nothing is lost or called damaged, no half-made object stays, and the next attempt works.
"""

from firmware.times.clock import Clock
from model import T0, Time, points
from shortage import short, shortages
from spilling import counters, elsewhere, spilling

TIMEOUT_S = 240
HEAP = "1M"
EVERY_MS = 300000
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
        if on_flash:
            assert self.queue._backlog._reads()  # what that needs is loaded
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
        for _ in range(count):
            self.queue.put(0, self.value(self.count))
            self.count += 1
            self.time.ms += EVERY_MS

    def rest(self):
        """Generator: every point that is delivered when there is memory again."""
        if not self.clock.known:
            self.know()
        queue = self.queue
        queue.release()
        for _ in range(5):
            while True:
                feed = queue.take()
                if not feed:
                    break
                for point in points(feed):
                    yield point
                queue.acknowledge(feed)
            self.time.ms += 11000
            queue.tick()

    def whole(self, n, late_ms=0, dropped=0):
        """Everything is delivered, with its own time, and nothing is called damaged, nor more
        dropped than so many.
        """
        seen = set()
        for _, t, value in self.rest():
            i = int(value[len(self.text) :]) if self.text else value
            assert 0 <= t - T0 - EVERY_MS * i <= late_ms, (n, t - T0, value)
            seen.add(i)
        assert seen == set(range(self.count)), (n, seen)
        gone = counters(self.queue)
        assert gone == ({"dropped": dropped} if dropped else {}), (n, gone)
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
    print("failed %d times" % failures)
    assert failures >= least, failures


def flush(device):
    device.queue.flush()


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

    everywhere(lambda: Device(500, **MANY), read, 30, 7)


def test_what_reads_the_journal_waits_for_the_memory_that_it_takes():
    """Meanwhile what is in RAM goes."""
    device = Device()
    device.put(20)
    device.queue.flush()
    device.put(5)
    queue = device.queue
    for blocks in range(0, 1500, 100):
        assert queue._backlog.waiting(100), blocks
        assert short(blocks, queue._backlog.take, 100, False, 1 << 48) is None, blocks
        assert not queue._backlog.replay, blocks
        assert queue.due() and queue.take().points == 5, blocks
        queue.release()
        device.time.ms += 1999
        assert not queue._backlog.waiting(100), blocks
        device.time.ms += 1
    device.whole(0)


def test_spilling_into_a_new_segment():
    everywhere(lambda: Device(0, 20), flush, 30)
    everywhere(lambda: Device(0, 20, text="a text of "), flush, 30)


def test_spilling_behind_what_is_on_flash():
    everywhere(lambda: Device(20, 20), flush, 3)
    everywhere(lambda: Device(20, 20, restart=True), flush, 3)


def test_spilling_into_several_segments():
    everywhere(lambda: Device(300, 500, **MANY), flush, 20, 2)


def test_spilling_when_it_is_time():
    def tick(device):
        device.time.ms += 30000
        for _ in range(20):
            device.queue.tick()
        assert device.queue.spilled == 12

    def begin():
        device = Device(0, 12)
        device.queue.tick()
        return device

    everywhere(begin, tick, 30, 2)


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


def test_a_feed_from_its_points_to_its_acknowledgement():
    found = []

    def deliver(device):
        """Two feeds, the second one acknowledged first; then one that did not arrive."""
        first, second = device.queue.take(), device.queue.take()
        for feed in (first, second):
            document = bytearray(feed.size)
            at = 0
            for piece in feed:
                document[at : at + len(piece)] = piece
                at += len(piece)
            found.append((device, document))
        device.queue.acknowledge(second)
        device.queue.acknowledge(first)
        for _ in device.queue.take():
            pass

    def check(device, n):
        """What is not acknowledged comes again; a document that was begun is not read."""
        seen = {}
        for other, document in found:
            if other is device and document[-1] == 0x7D:
                seen.update({value: t for _, t, value in points(document)})
        found.clear()
        if n is None:
            assert len(seen) == 20
        for _, t, value in device.rest():
            assert seen.get(value, t) == t
            seen[value] = t
        assert seen == {i: T0 + EVERY_MS * i for i in range(30)}, (n, seen)
        assert not counters(device.queue) and not len(device.queue)

    for compact in (False, True):
        assert shortages(lambda c=compact: Device(0, 30, compact=c), deliver, check) >= 10
    assert shortages(lambda: Device(30), deliver, check) >= 40


def in_or_counted(begin):
    """A reading comes where memory is short, and once. Returns how often it was dropped."""
    told = []

    def put(device):
        device.queue.put(0, told[0])

    def once():
        device = begin()
        told[:] = (device.value(device.count),)
        return device

    def check(device, n):
        dropped = device.queue.dropped
        assert dropped <= (n is not None), n
        if not dropped:
            device.count += 1
            device.time.ms += EVERY_MS
        device.put(1)
        # No two readings have the same time, not even one that is not in.
        device.whole(n, 1, dropped)
        gone.append(dropped)

    gone = []
    assert shortages(once, put, check) == sum(gone)
    return sum(gone)


def test_a_reading_is_in_the_buffer_or_it_is_counted():
    """Never both, and never neither."""
    for text in ("", "a text of "):
        for known in (True, False):
            in_or_counted(lambda t=text, k=known: Device(0, 3, text=t, known=k, max_points=100))


def test_a_reading_that_dates_those_before_it():
    def begin():
        device = Device(20, 3, known=False)
        device.know()
        return device

    assert in_or_counted(begin) >= 10


def test_a_feed_that_is_refused():
    def refuse(device):
        queue = device.queue
        queue.refuse(queue.take(4))
        queue.refuse(queue.take())
        queue.refuse(queue.take())

    def check(device, n):
        """No other point but the first one may be set aside."""
        found = {value for _, _, value in device.rest()}
        gone = device.queue.rejected
        assert n is not None or gone == 1
        assert found == set(range(gone, 20)), (n, gone, found)

    for on_flash in (0, 20):
        assert shortages(lambda f=on_flash: Device(f, 20 - f), refuse, check) >= 10


class Full(Device):
    """A flash without room, and more readings in RAM."""

    def __init__(self, when_full):
        super().__init__(0, 0, when_full=when_full, **MANY)
        queue = self.queue
        while queue.spilled < 1000:
            self.put(200)
            queue.flush()
        self.put(500)

    def counted(self, n):
        """Each reading is delivered, or counted as it should be."""
        found = {value for _, _, value in self.rest()}
        gone = counters(self.queue)
        missing = self.count - len(found)
        assert missing == sum(gone.values()), (n, missing, gone)
        assert "damaged" not in gone, (n, gone)


def tick(device):
    for _ in range(30):
        device.time.ms += 30000
        device.queue.tick()


def test_the_oldest_is_dropped():
    assert shortages(lambda: Full("oldest"), tick, Full.counted, 2) >= 20


def test_flash_is_thinned():
    # All of it takes more than the heap, as long as the collector is off.
    assert shortages(lambda: Full("thin"), tick, Full.counted, 37, 1500) >= 40

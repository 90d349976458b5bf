"""One sensor's task: its grid, who gets a reading in which order, and readings that fail."""

import asyncio
import gc
import sys

from firmware import sensors
from firmware.base import uptime
from firmware.points.intake import Intake
from firmware.sensors.sampler import Channel, Sampler, samplers
from firmware.times.clock import Clock
from model import make_queue
from shortage import shortages


class Time:
    """The uptime, which passes only while everybody sleeps."""

    def __init__(self):
        self.now_ms = 1000
        self.slept = []
        self._real = uptime.ms, asyncio.sleep_ms

    def __enter__(self):
        uptime.ms = lambda: self.now_ms
        asyncio.sleep_ms = self._sleep_ms
        return self

    def __exit__(self, *exception):
        uptime.ms, asyncio.sleep_ms = self._real

    async def _sleep_ms(self, ms):
        self.slept.append(ms)
        self.now_ms += ms
        await self._real[1](0)


class Scripted:
    """Gives what it was told to give, one at a time; then its test ends."""

    def __init__(self, values, wait_ms=0, time=None, slow_ms=0):
        self._values = list(values)
        self._wait_ms = wait_ms
        self._time = time
        self._slow_ms = slow_ms

    def start(self):
        if not self._values:
            raise asyncio.CancelledError
        return self._wait_ms

    def read(self):
        pass

    def value(self, n):
        value = self._values.pop(0)
        if self._time:
            self._time.now_ms += self._slow_ms
        if isinstance(value, Exception):
            raise value
        return value


def entry(prop, **keys):
    spec = {"prop": prop, "driver": "scripted", "send": "feed", "offset": 0, "filter": "none"}
    spec.update(keys)
    return spec


class Module:
    def __init__(self, make):
        self.Driver = make


class Bench:
    """A sampler of a scripted sensor; `events`: what it did, in its order."""

    def __init__(self, make, listeners=1, offer=None, every_s=5, props=("p",), **keys):
        self.events = []
        self._make = make
        listeners = tuple([self._listener(n) for n in range(listeners)])
        offer = offer and (lambda *reading, take=offer: self._offer(take, reading))
        specs = [entry(prop, every_s=every_s, **keys) for prop in props]
        channels = [Channel(spec, 3 + n, listeners, offer) for n, spec in enumerate(specs)]
        self.sampler = Sampler(
            specs,
            channels,
            intake=self,
            failed=lambda name, error: self.events.append(("failed", name, str(error))),
        )
        self.full = False
        self.lines = []

    def _listener(self, number):
        return lambda value, now_ms: self.events.append(("heard", number, value, now_ms))

    def put(self, index, value):
        if self.full:
            raise ValueError("it does not fit")
        self.events.append(("put", index, value))

    def retain(self):
        self.events.append(("retained",))

    def _offer(self, offer, reading):
        self.events.append(("offered",) + reading)
        return offer(reading)

    async def run(self):
        log = sys.modules["firmware.base.log"]
        kept, sensors.driver = sensors.driver, lambda name: Module(self._make)
        log.print = self.lines.append
        try:
            await self.sampler.run()
        except asyncio.CancelledError:
            pass
        finally:
            sensors.driver = kept
            del log.print
        return self.events


async def test_a_reading_goes_to_every_listener_before_the_buffer_has_it():
    with Time():
        bench = Bench(lambda spec: Scripted([21.5]), listeners=2)
        assert await bench.run() == [
            ("heard", 0, 21.5, 1000),
            ("heard", 1, 21.5, 1000),
            ("put", 3, 21.5),
        ]


async def test_what_the_buffer_makes_of_it_does_not_concern_the_listeners():
    with Time():
        bench = Bench(lambda spec: Scripted([21.5, 21.6]))
        bench.full = True
        events = await bench.run()
        assert [event[0] for event in events] == ["heard", "failed", "heard", "failed"], events
        assert events[1] == ("failed", "p", "it does not fit")


async def test_what_can_go_at_once_is_not_buffered():
    for taken in (True, False):
        with Time():
            bench = Bench(lambda spec: Scripted([7]), offer=lambda reading, t=taken: t)
            events = await bench.run()
            assert events[:2] == [("heard", 0, 7, 1000), ("offered", 3, "p", 7)]
            assert events[2:] == [("retained",) if taken else ("put", 3, 7)]


async def test_a_sensor_that_needs_time_is_waited_for_and_the_grid_stays():
    with Time() as time:
        bench = Bench(lambda spec: Scripted([1, 2, 3], wait_ms=750))
        heard = [event[3] for event in await bench.run() if event[0] == "heard"]
        assert heard == [1750, 6750, 11750], heard
        assert time.slept[:4] == [750, 4250, 750, 4250]
        assert bench.sampler.alive_ms == 11750


async def test_readings_that_could_not_be_taken_in_time_are_left_out_and_the_grid_stays():
    with Time() as time:
        bench = Bench(lambda spec: Scripted([1, 2, 3], time=time, slow_ms=12000))
        heard = [event[3] for event in await bench.run() if event[0] == "heard"]
        # Due at 1000, 6000, 11000, 16000, …; each is taken 12 s late.
        assert heard == [13000, 28000, 43000], heard


async def test_a_reading_that_fails_is_told_once_and_so_is_that_it_reads_again():
    broken = OSError("it does not answer")
    with Time():
        values = [1, broken, broken, OSError("it is shorted"), OSError(), 2, 3]
        bench = Bench(lambda spec: Scripted(values))
        events = await bench.run()
        assert len([event for event in events if event[0] == "failed"]) == 4
        assert [event[2] for event in events if event[0] == "put"] == [1, 2, 3]
        assert [line[13:] for line in bench.lines] == [
            "E sampler p: no reading: it does not answer",
            "E sampler p: no reading: it is shorted",
            "E sampler p: no reading: OSError",
            "I sampler p: reads again",
        ], bench.lines


async def test_a_reading_that_the_buffer_does_not_take_is_called_what_it_is():
    with Time():
        bench = Bench(lambda spec: Scripted(["too long", OSError("it does not answer"), "x"]))
        bench.full = True
        await bench.run()
        assert [line[13:] for line in bench.lines] == [
            "E sampler p: a reading is lost: it does not fit",
            "E sampler p: no reading: it does not answer",
            "E sampler p: a reading is lost: it does not fit",
        ], bench.lines


async def test_a_reading_that_cannot_be_sent_for_lack_of_memory_goes_to_the_buffer():
    def offer(reading):
        raise MemoryError

    with Time():
        bench = Bench(lambda spec: Scripted([7]), offer=offer)
        events = await bench.run()
        assert events[1:] == [("offered", 3, "p", 7), ("put", 3, 7)], events


async def test_a_sensor_that_cannot_be_made_is_made_at_a_later_reading():
    made = []

    def make(specs):
        assert specs[0]["driver"] == "scripted"
        made.append(specs)
        if len(made) < 3:
            raise OSError("no bus")
        return Scripted([5])

    with Time():
        bench = Bench(make)
        assert [event for event in await bench.run() if event[0] == "put"] == [("put", 3, 5)]
        assert len(made) == 3


class Two(Scripted):
    """A chip with two quantities: each reading is a pair."""

    def read(self):
        self.pair = super().value(0)

    def value(self, n):
        if isinstance(self.pair[n], Exception):
            raise self.pair[n]
        return self.pair[n]


async def test_a_chip_is_read_once_for_all_its_properties():
    with Time():
        bench = Bench(lambda specs: Two([(1, 2), (3, 4)]), props=("p", "q"), listeners=0)
        assert await bench.run() == [("put", 3, 1), ("put", 4, 2), ("put", 3, 3), ("put", 4, 4)]


async def test_what_fails_of_one_property_does_not_concern_the_other():
    with Time():
        pairs = [(OSError("no p"), 2), (3, OSError("no q")), OSError("all of it"), (5, 6)]
        bench = Bench(lambda specs: Two(pairs), props=("p", "q"), listeners=0)
        events = await bench.run()
        assert [event[:2] for event in events] == [
            ("failed", "p"),
            ("put", 4),
            ("put", 3),
            ("failed", "q"),
            ("failed", "p"),
            ("failed", "q"),
            ("put", 3),
            ("put", 4),
        ], events


async def test_an_offset_is_added_but_not_to_true_and_false():
    with Time():
        bench = Bench(lambda specs: Scripted([20, 20.5, True]), listeners=1, offset=-0.5)
        events = await bench.run()
        assert [event[2] for event in events if event[0] == "put"] == [19.5, 20.0, True]
        assert [event[2] for event in events if event[0] == "heard"] == [19.5, 20.0, True]


async def test_a_median_leaves_an_outlier_out():
    with Time():
        values = [20, 21, 20, 24, 20, 16, 21, 22]
        bench = Bench(lambda specs: Scripted(values), listeners=0, filter="median")
        taken = [event[2] for event in await bench.run()]
        assert taken == [20, 21, 20, 21, 20, 20, 20, 21], taken


class Switch(Scripted):
    """Changes at certain looks."""

    def __init__(self, values, changes):
        super().__init__(values)
        self.changes = changes
        self.looks = 0

    def changed(self):
        self.looks += 1
        return self.looks in self.changes


async def test_a_change_is_read_at_once_and_the_grid_stays():
    Module.POLL_MS = 50
    try:
        with Time():
            bench = Bench(lambda specs: Switch([0, 1, 0, 1], (3, 4)))
            heard = [event[3] for event in await bench.run() if event[0] == "heard"]
            assert heard == [1000, 1150, 1200, 6000], heard
    finally:
        del Module.POLL_MS


def test_each_chip_has_a_sampler_and_each_property_its_listeners():
    specs = [
        entry("a", driver="sht4x", sda=1, scl=2, address="0x44", every_s=7),
        entry("b", driver="rssi", every_s=9, send="value"),
        entry("c", driver="sht4x", sda=1, scl=2, address="0x44", every_s=7),
    ]
    made = list(samplers(specs, {"c": (len,)}, None, None, "offer"))
    assert [(sampler.name, sampler.every_ms) for sampler in made] == [("a", 7000), ("b", 9000)]


class Retained:
    def get(self):
        return 0

    def set(self, number):
        pass


class Counting:
    """Notes what is allocated between two readings."""

    def __init__(self):
        self.raw = 320
        self.before = 0
        self.used = []

    def start(self):
        if self.before:
            self.used.append(gc.mem_alloc() - self.before)
        if len(self.used) == 20:
            raise asyncio.CancelledError
        self.before = gc.mem_alloc()
        return 0

    def read(self):
        pass

    def value(self, n):
        self.raw += 1
        return self.raw / 16


async def test_a_period_allocates_nothing_but_the_reading():
    """From one reading to the next: listeners, buffer and sleep. The first one makes the log."""
    clock = Clock()
    clock.set(1795389431178, 0)
    queue = make_queue(None, ("p",), clock=clock, slots=256, max_points=100)
    heard = []
    sensor = Counting()
    kept, sensors.driver = sensors.driver, lambda name: Module(lambda spec: sensor)
    spec = entry("p", every_s=0.001)
    channel = Channel(spec, 0, (lambda value, now_ms: heard.clear(),))
    sampler = Sampler([spec], [channel], Intake(queue, Retained(), lambda: 0), None)
    gc.collect()
    gc.disable()
    try:
        await sampler.run()
    except asyncio.CancelledError:
        pass
    finally:
        gc.enable()
        sensors.driver = kept
    assert len(queue) == 20, len(queue)
    # Where small integers have 31 bits, milliseconds since 1970 are objects of two blocks each,
    # and so is whatever is computed with them: the time; the first one that is free, of two halves
    # and their sum (3); the next one, and its two halves (3); the distance from the time base.
    most = 32 if sys.maxsize > 1 << 32 else 16 + 8 * 32
    assert max(sensor.used[1:]) <= most, sensor.used


def test_a_driver_that_memory_was_short_for_is_made_by_the_next_reading():
    keys = {"start": 18, "outside": 5, "heater": 25, "tau_s": 10800, "speed": 60, "every_s": 5}
    keys["world"] = None

    def begin():
        (sampler,) = samplers([entry("p", driver="room", **keys)], {}, None, None, None)
        del sys.modules["firmware.sensors.room"]
        return sampler

    def check(sampler, n):
        if n is not None and sampler._chip is None:
            sampler._make()
        assert sampler._chip.value(0) >= 5, n

    begin()._make()
    assert shortages(begin, Sampler._make, check) >= 20

"""Tasks that die, stand still or run out of memory, and when the device is restarted for it."""

import asyncio
import time

from firmware.base import uptime
from firmware.supervision.loop_meter import PauseMeter
from firmware.supervision.supervisor import Supervisor


class Dog:
    def __init__(self):
        self.fed = 0
        self.timeout_ms = None

    def feed(self):
        self.fed += 1


class Bench:
    """A supervisor whose time passes a thousand times as fast, but for waits below a second."""

    SPEED = 1000

    def __init__(self):
        self.dog = Dog()
        self.spills = 0
        self.safes = 0
        self.supervisor = Supervisor(self._watchdog, self._spill, self._safe)
        self._real = uptime.ms, asyncio.sleep_ms
        self._began = time.ticks_ms()
        uptime.ms = lambda: self.SPEED * time.ticks_diff(time.ticks_ms(), self._began)
        asyncio.sleep_ms = lambda ms: self._real[1](ms // self.SPEED if ms >= self.SPEED else ms)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        uptime.ms, asyncio.sleep_ms = self._real

    def _watchdog(self, timeout_ms):
        self.dog.timeout_ms = timeout_ms
        return self.dog

    def _spill(self):
        self.spills += 1

    def _safe(self):
        self.safes += 1

    async def run(self, seconds):
        """Let so many seconds pass, or fewer where it ends; return why it ended."""
        running = asyncio.create_task(self.supervisor.run())
        end = uptime.ms() + 1000 * seconds
        while uptime.ms() < end and not running.done():
            await self._real[1](1)
        if running.done():
            return await running
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass
        return None


async def steady(task):
    while True:
        task.alive_ms = uptime.ms()
        await asyncio.sleep_ms(1000)


async def test_a_task_that_dies_is_started_again_and_counted():
    with Bench() as bench:
        starts = []

        async def mortal(task):
            starts.append(uptime.ms())
            await asyncio.sleep_ms(1000)
            raise OSError("it broke")

        bench.supervisor.add("mortal", mortal)
        bench.supervisor.add("steady", steady, 10000)
        assert await bench.run(500) is None
        assert len(starts) > 5
        assert len(starts) - 1 <= bench.supervisor.restarts <= len(starts)
        assert all(after - before >= 5000 for before, after in zip(starts, starts[1:])), starts
        assert bench.dog.timeout_ms == 30000 and bench.dog.fed > 5
        assert bench.safes == 1, "only a dead regulation, and the end, concern the relay"


async def test_the_relay_is_made_safe_when_the_regulation_dies():
    with Bench() as bench:

        async def regulation(task):
            raise ValueError("it broke")

        bench.supervisor.add("regulation", regulation, 10000)
        await bench.run(500)
        assert bench.safes > 1  # and once at the end


async def test_a_task_that_stands_still_is_ended_and_started_anew():
    with Bench() as bench:
        starts, closed = [], []

        async def stuck(task):
            starts.append(uptime.ms())
            try:
                await asyncio.sleep_ms(1 << 28)
            finally:
                closed.append(True)

        bench.supervisor.add("stuck", stuck, 20000)
        assert await bench.run(500) is None
        assert len(starts) >= 3 and len(closed) >= len(starts) - 1
        assert all(after - before >= 25000 for before, after in zip(starts, starts[1:])), starts


async def test_a_regulation_that_stands_still_leaves_no_relay_on():
    for end in (asyncio.sleep_ms, None):
        with Bench() as bench:

            async def regulate(task, end=end):
                if end is None:
                    raise asyncio.CancelledError  # not the supervisor's
                await end(1 << 28)

            bench.supervisor.add("regulation", regulate, 10000)
            bench.supervisor.add("steady", steady, 10000)
            await bench.run(1000)
            assert bench.safes > 1  # and once at the end


async def test_the_watchdog_starves_while_a_task_that_cannot_be_cancelled_stands_still():
    with Bench() as bench:

        async def stubborn(task):
            while True:
                try:
                    await asyncio.sleep_ms(1000)
                except asyncio.CancelledError:
                    pass

        supervisor = bench.supervisor
        supervisor.add("stubborn", stubborn, 5000)
        looks = []
        look = supervisor._look
        supervisor._look = lambda now: looks.append(look(now)) or looks[-1]
        await bench.run(500)
        assert False in looks and bench.dog.fed == sum(looks)


async def test_what_holds_up_the_whole_loop_is_not_blamed_on_a_task():
    with Bench() as bench:
        bench.supervisor.add("steady", steady, 20000)

        async def hold(task):
            await asyncio.sleep_ms(5000)
            time.sleep_ms(60)  # a minute
            await asyncio.sleep_ms(1 << 28)

        bench.supervisor.add("hold", hold)
        await bench.run(120)
        assert bench.supervisor.restarts == 0


async def test_a_task_that_keeps_dying_restarts_the_device_but_not_in_its_first_ten_minutes():
    with Bench() as bench:
        deaths = []

        async def mortal(task):
            deaths.append(uptime.ms())
            raise OSError("it broke")

        bench.supervisor.add("mortal", mortal)
        assert await bench.run(5000) == "failure"
        assert len(deaths) > 5 and deaths[-1] >= 590000, deaths


async def test_deaths_that_are_far_apart_restart_nothing():
    with Bench() as bench:

        async def mortal(task):
            await asyncio.sleep_ms(650000)
            raise OSError("it broke")

        bench.supervisor.add("mortal", mortal)
        assert await bench.run(6000) is None
        assert bench.supervisor.restarts > 5


async def test_out_of_memory_spills_then_builds_the_link_anew_and_then_restarts():
    with Bench() as bench:
        told = []

        async def link(task):
            told.append("link")
            try:
                while True:
                    task.alive_ms = uptime.ms()
                    await asyncio.sleep_ms(1000)
            finally:
                told.append("closed")

        async def hungry(task):
            await asyncio.sleep_ms(700000)
            while True:
                told.append(bench.spills)
                bench.supervisor.failed(task, MemoryError("no"))
                await asyncio.sleep_ms(11000)

        bench.supervisor.add("link", link, 180000)
        bench.supervisor.add("hungry", hungry)
        assert await bench.run(2000) == "memory"
        assert told == ["link", 0, 1, "closed", "link", 1, "closed"], told


async def test_a_burst_of_memory_errors_is_one():
    with Bench() as bench:

        async def hungry(task):
            for _ in range(100):
                bench.supervisor.failed(task, MemoryError("no"))
            await asyncio.sleep_ms(1 << 28)

        bench.supervisor.add("hungry", hungry)
        assert await bench.run(500) is None
        assert bench.spills == 1 and bench.supervisor.restarts == 0


async def test_a_task_that_dies_of_memory_spills_and_comes_back():
    with Bench() as bench:
        starts = []

        async def link(task):
            starts.append(bench.spills)
            if len(starts) == 1:
                raise MemoryError("no")
            await steady(task)

        bench.supervisor.add("link", link, 180000)
        assert await bench.run(500) is None
        assert starts == [0, 1]


async def test_a_restart_may_be_put_off_but_not_one_that_is_asked_for_meanwhile():
    for first_ms, second_ms, earliest_ms in (
        (600000, None, 600000),
        (600000, 900000, 600000),
        (4000000, 300000, 300000),
        (4000000, 0, 100000),
    ):
        with Bench() as bench:

            async def asks(task, bench=bench, first_ms=first_ms, second_ms=second_ms):
                bench.supervisor.restart("command", first_ms)
                await asyncio.sleep_ms(100000)
                if second_ms is not None:
                    bench.supervisor.restart("memory", second_ms)
                await asyncio.Event().wait()

            bench.supervisor.add("asks", asks)
            assert await bench.run(6000) == "command"
            assert earliest_ms <= uptime.ms() < 4000000, (first_ms, second_ms)


async def test_the_first_reason_for_a_restart_is_the_one_that_is_told():
    with Bench() as bench:

        async def hungry(task):
            await asyncio.sleep_ms(700000 if not bench.supervisor.restarts else 0)
            raise MemoryError("no")

        bench.supervisor.add("link", hungry)
        # Its fifth death comes with its third lack of memory.
        assert await bench.run(2000) == "memory"


async def test_other_errors_concern_nobody_else():
    with Bench() as bench:
        task = bench.supervisor.add("steady", steady)
        bench.supervisor.failed(task, OSError("no"))
        assert bench.spills == 0


async def test_a_restart_that_is_asked_for_ends_all_tasks_first():
    with Bench() as bench:
        closed = []

        async def holder(task):
            try:
                await asyncio.sleep_ms(1 << 28)
            finally:
                await asyncio.sleep_ms(0)
                closed.append(bench.safes)

        bench.supervisor.add("holder", holder)

        async def asks(task):
            bench.supervisor.restart("command")
            await asyncio.sleep_ms(1 << 28)

        bench.supervisor.add("asks", asks)
        assert await bench.run(5000) == "command"
        assert closed == [1], "the relay is off before anything else"


def test_a_pause_is_the_longest_step_of_any_task():
    meter = PauseMeter()

    async def main():
        await asyncio.sleep_ms(5)
        meter.take()
        time.sleep_ms(30)
        await asyncio.sleep_ms(1000)  # idle is no pause
        return meter.take()

    asyncio.new_event_loop()
    meter.install()
    longest_ms = asyncio.run(main())
    assert 30 <= longest_ms < 1000, longest_ms
    asyncio.new_event_loop()

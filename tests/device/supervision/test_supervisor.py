"""Tasks that die, stand still or run out of memory, and when the device is restarted for it."""

import asyncio
import sys
import time

from firmware.base import uptime
from firmware.supervision.supervisor import Supervisor


class Dog:
    def __init__(self):
        self.fed = 0
        self.timeout_ms = None

    def feed(self):
        self.fed += 1


class Alive:
    """What a task shows of itself."""

    alive_ms = 0


class Board:
    def __init__(self, cause):
        self.reset_cause = lambda: cause


class Bench:
    """A supervisor whose time passes a thousand times as fast, but for waits below a second."""

    SPEED = 1000

    def __init__(self, rests=None, cause="power-on"):
        """`rests`: as the supervisor's; `cause`: of this start."""
        self.dog = Dog()
        self.spills = 0
        self.safes = 0
        self._module = sys.modules["firmware.supervision.supervisor"]
        self._board = self._module.board
        self._module.board = Board(cause)
        self.supervisor = Supervisor(self._watchdog, self._spill, self._safe, rests)
        self._real = uptime.ms, asyncio.sleep_ms
        self._began = time.ticks_ms()
        uptime.ms = lambda: self.SPEED * time.ticks_diff(time.ticks_ms(), self._began)
        asyncio.sleep_ms = lambda ms: self._real[1](ms // self.SPEED if ms >= self.SPEED else ms)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        uptime.ms, asyncio.sleep_ms = self._real
        self._module.board = self._board

    def _watchdog(self, timeout_ms):
        self.dog.timeout_ms = timeout_ms
        return self.dog

    def _spill(self):
        self.spills += 1

    def _safe(self):
        self.safes += 1

    def add(self, name, task, silence_ms=0):
        """`task(alive)`: a coroutine function."""
        alive = Alive()
        self.supervisor.add(name, lambda: task(alive), silence_ms, alive)

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


async def steady(alive):
    while True:
        alive.alive_ms = uptime.ms()
        await asyncio.sleep_ms(1000)


async def test_a_task_that_dies_is_started_again_and_counted():
    with Bench() as bench:
        starts = []

        async def mortal(alive):
            starts.append(uptime.ms())
            await asyncio.sleep_ms(1000)
            raise OSError("it broke")

        bench.add("mortal", mortal)
        bench.add("steady", steady, 10000)
        assert await bench.run(500) is None
        assert len(starts) > 5
        assert len(starts) - 1 <= bench.supervisor.restarts <= len(starts)
        assert all(after - before >= 5000 for before, after in zip(starts, starts[1:])), starts
        assert bench.dog.timeout_ms == 30000 and bench.dog.fed > 5
        assert bench.safes == 1, "only a dead regulation, and the end, concern the relay"


async def test_the_relay_is_made_safe_when_the_regulation_dies():
    with Bench() as bench:

        async def regulation(alive):
            raise ValueError("it broke")

        bench.add("regulation", regulation, 10000)
        await bench.run(500)
        assert bench.safes > 1  # and once at the end


async def test_a_task_that_stands_still_is_ended_and_started_anew():
    with Bench() as bench:
        starts, closed = [], []

        async def stuck(alive):
            starts.append(uptime.ms())
            try:
                await asyncio.sleep_ms(1 << 28)
            finally:
                closed.append(True)

        bench.add("stuck", stuck, 20000)
        assert await bench.run(500) is None
        assert len(starts) >= 3 and len(closed) >= len(starts) - 1
        assert all(after - before >= 25000 for before, after in zip(starts, starts[1:])), starts


async def test_a_regulation_that_stands_still_leaves_no_relay_on():
    for end in (asyncio.sleep_ms, None):
        with Bench() as bench:

            async def regulate(alive, end=end):
                if end is None:
                    raise asyncio.CancelledError  # not the supervisor's
                await end(1 << 28)

            bench.add("regulation", regulate, 10000)
            bench.add("steady", steady, 10000)
            await bench.run(1000)
            assert bench.safes > 1  # and once at the end


async def test_the_watchdog_starves_while_a_task_that_cannot_be_cancelled_stands_still():
    with Bench() as bench:

        async def stubborn(alive):
            while True:
                try:
                    await asyncio.sleep_ms(1000)
                except asyncio.CancelledError:
                    pass

        supervisor = bench.supervisor
        bench.add("stubborn", stubborn, 5000)
        looks = []
        look = supervisor._look
        supervisor._look = lambda now: looks.append(look(now)) or looks[-1]
        await bench.run(500)
        assert False in looks and bench.dog.fed == sum(looks)


async def test_what_holds_up_the_whole_loop_is_not_blamed_on_a_task():
    with Bench() as bench:
        bench.add("steady", steady, 20000)

        async def hold(alive):
            await asyncio.sleep_ms(5000)
            time.sleep_ms(60)  # a minute
            await asyncio.sleep_ms(1 << 28)

        bench.add("hold", hold)
        await bench.run(120)
        assert bench.supervisor.restarts == 0


async def test_a_task_that_keeps_dying_restarts_the_device_but_not_in_its_first_ten_minutes():
    with Bench() as bench:
        deaths = []

        async def mortal(alive):
            deaths.append(uptime.ms())
            raise OSError("it broke")

        bench.add("mortal", mortal)
        assert await bench.run(5000) == "failure"
        assert len(deaths) > 5 and deaths[-1] >= 590000, deaths


async def mortal(alive):
    raise OSError("it broke")


async def test_a_restart_for_a_failure_waits_for_the_relay_to_be_off():
    for off_from_s, expected_s in ((0, 600), (1500, 1500), (9000, 2400)):
        with Bench(rests=lambda off_from_s=off_from_s: uptime.ms() >= 1000 * off_from_s) as bench:
            bench.add("mortal", mortal)
            assert await bench.run(20000) == "failure"
            ended_s = uptime.ms() / 1000
            assert expected_s - 10 <= ended_s < expected_s + 400, (off_from_s, ended_s)


async def test_a_restart_that_did_not_help_is_not_repeated_for_six_hours():
    for cause in ("failure", "memory"):
        with Bench(cause=cause) as bench:
            bench.add("mortal", mortal)
            assert await bench.run(30000) == "failure"
            assert uptime.ms() >= 21500000, uptime.ms()


async def test_what_only_a_restart_can_mend_waits_for_one_as_a_failure_does():
    with Bench(rests=lambda: True) as bench:
        bench.add("steady", steady, 10000)
        bench.supervisor.restart_at_rest("failure")
        assert await bench.run(2000) == "failure"
        assert 590000 <= uptime.ms() < 1200000, uptime.ms()


async def test_a_command_restarts_at_once_whatever_else_is_waited_for():
    with Bench(rests=lambda: False) as bench:
        bench.add("steady", steady, 10000)
        bench.supervisor.restart_at_rest("failure")
        bench.supervisor.restart("command")
        assert await bench.run(2000) == "command"
        assert uptime.ms() < 500000


async def test_a_task_that_keeps_dying_is_started_less_and_less_often_but_for_the_regulation():
    for name, most in (("link", 16), ("regulation", 121)):
        with Bench() as bench:
            starts = []

            async def dies(alive, starts=starts):
                starts.append(uptime.ms())
                raise OSError("it broke")

            bench.add(name, dies)
            assert await bench.run(600) is None
            assert most // 2 <= len(starts) <= most, (name, len(starts))


async def test_a_task_may_come_later():
    with Bench() as bench:
        began = []

        async def later(alive):
            began.append(uptime.ms())
            await steady(alive)

        async def adds(alive):
            await asyncio.sleep_ms(100000)
            bench.add("later", later, 10000)
            await asyncio.Event().wait()

        bench.add("adds", adds)
        assert await bench.run(500) is None
        assert len(began) == 1 and began[0] >= 100000
        assert bench.supervisor.restarts == 0


async def test_deaths_that_are_far_apart_restart_nothing():
    with Bench() as bench:

        async def mortal(alive):
            await asyncio.sleep_ms(650000)
            raise OSError("it broke")

        bench.add("mortal", mortal)
        assert await bench.run(6000) is None
        assert bench.supervisor.restarts > 5


async def test_out_of_memory_spills_then_builds_the_link_anew_and_then_restarts():
    with Bench() as bench:
        told = []

        async def link(alive):
            told.append("link")
            try:
                while True:
                    alive.alive_ms = uptime.ms()
                    await asyncio.sleep_ms(1000)
            finally:
                told.append("closed")

        async def hungry(alive):
            await asyncio.sleep_ms(700000)
            while True:
                told.append(bench.spills)
                bench.supervisor.failed("hungry", MemoryError("no"))
                await asyncio.sleep_ms(11000)

        bench.add("link", link, 180000)
        bench.add("hungry", hungry)
        assert await bench.run(2000) == "memory"
        assert told == ["link", 0, 1, "closed", "link", 1, "closed"], told


def short_once(failed):
    """A function that has no memory the first time."""

    def call(*_):
        if not failed:
            failed.append(True)
            raise MemoryError("no")

    return call


async def test_a_task_is_started_again_though_there_was_no_memory_to_tell_of_it():
    for died in (ValueError("it broke"), MemoryError("no")):
        log = sys.modules["firmware.base.log"].Log
        real, failed = log.error, []
        log.error = short_once(failed)
        try:
            with Bench() as bench:
                starts = []

                async def mortal(alive, starts=starts, died=died):
                    starts.append(uptime.ms())
                    raise died

                bench.add("mortal", mortal)
                bench.add("steady", steady, 10000)
                assert await bench.run(100) is None
        finally:
            log.error = real
        assert failed and len(starts) > 3, (died, starts)


async def test_a_task_that_nobody_has_cancelled_is_started_again():
    """So asyncio.wait_for ends where it lacks the memory to say how the other task did."""
    with Bench() as bench:
        starts = []

        async def cancelled(alive):
            starts.append(uptime.ms())
            await asyncio.sleep_ms(1000)
            raise asyncio.CancelledError

        bench.add("cancelled", cancelled)
        bench.add("steady", steady, 10000)
        assert await bench.run(200) is None
        assert len(starts) > 3 and bench.spills >= 1, starts


async def test_a_task_that_stands_still_is_started_anew_when_there_is_memory_again():
    with Bench() as bench:
        starts, failed = [], []

        async def stuck(alive):
            starts.append(uptime.ms())
            await asyncio.sleep_ms(1 << 28)

        bench.add("stuck", stuck, 20000)
        launch, once = bench.supervisor._launch, short_once(failed)

        def short(task, delay_ms):
            if delay_ms:
                once()
            launch(task, delay_ms)

        bench.supervisor._launch = short
        assert await bench.run(500) is None
        assert failed and len(starts) >= 3, starts
        assert bench.spills == 1


async def test_what_lacked_memory_is_told():
    lines = []
    log = sys.modules["firmware.base.log"]
    log.print = lambda line: lines.append(line[13:])
    try:
        with Bench() as bench:
            bench.supervisor.failed("link", MemoryError("not enough memory for TLS"))
        with Bench() as bench:
            text = "memory allocation failed, allocating 9 bytes"
            bench.supervisor.failed("a", MemoryError(text))
            bench.supervisor.failed("a", MemoryError())
    finally:
        del log.print
    assert lines == [
        "E supervisor: link: not enough memory for TLS; the readings in RAM went to flash",
        "E supervisor: a: out of memory; the readings in RAM went to flash",
    ], lines


async def test_a_burst_of_memory_errors_is_one():
    with Bench() as bench:

        async def hungry(alive):
            for _ in range(100):
                bench.supervisor.failed("hungry", MemoryError("no"))
            await asyncio.sleep_ms(1 << 28)

        bench.add("hungry", hungry)
        assert await bench.run(500) is None
        assert bench.spills == 1 and bench.supervisor.restarts == 0


async def test_a_task_that_dies_of_memory_spills_and_comes_back():
    with Bench() as bench:
        starts = []

        async def link(alive):
            starts.append(bench.spills)
            if len(starts) == 1:
                raise MemoryError("no")
            await steady(alive)

        bench.add("link", link, 180000)
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

            async def asks(alive, bench=bench, first_ms=first_ms, second_ms=second_ms):
                bench.supervisor.restart("command", first_ms)
                await asyncio.sleep_ms(100000)
                if second_ms is not None:
                    bench.supervisor.restart("memory", second_ms)
                await asyncio.Event().wait()

            bench.add("asks", asks)
            assert await bench.run(6000) == "command"
            assert earliest_ms <= uptime.ms() < 4000000, (first_ms, second_ms)


async def test_the_first_reason_for_a_restart_is_the_one_that_is_told():
    with Bench() as bench:

        async def hungry(alive):
            await asyncio.sleep_ms(700000 if not bench.supervisor.restarts else 0)
            raise MemoryError("no")

        bench.add("link", hungry)
        # Its fifth death comes with its third lack of memory.
        assert await bench.run(2000) == "memory"


async def test_other_errors_concern_nobody_else():
    with Bench() as bench:
        bench.add("steady", steady)
        bench.supervisor.failed("steady", OSError("no"))
        assert bench.spills == 0


async def test_a_restart_that_is_asked_for_ends_all_tasks_first():
    with Bench() as bench:
        closed = []

        async def holder(alive):
            try:
                await asyncio.sleep_ms(1 << 28)
            finally:
                await asyncio.sleep_ms(0)
                closed.append(bench.safes)

        bench.add("holder", holder)

        async def asks(alive):
            bench.supervisor.restart("command")
            await asyncio.sleep_ms(1 << 28)

        bench.add("asks", asks)
        assert await bench.run(5000) == "command"
        assert closed == [1], "the relay is off before anything else"

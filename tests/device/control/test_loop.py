"""The regulation's task: what it does each second, whom it tells of it, and what it logs."""

import asyncio
import sys

from firmware.base import uptime
from firmware.base.pause import Pause
from firmware.control.heating import Regulation
from firmware.control.loop import Loop
from firmware.times.clock import Clock
from house import Output, settings

T0 = 1795344000000


class Program:
    def __init__(self, *changes):
        self.steps = []
        self.changes = list(changes)

    def step(self, utc_s, now_ms):
        self.steps.append((utc_s, now_ms))
        return self.changes.pop(0) if self.changes else ()


class Bench:
    def __init__(self, regulated=True, changes=(), known=False):
        self.events = []
        self.lines = []
        self.now_ms = 1000
        self.clock = Clock(lambda: self.now_ms)
        if known:
            self.clock.set(T0, 1000)
        self.regulation = self.program = None
        if regulated:
            section = settings(min_on_s=0, min_off_s=0)
            self.regulation = Regulation(section, lambda *pin: Output(), (-55, 125), 0)
            self.program = Program(*changes)
        self.loop = Loop(
            self.regulation,
            self.program,
            self.clock,
            tell=lambda *change: self.events.append(change),
            changed=lambda names: self.events.append(("changed", names)),
            also=(lambda now: self.events.append(("also", now)),),
            late=lambda ms: self.events.append(("late", ms)),
            failed=None,
            pause=Pause(),
        )

    def step(self, *readings):
        """What happens in a second after these readings; what is logged is in `lines`."""
        self.events.clear()
        self.lines.clear()
        self.now_ms += 1000
        for temp_c in readings:
            self.regulation.thermostat.reading(temp_c, self.now_ms)
        log = sys.modules["firmware.base.log"]
        log.print = lambda line: self.lines.append(line[13:])
        try:
            self.loop.step(self.now_ms)
        finally:
            del log.print
        return self.events


def test_changes_of_the_regulation_are_told_and_logged_once():
    bench = Bench()
    assert bench.step() == [("relay", False), ("fault", "none"), ("also", 2000)]
    assert bench.lines == ["I loop: relay off: no temperature"]
    assert bench.step(20.04) == [("relay", True), ("also", 3000)]
    assert bench.lines == ["I loop: relay on: 20.0 °C"]
    assert bench.step(20.05) == [("also", 4000)]
    assert bench.lines == []
    assert bench.step(float("nan")) == [("relay", False), ("fault", "range"), ("also", 5000)]
    assert bench.lines == ["I loop: relay off: no temperature", "W loop: fault: range"]
    assert bench.step(20, 20.1, 20)[:2] == [("relay", True), ("fault", "none")]
    assert bench.lines == ["I loop: relay on: 20.0 °C", "I loop: the fault is over"]


def test_the_program_comes_before_the_relay_and_what_it_changed_is_told():
    bench = Bench(changes=((), ("setpoint", "preset")))
    bench.step()
    assert bench.step() == [("changed", ("setpoint", "preset")), ("also", 3000)]
    assert bench.program.steps == [(None, 2000), (None, 3000)]


def test_the_program_gets_the_time_once_it_is_known():
    bench = Bench(known=True)
    bench.step()
    bench.step()
    assert bench.program.steps == [(T0 // 1000 + 1, 2000), (T0 // 1000 + 2, 3000)]


def test_without_a_program_it_regulates_all_the_same():
    bench = Bench()
    bench.loop._program = None
    bench.loop._failed = lambda *failure: bench.events.append(failure)
    assert bench.step(20.0) == [("relay", True), ("fault", "none"), ("also", 2000)]


def test_without_a_thermostat_the_others_are_called_all_the_same():
    bench = Bench(regulated=False)
    assert bench.step() == [("also", 2000)]
    assert bench.lines == []


def test_what_the_others_raise_costs_no_heat():
    """The program, whoever is told of changes, and what else is called each second."""

    class Broken:
        def step(self, utc_s, now_ms):
            raise ValueError("no such zone")

    def fails(*arguments):
        calls.append(arguments)
        raise OSError(5)

    calls, failures, alive = [], [], []
    bench = Bench()
    regulation = bench.regulation
    bench.loop = Loop(
        regulation,
        Broken(),
        bench.clock,
        tell=fails,
        changed=fails,
        also=(fails, alive.append),
        late=fails,
        failed=lambda *failure: failures.append(failure),
        pause=Pause(),
    )
    bench.step()
    bench.step(20.0)
    assert regulation.heater.on
    words = "E loop: the regulation goes on all the same: ValueError: no such zone"
    assert bench.lines[0] == words
    bench.step(22.0)
    assert not regulation.heater.on
    assert alive == [2000, 3000, 4000], "one that fails keeps no other from being called"
    assert {name for name, _ in failures} == {"regulation"} and len(failures) > 6
    bench.step()
    bench.step()
    before = len(calls)
    # Of the two states that nobody could be told of, each is told again.
    assert bench.step() == [] and len(calls) == before + 3


def test_what_could_not_be_told_is_told_at_the_next_step():
    """A state of the regulation, while the others are told; and what the program changed."""

    def once(call):
        failing = [True]

        def calls(*arguments):
            if failing and arguments[0] != "fault":
                failing.clear()
                raise MemoryError
            call(*arguments)

        return calls

    told = []
    bench = Bench(changes=((), ("setpoint",), ("setpoint", "preset")))
    bench.loop = Loop(
        bench.regulation,
        bench.program,
        bench.clock,
        tell=once(lambda *change: told.append(change)),
        changed=once(told.append),
        also=(),
        late=told.append,
        failed=None,
        pause=Pause(),
    )
    bench.step()
    assert told == [("fault", "none")]
    assert bench.lines == ["I loop: relay off: no temperature"]
    bench.step()
    assert told == [("fault", "none"), ("relay", False)]
    assert bench.lines == [], "it is logged once"
    bench.step()
    assert told[2:] == [("setpoint", "preset")]
    bench.step()
    assert len(told) == 3


def test_memory_that_runs_out_there_is_told_without_words():
    failures = []

    def fails(*arguments):
        raise MemoryError("memory allocation failed")

    bench = Bench(regulated=False)
    bench.loop = Loop(
        *(None, None, bench.clock, fails, fails, (fails,), fails),
        *(lambda *told: failures.append(told), Pause()),
    )
    assert bench.step() == [] and bench.lines == []
    assert len(failures) == 1 and isinstance(failures[0][1], MemoryError)


async def test_it_runs_once_a_second_and_says_how_late_it_was():
    bench = Bench(regulated=False)
    real = uptime.ms, asyncio.sleep_ms
    lateness = [0, 30, 0, 2500, 0]  # after each sleep
    slept = []

    async def sleep_ms(ms):
        slept.append(ms)
        if not lateness:
            raise asyncio.CancelledError
        bench.now_ms += ms + lateness.pop(0)

    uptime.ms, asyncio.sleep_ms = lambda: bench.now_ms, sleep_ms
    try:
        await bench.loop.run()
    except asyncio.CancelledError:
        pass
    finally:
        uptime.ms, asyncio.sleep_ms = real
    late = [event[1] for event in bench.events if event[0] == "late"]
    assert late[:4] == [0, 0, 30, 0], late
    assert max(late) == 2500 and slept[0] == 1000 and slept[2] == 970, (late, slept)
    at = [event[1] for event in bench.events if event[0] == "also"]
    assert at[:4] == [1000, 2000, 3030, 4000], at
    assert bench.loop.alive_ms == at[-1]

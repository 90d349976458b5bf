"""What fails beside the regulation: it heats all the same, and that part is made later."""

import asyncio
import json
import os
import sys

from firmware import app, services
from firmware.board import board
from firmware.commands.store import Store
from firmware.config import load
from firmware.config.trial import Trial
from firmware.supervision import parts
from settings import DEVICE, alone
from settings import settings as checked_settings

HEAP = "1M"

TASKS = ["health", "journal", "link", "parts", "regulation", "temperature", "time"]


class Soon:
    """asyncio, for those who wait before they try again; the last second is long enough."""

    Event = asyncio.Event
    waited = []

    @staticmethod
    async def sleep(seconds):
        Soon.waited.append(seconds)
        await asyncio.sleep_ms(150)


class Fails:
    """Puts something in the place of a name: it fails so many times, then is itself again."""

    def __init__(self, owner, name, times, error):
        self.calls = 0
        self._place = owner, name
        self._times = times
        self._error = error

    def __enter__(self):
        owner, name = self._place
        self._real = getattr(owner, name)
        setattr(owner, name, self._call)
        return self

    def _call(self, *arguments, **named):
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return self._real(*arguments, **named)

    def __exit__(self, *_):
        setattr(*self._place + (self._real,))


class Radio:
    """The board, whose radio fails so many times."""

    def __init__(self, times):
        self.times = times
        self.made = 0

    def __getattr__(self, name):
        return getattr(board, name)

    def Wifi(self, networks, **more):  # noqa: N802 the board's name
        self.made += 1
        if self.made <= self.times:
            raise RuntimeError("Wifi Unknown Error 0x0101")
        return board.Wifi(networks, **more)


def settings(**changes):
    return checked_settings(**alone(health={"every_s": 1}, **changes))


def lives(seconds=2.5, trial=None, **changes):
    """A start, and so many seconds after it: the App, and what it logged."""
    lines = []
    log = sys.modules["firmware.base.log"]
    log.print = lambda line: lines.append(line[13:])
    parts.asyncio = Soon
    Soon.waited.clear()
    found = []

    async def main():
        found.append(app.App(settings(**changes), trial or Trial()))
        running = asyncio.create_task(found[0].main())
        await asyncio.sleep(seconds)
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass

    try:
        asyncio.run(main())
    finally:
        del log.print
        parts.asyncio = asyncio
        asyncio.new_event_loop()
    return found[0], lines


def told(lines, words):
    return any(words in line for line in lines)


def whole(lines):
    """Whether all of the device came to live: its link, too."""
    return told(lines, "I uplink: state: ")


def test_a_start_in_which_nothing_fails_has_no_task_that_makes_parts():
    _, lines = lives(0.5)
    assert whole(lines) and not Soon.waited


def test_without_a_radio_it_heats_and_tries_it_again():
    app.board = radio = Radio(3)
    try:
        _, lines = lives()
    finally:
        app.board = board
    assert told(lines, "I loop: relay on")
    words = "E parts: the radio failed; it is tried again: RuntimeError: Wifi Unknown Error 0x0101"
    assert [line for line in lines if "the radio failed" in line] == [words], "said once"
    assert radio.made == 4 and whole(lines), radio.made
    assert Soon.waited[:3] == [10, 20, 40], Soon.waited


def test_a_radio_that_only_a_restart_can_mend_waits_for_one():
    class Dead(Radio):
        def Wifi(self, networks, **more):  # noqa: N802 the board's name
            made = board.Wifi(networks, **more)
            made.broken = True
            return made

    for dead in (True, False):
        app.board = Dead(0) if dead else board
        try:
            built, lines = lives(1.5)
        finally:
            app.board = board
        assert told(lines, "I loop: relay on") and whole(lines)
        words = "the device restarts as soon as that costs no heat: failure"
        assert told(lines, words) == dead, lines
        assert built._rests()
        built._regulation.heater.on = True
        assert not built._rests()


def test_what_cannot_be_made_costs_no_heat_and_is_made_later():
    for owner, name, error in (
        (services, "make_queue", OSError(5)),
        (services, "make_queue", MemoryError("memory allocation failed")),
        (services, "Intake", ValueError("no")),
        (board, "Retained", OSError(5)),
        (services, "Store", OSError(5)),
        (services, "Device", TypeError("no")),
        (services.door, "Commands", MemoryError("no")),
        (services, "Resolver", AttributeError("no")),
        (services, "Network", OSError(2)),
        (services, "Uplink", ImportError("no module named 'umqtt'")),
        (services, "Health", KeyError("x")),
    ):
        with Fails(owner, name, 2, error) as part:
            built, lines = lives()
        assert told(lines, "I loop: relay on"), (name, lines)
        assert part.calls >= 3 and whole(lines), (name, lines)
        assert not told(lines, "died"), (name, lines)
        tasks = sorted([task.name for task in built._supervisor._tasks])
        assert tasks == TASKS, (name, tasks)


def test_memory_that_is_short_anywhere_leaves_no_half_of_a_part():
    from firmware.supervision import supervisor

    for failing in ("journal", "time", "link", "health"):

        class Task(supervisor._Task):
            failures = 0

            def __init__(self, name, *more, failing=failing):
                if name == failing and Task.failures < 2:
                    Task.failures += 1
                    raise MemoryError("memory allocation failed")
                super().__init__(name, *more)

        real = supervisor._Task
        supervisor._Task = Task
        try:
            built, lines = lives()
        finally:
            supervisor._Task = real
        assert Task.failures == 2 and told(lines, "I loop: relay on") and whole(lines), lines
        assert sorted([task.name for task in built._supervisor._tasks]) == TASKS


def test_a_light_that_cannot_be_made_costs_no_heat():
    with Fails(services.board, "Output", 0, None) as outputs:
        real = outputs._call

        def call(pin, active):
            if pin == 25 and outputs.calls < 4:
                outputs.calls += 1
                raise ValueError("invalid pin")
            return real(pin, active)

        services.board.Output = call
        _, lines = lives(device=dict(DEVICE, led=25))
    assert told(lines, "I loop: relay on") and whole(lines), lines


def test_readings_that_find_no_buffer_are_counted_and_states_wait_for_it():
    taken = []

    class Intake(services.Intake):
        def tell(self, name, value, t_ms=None):
            taken.append((name, value))
            super().tell(name, value, t_ms)

    real = services.Intake
    services.Intake = Intake
    try:
        with Fails(services, "make_queue", 4, OSError(5)):
            built, lines = lives()
    finally:
        services.Intake = real
    found = [line for line in lines if "readings" in line and "lost" in line]
    assert len(found) == 1 and int(found[0].split()[2]) >= 4, lines
    assert built._services._queue.lost >= 4
    assert ("relay", True) in taken and ("fault", "none") in taken, taken


def test_the_set_point_of_before_holds_also_where_there_is_no_buffer_and_no_link():
    store = Store()
    store.put("setpoint", 6.0, 1795344000000)
    store.flush()
    with Fails(services, "make_queue", 99, OSError(5)):
        _, lines = lives(1)
    assert not told(lines, "relay on"), lines
    assert told(lines, "I loop: relay off")


def test_what_can_never_be_made_restarts_nothing():
    with Fails(services, "Uplink", 99, OSError(5)) as part:
        built, lines = lives(1.5)
    assert part.calls > 3 and told(lines, "relay on")
    assert built._supervisor.restarts == 0
    built.stop()
    assert not board.outputs[26].on


def started(seconds, regulated=True, stops=False):
    """A start; whether config.json is the last good one after it, and once it was stopped."""
    with open("config.json", "w") as file:
        json.dump({"device": DEVICE, "sensors": [{"prop": "t", "driver": "room"}]}, file)
    trial = Trial()
    load.load_good(trial)
    sections = {} if regulated else {"thermostat": None}
    built, _ = lives(seconds, trial, **sections)
    before = "config.good.json" in os.listdir()
    if stops:
        built.stop()
    return before, "config.good.json" in os.listdir()


def test_a_configuration_is_good_once_the_regulation_has_run_for_some_seconds():
    assert started(2.5) == (False, False)
    assert started(5) == (True, True)


def test_a_regulation_that_was_stopped_has_run_as_well():
    assert started(1, stops=True) == (False, True)


def test_one_with_which_the_regulation_dies_is_not_good():
    from firmware.control.heating import Regulation

    with Fails(Regulation, "step", 99, ValueError("no")):
        assert started(5, stops=True) == (False, False)


def test_a_device_that_regulates_nothing_has_a_good_configuration_too():
    assert started(5, regulated=False) == (True, True)


def test_a_trial_is_not_kept_before_the_regulation_has_run_with_it():
    class Reached:
        def reached(self):
            return ["mqtt"]

    built, _ = lives(2)
    built._services._uplink = Reached()
    assert built._services._reached() == []
    for _ in range(5):
        built._services.tick(0)
    assert built._services._reached() == ["mqtt"]

"""Starts that end early, and the safe mode that follows three of them."""

import asyncio
import os
import sys

from firmware import app, config, safe_mode
from firmware.base import files, uptime
from firmware.board import board
from firmware.config.trial import Trial
from firmware.supervision import faults, starts
from logs import Logged
from settings import alone

HEAP = "1M"
REAL_MS = uptime.ms

CONFIG = alone(
    device={"id": "_dev_1", "key_id": "_key_1", "key_secret": "geheim-geheim", "led": 25},
    sensors=[{"prop": "temperature", "driver": "room", "every_s": 0.1, "start": 10}],
    thermostat={
        "sensor": "temperature",
        "relay": {"pin": 26},
        "min_on_s": 0,
        "min_off_s": 0,
        "failsafe": {"on_s": 600, "every_s": 3600},
    },
)


class Delivered:
    """A queue all of whose points the platform has."""

    numbers = (1000, 1000)


class Soon:
    """The module time, whose sleep is none."""

    @staticmethod
    def sleep(seconds):
        pass


def write(tree=CONFIG, name="config.json"):
    files.replace_json(name, tree)


def good(tree=CONFIG):
    write(tree)
    write(tree, "config.good.json")


def cause():
    with open("restarted") as file:
        return file.read()


def run(error=None, ctrl_c=False):
    """A start, in which the regulation cannot be made for that error; what it logs. The board's
    next cause is what the end of this one says.
    """
    unix = sys.modules["firmware.board.unix"]
    unix._reason = unix._take_reason()
    app.time = Soon
    real = app.Regulation

    def fails(*arguments):
        if ctrl_c:
            raise KeyboardInterrupt
        raise error

    app.Regulation = fails
    try:
        with Logged(13) as lines:
            app.run()
    except SystemExit as end:
        assert end.args == (75,)
    finally:
        app.Regulation = real
        unix._reason = None
    return lines


def safe(lines):
    return any(line.startswith("W safe_mode: safe mode for an hour") for line in lines)


def ends_early(count):
    for _ in range(count):
        lines = run(ValueError("a wrong pin, geheim-geheim"))
        assert not safe(lines) and cause() == "failure", lines


class Instead:
    """Safe mode's start is noted in place of done."""

    def __init__(self):
        self.early = []

    def __enter__(self):
        self._real = safe_mode.start
        safe_mode.start = self._start
        return self

    def _start(self, early, trial, make):
        self.early.append(early)
        raise ValueError("no")

    def __exit__(self, *_):
        safe_mode.start = self._real


def test_the_fourth_start_is_safe_mode_and_those_after_it_until_one_ends_well():
    good()
    with Instead() as instead:
        ends_early(3)
        assert instead.early == []
        for _ in range(3):
            run(ValueError("no"))
        assert instead.early == [3, 4, 5]


def test_ctrl_c_and_a_power_cut_are_no_such_ends():
    good()
    with Instead() as instead:
        ends_early(2)
        run(ctrl_c=True)
        assert board.Retained(1).get() == 0
        ends_early(3)
        os.remove("restarted")  # nothing but the power can end it so
        ends_early(3)
        assert instead.early == []


def test_ctrl_c_while_it_waits_for_the_next_start_is_none_either():
    class Pressed:
        @staticmethod
        def sleep(seconds):
            raise KeyboardInterrupt

    good()
    ends_early(2)
    global Soon
    kept, Soon = Soon, Pressed
    try:
        run(ValueError("no"))
    finally:
        Soon = kept
    assert board.Retained(1).get() == 0


def test_what_ended_a_start_is_kept_on_flash():
    good()
    ends_early(1)
    with open("lastfault.txt") as file:
        text = file.read()
    assert text.startswith("the run, firmware ") and "ValueError: a wrong pin" in text, text


def lives(seconds, early=starts.MOST, during=None):
    """Safe mode for so long: what was made, why it ended, and what it logged."""
    made, why = [], []

    async def main():
        made.append(safe_mode.start(early, Trial(), app.App))
        running = asyncio.create_task(made[0].main())
        for _ in range(int(10 * seconds)):
            if running.done():
                break
            await asyncio.sleep_ms(100)
            if during:
                during()
        if running.done():
            why.append(await running)
            return
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass

    try:
        with Logged(13) as lines:
            asyncio.run(main())
    finally:
        uptime.ms = REAL_MS
        asyncio.new_event_loop()
        made[0].stop()
    return made[0], why[0] if why else None, lines


def later(seconds):
    """From now on it is so much later than it really is."""
    uptime.ms = lambda: REAL_MS() + 1000 * seconds


def heats(seconds, early):
    """Whether the relay is on so long after safe mode began, and what it logged."""
    passed, on = [], []

    def during():
        passed.append(True)
        if len(passed) == 12:
            later(seconds)
        on.append(board.outputs[26].on)

    _, _, lines = lives(3.5, early, during)
    assert not board.outputs[26].on, "off at the end"
    return on[-1], lines


def test_it_heats_by_the_failsafe_alone_with_and_without_a_network():
    good()
    for early in (3, 4):
        assert heats(1000, early)[0] is False
        on, lines = heats(3200, early)
        assert on is True, lines
        assert any("uplink" in line for line in lines) == (early == 3), lines
        assert not any("died" in line or "sampler" in line for line in lines), lines


def test_without_a_failsafe_the_relay_stays_off():
    good(dict(CONFIG, thermostat=dict(CONFIG["thermostat"], failsafe=None)))
    for early in (3, 4):
        assert heats(3200, early)[0] is False


def test_it_ends_after_an_hour():
    good()
    for early in (3, 4):
        assert lives(3, early, lambda: later(3590))[1] is None
        assert lives(3, early, lambda: later(3601))[1] == "safe-mode"


def test_it_ends_with_another_config_json_and_not_while_that_is_written():
    for early in (3, 4):
        good()
        steps = []

        def during(steps=steps):
            steps.append(True)
            if len(steps) == 12:
                with open("config.json", "w") as file:
                    file.write('{"device": ')
            if len(steps) in (13, 25, 37):
                later(6 * len(steps))
            if len(steps) == 24:
                write(dict(CONFIG, sensors=[]))

        _, why, lines = lives(8, early, during)
        assert why == "config" and len(steps) > 37, (why, len(steps), lines)


def test_the_same_configuration_written_again_changes_nothing():
    good()
    assert lives(3, 4, lambda: (write(), later(600)))[1] is None


def test_the_last_good_configuration_is_in_force():
    write(dict(CONFIG, thermostat=dict(CONFIG["thermostat"], relay={"pin": 27})))
    write(CONFIG, "config.good.json")
    board.outputs.clear()
    for early in (3, 4):
        lives(1.2, early)
        assert 26 in board.outputs and 27 not in board.outputs
    os.remove("config.good.json")
    lives(1.2, 4)
    assert 27 in board.outputs


def test_where_there_is_none_or_no_relay_can_be_made_it_lasts_all_the_same():
    for early in (3, 4):
        good({"device": 5})
        _, why, lines = lives(3, early, lambda: later(3601))
        assert why == "safe-mode", lines
        good()
        real = safe_mode.Regulation

        def fails(*arguments):
            raise ValueError("invalid pin")

        safe_mode.Regulation = fails
        try:
            _, why, lines = lives(3, early, lambda: later(3601))
        finally:
            safe_mode.Regulation = real
        assert why == "safe-mode" and any(
            "E safe_mode: ValueError: invalid pin" in x for x in lines
        )


def test_a_start_of_safe_mode_stays_in_the_row_however_long_it_lasts():
    good()
    board.Retained(1).set(4)
    built, _, _ = lives(1)
    for _ in range(130):
        built._services.tick(0)
    assert board.Retained(1).get() == 4


def test_a_start_that_lasts_two_minutes_ends_the_row():
    good()
    board.Retained(1).set(2)
    built = app.App(config.last_good(), Trial())
    for _ in range(119):
        built._services.tick(0)
    assert board.Retained(1).get() == 2
    built._services.tick(0)
    assert board.Retained(1).get() == 0


def test_the_platform_is_told_and_takes_commands_of_the_device_alone():
    good()
    built, _, _ = lives(1.5)
    names = built._services._queue.properties.names
    for name in ("lastfault", "fault", "relay", "restart", "config", "lastcommand"):
        assert name in names, name
    assert "setpoint" not in names and "temperature" not in names
    assert built._services._commands.handle("restart", b"true")
    assert not built._services._commands.handle("setpoint", b"21")
    assert built._supervisor._why == "command"


def test_the_lamp_shows_it():
    good()
    for early in (3, 4):
        seen = []
        lives(2.5, early, lambda seen=seen: seen.append(board.outputs[25].on))
        assert True in seen and False in seen, seen


def test_a_crash_that_left_no_traceback_is_told_as_well():
    good()
    lives(0.2, 4)
    with open("lastfault.txt") as file:
        assert "no traceback; started by power-on" in file.read()
    with open("lastfault.txt", "w") as file:
        file.write("a better one")
    lives(0.2, 4)
    with open("lastfault.txt") as file:
        assert file.read() == "a better one"


def test_the_fault_is_told_when_the_platform_is_reached_and_not_before():
    good()
    with open("lastfault.txt", "w") as file:
        file.write("the run\nValueError: geheim-geheim")
    built = app.App(config.last_good(), Trial())
    services = built._services
    told, reached = [], []
    services._intake.tell = lambda name, value, t_ms=None: told.append((name, value))
    services._uplink.reached = lambda: reached
    services.tick(0)
    assert told == []
    reached.append("mqtt")
    services.tick(1000)
    services.tick(2000)
    assert told == [("lastfault", "the run\nValueError: (hidden)")], told


def test_the_fault_is_told_without_any_report_of_health_also_one_of_this_run():
    for health in ({"every_s": 0}, {"properties": ["uptime"]}):
        good(dict(CONFIG, health=health))
        with open("lastfault.txt", "w") as file:
            file.write("the run\nValueError: before")
        services = app.App(config.last_good(), Trial())._services
        told = []
        add = told.append
        services._intake.tell = lambda name, value, t_ms=None, add=add: add((name, value))
        services._uplink.reached = lambda: ["mqtt"]
        services.tick(0)
        assert told == [("lastfault", "the run\nValueError: before")], told
        services._untold._queue = Delivered
        for _ in range(60):
            services.tick(0)
        assert not files.exists("lastfault.txt")
        faults.keep("link", ValueError("now"))
        for _ in range(60):
            services.tick(0)
        assert len(told) == 2 and told[1][1].endswith("ValueError: now\n"), told


def test_what_only_heats_ends_as_safely_as_the_rest():
    class Broken(safe_mode._Over):
        def __call__(self, now_ms, restart):
            board.outputs[26].set(True)
            raise ValueError("it broke")

    good()
    board.Retained(1).set(4)
    with open("restarted", "w") as file:
        file.write("failure")
    real, safe_mode._Over = safe_mode._Over, Broken
    try:
        lines = run()
    finally:
        safe_mode._Over = real
    assert safe(lines) and cause() == "failure" and not board.outputs[26].on
    assert "E app: ValueError: it broke; restarting in 10 s" in lines, lines
    with open("lastfault.txt") as file:
        assert "ValueError: it broke" in file.read()
    assert board.Retained(1).get() == 5

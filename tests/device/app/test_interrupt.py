"""Ctrl-C at the running firmware: what it leaves, what it says, and that nothing is kept of it."""

import gc
import json
import os
import sys

from firmware import app
from firmware.board import board
from firmware.setup import entrance
from settings import alone

HEAP = "1M"

CONFIG = alone(sensors=[{"prop": "temperature", "driver": "room", "every_s": 0.1, "start": 10}])
LINES = ["To go on: Ctrl-D, or import main.", "To configure it: import setup; setup.help()"]


class Pressing:
    """A board whose watchdog presses Ctrl-C when it is fed for the n-th time."""

    def __init__(self, nth=3):
        self._nth = nth
        self.prompts = []  # for how long
        self.relay_was_on = False

    def __getattr__(self, name):
        return getattr(board, name)

    def watchdog(self, timeout_ms):
        return self

    def feed(self):
        self._nth -= 1
        if self._nth <= 0:
            self.relay_was_on = board.outputs[26].on
            raise KeyboardInterrupt

    def at_prompt(self, most_ms):
        self.prompts.append(most_ms)
        return True


def run(at, config=CONFIG):
    """The lines that are printed until the firmware gives the prompt."""
    for name in os.listdir():
        if name.startswith("config"):
            os.remove(name)
    if config:
        with open("config.json", "w") as file:
            json.dump(config, file)
    lines = []
    log = sys.modules["firmware.base.log"]
    log.print = lambda line: lines.append(line[13:])
    entrance.print = lines.append
    app.board = entrance.board = at
    try:
        app.run()
    finally:
        app.board = entrance.board = board
        del log.print, entrance.print
    return lines


def test_the_relay_is_off_the_journal_closed_and_two_lines_say_how_to_go_on():
    at = Pressing()
    lines = run(at)
    assert at.relay_was_on and board.outputs[26].on is False
    assert lines[-3:] == ["I app: interrupted; the relay is off"] + LINES, lines
    assert any(name.endswith(".seg") for name in os.listdir("journal"))
    assert at.prompts == [3600000], "the watchdog is fed for an hour"


def test_a_program_without_a_prompt_is_told_nothing_of_one():
    class Ends(Pressing):
        def at_prompt(self, most_ms):
            return False

    assert run(Ends())[-1] == "I app: interrupted; the relay is off"


def test_main_can_be_imported_again():
    sys.modules["main"] = sys
    run(Pressing(1))
    assert "main" not in sys.modules


def test_an_impatient_second_ctrl_c_keeps_nothing_from_flash():
    real = app.App.stop
    calls = []

    def stop(self):
        calls.append(1)
        if len(calls) == 1:
            self.safe()
            raise KeyboardInterrupt
        real(self)

    app.App.stop = stop
    try:
        lines = run(Pressing())
    finally:
        app.App.stop = real
    assert lines[-2:] == LINES and len(calls) == 2
    assert any(name.endswith(".seg") for name in os.listdir("journal"))


class Waiting:
    """The module time, whose waits are ended by Ctrl-C."""

    def __getattr__(self, name):
        import time

        return getattr(time, name)

    def sleep_ms(self, ms):
        raise KeyboardInterrupt

    sleep = sleep_ms


def test_a_board_without_a_configuration_says_what_to_do_and_gives_the_prompt():
    from firmware.config import load

    kept = load.time
    load.time = Waiting()
    try:
        lines = run(Pressing(), None)
    finally:
        load.time = kept
    assert lines[1].startswith("E load: config.json: no such file"), lines
    assert lines[2] == (
        "W load: no configuration; it is looked for every 5 s; "
        "to give one, press Ctrl-C, then: import setup; setup.wizard()"
    )
    assert lines[-2:] == LINES


def test_a_start_that_fails_gives_the_prompt_too():
    kept, real = app.time, app.App.__init__

    def fails(self, settings, trial):
        raise ValueError("invalid pin")

    app.time, app.App.__init__ = Waiting(), fails
    try:
        lines = run(Pressing())
    finally:
        app.time, app.App.__init__ = kept, real
    assert any("restarting in 10 s" in line for line in lines), lines
    assert lines[-2:] == LINES


def test_nothing_of_the_stopped_firmware_stays_in_memory():
    def used():
        gc.collect()
        return gc.mem_alloc()

    ballast = 50000
    real = app.App.stop

    def stop(self):
        """Whoever keeps one of these keeps much."""
        services = self._services
        for part in (self, services, services._uplink, services._queue, self._supervisor):
            part.ballast = bytearray(ballast)
        real(self)

    run(Pressing(2))  # loads what is loaded once
    before = used()
    app.App.stop = stop
    try:
        run(Pressing(2))
    finally:
        app.App.stop = real
    assert used() - before < ballast // 2, used() - before

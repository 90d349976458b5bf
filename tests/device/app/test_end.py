"""How a run ends, whatever ends it: the relay off, what waits on flash, and a restart."""

import asyncio
import json
import os
import sys

from firmware import app
from firmware.base import files, uptime
from firmware.board import board
from firmware.commands.store import Store
from firmware.config import load
from firmware.config.trial import Trial
from firmware.link.uplink import Uplink
from firmware.points.queue import Queue
from firmware.supervision import faults
from firmware.supervision.loop_meter import LoopMeter
from settings import alone, settings
from shortage import short

HEAP = "1M"

CONFIG = alone(
    sensors=[
        {"prop": "temperature", "driver": "room", "every_s": 0.1, "start": 10},
        {"prop": "count", "driver": "counter", "every_s": 0.1},
    ]
)
RUN_MS = 1500


class Hours:
    """The module time, whose sleep is none."""

    slept = 0

    @classmethod
    def sleep(cls, s):
        cls.slept += s


class Failing:
    """`with Failing(owner, name, after_ms):` an attribute that raises MemoryError when it is
    called for the first time after so long, and works again then.
    """

    def __init__(self, owner, name, after_ms=0):
        self._owner = owner
        self._name = name
        self._at_ms = uptime.ms() + after_ms
        self.failed = False

    def _call(self, *arguments):
        if not self.failed and uptime.ms() >= self._at_ms:
            self.failed = True
            raise MemoryError("memory allocation failed, allocating 16 bytes")
        return self._real(*arguments)

    def __enter__(self):
        self._real = getattr(self._owner, self._name)
        # A function, so that it becomes a method where it has to.
        setattr(self._owner, self._name, lambda *arguments: self._call(*arguments))
        return self

    def __exit__(self, *_):
        setattr(self._owner, self._name, self._real)


def ended():
    """Run the firmware to its end; returns the process's exit code."""
    with open("config.json", "w") as file:
        json.dump(CONFIG, file)
    Hours.slept = 0
    app.time = Hours
    try:
        app.run()
    except SystemExit as error:
        return error.args[0]


def taken():
    with open("counter.txt") as file:
        return len(file.read().split())


def is_safe(code):
    """The relay is off, all that was read is on flash, and the device restarts."""
    assert code == 75, code
    with open("restarted") as file:
        assert file.read() == "failure"
    assert not board.outputs[26].on
    assert Hours.slept == 10, "it must not restart again and again"
    assert taken() >= 2
    assert sum(name.endswith(".seg") for name in os.listdir("journal")) == 1
    assert board.Retained().get() == 0


def counted():
    """What the next run finds on flash."""
    built = app.App(load.wait_for_good(Trial()), Trial())
    return built._services._queue.spilled


def test_memory_that_is_short_in_asyncio_itself():
    with Failing(LoopMeter, "wait_io_event", RUN_MS) as failing:
        is_safe(ended())
    assert failing.failed
    assert counted() >= 2 * taken()


def test_memory_that_is_short_again_at_the_end():
    log = sys.modules["firmware.base.log"].Log
    for owner, name in (
        (log, "error"),
        (asyncio, "new_event_loop"),
        (app.App, "safe"),
        (Uplink, "release"),
        (Store, "flush"),
        (Queue, "flush"),
        (faults, "keep"),
    ):
        for path in os.listdir():
            if path != "journal":
                os.remove(path)
        for path in os.listdir("journal") if "journal" in os.listdir() else ():
            os.remove("journal/" + path)
        with Failing(LoopMeter, "wait_io_event", RUN_MS), Failing(owner, name, RUN_MS) as second:
            is_safe(ended())
        assert second.failed, name
        assert counted() >= 2 * taken(), name


def test_readings_go_to_flash_though_memory_is_too_short_for_the_configuration():
    class Always(Failing):
        def _call(self, *arguments):
            self.failed = False
            return super()._call(*arguments)

    with Failing(LoopMeter, "wait_io_event", RUN_MS), Always(files, "crc32", RUN_MS) as second:
        is_safe(ended())
    assert second.failed


def test_the_relays_go_off_without_any_memory():
    stages = {"stage2": {"pin": 27}, "cooler": {"pin": 25}}
    config = settings(thermostat=dict(CONFIG["thermostat"], **stages), sensors=CONFIG["sensors"])
    built = app.App(config, Trial())
    for output in board.outputs.values():
        output.set(True)
    for relay in (built._regulation.heater, built._regulation._stage2, built._regulation._cooler):
        relay.on = True
    short(0, built.safe)
    assert not any(board.outputs[pin].on for pin in (25, 26, 27))

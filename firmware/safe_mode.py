"""Safe mode: a start after three that ended early. Wiring alone.

It heats by `thermostat.failsafe`, without a sensor, or not at all. The radio and the platform are
tried with the last good configuration and nothing else of it. If such a start ends by itself as
well, the next one heats and does nothing else. It lasts an hour, unless a command, or another
config.json, ends it before.
"""

import asyncio
import sys

from micropython import const

from firmware import config
from firmware.base import files, uptime
from firmware.base.log import Log
from firmware.board import board
from firmware.config.trial import CONFIG
from firmware.control.duty import Duty
from firmware.control.heating import Regulation
from firmware.supervision import faults, lamp
from firmware.supervision.starts import MOST

_HOUR_MS = const(3600000)
_LOOK_MS = const(5000)  # between two looks at config.json
_STEP_MS = const(1000)
_WATCHDOG_MS = const(30000)

_log = Log("safe_mode")


def start(early: int, trial, make):
    """What runs, with an App's `main()`, `safe()` and `stop()`: `make(settings, trial, regulation,
    over)` of what reaches the platform, or what only heats where that has failed. early: as of
    starts.begin.
    """
    over = _Over()
    _log.warning("safe mode for an hour: %d starts in a row ended early", early)
    faults.keep("safe mode", "no traceback; started by %s" % board.reset_cause())
    settings = _made(lambda: config.last_good())
    section = settings and settings["thermostat"]
    regulation = section and _made(
        lambda: Regulation(section, board.Output, None, uptime.ms(), Duty)
    )
    if not settings or early > MOST:
        return _Alone(settings, regulation, over)
    settings["thermostat"] = None
    settings["sensors"] = []
    return make(settings, trial, regulation, over)


def _made(make):
    """What is made, or None: safe mode goes on without it."""
    try:
        return make()
    except Exception as error:
        sys.print_exception(error)
        _log.error("%s: %s", type(error).__name__, error)
        return None


class _Over:
    """Ends safe mode after an hour, or where config.json is another one."""

    def __init__(self):
        self._end_ms = uptime.ms() + _HOUR_MS
        self._look_ms = 0
        self._crc = self._seen = files.crc32(CONFIG)

    def __call__(self, now_ms: int, restart) -> None:
        """Once a second. `restart(why)` asks for a restart of the device."""
        if now_ms >= self._end_ms:
            restart("safe-mode")
        elif now_ms >= self._look_ms:
            self._look_ms = now_ms + _LOOK_MS
            crc = files.crc32(CONFIG)
            # Seen twice: somebody may still be writing it.
            if crc not in (-1, self._crc) and crc == self._seen:
                restart("config")
            self._seen = crc


class _Alone:
    """Heats, and nothing else: no radio, no buffer, no other task."""

    def __init__(self, settings, regulation, over):
        """settings: None where there is no configuration."""
        self._regulation = regulation
        self._over = over
        self._why: str | None = None
        led = settings and settings["device"]["led"]
        self._light = None if led is None else _made(lambda: board.Output(led, "high"))

    async def main(self) -> str:
        watchdog = board.watchdog(_WATCHDOG_MS)
        second = 0
        while self._why is None:
            now_ms = uptime.ms()
            if self._regulation:
                self._regulation.step(now_ms)
                for name, value in self._regulation.changes():
                    _log.info("%s: %s", name, value)
            if self._light:
                self._light.set(lamp.lit(second, False, True, False, False, False))
            second += 1
            self._over(now_ms, self._restart)
            watchdog.feed()
            await asyncio.sleep_ms(_STEP_MS)
        return self._why

    def safe(self) -> None:
        if self._regulation:
            self._regulation.off()

    stop = safe

    def _restart(self, why: str):
        self._why = why

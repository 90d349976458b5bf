"""From the running firmware to the prompt."""

import gc
import sys
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

from firmware.base.log import Log
from firmware.board import board

_FORGOTTEN_MS = const(3600000)  # whoever was at the prompt is gone: the watchdog starts the board


def enter() -> None:
    """The firmware has stopped: keep the watchdog from biting, and tell a person how to go on."""
    try:
        _enter()
    except KeyboardInterrupt:  # an impatient one: mpremote presses it twice
        _enter()


def _enter():
    prompt = board.at_prompt(_FORGOTTEN_MS)
    Log("app").info("interrupted; the relay is off")
    sys.modules.pop("main", None)  # an import of what is imported already would do nothing
    core.cur_task = None  # a new event loop keeps the last task of the old one, which has the App
    gc.collect()
    if prompt:
        print("To go on: Ctrl-D, or import main.")
        print("To configure it: import setup; setup.help()")

"""Starts that end early: three in a row, and the next one is safe mode (firmware/safe_mode.py).

A start ends early within two minutes, by a failure, a lack of memory, the watchdog or a crash of
the chip. One that a person or a command ended, or that lost its power, ends the row. The count is
in the RTC's memory: it wears nothing, and a power cut forgets it.
"""

from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.board import board

MOST = 3  # in a row
FAULT = "lastfault.txt"  # what the last one died of; see faults.py
# A crash of the chip is a reset without a reason: "hard".
_EARLY = ("failure", "memory", "watchdog", "hard")
_PLACE = 1


@rare
def begin(counts: bool = True) -> int:
    """How many starts before this one ended early, in a row. This one is the next of them until
    `lasted`, unless it does not count.
    """
    try:
        row = board.Retained(_PLACE)
        early = row.get() if board.reset_cause() in _EARLY else 0
        row.set(early + 1 if counts else 0)
        return early
    except OSError as error:  # of a simulated board alone
        Log("starts").warning("cannot be counted: %s", error)
        return 0


@rare
def lasted() -> None:
    """This start did not end early, or not by itself."""
    try:
        board.Retained(_PLACE).set(0)
    except OSError:
        pass

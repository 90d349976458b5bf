"""A configuration that came from afar, on trial: kept once the platform was reached with it.

    config.json        the new one
    config.old.json    the one before, until the new one is kept
    config.good.json   what is in force where config.json is wrong: never one on trial
    trial.json         that there is a trial, what has to work, and how often it was started;
                       then what came of it

Each is written whole or not at all, in an order in which the power may go at any moment. One that
ends in a crash before anything can be decided is given up after three starts.
"""

import asyncio
import json
import os

from micropython import const

from firmware.base import files, uptime
from firmware.base.log import Log

CONFIG = "config.json"
OLD = "config.old.json"
GOOD = "config.good.json"
WAYS = ("mqtt", "https")  # to the platform
_MARK = "trial.json"
_BOOTS = const(3)
_LOOK_MS = const(1000)

_mark: "dict | None" = None  # what trial.json says; None: there is none


def is_open() -> bool:
    """Whether one is on trial, or failed and nobody was told."""
    return _mark is not None


def begin() -> None:
    """To be called once, before the configuration is read: the start counts, and may end it."""
    global _mark
    _mark = _read()
    if not pending():
        return
    if _mark["crc"] != files.crc32(CONFIG):
        # The power went before the new one was written, or after the old one was back; or
        # something else has changed it.
        _end("the power went, or the file was changed, before it was kept")
    elif _mark["boots"] >= _BOOTS:
        roll_back("the device did not keep running with it")
    else:
        _mark["boots"] += 1
        _write_mark()


def pending() -> bool:
    """Whether the configuration is on trial."""
    return _mark is not None and "crc" in _mark


async def is_kept(reached, until_ms: int) -> bool:
    """Keep it as soon as all that it needs is in `reached()`, a list of ways to the platform.

    Or roll it back, at that uptime.
    """
    while True:
        ways = missing(reached())
        if not ways:
            confirm()
            return True
        if uptime.ms() >= until_ms:
            why = "the platform was not reached over %s with it in time" % ways
            Log("trial").error("%s; back to the configuration before", why)
            roll_back(why)
            return False
        await asyncio.sleep_ms(_LOOK_MS)


def missing(reached) -> str:
    """Over which ways, in words, it has yet to reach the platform; "" if it may be kept."""
    ways = [way for way in _mark["needs"] if way not in reached]
    if not ways and not reached:
        return " or ".join(WAYS)
    return " and ".join(ways)


def named() -> list:
    """The properties of which the part on trial says something."""
    if not pending():
        return []
    names = list(_mark["names"].get("thermostat", ()))
    if "setpoint" in names or "setpoint_cool" in names:
        names.append("preset")
    if "max_age_s" in _mark["names"].get("feed", ()):
        names.append("report_every")
    return names


def confirm() -> None:
    """It is kept."""
    global _mark
    crc = _mark["crc"]
    os.remove(_MARK)
    _mark = None
    try:
        if files.crc32(CONFIG) == crc:
            files.copy(CONFIG, GOOD)
    except OSError:
        pass  # the next start does it
    if files.exists(OLD):
        os.remove(OLD)


def roll_back(why: str) -> None:
    """The configuration before is in force after the next start; `note` then tells why."""
    try:
        if files.exists(OLD):
            os.rename(OLD, CONFIG)
    except OSError:
        return  # it stays on trial, and the next start tries again
    _end(why)


def note():
    """Why the last trial failed, in words, told once; or None."""
    global _mark
    if _mark is None or pending():
        return None
    why = _mark["failed"]
    _mark = None
    os.remove(_MARK)
    return why


def mark(crc: int, part: dict, needs: list) -> None:
    """The configuration of that sum, changed by that part, is on trial from its next start on."""
    global _mark
    names = {key: list(part[key]) if type(part[key]) is dict else [] for key in part}
    _mark = {"crc": crc, "boots": 0, "names": names, "needs": needs}
    files.replace_json(_MARK, _mark)


def _end(why):
    global _mark
    _mark = {"failed": why}
    _write_mark()


def _write_mark():
    """Where flash cannot be written, the device starts all the same."""
    try:
        files.replace_json(_MARK, _mark)
    except OSError:
        pass


def _read():
    """What trial.json says, None where there is none; one that makes no sense ends its trial."""
    try:
        with open(_MARK) as file:
            tree = json.load(file)
        if "crc" in tree:
            sane = type(tree["boots"]) is int and type(tree["names"]) is dict
            sane = sane and type(tree["needs"]) is list
        else:
            sane = type(tree["failed"]) is str
        if sane:
            return tree
    except OSError:
        return None
    except (ValueError, LookupError, TypeError):
        pass
    return {"failed": "it is not known what came of it"}

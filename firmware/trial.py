"""A configuration that came from afar, on trial: kept once the platform was reached with it.

    config.json        the new one
    config.old.json    the one before, until the new one is kept
    config.good.json   what is in force where config.json is wrong: never one on trial
    trial.json         that there is a trial, what has to work, and how often it was started;
                       then what came of it

Each is written whole or not at all, in an order in which the power may go at any moment. One that
ends in a crash before anything can be decided is given up after three starts.

To check a configuration takes the whole table of it, for which there is room only before the rest
of the firmware is loaded. So where memory is short the part is put aside, and checked at the next
start: trial.json has it meanwhile. What came of it is told then.
"""

import asyncio
import binascii
import gc
import json
import os
import sys

from micropython import const

from firmware import uptime
from firmware.log import Log

CONFIG = "config.json"
OLD = "config.old.json"
GOOD = "config.good.json"
WAYS = ("mqtt", "https")  # to the platform
_MARK = "trial.json"
_BOOTS = const(3)
# Bytes that the check takes, with some to spare; with words of 32 bits it is half of that.
_ROOM = 57344 if sys.maxsize > 1 << 32 else 28672
_SPACING_MS = const(60000)  # of uptime, before another restart only to check something
_LOOK_MS = const(1000)

_mark: "dict | None" = None  # what trial.json says; None: there is none
checked: "dict | None" = None  # the part that this start has put on trial, as it may be shown
refused = False  # it was checked at this start, and refused


def propose(part: dict, worked=WAYS) -> tuple:
    """Put a part of a configuration on trial: it is in force after a restart.

    worked: the ways to the platform that did until now, for what the trial is to show (amend.py).
    Returns the part as it may be shown, and the uptime at which to restart, in ms; 0 where nothing
    changes. Raises ValueError with words, also where the configuration as a whole would be wrong;
    nothing is changed then. If that can only be checked at the next start, None is returned for
    the part, and `checked` or `note` tells it then.
    """
    global _mark
    if _mark is not None:
        raise ValueError("another configuration is on trial; wait until it is kept or given up")
    from firmware import amend

    try:
        shown = amend.shown(part)
        gc.collect()
        if gc.mem_free() > _ROOM:
            try:
                return shown, int(amend.apply(part, worked))
            except MemoryError:
                pass  # what is free is in too many pieces
    finally:
        amend.forget()
    _mark = {"part": part, "worked": worked}
    write(_MARK, _mark)
    # Or a client that goes on sending nonsense would keep the device restarting.
    return None, _SPACING_MS if refused else 1


def begin() -> None:
    """To be called once, before the configuration is read: the start counts, and may end it."""
    global _mark, checked, refused
    checked = None
    refused = False
    _mark = _read()
    if _mark is not None and "part" in _mark:
        part, worked = _mark["part"], _mark["worked"]
        _mark = None
        from firmware import amend

        try:
            shown = amend.shown(part)
            if not amend.apply(part, worked):
                os.remove(_MARK)
            checked = shown
        except (ValueError, MemoryError, OSError) as error:
            refused = True
            _end(str(error) or "there is not enough memory to check it")
        finally:
            amend.forget()
    if not pending():
        return
    if _mark["crc"] != sum_of(CONFIG):
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
        if sum_of(CONFIG) == crc:
            copy(CONFIG, GOOD)
    except OSError:
        pass  # the next start does it
    if sum_of(OLD) >= 0:
        os.remove(OLD)


def roll_back(why: str) -> None:
    """The configuration before is in force after the next start; `note` then tells why."""
    try:
        if sum_of(OLD) >= 0:
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
    write(_MARK, _mark)


def write(path: str, tree) -> None:
    """Write JSON, whole or not at all, also if the power goes in between."""
    new = path + ".new"
    with open(new, "w") as file:
        json.dump(tree, file)
    os.rename(new, path)


def copy(path: str, other: str) -> None:
    """Copy a file, whole or not at all, also if the power goes in between."""
    new = other + ".new"
    with open(path, "rb") as source, open(new, "wb") as target:
        while True:
            block = source.read(256)
            if not block:
                break
            target.write(block)
    os.rename(new, other)


def sum_of(path: str) -> int:
    """CRC-32 of a file; -1 where there is none."""
    crc = 0
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(256)
                if not block:
                    return crc
                crc = binascii.crc32(block, crc)
    except OSError:
        return -1


def _end(why):
    global _mark
    _mark = {"failed": why}
    _write_mark()


def _write_mark():
    """Where flash cannot be written, the device starts all the same."""
    try:
        write(_MARK, _mark)
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
        elif "part" in tree:
            sane = type(tree["part"]) is dict and type(tree["worked"]) is list
        else:
            sane = type(tree["failed"]) is str
        if sane:
            return tree
    except OSError:
        return None
    except (ValueError, LookupError, TypeError):
        pass
    return {"failed": "it is not known what came of it"}

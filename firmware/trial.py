"""A configuration that came from afar, on trial: kept once the platform was reached with it.

    config.json        the new one
    config.old.json    the one before, until the new one is kept
    trial.json         that there is a trial, and how often it was started; then what came of it

Each is written whole or not at all, in an order in which the power may go at any moment. One that
ends in a crash before anything can be decided is given up after three starts.

To check a configuration takes the whole table of it, for which there is room only before the rest
of the firmware is loaded. So where memory is short the part is put aside, and checked at the next
start: trial.json has it meanwhile.
"""

import binascii
import gc
import json
import os
import sys

from micropython import const

from firmware import uptime

CONFIG = "config.json"
OLD = "config.old.json"
_MARK = "trial.json"
_BOOTS = const(3)
# Bytes that the check takes, with some to spare; with words of 32 bits it is half of that.
_ROOM = 57344 if sys.maxsize > 1 << 32 else 28672
_SPACING_S = const(60)  # of uptime, before a restart only to check something

_mark: "dict | None" = None  # what trial.json says; None: there is none
_refused = False  # at this start


def propose(part: dict) -> tuple:
    """Put a part of a configuration on trial: it is in force after a restart.

    Returns the part as it may be shown, and whether a restart is needed. Raises ValueError with
    words, also where the configuration as a whole would be wrong; nothing is changed then. But if
    that can only be checked at the next start, `note` says it then.
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
                return shown, amend.apply(part)
            except MemoryError:
                pass  # what is free is in too many pieces
    finally:
        amend.forget()
    wait_s = _SPACING_S - uptime.ms() // 1000
    if _refused and wait_s > 0:
        # Or a client that goes on sending nonsense would keep the device restarting.
        raise ValueError("there is not enough memory to check it now; try again in %d s" % wait_s)
    _mark = {"part": part}
    write(_MARK, _mark)
    return shown, True


def begin() -> None:
    """To be called once, before the configuration is read: the start counts, and may end it."""
    global _mark, _refused
    _refused = False
    _mark = _read()
    if _mark is not None and "part" in _mark:
        part = _mark["part"]
        _mark = None
        from firmware import amend

        try:
            if not amend.apply(part):
                os.remove(_MARK)
        except (ValueError, MemoryError, OSError) as error:
            _refused = True
            _end(str(error) or "there is not enough memory to check it")
        finally:
            amend.forget()
    if not pending():
        return
    if _mark["crc"] != sum_of(CONFIG):
        # The power went before the new one was written, or after the old one was back.
        _end("the power went before it was in force")
    elif _mark["boots"] >= _BOOTS:
        roll_back("the device did not keep running with it")
    else:
        _mark["boots"] += 1
        _write_mark()


def pending() -> bool:
    """Whether the configuration is on trial."""
    return _mark is not None and "crc" in _mark


def needs_https() -> bool:
    """Whether the part named the API, so that this is to be reached, too."""
    return "https" in _mark["names"]


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
    _mark = None
    os.remove(_MARK)
    if sum_of(OLD) >= 0:
        os.remove(OLD)


def roll_back(why: str = "the platform was not reached with it in time") -> None:
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


def mark(crc: int, part: dict) -> None:
    """The configuration of that sum, changed by that part, is on trial from its next start on."""
    global _mark
    names = {key: list(part[key]) if type(part[key]) is dict else [] for key in part}
    _mark = {"crc": crc, "boots": 0, "names": names}
    write(_MARK, _mark)


def write(path: str, tree) -> None:
    """Write JSON, whole or not at all, also if the power goes in between."""
    new = path + ".new"
    with open(new, "w") as file:
        json.dump(tree, file)
    os.rename(new, path)


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
        elif "part" in tree:
            sane = type(tree["part"]) is dict
        else:
            sane = type(tree["failed"]) is str
        if sane:
            return tree
    except OSError:
        return None
    except (ValueError, LookupError, TypeError):
        pass
    return {"failed": "it is not known what came of it"}

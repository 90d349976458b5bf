"""config.json: read, checked by `config.check`, and kept for the day when it is broken."""

import errno
import gc
import json
import os
import time

from micropython import const

from firmware.base import files, json_check
from firmware.base.log import Log
from firmware.config import check
from firmware.config.trial import CONFIG, GOOD, NEW

_LARGEST = const(16384)  # bytes of a file: some ten times the largest that makes sense
_LONGEST_KEY = const(40)  # characters that are repeated
_BLOCK = const(256)  # bytes read at a time
_LOOK_MS = const(5000)  # between two looks for a configuration where there is none


def load(path: str) -> tuple:
    """(settings, problems) of a file, as of `check.check`."""
    try:
        given = read(path)
    except ValueError as error:
        return None, ["%s: %s" % (path, error)]
    return check.check(given, spent=True)


def check_draft() -> None:
    """Raise ValueError, with the first problem of NEW, if it has any."""
    problems = check.check(read(NEW), check.COMPARED, True)[1]
    if problems:
        raise ValueError(problems[0])


def load_good(trial, failed=()) -> tuple:
    """(settings, problems) of config.json or, where it has problems, of the last good one.

    (None, problems) if there never was a good one. `failed`: the configurations of which nothing
    could be made, each as (trial.crc then, the error); they have problems, too. One that is on
    trial is given up then. Raises the last of those errors if no other configuration is left.
    """
    problems = []
    for crc, error in failed:
        text = "%s: cannot be put in force: %s: %s"
        path = GOOD if crc is None else CONFIG
        problems.append(text % (path, type(error).__name__, error))
    crc = files.crc32(CONFIG)
    settings = _another(CONFIG, crc, failed, problems)
    if settings is None and trial.pending():
        trial.roll_back(problems[0])
        crc = files.crc32(CONFIG)
        settings = _another(CONFIG, crc, failed, problems)
    trial.in_force(None if settings is None else crc)
    if settings is None and files.exists(GOOD):
        settings = _another(GOOD, None, failed, problems)
    if settings is None and failed:
        _log_all(problems)
        raise failed[-1][1]
    return settings, problems


def _another(path, crc, failed, problems):
    """The settings of a file that is none of those that failed; None, and its problems, else."""
    if crc in [known for known, _ in failed]:
        return None
    settings, found = load(path)
    problems.extend(found)
    return settings


def last_good() -> "dict | None":
    """The settings of the last good configuration; of config.json where there is none."""
    for path in (GOOD, CONFIG):
        settings, problems = load(path)
        if settings:
            return settings
        _log_all(problems)
    return None


def _log_all(problems):
    log = Log("load")
    for problem in problems:
        log.error("%s", problem)


def wait_for_good(trial, failed=()) -> dict:
    """The settings in force, as of `load_good`; where there are none, it waits until there are.
    Logs problems.
    """
    log = Log("load")
    how = ", press Ctrl-C, then: import setup; setup.%s()"
    told = None
    while True:
        settings, problems = load_good(trial, failed)
        if problems != told:
            _log_all(problems)
            told = problems
            if not settings:
                text = "no configuration; it is looked for every 5 s; to give one"
                log.warning(text + how, "wizard")
        if settings:
            if trial.crc is None:
                text = "running on the last good configuration, config.good.json; to mend this"
                log.warning(text + how, "check")
            return settings
        time.sleep_ms(_LOOK_MS)


def read(path: str) -> dict:
    """What a file says, unchecked. Raises ValueError with words for a person."""
    try:
        if os.stat(path)[6] > _LARGEST:
            raise ValueError("larger than %d bytes; is it the right file?" % _LARGEST)
        with open(path, "rb") as file:
            try:
                return _parse(file)
            except MemoryError:
                pass
            # Once more, before it is the file that is to blame.
            gc.collect()
            file.seek(0)
            return _parse(file)
    except MemoryError:
        raise ValueError("needs more memory than there is; is it the right file?")
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise ValueError("no such file; write one, see docs/configuration.md")
        raise ValueError("cannot be read: %s" % error)


def _parse(file):
    if file.read(3) != b"\xef\xbb\xbf":  # the byte order mark that some editors write
        file.seek(0)
    flaw = 0
    try:
        given = json.load(file)
        file.seek(0)
        flaw = json_check.depth(file)
        if flaw < 0:
            raise ValueError
    except ValueError:
        # It reads byte by byte, so the file stands one byte after the one it did not like.
        end = file.tell() - 1
        file.seek(0)
        line = 1
        for start in range(0, end, _BLOCK):
            line += file.read(min(_BLOCK, end - start)).count(b"\n")
        if flaw == -2:
            # From here back to the quote before it.
            file.seek(max(0, end - _BLOCK))
            key = str(file.read(min(_BLOCK, end)).split(b'"')[-1], "utf-8")[:_LONGEST_KEY]
            text = 'the key "%s" at line %d is there a second time in the same section; leave one'
            raise ValueError((text + " of them") % (key, line))
        text = "not JSON at line %d or just before; look for a comma, quote or bracket that is "
        raise ValueError((text + "missing or one too many") % line)
    if type(given) is not dict:
        raise ValueError("expected an object with sections: begin with { and end with }")
    return given

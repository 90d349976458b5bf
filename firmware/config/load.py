"""config.json: read, checked by `config.check`, and kept for the day when it is broken."""

import errno
import json
import os
import time

from micropython import const

from firmware.base import files, json_check
from firmware.base.log import Log
from firmware.config import check
from firmware.config.trial import CONFIG, GOOD

_LARGEST = const(16384)  # bytes of a file: some ten times the largest that makes sense
_BLOCK = const(256)  # bytes read at a time
_LOOK_MS = const(5000)  # between two looks for a configuration where there is none


def load(path: str) -> tuple:
    """(settings, problems) of a file, as of `check.check`."""
    try:
        given = read(path)
    except ValueError as error:
        return None, ["%s: %s" % (path, error)]
    return check.check(given)


def load_good(trial) -> tuple:
    """(settings, problems) of config.json or, where it has problems, of the last good one.

    The settings are None if there never was one. A file without problems is copied, so that a
    mistake in the next one costs neither the heat nor the way to mend it. One that is on trial is
    not copied; if it has problems, it is given up.
    """
    settings, problems = load(CONFIG)
    if settings is None and trial.pending():
        trial.roll_back(problems[0])
        settings, problems = load(CONFIG)
    if settings is None:
        if files.exists(GOOD):
            settings, older = load(GOOD)
            problems.extend(older)
        return settings, problems
    try:
        if not trial.pending() and not files.same(CONFIG, GOOD):
            files.copy(CONFIG, GOOD)
    except OSError as error:
        problems.append("%s: cannot be written, for the day it is needed: %s" % (GOOD, error))
    return settings, problems


def wait_for_good(trial) -> dict:
    """The settings in force; where there are none, it waits until there are. Logs problems."""
    log = Log("load")
    how = ", press Ctrl-C, then: import setup; setup.%s()"
    told = None
    while True:
        settings, problems = load_good(trial)
        if problems != told:
            for problem in problems:
                log.error("%s", problem)
            told = problems
            if not settings:
                text = "no configuration; it is looked for every 5 s; to give one"
                log.warning(text + how, "wizard")
        if settings:
            if problems:
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
            return _parse(file)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise ValueError("no such file; write one, see Configuration in README.md")
        raise ValueError("cannot be read: %s" % error)


def _parse(file):
    if file.read(3) != b"\xef\xbb\xbf":  # the byte order mark that some editors write
        file.seek(0)
    try:
        given = json.load(file)
        file.seek(0)
        if json_check.depth(file) < 0:
            raise ValueError
    except ValueError:
        # It reads byte by byte, so the file stands one byte after the one it did not like.
        end = file.tell() - 1
        file.seek(0)
        line = 1
        for start in range(0, end, _BLOCK):
            line += file.read(min(_BLOCK, end - start)).count(b"\n")
        text = "not JSON at line %d or just before; look for a comma, quote or bracket that is "
        raise ValueError((text + "missing or one too many") % line)
    except MemoryError:
        raise ValueError("needs more memory than there is; is it the right file?")
    if type(given) is not dict:
        raise ValueError("expected an object with sections: begin with { and end with }")
    return given

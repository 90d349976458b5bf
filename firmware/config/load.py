"""config.json: read, checked by `config.check`, and kept for the day when it is broken."""

import errno
import json
import os

from firmware.base import files, json_check
from firmware.config import check, trial

_LARGEST = 16384  # bytes of a file: some ten times the largest that makes sense


def load(path: str) -> tuple:
    """(settings, problems) of a file; the settings are None if there is any problem.

    The settings are nested dicts of the file's own shape with every default filled in; the
    problems are lines for a person, without secrets.
    """
    try:
        given = read(path)
    except ValueError as error:
        return None, ["%s: %s" % (path, error)]
    return check.check(given)


def load_good(path: str = trial.CONFIG, good: str = trial.GOOD) -> tuple:
    """(settings, problems) of a file or, where it has problems, of the last one that had none.

    The settings are None if there never was one. A file without problems is copied to `good`, so
    that a mistake in the next one costs neither the heat nor the way to mend it; but one that is
    on trial is not, and if it has problems, it is given up.
    """
    settings, problems = load(path)
    if settings is None and trial.pending():
        trial.roll_back(problems[0])
        settings, problems = load(path)
    if settings is None:
        if files.exists(good):
            settings, older = load(good)
            problems.extend(older)
        return settings, problems
    try:
        if not trial.pending() and not _same(path, good):
            files.copy(path, good)
    except OSError as error:
        problems.append("%s: cannot be written, for the day it is needed: %s" % (good, error))
    return settings, problems


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
        raise ValueError(
            "not JSON at line %d or just before; look for a comma, quote or bracket that is "
            "missing or one too many" % (1 + file.read(max(0, end)).count(b"\n"))
        )
    except MemoryError:
        raise ValueError("needs more memory than there is; is it the right file?")
    if type(given) is not dict:
        raise ValueError("expected an object with sections: begin with { and end with }")
    return given


def _same(path, other):
    if not files.exists(other):
        return False
    with open(path, "rb") as one, open(other, "rb") as two:
        while True:
            block = one.read(256)
            if block != two.read(256):
                return False
            if not block:
                return True

"""The settings in force: of config.json or, where that is wrong, of the last good one."""

import time

from micropython import const

from firmware.base import files
from firmware.base.log import Log
from firmware.config import check
from firmware.config.reader import read
from firmware.config.trial import CONFIG, GOOD

_UPDATE = ("update", "update.key", "update.confirm_s")
_LOOK_MS = const(5000)  # between two looks for a configuration where there is none


def load(path: str, sections=None, only=None) -> tuple:
    """(settings, problems) of a file, as of `check.check`. sections: those alone are looked at."""
    try:
        given = read(path)
    except ValueError as error:
        return None, ["%s: %s" % (path, error)]
    if sections:
        given = {key: given[key] for key in sections if key in given}
    return check.check(given, only, spent=True)


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


def update() -> tuple:
    """`update.key` and `update.confirm_s` of the last good configuration."""
    problems = []
    for path in (GOOD, CONFIG):
        settings, found = load(path, ("device", "update"), check.COMPARED + _UPDATE)
        if settings:
            return settings["update"]["key"], settings["update"]["confirm_s"]
        problems.extend(found)
    _log_all(problems)
    return None, 300


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

"""A part of a configuration, as a command brings it: merged, checked and put on trial, each by
modules that are loaded for that step alone.
"""

from firmware.base import files
from firmware.base.passing import passing
from firmware.config.trial import CONFIG, GOOD, NEW


def propose(trial, part: dict, worked: list) -> tuple:
    """Put the configuration in force, changed by a part, on trial: it counts after a restart.

    worked: the ways to the platform that worked until now. Returns the part as it may be shown,
    and whether a restart is needed. Raises ValueError with words; nothing is changed then.
    """
    if trial.mark:
        raise ValueError("another configuration is on trial; wait until it is kept or given up")
    problem = None
    # The second one is in force where the first is wrong.
    for path in (CONFIG, GOOD):
        try:
            changes = passing(_draft, path, part)
            problems = passing(_problems)
            if problems:
                raise ValueError(problems[0])
            hidden = passing(_shown, part)
            if changes:
                passing(_put_on_trial, trial, path, part, worked)
            return hidden, changes
        except ValueError as error:
            problem = problem or error
        finally:
            files.remove(NEW)
    raise problem


def _shown(part):
    from firmware.config import change

    return change.shown(part)


def _draft(path, part):
    from firmware.config import change

    return change.draft(path, part)


def _problems():
    from firmware.config import check

    return check.check(passing(_read), check.COMPARED, True)[1]


def _read():
    from firmware.config import reader

    return reader.read(NEW)


def _put_on_trial(*given):
    from firmware.config import change

    change.put_on_trial(*given)

"""Settings as the firmware hands them over: from its own check, with all defaults filled in."""

from firmware.config import check

DEVICE = {"id": "_dev_1", "key_id": "_key_1", "key_secret": "s"}


def settings(**sections):
    """The settings of a config.json of these sections. Raises ValueError where one is wrong."""
    given = {"device": DEVICE}
    given.update(sections)
    checked, problems = check.check(given)
    if problems:
        raise ValueError(problems)
    return checked

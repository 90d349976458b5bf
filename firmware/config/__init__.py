"""What the rest of the firmware asks of this room. The modules that it takes are loaded for that
moment only: they, and the table of keys, are a tenth of all code.
"""

from firmware.base.passing import passing


def wait_for_good(trial, make):
    """What `make` makes of the settings in force, as of firmware/config/load.py."""
    return passing(_wait_for_good, trial, make)


def propose(trial, part: dict, worked: list) -> tuple:
    """Put a changed configuration on trial, as firmware/config/change.py does."""
    return passing(_propose, trial, part, worked)


def _wait_for_good(trial, make):
    from firmware.config import load

    return load.wait_for_good(trial, make)


def _propose(trial, part, worked):
    from firmware.config import change

    return change.propose(trial, part, worked)

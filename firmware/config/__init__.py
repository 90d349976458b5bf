"""What the rest of the firmware asks of this room. The modules that it takes are loaded for that
moment only: they, and the table of keys, are a tenth of all code.
"""

from firmware.base.passing import passing, whole
from firmware.base.rare import rare


def wait_for_good(trial, make):
    """What `make` makes of the settings in force, as of firmware/config/load.py; of the last good
    ones, where it raises something. Raises that where there are no others.
    """
    failed: list = []
    while True:
        settings = passing(_wait_for_good, trial, failed)
        try:
            return whole(make, settings)
        except Exception as error:
            failed.append((trial.crc, error))


@rare
def last_good() -> "dict | None":
    """The settings for safe mode, as of firmware/config/load.py."""
    return passing(_last_good)


def censored(text: str) -> str:
    """A text without the secrets of the configurations on flash."""
    return passing(_censored, text)


@rare
def update() -> tuple:
    """`update.key` and `update.confirm_s` as they are on flash: they are needed too seldom to be
    kept in RAM.
    """
    return passing(_update)


def _wait_for_good(trial, failed):
    from firmware.config import load

    return load.wait_for_good(trial, failed)


@rare
def _update():
    from firmware.config import load

    return load.update()


@rare
def _last_good():
    from firmware.config import load

    return load.last_good()


def _censored(text):
    from firmware.config import change

    return change.censored(text)

"""What is made beside the regulation, a part at a time, and again where that failed.

The heating neither waits for such a part nor ends with it. Nor does the device restart for it.
"""

import asyncio
import sys

from micropython import const

from firmware.base.log import Log
from firmware.base.passing import whole

_FIRST_S = const(10)  # from a failure to the next attempt
_LONGEST_S = const(640)


class Parts:
    """Those that are not there yet, in their order."""

    def __init__(self, failed):
        """`failed(name, error)`: told of each attempt that failed."""
        self._failed = failed
        self._missing = []  # [name, make, what was last said of it]

    def add(self, name: str, make) -> None:
        """Make a part now, or as soon as that works. `make()` returns False while it lacks
        another part, and may raise anything.
        """
        part = [name, make, None]
        if not self._makes(part):
            self._missing.append(part)

    def complete(self) -> bool:
        return not self._missing

    async def run(self):
        """Try until all are there; never returns."""
        pause_s = _FIRST_S
        while self._missing:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_S)
            for part in list(self._missing):
                if self._makes(part):
                    self._missing.remove(part)
                    pause_s = _FIRST_S
        await asyncio.Event().wait()

    def _makes(self, part):
        name, make, told = part
        try:
            return whole(make) is not False
        except Exception as error:
            self._failed(name, error)
            try:
                text = "%s: %s" % (type(error).__name__, error)
                if text != told:
                    part[2] = text
                    Log("parts").error("%s failed; it is tried again: %s", name, text)
                    sys.print_exception(error)
            except MemoryError:
                pass  # there is not even enough for words
            return False

"""What is set of the device as a whole: how often it reports, `restart`, `identify`, `config`,
`update`.
"""

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare


class Device:
    """The owner of these commands."""

    @rare
    def __init__(self, queue, restart, propose, update=None):
        """propose: puts a part of a configuration on trial and returns that part without its
        secrets, and whether it changes anything; raises ValueError, with words.
        update: begins an update, and returns the answer; raises the same.
        """
        self._queue = queue
        self._restart = restart
        self._propose = propose
        self._update = update
        self._until_ms = 0  # uptime up to which the lamp blinks

    @rare
    def get(self, name: str):
        if name == "report_every":
            ms = self._queue.max_age_ms
            return ms / 1000 if ms % 1000 else ms // 1000
        if name in ("config", "update"):
            return {}
        return 0 if name == "identify" else False

    def put(self, name: str, value, utc_s: "int | None" = None):
        """Put a value in force; see firmware/commands/apply.py for what it returns."""
        if name == "report_every":
            self._queue.max_age_ms = round(1000 * value)
        elif name == "identify":
            self._until_ms = uptime.ms() + 1000 * value
            Log("device").info("this is the device that was asked to show itself")
        elif name == "config":
            shown, changes = self._propose(value)
            return shown, self._restart if changes else None
        elif name == "update":
            return self._update(value), None
        elif value:
            return None, self._restart
        return None

    def shows(self, now_ms: int) -> bool:
        """Whether the lamp is to blink, for as long as `identify` said. `now_ms`: uptime."""
        return now_ms < self._until_ms

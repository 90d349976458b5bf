"""The device's log, read as it grows, and what it says of the link."""

import re
from collections import deque
from pathlib import Path

_LINE = re.compile(r" *(\d+\.\d{3}) ([EWID]) (\w+): (.*)")
_MOST = 500
_STATE = re.compile(r"state: (.*)")


class Log:
    """The last 500 lines as (uptime, level, room, text)."""

    def __init__(self, path: Path):
        self._path = path
        self._read = 0
        self.lines: deque[tuple[str, str, str, str]] = deque(maxlen=_MOST)
        self.link = "starting"
        self.rooms: set[str] = set()
        self.total = 0  # lines so far

    def follow(self) -> None:
        """Take what has been written since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for text in whole.decode(errors="replace").splitlines():
            if match := _LINE.match(text):
                self.lines.append(match.groups())
                self.rooms.add(match[3])
                self.total += 1
                if match[3] == "uplink" and (state := _STATE.match(match[4])):
                    self.link = state[1]
                elif match[3] in ("mqtt_client", "https_api"):
                    self.link = match[4]

    def shown(self, room: str, level: str, most: int = 60) -> list[str]:
        """The last lines of a room ("" for all) and of a level ("E", "W" or "I") or worse.

        May be called while another thread follows the log.
        """
        levels = "EWID"[: "EWID".index(level) + 1]
        lines = [line for line in list(self.lines) if room in ("", line[2]) and line[1] in levels]
        return [f"{t:>9} {lvl} {name}: {text}" for t, lvl, name, text in lines[-most:]]

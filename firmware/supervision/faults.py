"""The last fault: what ended a run or a task, kept on flash until the platform has been told.

It is the end of the traceback below a line that says what died, of which version, and when. What
ended a run takes the place of what is kept. What ended a task does so only where nothing is: a
task that dies again and again is no reason to write as often. A lack of memory that a task met is
no fault of it, and not kept.
"""

import io
import json
import os
import sys

from micropython import const

from firmware import VERSION
from firmware.base import files, uptime
from firmware.supervision.starts import FAULT

_TAIL = const(600)  # bytes of a traceback that are told
# The longest secret. A part of one can stand at the beginning of what is kept, and is not told.
_SECRET = const(128)
_JSON = const(1000)  # bytes of JSON: the platform takes 1,024


class _End(io.IOBase):
    """The last bytes of what is written."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data = (self.data + bytes(data))[-_TAIL - _SECRET :]
        return len(data)


def keep(what: str, error, ends_run: bool = False) -> None:
    """Keep that `what` died of that error. Raises nothing."""
    try:
        if not ends_run and files.exists(FAULT):
            return
        end = _End()
        if type(error) is str:
            end.write(error.encode())
        else:
            sys.print_exception(error, end)
        head = "%s, firmware %s, %d s after the start" % (what, VERSION, uptime.ms() // 1000)

        def write(file):
            file.write(head.encode() + b"\n")
            file.write(end.data)

        files.replace(FAULT, write)
    except (OSError, MemoryError):
        pass  # nothing more can be done about it


class Untold:
    """Tells of the fault that is kept, and forgets it once that has left RAM."""

    def __init__(self, queue, censored):
        """`censored(text)`: a text without the configuration's secrets."""
        self._queue = queue
        self._censored = censored
        self._told: int | None = None  # the sum of the file that was told
        self._end = 0  # the number of the point behind it

    def take(self) -> "str | None":
        """What is to be told now: the fault that is kept, once in this run."""
        try:
            return self._take()
        except (OSError, MemoryError):
            return None  # the next report may

    def _take(self):
        found = files.crc32(FAULT)
        if found == -1:
            return None
        if found == self._told:
            if self._queue.numbers[0] >= self._end:
                os.remove(FAULT)
            return None
        with open(FAULT, "rb") as file:
            head = file.readline()
            tail = file.read()
        whole = len(tail) < _TAIL + _SECRET
        text = self._censored(_text(tail))
        if not whole:
            text = "…" + text[-_TAIL:]
        text = _text(head) + text
        while len(json.dumps(text).encode()) > _JSON:
            text = "…" + text[len(text) // 8 + 1 :]
        self._told = found
        self._end = self._queue.numbers[1] + 1
        return text


def _text(data) -> str:
    """The text of bytes, which may have been cut anywhere."""
    while data and data[0] & 0xC0 == 0x80:
        data = data[1:]
    try:
        return str(data, "utf-8")
    except UnicodeError:
        return str(bytes([c if c < 0x80 else 63 for c in data]), "utf-8")

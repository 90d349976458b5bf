"""What was set from afar or by the program, and survives a restart: values and their times.

A small file, written whole or not at all; its sum tells a damaged one. Flash wears out: it may be
written eight times at once, and then once in 5 s.

    {"values": {"setpoint": [21.5, 1795344000000], "mode": [1795344000001]}, "crc32": 2212294583}

A property that nobody has set has no value here, but the time at which it was last answered.
"""

import binascii
import errno
import json
import os

from micropython import const

from firmware.base import files, json_check
from firmware.base.log import Log
from firmware.base.rare import rare

_LARGEST = const(4096)  # bytes of the file
_DEEPEST = const(8)  # brackets within brackets
_BLOCK = const(128)  # bytes read at a time
_AT_ONCE = const(8)  # writings, before they come one at a time
_SPACING_MS = const(5000)
_MOST_FAILURES = const(3)  # of writings in a row, before nothing waits for them any more
_HEAD = const(b'{"values": {')
_TAIL = const(b'}, "crc32": %d}')


class Store:
    """Values by name, and times in ms since 1970, 0 if not known."""

    @rare
    def __init__(self, path: str = "settings.json"):
        """Reads the file. Of a damaged one nothing is used, and the log says so. MemoryError:
        there was too little for a whole one.
        """
        self._path = path
        self._log = Log("store")
        self._entries = {}  # name: (value, time) or (time,)
        # Names, as keys, of those that got their time in this run. No set: where one lacks memory
        # to grow it is broken for good, and MicroPython writes beyond it.
        self._fresh = {}
        self._changed = False
        self._used_ms = -_AT_ONCE * _SPACING_MS  # uptime up to which writings are used up
        self._failures = 0
        try:
            self._entries = _read(path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._log.error("%s: cannot be read: %s", path, error)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            self._log.error("%s: %s; the configuration's values hold", path, error)

    def get(self, name: str):
        """(value, time) of what somebody has set, else None."""
        entry = self._entries.get(name)
        return entry if entry and len(entry) == 2 else None

    def time(self, name: str) -> int:
        """When a property was set or last answered; 0 if never, or if that is not known."""
        entry = self._entries.get(name)
        return entry[-1] if entry else 0

    @rare
    def put(self, name: str, value, utc_ms: int, anew: bool = True) -> None:
        """Keep a value that somebody has set. It is on flash once `kept` says so. `anew`: also
        where it was that value before, and only its time is another.
        """
        before = self.get(name)
        # First: where memory is short in what follows, the file is written once too often.
        if anew or not before or before[0] != value:
            self._changed = True
        self._fresh[name] = True
        self._entries[name] = (value, utc_ms)

    @rare
    def date(self, name: str, utc_ms: int) -> None:
        """Change the time alone."""
        entry = self._entries.get(name, ())
        self._changed = True
        self._fresh[name] = True
        self._entries[name] = entry[:-1] + (utc_ms,)

    @rare
    def correct(self, moved_ms: int, latest_ms: int) -> None:
        """The clock was wrong by `moved_ms` in this run. A time of an earlier run that is later
        than `latest_ms` came of a wrong clock, too: nobody knows what it should be.
        """
        entries = dict(self._entries)  # all of them, or none where memory is short
        changed = self._changed
        for name, entry in self._entries.items():
            utc_ms = entry[-1] + (moved_ms if name in self._fresh and entry[-1] else 0)
            if utc_ms > latest_ms:
                utc_ms = 0
            if utc_ms != entry[-1]:
                entries[name] = entry[:-1] + (utc_ms,)
                changed = True
        self._entries = entries
        self._changed = changed

    def kept(self) -> bool:
        """Whether a power cut changes nothing, or the file system does not work."""
        return not self._changed or self._failures >= _MOST_FAILURES

    @rare
    def drop(self, name: str) -> None:
        """Forget a value, not its time."""
        if self.get(name):
            self._entries[name] = (self.time(name),)
            self._changed = True

    def tick(self, now_ms: int) -> None:
        """Write what has changed, as soon as that may be. `now_ms`: uptime."""
        begin_ms = max(self._used_ms, now_ms - _AT_ONCE * _SPACING_MS)
        if self._changed and begin_ms + _SPACING_MS <= now_ms:
            self._used_ms = begin_ms + _SPACING_MS
            self.flush()

    def flush(self) -> None:
        if not self._changed:
            return
        try:
            files.replace(self._path, self._write)
            self._changed = False
            self._failures = 0
        except (OSError, MemoryError) as error:
            # It is tried again with the next tick.
            self._failures += 1
            if self._failures == 1:
                self._log.error("%s: cannot be written: %s", self._path, error)

    def _write(self, file):
        """The file's contents, an entry at a time: no block of memory is as large as all of it."""
        file.write(_HEAD)
        total = binascii.crc32(_HEAD)
        separator = ""
        for name, entry in self._entries.items():
            data = ("%s%s: %s" % (separator, json.dumps(name), json.dumps(entry))).encode()
            separator = ", "
            file.write(data)
            total = binascii.crc32(data, total)
        # The sum is of all that stands before the comma.
        file.write(_TAIL % binascii.crc32(b"}", total))


@rare
def _read(path):
    """The entries of a file. Raises OSError; ValueError and others where it is damaged."""
    with open(path, "rb") as file:
        left = os.stat(path)[6]
        if left > _LARGEST:
            raise ValueError("it is damaged")
        # What nests deeper could take a hundred times its size.
        if not 0 < json_check.depth(file) <= _DEEPEST:
            raise ValueError("it is damaged")
        file.seek(0)
        tree = json.load(file)
        tail = _TAIL % tree["crc32"]
        left += 1 - len(tail)  # the tail's first byte counts
        total = 0
        file.seek(0)
        while left > 0:
            block = file.read(min(left, _BLOCK))
            total = binascii.crc32(block, total)
            left -= len(block) or left
        if total != tree["crc32"] or file.read() != tail[1:]:
            raise ValueError("it is damaged")
    entries = {}
    for name, entry in tree["values"].items():
        if type(entry[-1]) is not int or len(entry) > 2:
            raise ValueError("it is damaged")
        entries[name] = tuple(entry)
    return entries

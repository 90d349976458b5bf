"""What was set from afar or by the program, and survives a restart: values and their times.

A small file, written whole or not at all, at most once in 5 s; its sum tells a damaged one.

    {"values": {"setpoint": [21.5, 1795344000000]}, "crc32": 2212294583}
"""

import binascii
import errno
import json
import os

from micropython import const

from firmware.base.log import Log

_LARGEST = const(4096)  # bytes of the file
_SPACING_MS = const(5000)  # between two writings: flash wears out
_END = b', "crc32": '


class Store:
    """Values by name, each with the time at which it was set, in ms since 1970, 0 if not known."""

    def __init__(self, path: str = "settings.json"):
        """Reads the file. One that is damaged is told, and begins anew."""
        self._path = path
        self._log = Log("store")
        self._values = {}
        self._changed = False
        self._written_ms = -_SPACING_MS
        self._failed = False
        try:
            self._values = _read(path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._log.error("%s: cannot be read: %s", path, error)
        except (ValueError, TypeError, LookupError, MemoryError) as error:
            self._log.error("%s: %s; the configuration's values hold", path, error)

    def get(self, name: str):
        """(value, utc_ms), or None."""
        return self._values.get(name)

    def put(self, name: str, value, utc_ms: int) -> None:
        """Keep a value; it is on flash some seconds later."""
        self._values[name] = (value, utc_ms)
        self._changed = True

    def time(self, name: str) -> int:
        """When a value was set, in ms since 1970; 0 if never, or if that is not known."""
        kept = self._values.get(name)
        return kept[1] if kept else 0

    def tick(self, now_ms: int) -> None:
        """Write what has changed, if the last writing is long enough ago. `now_ms`: uptime."""
        if self._changed and now_ms - self._written_ms >= _SPACING_MS:
            self._written_ms = now_ms
            self.flush()

    def flush(self) -> None:
        """Write what has changed, now."""
        if not self._changed:
            return
        try:
            _write(self._path, self._values)
            self._changed = False
            self._failed = False
        except (OSError, MemoryError) as error:
            # It is tried again with the next tick.
            if not self._failed:
                self._failed = True
                self._log.error("%s: cannot be written: %s", self._path, error)


def _read(path):
    with open(path, "rb") as file:
        data = file.read(_LARGEST + 1)
    body, end, tail = data.rpartition(_END)
    if len(data) > _LARGEST or not end or tail != b"%d}" % binascii.crc32(body):
        raise ValueError("it is damaged")
    values = json.loads(body[len('{"values": ') :])
    for name in values:
        _, utc_ms = values[name]
        if type(utc_ms) is not int:
            raise ValueError("it is damaged")
    return values


def _write(path, values):
    new = path + ".new"
    body = b'{"values": ' + json.dumps(values).encode()
    with open(new, "wb") as file:
        file.write(body)
        file.write(_END)
        file.write(b"%d}" % binascii.crc32(body))
    os.rename(new, path)

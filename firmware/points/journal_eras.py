"""Undated readings: which of them can be dated, and by how much.

A reading that is taken before the clock is known carries its time on the board's own counter (the
RTC of an ESP32 counts on over a soft or watchdog reset) and the number of its era: the time from
power-on, or from the restart after the clock was last known, until the clock becomes known. One
offset dates a whole era, for life: it is kept on flash before the first point is sent by it, so
that a point that is sent again after a restart has the same millisecond. Eras whose counter ended
before the clock was known can never be dated.
"""

import errno
import os
import struct

from micropython import const

from firmware.base.rare import rare
from firmware.points.journal_record import Writer, write_header
from firmware.points.journal_segment import read

_DATED = const(0)
_ENDED = const(1)
_NEWEST = const(2)


class Eras:
    """The offsets that are known, in a file of the journal's folder."""

    @rare
    def __init__(self, path: str):
        self._path = path
        self.offsets: dict = {}  # era: ms, or None when it has ended undated
        self.newest = -1  # ms since 1970: no reading that was dated by them is younger
        self.damaged = 0

    @rare
    def load(self):
        """Read the file; that there is none is no damage."""
        try:
            with open(self._path, "rb") as file:
                self._read(read(file))
        except OSError as error:
            self.damaged += error.errno != errno.ENOENT
        except ValueError:
            self.damaged += 1

    @rare
    def _read(self, records):
        while records.next() >= 0:
            t = records.t
            if records.kind == _NEWEST:
                self.newest = t
            else:
                offset = t - (1 << 48) if t >= 1 << 47 else t  # it may be negative
                self.offsets[records.value] = None if records.kind == _ENDED else offset
        self.damaged += records.damaged

    @rare
    def keep(self, era: int, offset_ms, newest: int):
        """Date an era, or end it undated (None). `newest`: ms since 1970 of its last reading.

        Raises OSError when that could not be written; it is dated all the same.
        """
        self.offsets[era] = offset_ms
        self.newest = max(self.newest, newest)
        temporary = self._path + ".tmp"
        with open(temporary, "wb") as file:
            size, seed = write_header(file, [b'{"eras": 1}'])
            writer = Writer(file, size, seed)
            for number, offset in self.offsets.items():
                kind = _ENDED if offset is None else _DATED
                for _ in range(2):
                    writer.put(kind, (offset or 0) & 0xFFFFFFFFFFFF, -1, number)
            for _ in range(2):
                writer.put(_NEWEST, max(0, self.newest), -1, 0)
        os.rename(temporary, self._path)

    @rare
    def forget(self):
        """Nothing undated is left on flash."""
        if self.offsets:
            self.offsets = {}
            try:
                os.remove(self._path)
            except OSError:
                pass  # what it says stays true


def new_era() -> int:
    """A number that no readings on flash have, as good as certainly."""
    return struct.unpack("<H", os.urandom(2))[0]

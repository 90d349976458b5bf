"""The records of a journal's segment: the ring's nine bytes, and a check of two.

    | bytes | what |
    |---|---|
    | 1 | kind and property, as in the ring |
    | 4 | ms after the time base |
    | 4 | value |
    | 2 | CRC-32 of those nine, folded |

All are of one size, so that a damaged one costs itself alone. The check of a point is continued
from that of its time base, and the check of a base from that of the segment's header: a point
whose base or header is not the one that it was written under is damaged, too, and never gets a
wrong time or property. A time base is written twice.

Numbers are checked many at a time, too. Behind a time base a group begins with every 64th record.
Where its first 63 are numbers, the last one has the kind MORE, which only a text would go on with,
the time of the newest one plus 1, and as its value the CRC-32 of all before it, continued from the
time base's. Of a group that is damaged each record is checked by itself.
"""

import struct
from binascii import crc32

from micropython import const

from firmware.points.ring import BASE, MORE, TEXT

SIZE = const(11)
_GROUP = const(64)  # records
MAGIC = b"\x93Csipio2"
PREFIX = "<HI"  # length of the text, its CRC-32
START_SIZE = const(14)
_WORD = const(0xFFFFFFFF)
_FORMAT = "<BII"


def write_header(file, text: list) -> tuple:
    """Write a segment's header, twice; return (bytes written, seed for its records).

    `text`: JSON in bytes, cut into pieces.
    """
    size = seed = 0
    for piece in text:
        size += len(piece)
        seed = crc32(piece, seed)
    for _ in range(2):
        file.write(MAGIC + struct.pack(PREFIX, size, seed))
        for piece in text:
            file.write(piece)
    return 2 * (START_SIZE + size), seed


class Writer:
    """Writes records to an open file."""

    def __init__(self, file, size: int, seed: int):
        """`size`: bytes that the file has; `seed`: of its header."""
        self.file = file
        self.size = size
        self._header_seed = seed
        self._seed = seed
        self._base = 0
        self._cycle = -2  # no base written yet
        self._record = bytearray(SIZE)
        self._body = memoryview(self._record)[: SIZE - 2]
        self._count = 0  # of the group: records,
        self._crc = seed  # their check
        self._newest = 0  # and the newest one's time; the highest if not all are numbers

    def put(self, kind: int, t: int, cycle: int, value: int):
        """Write a point; the words of a text follow by `more`. Raises OSError."""
        if cycle != self._cycle or not 0 <= t - self._base <= _WORD:
            # Ctrl-C may come after each of these, and then what is left is put by this writer.
            self._cycle = -2
            high = t >> 32 & 0xFFFF | (max(cycle, 0) & 0xFFFF) << 16
            self._seed = self._header_seed
            for _ in range(2):
                self._write(BASE if cycle < 0 else BASE + 1, t & _WORD, high)
            self._seed = self._crc = crc32(self._body, self._header_seed)
            self._count = self._newest = 0
            self._base = t
            self._cycle = cycle
        elif self._count == _GROUP - 1 and self._newest < _WORD:
            self._write(MORE, self._newest + 1, self._crc)
        self._write(kind, t - self._base, value)
        # What goes back in time, as a clock that was set does, is looked at one by one.
        t -= self._base
        self._newest = t if kind < TEXT and t >= self._newest else _WORD

    def more(self, value: int):
        self._write(MORE, 0, value)
        self._newest = _WORD

    def _write(self, kind, time, value):
        record = self._record
        struct.pack_into(_FORMAT, record, 0, kind, time, value)
        struct.pack_into("<H", record, SIZE - 2, fold(crc32(self._body, self._seed)))
        self.file.write(record)
        self.size += SIZE
        self._crc = crc32(record, self._crc)
        self._count += 1
        if self._count == _GROUP:
            self._crc = self._seed
            self._count = self._newest = 0


def fold(crc: int) -> int:
    """The check of a record."""
    return (crc ^ crc >> 16) & 0xFFFF

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
"""

import json
import struct
from binascii import crc32

from micropython import const

from firmware.points.ring import MORE

SIZE = const(11)

_BASE = const(0xC0)
_WORD = const(0xFFFFFFFF)
_FORMAT = "<BII"
_MAGIC = b"\x93Csipio2"
_PREFIX = "<HI"  # length of the text, its CRC-32
_PREFIX_SIZE = const(6)
_HEADER_MOST = const(6144)  # 63 properties with names of 64 characters


def write_header(file, header: dict) -> tuple:
    """Write a segment's header, twice; return (bytes written, seed for its records)."""
    text = json.dumps(header).encode()
    seed = crc32(text)
    copy = _MAGIC + struct.pack(_PREFIX, len(text), seed) + text
    file.write(copy)
    file.write(copy)
    return 2 * len(copy), seed


def read_header(file) -> tuple:
    """(header, its bytes, seed) of a file at its beginning, where it leaves it behind the header.

    Raises ValueError when it has none that is whole.
    """
    start = file.read(len(_MAGIC) + _PREFIX_SIZE)
    if start[: len(_MAGIC)] == _MAGIC and len(start) == len(_MAGIC) + _PREFIX_SIZE:
        size, seed = struct.unpack(_PREFIX, start[len(_MAGIC) :])
        if size <= _HEADER_MOST:
            text = file.read(size)
            if len(text) == size and crc32(text) == seed:
                size = 2 * (len(start) + size)
                file.seek(size)
                return json.loads(text), size, seed
    # The first copy is damaged: the second one begins where the magic comes again.
    file.seek(0)
    start = file.read(2 * _HEADER_MOST)
    at = start.find(_MAGIC, 1)
    prefix = start[at + len(_MAGIC) : at + len(_MAGIC) + _PREFIX_SIZE]
    if at > 0 and len(prefix) == _PREFIX_SIZE:
        size, seed = struct.unpack(_PREFIX, prefix)
        at += len(_MAGIC) + _PREFIX_SIZE
        text = start[at : at + size]
        if len(text) == size and crc32(text) == seed:
            file.seek(at + size)
            return json.loads(text), at + size, seed
    raise ValueError("no segment of the journal")


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

    def put(self, kind: int, t: int, cycle: int, value: int):
        """Write a point; the words of a text follow by `more`. Raises OSError."""
        if cycle != self._cycle or not 0 <= t - self._base <= _WORD:
            self._cycle = cycle
            self._base = t
            high = t >> 32 & 0xFFFF | (max(cycle, 0) & 0xFFFF) << 16
            kind_of_base = _BASE if cycle < 0 else _BASE + 1
            self._write(kind_of_base, t & _WORD, high, self._header_seed)
            self.file.write(self._record)
            self.size += SIZE
            self._seed = crc32(self._body, self._header_seed)
        self._write(kind, t - self._base, value, self._seed)

    def more(self, value: int):
        """Write four bytes of a text."""
        self._write(MORE, 0, value, self._seed)

    def _write(self, kind, time, value, seed):
        struct.pack_into(_FORMAT, self._record, 0, kind, time, value)
        check = _fold(crc32(self._body, seed))
        self._record[SIZE - 2] = check & 0xFF
        self._record[SIZE - 1] = check >> 8
        self.file.write(self._record)
        self.size += SIZE


class Records:
    """Reads the records of an open file; those that are damaged are counted and left out."""

    def __init__(self, file):
        """Raises ValueError when the file is no segment."""
        self._file = file
        self.header, self.offset, self.seed = read_header(file)
        self._seed = self.seed  # of the header; of a base, once one was read
        self._record = bytearray(SIZE)
        self._body = memoryview(self._record)[: SIZE - 2]
        self._base = 0
        self.damaged = 0
        self.kind = -1
        self.t = 0
        self.cycle = -1
        self.value = 0

    def go_on(self, file):
        """The file was opened again. Raises OSError."""
        self._file = file
        file.seek(self.offset)

    def next(self) -> int:
        """Go to the next point or piece of a text; return its kind, or -1 at the end.

        Raises OSError.
        """
        record = self._record
        while True:
            size = self._file.readinto(record)
            if size:
                self.offset += size
            if size != SIZE:
                if size:
                    self.damaged += 1  # a torn tail
                self.kind = -1
                return -1
            kind, time, value = struct.unpack(_FORMAT, self._body)
            base = _BASE <= kind <= _BASE + 1
            crc = crc32(self._body, self.seed if base else self._seed)
            if _fold(crc) != record[SIZE - 2] | record[SIZE - 1] << 8:
                self.damaged += 1
            elif base:
                self._base = time | (value & 0xFFFF) << 32
                self.cycle = value >> 16 if kind & 1 else -1
                self._seed = crc
            else:
                self.kind = kind
                self.t = self._base + time
                self.value = value
                return kind


def _fold(crc: int) -> int:
    return (crc ^ crc >> 16) & 0xFFFF

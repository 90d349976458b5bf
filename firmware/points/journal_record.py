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

from firmware.points.properties import NONE
from firmware.points.ring import KIND, MORE, PROPERTY

SIZE = const(11)
_AT_ONCE = const(32)  # records that are read in one go

_TEXT = const(0x80)
_BASE = const(0xC0)
_WORD = const(0xFFFFFFFF)
_FORMAT = "<BII"
_WHOLE_FORMAT = "<BIIH"
_MAGIC = b"\x93Csipio2"
_PREFIX = "<HI"  # length of the text, its CRC-32
_PREFIX_SIZE = const(6)
_START_SIZE = const(14)
_HEADER_MOST = const(6144)  # 63 properties with names of 64 characters
_TABLE = b'"properties": "'
_CHUNK = const(256)


def write_header(file, text: list) -> tuple:
    """Write a segment's header, twice; return (bytes written, seed for its records).

    `text`: JSON in bytes, cut into pieces.
    """
    size = seed = 0
    for piece in text:
        size += len(piece)
        seed = crc32(piece, seed)
    for _ in range(2):
        file.write(_MAGIC + struct.pack(_PREFIX, size, seed))
        for piece in text:
            file.write(piece)
    return 2 * (_START_SIZE + size), seed


def read_header(file, properties) -> tuple:
    """(header, indexes, bytes, seed) of a file, which is left behind the header.

    `indexes`: where `properties`, or None, has those of its table (Properties.found). In the
    header "same" says whether the two are the same. ValueError: it has none that is whole.
    """
    at = 0
    size, seed = _checked(file, at)
    if size < 0:
        # The first copy is damaged: the second one begins where the magic comes again.
        at = _second(file)
        size, seed = _checked(file, at)
        if size < 0:
            raise ValueError("no segment of the journal")
    file.seek(at + _START_SIZE)
    header, indexes = _parse(file, size, properties)
    at += (1 if at else 2) * (_START_SIZE + size)
    file.seek(at)
    return header, indexes, at, seed


def _checked(file, at: int) -> tuple:
    """(size of the text, its CRC-32) of the copy there; (-1, 0) if it is not whole."""
    file.seek(at)
    start = file.read(_START_SIZE)
    if len(start) == _START_SIZE and start[: len(_MAGIC)] == _MAGIC:
        size, seed = struct.unpack(_PREFIX, start[len(_MAGIC) :])
        crc = 0
        left = size if size <= _HEADER_MOST else 0
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                break
            crc = crc32(chunk, crc)
            left -= len(chunk)
            if not left and crc == seed:
                return size, seed
    return -1, 0


def _second(file) -> int:
    """Where the magic comes for the first time behind the file's first byte; or its end."""
    at = 1
    text = b""
    file.seek(at)
    while at < _HEADER_MOST + _START_SIZE:
        chunk = file.read(_CHUNK)
        if not chunk:
            break
        text += chunk
        found = text.find(_MAGIC)
        if found >= 0:
            return at + found
        # Its beginning may be at the end of what was read.
        at += len(text)
        text = text[1 - len(_MAGIC) :]
        at -= len(text)
    return at


def _parse(file, size: int, properties) -> tuple:
    """The first two of read_header. The table is never in RAM as a whole."""
    indexes = bytearray()
    same = properties is not None
    before = None  # the JSON up to the table
    name = None
    in_table = False
    text = b""
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise ValueError("no segment of the journal")
        size -= len(chunk)
        text += chunk
        if before is None:
            at = text.find(_TABLE)
            if at < 0:
                continue
            at += len(_TABLE)
            before = text[:at]
            text = text[at:]
            in_table = True
        if in_table:
            end = text.find(b'"')
            in_table = end < 0
            words = (text if in_table else text[:end]).split(b" ")
            # The last word may go on in the next chunk.
            text = words.pop() if in_table else text[end:]
            for word in words:
                if name is None:
                    name = word
                    continue
                if properties:
                    i = properties.found(str(name, "utf-8"), int(word))
                    if i != len(indexes) or properties.decimals[i] != int(word):
                        same = False
                    indexes.append(i)
                name = None
    header = json.loads((before or b"") + text)
    header["same"] = same and len(indexes) == len(properties.names)
    return header, indexes


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

    def __init__(self, file, properties=None):
        """Raises ValueError when the file is no segment. `properties`: see read_header."""
        self._file = file
        self.header, self._indexes, self.offset, self.seed = read_header(file, properties)
        self._seed = self.seed  # of the header; of a base, once one was read
        self._block = bytearray(_AT_ONCE * SIZE)
        self._view = memoryview(self._block)
        self._at = self._end = 0  # of what is left in it
        self._base = 0
        self.damaged = 0
        self.kind = -1
        self.t = 0
        self.cycle = -1
        self.value = 0

    def go_on(self, file):
        """The file was opened again. Raises OSError."""
        self._file = file
        self._at = self._end = 0
        file.seek(self.offset)

    def prop(self) -> int:
        """Our index of the point's property, or NONE."""
        i = self.kind & PROPERTY
        return self._indexes[i] if i < len(self._indexes) else NONE

    def move(self, ring, until: int, latest_ms: int) -> int:
        """Move the dated numbers that follow into a ring, until its tail is `until`; how many.
        Stops, sooner or later, before whatever `next` has to look at.
        """
        tail = ring.tail
        if self.cycle >= 0 or tail.cycle != -1:
            return 0
        # What a record costs is what it looks up: all of it is local.
        unpack = struct.unpack_from
        block = self._block
        view = self._view
        seed = self._seed
        indexes = self._indexes
        known = len(indexes)
        kinds = ring.kinds
        times = ring.times
        values = ring.values
        slots = ring.slots
        shift = self._base - tail.base
        latest = min(latest_ms - self._base, _WORD - shift)
        first = pos = tail.pos
        at = self._at
        end = pos + min(until - tail.seq, ring.room(), (self._end - at) // SIZE)
        while pos < end:
            kind, time, value, check = unpack(_WHOLE_FORMAT, block, at)
            crc = crc32(view[at : at + SIZE - 2], seed)
            if (crc ^ crc >> 16) & 0xFFFF != check:
                break
            prop = kind & PROPERTY
            if kind >= _TEXT or not -shift <= time <= latest or prop >= known:
                break
            prop = indexes[prop]
            if prop == NONE:
                break
            i = pos % slots
            kinds[i] = kind & KIND | prop
            times[i] = time + shift
            values[i] = value
            pos += 1
            at += SIZE
        count = pos - first
        self.offset += SIZE * count
        self._at = at
        tail.seq += count
        tail.pos = pos
        return count

    def next(self) -> int:
        """Go to the next point or piece of a text; return its kind, -1 at the end, or OSError."""
        block = self._block
        while True:
            at = self._at
            if at == self._end:
                size = self._file.readinto(block)
                self._at = at = 0
                self._end = size - size % SIZE
                if not self._end:
                    if size:
                        self.offset += size
                        self.damaged += 1  # a torn tail
                    self.kind = -1
                    return -1
                if size != self._end:
                    self._file.seek(self.offset + self._end)  # the torn tail comes by itself
            # Where memory is short in this, `offset` stays before the record, to `go_on` from.
            kind, time, value = struct.unpack_from(_FORMAT, block, at)
            base = _BASE <= kind <= _BASE + 1
            crc = crc32(self._view[at : at + SIZE - 2], self.seed if base else self._seed)
            whole = (crc ^ crc >> 16) & 0xFFFF == block[at + SIZE - 2] | block[at + SIZE - 1] << 8
            if whole and base:
                self._base = time | (value & 0xFFFF) << 32
                self.cycle = value >> 16 if kind & 1 else -1
                self._seed = crc
            elif whole:
                self.t = self._base + time
                self.kind = kind
                self.value = value
            self._at = at + SIZE
            self.offset += SIZE
            if not whole:
                self.damaged += 1
            elif not base:
                return kind


def _fold(crc: int) -> int:
    return (crc ^ crc >> 16) & 0xFFFF

"""Reads a segment of the journal: its header, and its records (firmware/points/journal_record.py).

It is in memory while there is something to read.
"""

import json
import struct
from binascii import crc32

import framebuf
from micropython import const

from firmware.points.journal_record import MAGIC, PREFIX, SIZE, START_SIZE, fold
from firmware.points.properties import NONE
from firmware.points.ring import BASE, KIND, MORE, PROPERTY

_GROUP_SIZE = const(704)  # bytes of a group of 64 records
_FEW_SIZE = const(176)  # of 16 records
_CHECKED = const(693)  # of them, by its last record
_WORD = const(0xFFFFFFFF)
_FORMAT = "<BIIH"
_HEADER_MOST = const(6144)  # 63 properties with names of 64 characters
_TABLE = b'"properties": "'
_CHUNK = const(256)


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
    file.seek(at + START_SIZE)
    header, indexes = _parse(file, size, properties)
    at += (1 if at else 2) * (START_SIZE + size)
    file.seek(at)
    return header, indexes, at, seed


def _checked(file, at: int) -> tuple:
    """(size of the text, its CRC-32) of the copy there; (-1, 0) if it is not whole."""
    file.seek(at)
    start = file.read(START_SIZE)
    if len(start) == START_SIZE and start[: len(MAGIC)] == MAGIC:
        size, seed = struct.unpack(PREFIX, start[len(MAGIC) :])
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
    while at < _HEADER_MOST + START_SIZE:
        chunk = file.read(_CHUNK)
        if not chunk:
            break
        text += chunk
        found = text.find(MAGIC)
        if found >= 0:
            return at + found
        # Its beginning may be at the end of what was read.
        at += len(text)
        text = text[1 - len(MAGIC) :]
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


class Records:
    """Reads the records of an open file; those that are damaged are counted and left out."""

    def __init__(self, file, properties=None):
        """Raises ValueError when the file is no segment. `properties`: see read_header."""
        self._file = file
        self.header, self._indexes, self.offset, self.seed = read_header(file, properties)
        self._seed = self.seed  # of the header; of a base, once one was read
        try:
            self._block = bytearray(_GROUP_SIZE)
        except MemoryError:  # no block of that size is free: one by one, then
            self._block = bytearray(_FEW_SIZE)
        self._view = memoryview(self._block)
        self._at = self._end = 0  # of what is left in it
        self._checked = 0  # where the numbers end that were checked together
        self._newest = 0  # time of the newest one
        self._begin = self.offset  # of a group
        self._base = 0
        self.damaged = 0
        self.kind = -1
        self.t = 0
        self.cycle = -1
        self.value = 0

    def go_on(self, file):
        """The file was opened again. Raises OSError."""
        self._file = file
        self._at = self._end = self._checked = 0
        file.seek(self.offset)

    def prop(self) -> int:
        """Our index of the point's property, or NONE."""
        i = self.kind & PROPERTY
        return self._indexes[i] if i < len(self._indexes) else NONE

    def more(self) -> bool:
        """Is anything left, if only a damaged record? Raises OSError."""
        return self._at < self._end or self._load()

    def move(self, ring, until: int, latest_ms: int, offset_ms: int) -> int:
        """Move numbers that were checked together into a ring, until its tail is `until`; how
        many. 0: what comes next is for `next`. `offset_ms`: dates them. Raises OSError.
        """
        if self._at == self._checked > 0:
            self._at += SIZE
            self.offset += SIZE
        if not self.more():
            return 0
        tail = ring.tail
        slots = ring.slots
        base = self._base + offset_ms
        low = base & _WORD
        fresh = tail.cycle != -1 or tail.base != base
        first = tail.pos + fresh
        at = self._at
        count = min((self._checked - at) // SIZE, until - tail.seq, ring.room() - fresh)
        if count <= 0 or base + self._newest > latest_ms:
            return 0
        end = at + SIZE * count
        if not self.header["same"]:
            block = self._block
            for k in range(at, end, SIZE):
                prop = self._indexes[block[k] & PROPERTY]
                if prop == NONE:
                    end = k
                    break
                block[k] = block[k] & KIND | prop
            count = (end - at) // SIZE
            if not count:
                return 0
        # Each column of the records is copied as a picture is, which makes no objects of them.
        picture = framebuf.FrameBuffer
        form = framebuf.GS8
        records = picture(self._view[at:end], SIZE, count, form)
        i = first % slots
        for column, width, x in ((ring.kinds, 1, 0), (ring.times, 4, -1), (ring.raw, 4, -5)):
            column = picture(column, width, slots, form)
            column.blit(records, x, i)
            column.blit(records, x, i - slots)
        if fresh:
            i = tail.pos % slots
            ring.kinds[i] = BASE
            ring.times[i] = low
            ring.values[i] = base >> 32 & 0xFFFF
        ring.moved(first, count)
        tail.base = base
        tail.cycle = -1
        tail.pos = first + count
        tail.seq += count
        self._at = end
        self.offset += SIZE * count
        return count

    def next(self) -> int:
        """Go to the next point or piece of a text; return its kind, -1 at the end, or OSError."""
        while self.more():
            # Where memory is short in this, `offset` stays before the record, to `go_on` from.
            at = self._at
            kind, time, value, check = struct.unpack_from(_FORMAT, self._block, at)
            base = BASE <= kind <= BASE + 1
            point = not base and (kind != MORE or not time)
            crc = crc32(self._view[at : at + SIZE - 2], self.seed if base else self._seed)
            whole = fold(crc) == check
            if not whole:
                self.damaged += 1
            elif base:
                self._base = time | (value & 0xFFFF) << 32
                self.cycle = value >> 16 if kind & 1 else -1
                self._seed = crc
            elif point:
                self.t = self._base + time
                self.kind = kind
                self.value = value
            self._at = at + SIZE
            self.offset += SIZE
            if whole and point:
                return kind
            if whole and base:
                self._begin = self.offset
                self.go_on(self._file)
        self.kind = -1
        return -1

    def _load(self) -> bool:
        """Read the rest of a group; False at the end."""
        left = _GROUP_SIZE - (self.offset - self._begin) % _GROUP_SIZE
        view = self._view[: min(left, len(self._block))]
        size = self._file.readinto(view)
        end = size - size % SIZE
        checked = 0
        if size == _GROUP_SIZE:
            kind, time, value, check = struct.unpack_from(_FORMAT, self._block, _CHECKED)
            if (
                kind == MORE
                and time
                and fold(crc32(view[_CHECKED:-2], self._seed)) == check
                and crc32(view[:_CHECKED], self._seed) == value
            ):
                checked = _CHECKED
                self._newest = time - 1
        elif not end and size:
            self.damaged += 1  # a torn tail
            self.offset += size
        elif end != size:
            self._file.seek(self.offset + end)  # the torn tail comes by itself
        self._at = 0
        self._end = end
        self._checked = checked
        return end > 0

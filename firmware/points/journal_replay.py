"""Readings on their way from flash to the platform: through a small ring of their own.

A segment is removed when all its points have left that ring, by acknowledgement. This is in memory
while something is on flash.
"""

import gc

from micropython import const

from firmware.points.journal_reader import Records
from firmware.points.journal_record import SIZE
from firmware.points.journal_segment import Segment
from firmware.points.properties import NONE
from firmware.points.ring import HOLE, KIND, MAX_TEXT, MORE, TEXT, VOID, Ring

# At a segment that cannot be read.
_TRIES = const(3)
_RETRY_MS = const(10000)
# Slots of the ring while points are on their way: five feeds of 100 numbers, in blocks of less
# than 2 KiB each, the largest that the heap is asked for after the start.
_SLOTS = const(503)
# Where there are no such blocks: as many as the longest text needs, with its own slot and its
# time base. They hold two feeds of 100 numbers.
_FEWER_SLOTS = MAX_TEXT // 4 + 2
# Where there are not even these, in blocks of a quarter of a KiB.
_LEAST_SLOTS = const(64)
_SLOT_SIZE = const(9)  # bytes
# That stay free: while points are on their way over HTTPS the platform's state may be asked for.
_SPARE = const(8192)


class Replay:
    """Reads the journal, oldest first, into `ring`, which takes no memory while it is not used."""

    def __init__(self, journal):
        self.ring = Ring(0)
        self.undated = 0  # points that can never be dated
        self._journal = journal
        self._segment: Segment | None = None  # that is being read
        self._file = None
        self._records: Records | None = None
        self._held = False  # the record read last has not been taken over
        self._done = []  # (segment, the ring's seq behind its last point)
        self._tries = 0
        self._failed_at = 0
        self._text_at = 0  # position in the ring of the text that is being read
        self._text_next = self._text_end = 0
        self._text_offset = 0  # of its first record in the file

    def more(self) -> bool:
        """Can anything be read that is not in the ring yet?"""
        if self._resting():
            return False
        return self._segment is not None or self._journal.next() is not None

    def fill(self, unsent: int, wanted: int, latest_ms: int):
        """Read on until the ring has `wanted` points to send, of which it has `unsent`. What is
        later than `latest_ms` was dated by a clock that was wrong.
        """
        self.settle()
        if self._resting():
            return
        until = self.ring.tail.seq + wanted - unsent
        while self.ring.tail.seq < until:
            if self._segment is None and not self._choose():
                return
            try:
                if not self.ring.slots:
                    self._grow()
                if self._file is None:
                    self._open()
                if not self._read(until, latest_ms):
                    return
                self._tries = 0
            except MemoryError:
                self._stop()
                raise
            except OSError as error:
                self._failed(error)
                return
            except ValueError:
                self._close(1)

    def settle(self):
        """Remove the segments of which everything was acknowledged."""
        while self._done and self._done[0][1] <= self.ring.head.seq:
            self._journal.remove(self._done[0][0])
            self._done.pop(0)
        if (
            self._segment is None
            and self.ring.slots
            and not len(self.ring)
            and not self._journal.next()
        ):
            self.ring.resize(0)

    def _grow(self):
        gc.collect()
        spare = gc.mem_free() - _SPARE
        for slots in (_SLOTS, _FEWER_SLOTS):
            try:
                if spare > _SLOT_SIZE * slots:
                    self.ring.resize(slots)
                    return
            except MemoryError:
                pass
        self.ring.resize(_LEAST_SLOTS)

    def _resting(self) -> bool:
        return self._tries > 0 and self._journal.uptime_ms() - self._failed_at < _RETRY_MS

    def _choose(self) -> bool:
        """Begin with the next segment; False if there is none."""
        segment = self._journal.next()
        if segment is None:
            return False
        if segment is self._journal.tail:
            self._journal.seal()
        segment.busy = True
        self._segment = segment
        self._held = False
        return True

    def _open(self):
        """Open the segment, or open it again where it failed. Raises OSError and ValueError."""
        path = self._segment.path(self._journal.folder)
        self._file = open(path, "rb")  # noqa: SIM115 it stays open until its end
        if self._records:
            self._records.go_on(self._file)
        else:
            self._records = Records(self._file, self._journal.properties)

    def _read(self, until: int, latest_ms: int) -> bool:
        """Take records over; False when the ring is full. Raises OSError."""
        ring = self.ring
        records = self._records
        segment = self._segment
        while True:
            if not self._held and self._text_next >= self._text_end:
                offset = self._offset_ms()
                while offset is not None and ring.tail.seq < until:
                    moved = records.move(ring, until, latest_ms, offset)
                    if not moved:
                        break
                    segment.points -= moved
                if ring.tail.seq >= until and records.more():
                    return True
            kind = records.kind if self._held else records.next()
            if kind == MORE:
                if self._text_next < self._text_end:
                    ring.values[self._text_next % ring.slots] = records.value
                    self._text_next += 1
                continue
            if self._text_next < self._text_end:
                self._abandon_text()
            if kind < 0:
                self._close(records.damaged)
                return True
            self._held = True  # until it is taken over, or given up
            if ring.tail.seq >= until:
                return True
            more = (records.value + 3) // 4 if kind & KIND == TEXT else 0
            ring.next_point(ring.head)  # over what was a text, and is damaged
            if ring.room() < more + 2:
                if len(ring) or ring.slots >= _FEWER_SLOTS:
                    return False
                ring.resize(_FEWER_SLOTS)  # for this one text
            offset = self._offset_ms()
            if offset is not None and records.t + offset > latest_ms:
                offset = None
            prop = records.prop()
            i = -1
            if offset is None:
                self.undated += 1
            elif prop == NONE or more > MAX_TEXT // 4:
                records.damaged += 1
            else:
                i = ring.claim(kind & KIND | prop, records.t + offset, -1, 1 + more)
            self._held = False
            segment.points -= 1
            if i < 0:
                continue
            ring.values[i] = records.value
            if more:
                self._text_end = ring.tail.pos
                self._text_next = self._text_end - more
                self._text_at = self._text_next - 1
                self._text_offset = records.offset - SIZE
                for pos in range(self._text_next, self._text_end):
                    ring.kinds[pos % ring.slots] = MORE

    def _offset_ms(self):
        """What dates the record read last; None: nothing can."""
        cycle = self._records.cycle
        return self._journal.eras.offsets.get(cycle) if cycle >= 0 else 0

    def _abandon_text(self):
        """A piece of a text is damaged: what there is of it is no value."""
        ring = self.ring
        ring.kinds[self._text_at % ring.slots] = HOLE
        for pos in range(self._text_at + 1, self._text_end):
            ring.kinds[pos % ring.slots] = VOID
        self._text_next = self._text_end

    def _close(self, damaged: int):
        journal = self._journal
        segment = self._segment
        self._done.append((segment, self.ring.tail.seq))
        self._segment = self._records = None
        self._held = False
        self._tries = 0
        segment.points = 0
        journal.damaged += damaged
        self._close_file()
        if damaged:
            path = segment.path(journal.folder)
            journal.log.warning("%s: %d records are damaged", path, damaged)
        self.settle()

    def _failed(self, error):
        """What cannot be read now may be readable later; in the end it is given up."""
        journal = self._journal
        segment = self._segment
        journal.log.error("%s cannot be read: %s", segment.path(journal.folder), error)
        self._stop()
        self._tries += 1
        self._failed_at = journal.uptime_ms()
        if self._tries >= _TRIES:
            self._close(segment.points + (self._records.damaged if self._records else 0))

    def _stop(self):
        """What was begun is read again from its beginning, when the file is opened again."""
        if self._text_next < self._text_end and self._records:
            self._abandon_text()
            self._records.offset = self._text_offset
            self._segment.points += 1
        self._close_file()

    def _close_file(self):
        file, self._file = self._file, None
        try:
            if file:
                file.close()
        except OSError:
            pass

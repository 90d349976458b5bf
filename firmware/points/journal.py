"""Readings on flash, for those that could not be delivered: segments that are only appended to.

Why it is as it is (littlefs, 4 KiB blocks, 100,000 erases a block):

- Littlefs writes no block twice: appending to a file copies its last block to an erased one, and
  a metadata commit makes that count, or not, however the power is cut. So a spill costs one erase
  whether it is 1 or 300 points, whether the file stays open or not (measured: 1.03 erases a
  spill), and readings are spilled together, when some have gathered, not one by one (spill).
  A file a spill would cost a sixth of the erases, but a month of them is 90,000 files.
- How far a segment was delivered is not written down: that would cost as much as the reading
  itself. After a restart its points are sent again, with the same milliseconds, which changes
  nothing on the platform. What is delivered as a whole is removed; segments are four blocks.
- Whatever cannot be read costs the records it hits (journal_record) and is counted.
"""

import errno
import os
import time

from micropython import const

from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.points.journal_eras import Eras, new_era
from firmware.points.journal_record import SIZE, Writer, write_header
from firmware.points.journal_segment import BLOCK, LINKS, Segment, ending, find
from firmware.points.ring import KIND, TEXT

_SEGMENT_BLOCKS = const(4)
_STEP_MS = const(8)  # of work in one go
_ENOSPC = const(28)  # the same on every port, and not in `errno`
_RETRY_MS = const(10000)  # after the file system failed
_VOID = const(-1)  # size of a segment that was begun in vain
_LINE_SIZE = const(60)  # bytes of a header that are put together: memory may be in pieces


class Journal:
    """The segments, oldest first. None of its methods raises OSError unless it says so.

    Any may raise MemoryError. What it was about to do is then done by the next call; only after
    `append` and `commit` the caller has to say that they `failed`.
    """

    @rare
    def __init__(
        self, folder, kib: int, properties, when_full: str, uptime_ms, survived: bool, now: int
    ):
        """`kib`: flash to use; `survived`: the board's counter, which says `now`, goes on since
        the last run. The others are as in queue.Queue.
        """
        self.folder = folder
        self.properties = properties
        self.segments = []
        self.dropped = 0
        self.thinned = 0
        self.damaged = 0
        self.log = Log("journal")
        self.when_full = when_full
        self.newest = -1  # ms of the newest dated reading
        self.era = new_era()
        self.era_first = -1  # ms, on the board's counter, of the era's first reading on flash
        self.era_newest = -1
        self.eras = Eras(folder + "/eras")
        self._limit = max(2, kib * 1024 // BLOCK)
        self._segment_blocks = max(1, min(_SEGMENT_BLOCKS, self._limit // 8))
        self.segment_size = self._segment_blocks * BLOCK - LINKS
        self.uptime_ms = uptime_ms
        self.tail: Segment | None = None  # that is appended to
        self._writer: Writer | None = None
        self._full = False  # the tail
        self.uncommitted = 0  # points in it
        self._failed_at = None
        self._mounted = False
        self._trash = []  # segments that could not be removed
        self._resume(self._mount(), survived, now)
        self._rewrite = None
        if when_full == "thin":
            from firmware.points.journal_thinning import Rewrite

            self._rewrite = Rewrite(self)

    def points(self) -> int:
        """Points on flash that have not been read back."""
        return sum([segment.points for segment in self.segments])

    def next(self):
        """The oldest segment that can be read and nobody is at work on, or None."""
        for segment in self.segments:
            if not segment.busy:
                return None if segment is self.tail and self.uncommitted else segment
        return None

    # Writing

    def ready(self) -> bool:
        """May points be appended now? Not soon after a failure, nor when there is no room."""
        if self._resting() or not self._mounted:
            return False
        return self.tail is not None or self._make_room()

    def making_room(self) -> bool:
        rewrite = self._rewrite
        return rewrite is not None and (
            rewrite.under_way() or self._blocks() + 2 * self._segment_blocks > self._limit
        )

    def tick(self):
        """Do a little of what takes long. Raises nothing."""
        if not self._mounted and not self._resting():
            self._mount()
        if self.making_room():
            self._rewrite.step()

    def _resting(self) -> bool:
        return self._failed_at is not None and self.uptime_ms() - self._failed_at < _RETRY_MS

    def append(self, ring, cursor, end_seq: int, offset_ms) -> bool:
        """Append the ring's points from the cursor on, and move it; False: call again. Nothing
        counts before `commit`. It stops before `end_seq` at the end of a segment, or when there
        is no room. Raises OSError.
        """
        began = time.ticks_ms()
        count = 0
        while cursor.seq < end_seq:
            count += 1
            if not count & 15 and time.ticks_diff(time.ticks_ms(), began) >= _STEP_MS:
                return False
            i = ring.next_point(cursor)
            if i < 0:
                break
            kind = ring.kinds[i]
            more = (ring.values[i] + 3) // 4 if kind & KIND == TEXT else 0
            if not self._room_for(more + 4):
                break
            t = cursor.base + ring.times[i]
            cycle = cursor.cycle
            if cycle >= 0:
                if offset_ms is not None:
                    t += offset_ms
                    cycle = -1
                else:
                    if self.era_first < 0 or t < self.era_first:
                        self.era_first = t
                    self.era_newest = max(self.era_newest, t)
            if cycle < 0:
                self.newest = max(self.newest, t)
            self._writer.put(kind, t, cycle, ring.values[i])
            for k in range(i + 1, i + 1 + more):
                self._writer.more(ring.values[k % ring.slots])
            self.tail.points += 1
            self.uncommitted += 1
            ring.skip_point(cursor, i)
        return True

    def commit(self):
        """What was appended is on flash when this returns. Raises OSError."""
        writer = self._writer
        if writer and writer.file:
            file = writer.file
            writer.file = None
            file.close()
            self.tail.size = writer.size
            self.uncommitted = 0
        if self._full:
            self.seal()
        if self._failed_at is not None:
            self._failed_at = None
            self.log.info("works again")

    def seal(self):
        """What comes next goes to a new segment: this one is to be read."""
        self.tail = self._writer = None
        self._full = False
        self.uncommitted = 0

    def failed(self, error):
        """Appending raised this: what was not committed is to be appended again, in a new
        segment. That waits where the file system failed, and not where memory was short.
        """
        first = self._failed_at is None
        tail, writer, uncommitted = self.tail, self._writer, self.uncommitted
        self.seal()
        if tail:
            tail.points -= uncommitted
        try:
            if writer and writer.file:
                writer.file.close()
        except OSError:
            pass
        if isinstance(error, OSError):
            self._failed_at = self.uptime_ms()
            if first:
                self.log.error("the file system failed: %s", error)
        if tail and not tail.size:
            tail.busy = True  # until it is removed
            tail.size = _VOID
            self.remove(tail)
        if isinstance(error, OSError) and error.errno == _ENOSPC:
            # There is less room than the config says.
            self._limit = max(2 * self._segment_blocks, self._blocks())

    def remove(self, segment):
        """Remove a segment, whose points are delivered or given up."""
        if segment in self.segments:
            if segment not in self._trash:
                self._trash.append(segment)
            self.segments.remove(segment)
            if segment is self.tail:
                self.seal()
        self._empty_trash()
        if not self.segments:
            self.eras.forget()

    @rare
    def _empty_trash(self):
        while self._trash:
            path = self._trash[0].path(self.folder)
            try:
                os.remove(path)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    self.log.error("%s cannot be removed: %s", path, error)
                    return
            self._trash.pop(0)

    @rare
    def date(self, offset_ms: int, sure: bool):
        """The era's readings, on flash and to come, are dated by this offset. Until it is `sure`,
        they are none that others have to be later than.
        """
        newest = max(self.newest, self.era_newest + offset_ms)
        self._keep(self.era, offset_ms, newest)
        if sure:
            self.newest = newest

    @rare
    def distrust(self, latest_ms: int):
        """What is later than that was dated by a clock that was wrong: nothing is dated by it."""
        if max(self.newest, self.eras.newest) > latest_ms:
            self.newest = self.eras.newest = -1

    def _keep(self, era: int, offset_ms, newest: int):
        try:
            self.eras.keep(era, offset_ms, newest)
        except OSError as error:
            self.log.error("%s/eras cannot be written: %s", self.folder, error)

    def drop_oldest(self) -> bool:
        """Give up the oldest segment that is not being delivered; False if there is none."""
        for segment in self.segments:
            if not segment.busy and segment is not self.tail:
                self._trash.append(segment)  # or nothing is dropped
                self.dropped += segment.points
                self.remove(segment)
                self.log.warning("full: dropped the %d oldest readings", segment.points)
                return True
        return False

    def header(self, resolution_ms: int) -> list:
        """What a new segment says of itself, and of all that was written before it, as JSON in
        pieces. Every property's name and decimals are one text, so that a reader needs no more
        than a piece either.
        """
        era = (self.era, self.era_first, self.era_newest)
        text = [b'{"resolution": %d, "newest": %d, ' % (resolution_ms, self.newest)]
        line = '"era": [%d, %d, %d], "properties": "' % era
        space = ""
        for name, decimals in zip(self.properties.names, self.properties.decimals):
            if len(line) > _LINE_SIZE:
                text.append(line.encode())
                line = ""
            line += "%s%s %d" % (space, name, decimals)
            space = " "
        line += '"}'
        text.append(line.encode())
        return text

    def _room_for(self, records: int) -> bool:
        if (
            self._writer
            and self._writer.size + records * SIZE > self.segment_size
            and (self.tail.size or self.uncommitted)
        ):
            if self.uncommitted:
                self._full = True
                return False
            self.seal()  # it was full to the brim when it was committed
        if self._writer is None:
            return self._begin()
        if self._writer.file is None:
            self._writer.file = open(self.tail.path(self.folder), "ab")  # noqa: SIM115 commit closes it
        return True

    def _begin(self) -> bool:
        if not self._make_room():
            return False
        tail = Segment(max([0] + [s.number for s in self.segments + self._trash]) + 1)
        try:
            os.mkdir(self.folder)
        except OSError:
            pass  # it is there; if not, open will say so
        self._writer = writer = Writer(None, 0, 0)
        # Whatever of this goes wrong, `failed` undoes what there is of it.
        writer.file = open(tail.path(self.folder), "wb")  # noqa: SIM115 commit closes it
        self.segments.append(tail)
        self.tail = tail
        size, seed = write_header(writer.file, self.header(0))
        self._writer = Writer(writer.file, size, seed)
        return True

    def _blocks(self) -> int:
        return sum([segment.blocks() for segment in self.segments + self._trash])

    def _make_room(self) -> bool:
        for segment in self.segments:
            if segment.size == _VOID:
                self.remove(segment)
                break
        while self._blocks() + self._segment_blocks > self._limit:
            if self.when_full != "oldest" or not self.drop_oldest():
                return False
        return True

    # What an earlier run has left

    @rare
    def _mount(self):
        """Take over what is there; returns the era that its newest undated readings are of."""
        try:
            self.segments, self._trash = find(self.folder, self.log)
        except OSError as error:
            # What is there must be known before anything is written: it will be tried again.
            self._mounted = error.errno == errno.ENOENT
            if not self._mounted:
                self.failed(error)
            return None
        self.eras.load()
        era = self._go_on()
        self._mounted = True
        for segment in self._trash:
            self.damaged += segment.size > 0
        self._empty_trash()
        return era

    @rare
    def _go_on(self):
        """Go on with the newest segment, if that can be; returns the era as `_mount` does."""
        if not self.segments:
            return None
        self.log.info("%d readings are on flash", self.points())
        tail = self.segments[-1]
        path = tail.path(self.folder)
        try:
            newest, era, seed = ending(path, self.properties)
        except (OSError, ValueError) as error:
            self.log.error("%s cannot be read: %s", path, error)
            return None
        self.newest = max(newest, self.eras.newest)
        if seed is not None:
            self.tail = tail
            self._writer = Writer(None, tail.size, seed)
        return era

    @rare
    def _resume(self, era, survived: bool, now: int):
        """An era that is not over goes on, if the board's counter did."""
        if era is None or era[1] < 0 or era[0] in self.eras.offsets:
            return
        if survived and era[2] <= now:
            self.era, self.era_first, self.era_newest = era
        else:
            # This must be known after the next restart, too, which the counter may survive.
            self._keep(era[0], None, self.newest)

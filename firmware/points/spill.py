"""Readings that are too old for RAM: to flash when it is time, and back when they are asked for.

A reading goes to flash before it has been undelivered for `spill_after_ms`, together with all
that came after it, and when three quarters of the ring are taken. Where readings come so fast that
the ring is full before the next tick, an eighth goes at once. What goes leaves the ring, also if
it is in a feed in flight: it may be sent a second time, which changes nothing on the platform.

In an outage readings go as soon as a few have gathered, for a cut of the power takes what RAM has.
Each time erases a block of the flash, so this draws on a purse that fills slowly, and the emptier
it is, the more have to gather: the flash lives on, however long outages are and how much comes.
"""

from micropython import const

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware.base.passing import passing
from firmware.base.rare import rare
from firmware.points.in_flight import Window
from firmware.points.journal import Journal
from firmware.points.ring import Cursor

# Ages are known to an eighth of spill_after_ms, and the work of spilling takes time, too.
_MARKS = const(8)
_BUSY_MS = const(250)
_IDLE_MS = const(1000)
_PATIENCE = const(1000)  # steps of work for which a restart waits
# A link that has delivered nothing of what is due for so long is down; a reconnection is faster.
# After a start it has to be made first.
_OUTAGE_MS = const(3000)
_START_MS = const(10000)
# Readings that go early: with a full purse, and one more for each so many times that it lacks.
_BATCH = const(16)
_DEARER = const(16)
_COST_MS = const(180000)  # in which the purse gets what one time costs
_PURSE_MS = const(86400000)  # 480 times
_SHORT_MS = const(2000)  # after memory was short for reading


class Backlog:
    """The journal, what fills it from the live window's ring, and a window that empties it."""

    @rare
    def __init__(self, live, encoder, spill_after_ms: int, *kept):
        """`kept`: what the journal is made with, in the folder `journal`."""
        self.journal = Journal("journal", *kept)
        self.replay: Any = None  # while there is something to read, and
        self.window: Window | None = None  # of its ring
        self._undated = 0  # points that can never be dated, of those before this one
        self._short_ms = 0  # uptime until which memory is taken to be short for it
        self._live = live
        self._encoder = encoder
        self._spacing_ms = spill_after_ms // _MARKS
        self._after_ms = spill_after_ms - 2 * self._spacing_ms
        # (seq of the ring's tail, uptime): a point before that is older than this. Uptime, for
        # the clock may be set at any time.
        self._marks = []
        self._cursor: Cursor | None = None  # of a spill that is under way
        self._end_seq = 0
        now = self.journal.uptime_ms()
        self.well_ms = now + _START_MS  # uptime of the last acknowledgement, or when none was owed
        self._paid_ms = now - _PURSE_MS  # uptime until which the purse is spent

    def points(self) -> int:
        """Points on flash, also those that are on their way from there."""
        return self.journal.points() + (len(self.replay.ring) if self.replay else 0)

    @property
    def undated(self) -> int:
        """Points that could not be dated, and were not sent."""
        return self._undated + (self.replay.undated if self.replay else 0)

    def waiting(self, max_points: int) -> bool:
        """Is there a feed from flash, and the memory to hold it while it is in flight?"""
        if not self.replay:
            now = self.journal.uptime_ms()
            return self.journal.next() is not None and now >= self._short_ms
        ring = self.replay.ring
        room = not len(ring) or ring.room() > min(max_points, ring.slots // 2)
        return self.window.unsent() > 0 or (room and self.replay.more())

    def take(self, max_points: int, alone: bool, latest_ms: int):
        """As Window.take, of what is no later than `latest_ms`."""
        if not self._reads():
            return None
        self.replay.fill(self.window.unsent(), max_points, latest_ms)
        return self.window.take(max_points, 0, alone)

    def tick(self, now: int, offset_ms, due: bool) -> int:
        """Go on for some 10 ms; returns after how many ms to go on. `now`: uptime; `offset_ms`:
        dates the undated; None: not known; `due`: a feed of the live window is.
        """
        # What is undated is worth little after a cut, and none of it can be sent.
        if offset_ms is None or not (due or self._live.in_flight or self.journal.segments):
            self.well_ms = max(self.well_ms, now)
        self.journal.tick()
        if self._cursor is not None or (self._pressing(now) and self.journal.ready()):
            if self._cursor is None:
                self._begin()
            self._step(offset_ms)
        if self.points():
            return _BUSY_MS
        # Readings are noted late by so much, and looked for late again.
        return max(_BUSY_MS, min(self._spacing_ms // 4, _IDLE_MS))

    def flush(self, offset_ms):
        ring = self._live.ring
        left = -1
        for _ in range(_PATIENCE):
            if not len(ring) or (len(ring) == left and not self.journal.making_room()):
                return
            left = len(ring)
            self.journal.tick()
            if self.journal.ready():
                if self._cursor is None:
                    self._begin()
                while not self._step(offset_ms):
                    pass

    def relieve(self, offset_ms) -> bool:
        """The ring is full: the oldest eighth of it goes to flash at once. False: it cannot."""
        ring = self._live.ring
        if self._cursor is None:
            if not self.journal.ready():
                return False
            self._begin()
        room = ring.room()
        most = max(self._cursor.seq, ring.head.seq) + ring.slots // 8
        self._end_seq = min(self._end_seq, most)
        while not self._step(offset_ms):
            pass
        return ring.room() > room

    @rare
    def cancel(self):
        """The ring is about to change under a spill's cursor."""
        if self._cursor is not None:
            self._cursor = None
            try:
                self.journal.commit()
            except Exception as error:
                self._failed(error)

    def acknowledged(self):
        """A feed was, of this window or of the live one."""
        self.well_ms = self.journal.uptime_ms()
        self.settle()

    def settle(self):
        """Remove what was acknowledged, or set aside, as a whole; forget how to read when nothing
        is left.
        """
        replay = self.replay
        if replay:
            replay.settle()
            if not (self.journal.segments or len(replay.ring) or self.window.in_flight):
                self._undated += replay.undated
                self.replay = self.window = None

    def release(self):
        if self.window:
            self.window.release()

    def _reads(self) -> bool:
        """Whether what is on flash can be read. Where memory is short for that it stays there."""
        if not self.replay and self.waiting(0):
            try:
                replay = passing(_replay)(self.journal)
                self.window = Window(replay.ring, self._encoder)
                self.replay = replay
            except MemoryError:
                self._short_ms = self.journal.uptime_ms() + _SHORT_MS
        return self.replay is not None

    def _pressing(self, now: int) -> bool:
        """Is it time for a spill? If so, it is paid for."""
        ring = self._live.ring
        marks = self._marks
        while marks and marks[0][0] <= ring.head.seq:
            marks.pop(0)
        if len(ring) and (not marks or now - marks[-1][1] >= self._spacing_ms):
            marks.append((ring.tail.seq, now))
            if len(marks) > 2 * _MARKS:
                del marks[1]  # nothing can be spilled, and all of them are late
        if 4 * ring.room() < ring.slots:
            return True
        if marks and now - marks[0][1] >= self._after_ms:
            return True
        paid = max(self._paid_ms, now - _PURSE_MS)
        lacks = (paid - now + _PURSE_MS) // _COST_MS
        few = len(ring) < _BATCH + lacks // _DEARER
        if few or paid > now or now - self.well_ms < _OUTAGE_MS or not self.journal.ready():
            return False
        self._paid_ms = paid + _COST_MS
        return True

    def _begin(self):
        ring = self._live.ring
        self._cursor = Cursor()
        self._cursor.go(ring.head)
        self._end_seq = ring.tail.seq

    def _step(self, offset_ms) -> bool:
        """Go on spilling; True at its end."""
        ring = self._live.ring
        cursor = self._cursor
        if cursor.pos < ring.head.pos:
            cursor.go(ring.head)  # what was between has been delivered, or dropped
        try:
            if not self.journal.append(ring, cursor, self._end_seq, offset_ms):
                return False
            self.journal.commit()
            self._live.moved_to(cursor)
            self._cursor = None
        except Exception as error:
            self._failed(error)
        return True

    @rare
    def _failed(self, error):
        """Raises what is no failure of the file system."""
        self._cursor = None
        self.journal.failed(error)
        if not isinstance(error, OSError):
            raise error


def _replay():
    from firmware.points.journal_replay import Replay

    return Replay

"""Thinning on flash: segments that follow each other become one, of a coarser resolution.

The new segment takes the place of the youngest one by a rename, which littlefs does as a whole or
not at all; then the others go. A power cut between leaves points in both, which is harmless.
"""

import os
import time

from micropython import const

from firmware.points.journal_reader import Records
from firmware.points.journal_record import Writer, write_header
from firmware.points.properties import NONE
from firmware.points.ring import KIND, MORE
from firmware.points.thin import Measure, Thinner

_STEP_MS = const(8)  # of work in one go
TEMPORARY = "thin.tmp"


class Rewrite:
    """Halves the resolution of the oldest part of a journal, a few milliseconds at a time."""

    def __init__(self, journal):
        self._journal = journal
        self._thinner = Thinner()
        self._steps = None
        for segment in journal.segments:
            self._thinner.resolution_ms = max(self._thinner.resolution_ms, segment.resolution_ms)

    def under_way(self) -> bool:
        return self._steps is not None

    def step(self):
        """Work on. Raises nothing."""
        if self._steps is None:
            self._steps = self._work()
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
        except (OSError, ValueError) as error:
            self._steps = None
            self._journal.log.error("thinning failed: %s", error)
            self._journal.drop_oldest()

    def _choose(self) -> list:
        """The oldest segments that are finer than they may be, up to two, and where they fit in.

        The newest quarter keeps all its readings.
        """
        segments = self._journal.segments
        old = segments[: len(segments) - max(1, len(segments) // 4)]
        old = [s for s in old if not s.busy and s is not self._journal.tail]
        if not old or (len(old) == 1 and old[0].blocks() == 1):
            return []
        if min([s.resolution_ms for s in old]) >= max(1, self._thinner.resolution_ms):
            self._thinner.coarser()
        limit = max(1, self._thinner.resolution_ms)
        i = 0
        while old[i].resolution_ms >= limit:
            i += 1
        chosen = [s for s in old[i : i + 2] if s.resolution_ms < limit]
        if i and 2 * old[i - 1].size < self._journal.segment_size:
            # What was thinned before has room left, and a segment takes whole blocks.
            chosen.insert(0, old[i - 1])
        return chosen

    def _work(self):
        """Generator: thin the next segments into one."""
        journal = self._journal
        thinner = self._thinner
        sources = self._choose()
        if not sources:
            journal.drop_oldest()
            return
        for segment in sources:
            segment.busy = True
        try:
            if not thinner.resolution_ms:
                measure = Measure(len(journal.properties.names))
                for records, prop in self._points(sources[0]):
                    if prop is None:
                        yield
                    elif 0 <= prop < MORE:
                        measure.see(prop, records.t)
                thinner.resolution_ms = measure.resolution_ms()
            # A property that the config no longer has is known from here on, and in the header.
            for segment in sources:
                with open(segment.path(journal.folder), "rb") as file:
                    Records(file, journal.properties)
            yield
            yield from self._merge(sources)
        finally:
            for segment in sources:
                segment.busy = False

    def _merge(self, sources: list):
        journal = self._journal
        thinner = self._thinner
        thinner.start(len(journal.properties.names))
        temporary = journal.folder + "/" + TEMPORARY
        last = sources[-1]
        points = sum([s.points for s in sources])
        damaged = journal.damaged
        kept = 0
        with open(temporary, "wb") as out:
            size, seed = write_header(out, journal.header(thinner.resolution_ms))
            writer = Writer(out, size, seed)
            for segment in sources:
                keeping = False
                for records, prop in self._points(segment):
                    if prop is None:
                        yield
                    elif prop == MORE:
                        if keeping:
                            writer.more(records.value)
                    else:
                        keeping = prop >= 0 and thinner.keeps(prop, records.t)
                        if keeping:
                            kind = records.kind & KIND | prop
                            writer.put(kind, records.t, records.cycle, records.value)
                            kept += 1
        os.rename(temporary, last.path(journal.folder))
        last.size = writer.size
        last.points = kept
        last.resolution_ms = thinner.resolution_ms
        journal.thinned += max(0, points - kept - (journal.damaged - damaged))
        for segment in sources[:-1]:
            segment.points = 0
            journal.remove(segment)

    def _points(self, segment):
        """Generator of (records, our index of the property, or -1, or MORE); None to pause."""
        journal = self._journal
        began = time.ticks_ms()
        with open(segment.path(journal.folder), "rb") as file:
            records = Records(file, journal.properties)
            while records.next() >= 0:
                prop = records.prop()
                if records.kind == MORE:
                    prop = MORE
                elif prop == NONE:
                    prop = -1
                yield records, prop
                if time.ticks_diff(time.ticks_ms(), began) >= _STEP_MS:
                    yield records, None
                    began = time.ticks_ms()
            journal.damaged += records.damaged

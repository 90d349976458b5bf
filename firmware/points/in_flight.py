"""A ring's way out: feeds that are in flight, and what comes next.

Several feeds may be in flight, and be acknowledged in any order; the ring gives up its points in
order. What is released is sent again, unchanged.
"""

from firmware.points.ring import Cursor


class Batch:
    """A feed on its way: the points from the cursor `first` to the cursor `end`."""

    def __init__(self, lane):
        self.lane = lane
        self.first = Cursor()
        self.first.go(lane.sent)
        self.end = Cursor()
        self.end.go(lane.sent)
        self.done = False
        self.data = None  # memoryview of the document; valid until the next batch is taken
        self.prop = None  # the property that the document leaves out, if it was taken `alone`
        self.repeated = False  # some of its points were in a feed that was released

    def __len__(self) -> int:
        return self.end.seq - self.first.seq


class Lane:
    """Takes feeds out of a ring."""

    def __init__(self, ring, feed):
        """`ring`: a ring.Ring. `feed`: the feed.Feed that encodes; lanes may share it."""
        self.ring = ring
        self.sent = Cursor()  # the first point that is in no feed
        self.in_flight = []
        self._feed = feed
        self._suspect = 0  # points before this one are sent in smaller feeds
        self._fewer = 0  # of so many points
        self._seen = 0  # points before this one were in a feed

    def unsent(self) -> int:
        """Points that are in no feed."""
        return self.ring.tail.seq - self.next().seq

    def next(self) -> Cursor:
        """What is to be sent next; a full ring may have dropped points from under it."""
        if self.sent.pos < self.ring.head.pos:
            self.sent.go(self.ring.head)
        return self.sent

    def take(self, max_points: int, offset_ms: int, alone: bool = False):
        """The next feed as a Batch, or None. `offset_ms` and `alone`: see Feed.encode."""
        sent = self.next()
        if sent.seq < self._suspect:
            max_points = min(max_points, self._fewer)
        batch = Batch(self)
        end_seq = sent.seq + max_points
        batch.data = self._feed.encode(self.ring, batch.end, end_seq, offset_ms, alone)
        if batch.data is None:
            return None
        batch.prop = self._feed.prop
        batch.repeated = sent.seq < self._seen
        self._seen = max(self._seen, batch.end.seq)
        sent.go(batch.end)
        self.in_flight.append(batch)
        return batch

    def acknowledge(self, batch):
        """The platform has every point of the batch."""
        batch.done = True
        ring = self.ring
        while self.in_flight and self.in_flight[0].done:
            first = self.in_flight.pop(0)
            self._recount(first)
            if first.end.seq > ring.head.seq:
                ring.free_to(first.end)
        ring.next_point(ring.head)  # over what was set aside

    def _recount(self, batch):
        """What was dropped while it was in flight has arrived all the same."""
        overtaken = self.ring.head.seq - batch.first.seq
        if overtaken > 0:
            self.ring.dropped = max(0, self.ring.dropped - min(overtaken, len(batch)))

    def release(self):
        """Nothing in flight will be acknowledged any more: it has to be sent again."""
        for batch in self.in_flight:
            if batch.done:
                self._recount(batch)
        self.in_flight.clear()
        self.sent.go(self.ring.head)

    def refuse(self, batch):
        """The platform will not have this feed: send its points again, half as many at a time.

        A feed of one point names the culprit; that one is for `set_aside`.
        """
        self._suspect = batch.end.seq
        self._fewer = max(1, len(batch) // 2)
        self.release()

    def set_aside(self, batch):
        """Never send the one point of this batch again."""
        ring = self.ring
        if batch.first.seq >= ring.head.seq:
            ring.void(batch.first)
        self.acknowledge(batch)

    def moved_to(self, cursor):
        """The points before the cursor are in other hands: not lost, and not sent from here."""
        self.ring.free_to(cursor)
        for batch in list(self.in_flight):
            if batch.end.seq <= cursor.seq:
                self.in_flight.remove(batch)
            elif batch.first.seq < cursor.seq:
                batch.first.go(cursor)

"""Feeds in flight: sent, and not acknowledged yet; and what is to be sent next.

Several feeds may be in flight, and be acknowledged in any order; the ring gives up its points in
order. What is released is sent again, unchanged.
"""

from firmware.base.rare import rare
from firmware.points.ring import Cursor


class Feed:
    """A feed on its way: the points of a ring from the cursor `first` to the cursor `end`.

    A transport sends it: `len` is the bytes of its document, which an iteration gives in pieces.
    """

    def __init__(self, window, start: Cursor, repeated: bool):
        self.window = window
        self.first = Cursor()
        self.first.go(start)
        self.end = Cursor()
        self.end.go(start)
        self.points = 0
        self.size = 0  # bytes of the document
        self.shared = -1  # the property that all points are of
        self.even = False  # all are numbers that one calculation prints
        self.prop = None  # its name, if the document leaves that out
        self.repeated = repeated  # some of its points were in a feed that was released
        self.done = False
        self.counted_seq = start.seq  # points before it were dropped, or moved, and counted
        self._changes = window.ring.changes

    def __len__(self) -> int:
        return self.size

    def __iter__(self):
        return self.window.encoder.pieces(self)

    def intact(self, pos: int) -> bool:
        """Are the points from the position on still the ring's, as they were?"""
        ring = self.window.ring
        return ring.changes == self._changes and ring.tail.pos - ring.slots <= pos


class Window:
    """Takes feeds out of a ring, and holds those in flight."""

    @rare
    def __init__(self, ring, encoder):
        self.ring = ring
        self.encoder = encoder
        self.sent = Cursor()  # the first point that is in no feed
        self.in_flight = []
        self.offset_ms = 0  # what turns the time of an undated point into ms since 1970
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
        """The next feed, or None. `offset_ms`: see above; `alone`: see Encoder.measure."""
        sent = self.next()
        if self.ring.next_point(sent) < 0:
            return None
        if sent.seq < self._suspect:
            max_points = min(max_points, self._fewer)
        self.offset_ms = offset_ms
        feed = Feed(self, sent, sent.seq < self._seen)
        self.encoder.measure(feed, sent.seq + max_points, alone)
        self._seen = max(self._seen, feed.end.seq)
        self.in_flight.append(feed)
        sent.go(feed.end)
        return feed

    def acknowledge(self, feed):
        """The platform has every point of the feed."""
        feed.done = True
        ring = self.ring
        while self.in_flight and self.in_flight[0].done:
            first = self.in_flight.pop(0)
            self._recount(first)
            if first.end.seq > ring.head.seq:
                ring.head.go(first.end)
        ring.next_point(ring.head)  # over what was set aside

    def _recount(self, feed):
        """What was dropped while it was in flight has arrived all the same."""
        ring = self.ring
        overtaken = min(ring.head.seq, feed.end.seq) - feed.counted_seq
        if overtaken > 0:
            ring.dropped = max(0, ring.dropped - overtaken)

    def release(self):
        """Nothing in flight will be acknowledged any more: it has to be sent again."""
        for feed in self.in_flight:
            if feed.done:
                self._recount(feed)
        self.in_flight.clear()
        self.sent.go(self.ring.head)

    @rare
    def refuse(self, feed):
        """The platform will not have this feed: send its points again, half as many at a time."""
        self._suspect = feed.end.seq
        self._fewer = max(1, feed.points // 2)
        self.release()

    @rare
    def set_aside(self, feed):
        """Never send the one point of this feed again."""
        ring = self.ring
        if feed.first.seq >= ring.head.seq:
            ring.void(feed.first)
        self.acknowledge(feed)

    def moved_to(self, cursor: Cursor):
        """The points before the cursor are in other hands: not lost, and not sent from here."""
        self.ring.head.go(cursor)
        for i in range(len(self.in_flight) - 1, -1, -1):
            feed = self.in_flight[i]
            if feed.end.seq <= cursor.seq:
                self.in_flight.pop(i)
            else:
                feed.counted_seq = max(feed.counted_seq, cursor.seq)

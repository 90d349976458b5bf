"""The way back from flash: how much is on its way at a time, in what memory, how it is read."""

import builtins

from firmware.points.journal_record import SIZE
from model import Time, known_clock
from spilling import counters, delivered, elsewhere, spill, spilling, values


def on_flash(count):
    """A queue with so many readings on flash, and its clock's time."""
    elsewhere()
    time = Time()
    queue = spilling(time, slots=1024, max_points=100)
    spill(queue, time, count)
    return queue, time


def taken(queue):
    feeds = []
    while queue.due():
        feeds.append(queue.take())
    return feeds


def columns(queue):
    ring = queue._backlog.replay.ring
    return len(ring.kinds) + 4 * len(ring.times) + 4 * len(ring.values)


def test_five_feeds_from_flash_are_in_flight_at_once():
    queue, _ = on_flash(1200)
    feeds = taken(queue)
    assert [feed.points for feed in feeds] == [100] * 5
    queue.acknowledge(feeds[0])
    assert [feed.points for feed in taken(queue)] == [100]
    queue.release()
    assert sorted(values(delivered(queue))) == list(range(100, 1200))
    assert (len(queue), counters(queue)) == (0, {})


def test_what_they_take_is_there_only_while_they_are_on_their_way():
    queue, time = on_flash(700)
    assert columns(queue) == 0
    for _ in range(2):
        feeds = taken(queue)
        assert 4000 < columns(queue) < 5000
        while feeds:
            for feed in feeds:
                queue.acknowledge(feed)
            feeds = taken(queue)
        assert (len(queue), columns(queue)) == (0, 0)
        spill(queue, time, 250)


def test_a_feed_that_was_acknowledged_while_it_is_written_ends_early():
    queue, _ = on_flash(100)
    feed = queue.take()
    pieces = iter(feed)
    written = len(next(pieces))
    queue.acknowledge(feed)
    assert columns(queue) == 0
    assert written + sum([len(piece) for piece in pieces]) < len(feed)


class Reads:
    """A file that counts how often it is read."""

    count = 0

    def __init__(self, *args):
        self._file = REAL(*args)
        self.seek = self._file.seek
        self.read = self._file.read
        self.close = self._file.close

    def readinto(self, buffer):
        Reads.count += 1
        return self._file.readinto(buffer)


REAL = open


def test_records_are_read_many_at_a_time():
    queue, _ = on_flash(1000)
    builtins.open = Reads
    try:
        assert sorted(values(delivered(queue))) == list(range(1000))
    finally:
        builtins.open = REAL
    assert Reads.count < 1000 // 16


def test_a_damaged_record_among_them_costs_itself_alone():
    for number in range(100, 140):
        queue, time = on_flash(400)
        path = "journal/00000001.seg"
        with open(path, "r+b") as file:
            size = len(file.read())
            file.seek(size - SIZE * (400 - number) + 6)
            file.write(b"\xa5\x5a")
        again = spilling(time, max_points=100, clock=known_clock(time))
        found = values(delivered(again))
        assert found == [n for n in range(400) if n != number], number
        assert counters(again) == {"damaged": 1}
        del queue

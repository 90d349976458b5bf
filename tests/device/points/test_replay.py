"""The way back from flash: how much is on its way at a time, in what memory, how it is read."""

import builtins
import gc

from firmware.points.journal_record import SIZE
from firmware.points.ring import MORE
from model import T0, Time, known_clock, make_queue
from spilling import counters, delivered, elsewhere, segments, spill, spilling, values


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
    if not queue._backlog.replay:
        return 0
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
    """A file that counts how often one is opened and read."""

    count = 0

    def __init__(self, *args):
        Reads.count += 1
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
    Reads.count = 0
    builtins.open = Reads
    try:
        assert sorted(values(delivered(queue))) == list(range(1000))
    finally:
        builtins.open = REAL
    assert 0 < Reads.count < 1000 // 32


def test_how_many_there_are_is_known_without_reading():
    queue, _ = on_flash(3000)
    files = len(segments())
    Reads.count = 0
    builtins.open = Reads
    try:
        for _ in range(10):
            assert (len(queue), queue.spilled) == (3000, 3000)
        assert Reads.count == 0
        feed = queue.take()
        assert len(queue) == 3000
        queue.acknowledge(feed)
        before = Reads.count
        assert len(queue) == 2900 and Reads.count == before
    finally:
        builtins.open = REAL
    # What it adds up are files, of more than a thousand points each.
    assert files == len(queue._backlog.journal.segments) == 3


def changed(number, first, count=1):
    """Change so many bytes, from that one on, of the record of the reading with this number, and
    go on after a restart; 400 readings are on flash.
    """
    time = on_flash(400)[1]
    path = "journal/00000001.seg"
    records = 400 + 400 // 63  # behind the time base
    with open(path, "r+b") as file:
        size = len(file.read())
        at = size - SIZE * (records - number - number // 63) + first
        file.seek(at)
        data = bytes([byte ^ 0xA5 for byte in file.read(count)])
        file.seek(at)
        file.write(data)
    return spilling(time, max_points=100, clock=known_clock(time))


def test_a_damaged_record_among_them_costs_itself_alone():
    for number in range(100, 140):
        queue = changed(number, number % 10, 2 if number % 10 < 9 else 1)
        found = values(delivered(queue))
        assert found == [n for n in range(400) if n != number], number
        assert counters(queue) == {"damaged": 1}


def test_a_damaged_check_of_many_costs_no_reading():
    for byte in range(SIZE):
        queue = changed(62, SIZE + byte)
        assert values(delivered(queue)) == list(range(400)), byte
        assert counters(queue) == {"damaged": 1}


def test_without_their_time_base_none_has_a_wrong_time():
    queue = changed(0, -SIZE - 3)
    assert len(delivered(queue)) == 400
    queue = changed(0, -2 * SIZE + 3, SIZE + 1)
    assert delivered(queue) == []
    assert queue.damaged == 400 + 2 + 400 // 63  # also the bases and the checks of many


def test_a_journal_without_checks_of_many_is_read():
    time = on_flash(400)[1]
    path = "journal/00000001.seg"
    with open(path, "rb") as file:
        data = file.read()
    first = len(data) - SIZE * (400 + 400 // 63)
    with open(path, "wb") as file:
        file.write(data[:first])
        for at in range(first, len(data), SIZE):
            if data[at] != MORE:
                file.write(data[at : at + SIZE])
    again = spilling(time, max_points=100, clock=known_clock(time))
    assert len(again) == 400
    expected = [("temperature", T0 + 1000 * n, n) for n in range(400)]
    assert delivered(again) == expected
    assert counters(again) == {}


def test_texts_and_properties_that_the_config_no_longer_has_come_among_numbers():
    elsewhere()
    time = Time()
    queue = spilling(time, ("a", "b", "c"), slots=1024, max_points=100)
    expected = []
    for n in range(700):
        value = "text %d" % n if n % 150 > 140 else n
        queue.put(n % 3, value)
        expected.append(("abc"[n % 3], T0 + time.ms, value))
        time.ms += 1000
    queue.flush()
    for names in (("a", "b", "c"), ("c", "a"), ("d", "b")):
        found = delivered(spilling(time, names, slots=1024, max_points=100))
        assert found == expected, names
        elsewhere()
        queue = spilling(Time(), ("a", "b", "c"), slots=1024, max_points=100)
        for n, (_, t, value) in enumerate(expected):
            queue.put(n % 3, value, t)
        queue.flush()


def test_of_more_properties_than_a_point_can_name_the_rest_costs_nothing_else():
    elsewhere()
    time = Time()
    for k in range(3):
        names = ["p%d" % n for n in range(30 * k, 30 * k + 30)]
        queue = spilling(time, names, slots=1024)
        for n in range(300):
            queue.put(n % 30, n)
            time.ms += 1
        queue.flush()
    queue = spilling(time, ["q"], max_points=100)
    found = delivered(queue)
    assert [v for prop, _, v in found if prop == "p1"] == list(range(1, 300, 30))
    assert len(found) == 62 * 10
    assert counters(queue) == {"damaged": 28 * 10}


def garbage(queue):
    """Bytes that the heap is asked for, for each point on its way out."""
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        count = 0
        while True:
            feed = queue.take()
            if feed is None:
                return (gc.mem_alloc() - before) / count
            count += feed.points
            queue.acknowledge(feed)
    finally:
        gc.enable()


def test_the_way_leaves_no_garbage_for_each_reading():
    from_ram = make_queue(Time(), slots=4096, max_points=100)
    for n in range(3000):
        from_ram.put(0, n)
    from_flash, _ = on_flash(3000)
    # A 32-bit port makes an object of every time that it compares.
    assert garbage(from_flash) - garbage(from_ram) < 48

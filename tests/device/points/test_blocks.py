"""After the start no block of more than 2 KiB is asked of the heap, whatever happens; and what
takes readings to flash needs no large one.

The heap is left in pieces, so that a larger block is a MemoryError.
"""

import os

from model import T0, Time, known_clock, make_queue
from pieces import Pieces

HEAP = "512K"
_NAMES = ["p%02d" % n + "x" * 37 for n in range(63)]


def sent(feed):
    return sum([len(piece) for piece in feed])


def fill(queue, time, count, properties=63):
    for n in range(count):
        queue.put(n % properties, "x" * 1000 if n % 50 == 49 else n if n % 3 else n / 10)
        time.ms += 1000
        queue.tick()


def drain(queue):
    feeds = 0
    while True:
        feed = queue.take()
        if feed is None:
            return feeds
        assert sent(feed) == len(feed)
        queue.acknowledge(feed)
        feeds += 1


def test_a_feed_of_a_thousand_points_of_all_kinds():
    for compact in (False, True):
        time = Time()
        queue = make_queue(time, _NAMES, slots=8000, max_points=1000, compact=compact)
        with Pieces():
            fill(queue, time, 1200)
            assert drain(queue) >= 2


def test_an_outage_with_spilling_a_restart_and_the_way_back():
    for when_full in ("oldest", "newest", "thin"):
        settings = {"slots": 512, "max_points": 100, "flash_kib": 256, "when_full": when_full}
        time = Time()
        queue = make_queue(time, _NAMES, **settings)
        with Pieces():
            fill(queue, time, 6000)
            queue.flush()
            assert queue.spilled > 1000
        queue = make_queue(time, _NAMES, clock=known_clock(time, T0 + time.ms), **settings)
        with Pieces():
            fill(queue, time, 200)
            assert drain(queue) > 10
            assert len(queue) == 0 and queue.damaged == 0


def test_readings_go_to_flash_where_no_large_block_is_left():
    time = Time()
    names = ["%s%d" % (word, n) for n in range(20) for word in ("temperature", "state-")]
    queue = make_queue(time, names, slots=512, flash_kib=256)
    for n in range(200):
        queue.put(n % len(names), n)
    with Pieces(240):
        queue.flush()
        assert (queue.in_ram, queue.spilled) == (0, 200)


def test_a_ring_that_is_thinned():
    time = Time()
    queue = make_queue(time, _NAMES, slots=512, when_full="thin")
    with Pieces():
        fill(queue, time, 2000, 3)
    assert queue.thinned


def test_the_start_with_a_header_of_which_the_first_copy_is_damaged():
    settings = {"slots": 512, "max_points": 100, "flash_kib": 256}
    time = Time()
    queue = make_queue(time, _NAMES, **settings)
    fill(queue, time, 300)
    queue.flush()
    kept = queue.spilled
    assert kept >= 250
    queue = None
    for name in os.listdir("journal"):
        with open("journal/" + name, "r+b") as file:
            file.seek(20)
            file.write(b"\xff")
    queue = make_queue(time, _NAMES, **settings)
    for at in range(3):
        with Pieces():
            # The buffers of the queue are there: what it reads now, it reads at any time.
            assert queue.spilled == kept
            feed = queue.take()
            assert feed.points > 40, at
            sent(feed)
            queue.release()
    assert queue.damaged == 0
    with Pieces():
        drain(queue)
    assert (len(queue), queue.damaged) == (0, 0)

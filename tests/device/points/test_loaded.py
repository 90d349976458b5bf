"""What the configuration does not ask for is not loaded. Modules that were loaded stay, so each
test asks for more than the one before it.
"""

import sys

from model import Time, make_queue

_JOURNAL = ("journal", "journal_record", "journal_segment", "spill")
_READING = ("journal_reader", "journal_replay")
_THINNING = ("thin", "journal_thinning")


def loaded(names):
    return [name for name in names if "firmware.points." + name in sys.modules]


def test_a_queue_in_ram_loads_no_journal():
    for when_full in ("oldest", "newest"):
        queue = make_queue(Time(), when_full=when_full)
        queue.put(0, 20.5)
        queue.tick()
        queue.take()
        queue.flush()
    assert loaded(_JOURNAL + _READING + _THINNING) == []


def test_a_journal_that_drops_loads_no_thinning():
    for when_full in ("oldest", "newest"):
        queue = make_queue(Time(), when_full=when_full, flash_kib=64)
        queue.put(0, 20.5)
        queue.acknowledge(queue.take())
        queue.put(0, 20.5)
        queue.flush()
    assert loaded(_JOURNAL) == list(_JOURNAL)
    assert loaded(_THINNING) == []


def test_what_reads_the_journal_is_there_while_something_is_on_flash():
    queue = make_queue(Time(), flash_kib=64)
    assert not queue._backlog.replay
    queue.put(0, 20.5)
    queue.flush()
    assert not queue._backlog.replay
    feed = queue.take()
    assert queue._backlog.replay and queue._backlog.window
    queue.release()
    again = queue.take()
    assert again.repeated and queue._backlog.replay
    queue.acknowledge(again)
    assert not queue._backlog.replay and not queue._backlog.window and len(queue) == 0
    assert not loaded(_READING)
    queue.acknowledge(feed)  # late
    assert queue.take() is None


def test_a_ring_that_thins_loads_it():
    make_queue(Time(), when_full="thin")
    assert loaded(_THINNING) == ["thin"]

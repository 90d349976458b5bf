"""What the configuration does not ask for is not loaded. Modules that were loaded stay, so each
test asks for more than the one before it.
"""

import sys

from model import Time, make_queue

_JOURNAL = ("journal", "journal_record", "journal_replay", "journal_segment", "spill")
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
    assert loaded(_JOURNAL + _THINNING) == []


def test_a_journal_that_drops_loads_no_thinning():
    for when_full in ("oldest", "newest"):
        queue = make_queue(Time(), when_full=when_full, flash_kib=64)
        queue.put(0, 20.5)
        queue.flush()
        queue.take()
    assert loaded(_JOURNAL) == list(_JOURNAL)
    assert loaded(_THINNING) == []


def test_a_ring_that_thins_loads_it():
    make_queue(Time(), when_full="thin")
    assert loaded(_THINNING) == ["thin"]

"""What damage to the journal costs is counted, and stops nothing."""

import os
import sys

from model import T0, Time, known_clock, points
from spilling import (
    SEGMENT,
    counters,
    delivered,
    segments,
    spill,
    spilling,
    undated_queue,
    values,
)

HEAP = "16M"


def flipped(name, bit):
    with open(name, "rb") as f:
        data = bytearray(f.read())
    data[bit >> 3] ^= 1 << (bit & 7)
    with open(name, "wb") as f:
        f.write(data)


def test_any_flipped_bit_costs_at_most_the_record_it_hits():
    time = Time()
    queue = spilling(time, ("a", "b"))
    for n in range(4):
        queue.put(n % 2, 20.5 + n)
        queue.put(n % 2, "text %d" % n)
        time.ms += 1000
    queue.flush()
    name = SEGMENT % 1
    expected = delivered(spilling(time, ("a", "b"), clock=known_clock(time)))
    assert len(expected) == 8
    queue = spilling(Time(), ("a", "b"))
    for n in range(4):
        queue.put(n % 2, 20.5 + n)
        queue.put(n % 2, "text %d" % n)
        time.ms += 1000
    queue.flush()
    with open(name, "rb") as f:
        whole = f.read()
    silent = sys_print_off()
    try:
        for bit in range(0, 8 * len(whole), 3):
            data = bytearray(whole)
            data[bit >> 3] ^= 1 << (bit & 7)
            with open(name, "wb") as f:
                f.write(data)
            queue = spilling(Time(), ("a", "b"))
            found = delivered(queue)
            assert len(found) >= 7, (bit, found)
            assert queue.damaged <= 1 and len(found) >= 8 - queue.damaged
            assert len(queue) == 0
            good = {(p, v) for p, _, v in expected}
            assert {(p, v) for p, _, v in found} <= good, (bit, found)
    finally:
        silent()


def sys_print_off():
    module = sys.modules["firmware.base.log"]
    module.print = lambda *args: None

    def on():
        del module.print

    return on


def test_a_torn_tail_costs_its_record_and_new_readings_go_elsewhere():
    for cut in range(1, 12):
        time = Time()
        queue = spilling(time)
        spill(queue, time, 5)
        with open(SEGMENT % 1, "rb") as f:
            data = f.read()
        with open(SEGMENT % 1, "wb") as f:
            f.write(data[:-cut])
        queue = spilling(time, clock=known_clock(time, T0 + 60000))
        spill(queue, time, 3, first=5)
        assert values(delivered(queue)) == [0, 1, 2, 3, 5, 6, 7]
        assert counters(queue) == ({"damaged": 1} if cut < 11 else {})
        assert segments() == []


def test_a_segment_without_a_header_is_counted_and_removed():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 5)
    for size, name in ((5000, 2), (3, 3), (0, 4)):
        with open(SEGMENT % name, "wb") as f:
            f.write(b"\x93Csipio1\xff" * (size // 9) + b"x" * (size % 9))
    queue = spilling(time)
    assert values(delivered(queue)) == list(range(5))
    assert counters(queue) == {"damaged": 2}
    assert segments() == []


def test_files_that_are_none_of_ours_are_left_alone():
    os.mkdir("journal")
    names = ["notes.txt", "0000001.seg", "0000000g.seg", "-0000001.seg", "00000001.SEG", "a"]
    for name in names:
        with open("journal/" + name, "w") as f:
            f.write("mine")
    os.mkdir("journal/00000009.seg")
    os.mkdir("journal/folder")
    with open("journal/thin.tmp", "w") as f:
        f.write("a rewriting that was cut off")
    time = Time()
    queue = spilling(time)
    spill(queue, time, 40)
    queue = spilling(time)
    assert values(delivered(queue)) == list(range(40))
    assert sorted(os.listdir("journal")) == sorted(names + ["00000009.seg", "folder"])
    assert counters(queue) == {}


def test_a_damaged_file_of_eras_undates_what_it_dated():
    time = Time()
    _, queue = undated_queue(time, 0, False)
    spill(queue, time, 5)
    clock, queue = undated_queue(time, 9000, True)
    clock.set(T0, time.ms)
    assert len(points(queue.take())) == 5
    queue.release()
    for bit in range(0, 400, 7):
        flipped("journal/eras", bit)
        clock, again = undated_queue(time, 19000, True)
        clock.set(T0 + 3456, time.ms)
        found = points(again.take())
        assert [t for _, t, _ in found] == [t for _, t, _ in points(queue.take())]
        queue.release()
        flipped("journal/eras", bit)


def test_a_folder_that_cannot_be_made_costs_only_the_journal():
    with open("journal", "w") as f:
        f.write("a file")
    time = Time()
    queue = spilling(time, slots=16)
    for n in range(100):
        queue.put(0, n)
        time.ms += 1000
        queue.tick()
    queue.flush()
    assert len(queue) == 16
    assert queue.dropped == 84
    os.remove("journal")
    time.ms += 20000
    queue.tick()
    assert queue.spilled == 16
    assert values(delivered(queue)) == list(range(84, 100))


def test_properties_are_not_more_than_a_point_can_name():
    time = Time()
    for k in range(3):
        names = ["p%d" % n for n in range(30 * k, 30 * k + 30)]
        queue = spilling(time, names, slots=256)
        for n in range(30):
            queue.put(n, n)
        queue.flush()
    queue = spilling(time, ["q"])
    found = delivered(queue)
    assert len(found) == 62
    assert queue.damaged == 28
    assert len(queue.properties.names) == len(queue.properties.decimals) == 63

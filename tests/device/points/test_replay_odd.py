"""What comes back from flash after a clock was set back, and behind what is damaged."""

import os

from firmware.points import ring as module
from firmware.points.ring import Ring
from model import Time, known_clock
from spilling import counters, delivered, elsewhere, segments, spilling


class Lacking:
    """uctypes, where memory is short."""

    def __getattr__(self, name):
        return getattr(real, name)

    def struct(self, *given):
        raise MemoryError


real = module.uctypes


def set_back(compact, gap_ms, before, back_s, flushed):
    elsewhere()
    time = Time()
    clock = known_clock(time)
    queue = spilling(time, ["a"], clock=clock, compact=compact, max_points=100, slots=1024)

    def put(first, count):
        for n in range(count):
            time.ms += 5000
            queue.put(0, first + n / 4)

    put(10.0, 3)
    time.ms += gap_ms
    put(20.0, before)
    clock.set(clock.now() - 1000 * back_s, time.ms)
    put(40.0, 80)
    if flushed:
        queue.flush()
    return sorted(delivered(queue))


def test_times_that_a_clock_set_back_are_the_same_from_flash():
    for compact in (False, True):
        for case in ((0, 60, 240), (1080000, 60, 480), (0, 5, 61)):
            from_ram = set_back(compact, *case, flushed=False)
            assert len(from_ram) == 3 + case[1] + 80
            assert set_back(compact, *case, flushed=True) == from_ram, (compact, case)


def test_a_damaged_text_does_not_stop_what_comes_behind_it():
    for slots, texts in ((64, ("x" * 40, "y" * 300)), (503, ("x" * 1000, "y" * 1000))):
        elsewhere()
        time = Time()
        queue = spilling(time, ["a"], max_points=100, slots=1024)
        for value in texts + (1.5, 2.5):
            time.ms += 5000
            queue.put(0, value)
        queue.flush()
        path = "journal/" + segments()[0]
        with open(path, "rb") as file:
            data = bytearray(file.read())
        data[data.find(b"xxxx") + 1] ^= 1
        with open(path, "wb") as file:
            file.write(data)
        assert queue._backlog._reads()
        replay = queue._backlog.replay
        replay._grow = lambda replay=replay, slots=slots: replay.ring.resize(slots)
        assert [value for _, _, value in delivered(queue)] == [texts[1], 1.5, 2.5]
        assert not queue.due() and counters(queue) == {"damaged": 1}
        assert "journal" not in os.listdir() or not segments()


def test_a_ring_that_memory_keeps_from_growing_is_as_before():
    ring = Ring(8)
    module.uctypes = Lacking()
    try:
        ring.resize(4)
        raise AssertionError("it has grown")
    except MemoryError:
        pass
    finally:
        module.uctypes = real
    ring.append_float(0, 5, -1, 21.5)
    assert ring.slots == 8 and len(ring.raw) == 32
    assert ring.values[1] == 0x41AC0000  # behind the time's base

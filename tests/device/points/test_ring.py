"""The ring: what goes in comes out, in order, however it wraps; what does not fit is counted."""

import gc
import random
import sys

from firmware.points.ring import BASE, INTEGER, KIND, MAX_TEXT, PROPERTY, TEXT, Cursor, Ring
from model import T0
from skip import Skip

_WORD = 0xFFFFFFFF


def held(ring):
    """[(property, ms, cycle, value), ...] of every point in the ring."""
    cursor = Cursor()
    cursor.go(ring.head)
    points = []
    while True:
        i = ring.next_point(cursor)
        if i < 0:
            assert cursor.seq == ring.tail.seq
            assert len(points) == len(ring)
            return points
        kind = ring.kinds[i]
        t = cursor.base + ring.times[i]
        if kind & KIND == TEXT:
            value = ring.text(cursor.pos)
        else:
            value = ring.values[i]
        points.append((kind & PROPERTY, t, cursor.cycle, value))
        ring.skip_point(cursor, i)


def test_an_empty_ring_holds_nothing():
    ring = Ring(16)
    assert len(ring) == 0
    assert held(ring) == []


def test_numbers_and_texts_come_out_as_they_went_in():
    ring = Ring(64)
    ring.append_int(0, T0, -1, 7)
    ring.append_int(62, T0 + 1, -1, -7)
    ring.append_float(1, T0 + 2, -1, 1.5)
    for size in range(9):
        ring.append_text(2, T0 + 3 + size, -1, b"12345678"[:size])
    expected = [(0, T0, -1, 7), (62, T0 + 1, -1, -7 & _WORD), (1, T0 + 2, -1, 0x3FC00000)]
    expected += [(2, T0 + 3 + size, -1, b"12345678"[:size]) for size in range(9)]
    assert held(ring) == expected


def test_one_time_base_dates_49_days():
    ring = Ring(16)
    ring.append_int(0, T0, -1, 0)
    ring.append_int(0, T0 + _WORD, -1, 1)
    assert ring.tail.pos == 3
    ring.append_int(0, T0 + _WORD + 1, -1, 2)
    assert ring.tail.pos == 5
    assert [p[1] for p in held(ring)] == [T0, T0 + _WORD, T0 + _WORD + 1]


def test_a_time_before_the_base_gets_a_base_of_its_own():
    ring = Ring(16)
    for t in (T0, T0 - 1, T0, T0 - 86400000):
        ring.append_int(0, t, -1, 0)
    assert [p[1] for p in held(ring)] == [T0, T0 - 1, T0, T0 - 86400000]


def test_undated_points_keep_their_power_cycle():
    ring = Ring(16)
    ring.append_int(0, 5000, 0, 0)
    ring.append_int(0, 6000, 0, 0)
    ring.append_int(0, 6000, 0xFFFF, 0)
    ring.append_int(0, T0, -1, 0)
    assert [p[1:3] for p in held(ring)] == [(5000, 0), (6000, 0), (6000, 0xFFFF), (T0, -1)]


def test_times_reach_48_bits():
    ring = Ring(16)
    ring.append_int(0, (1 << 48) - 1, -1, 0)
    ring.append_int(0, 0, 1, 0)
    assert [p[1] for p in held(ring)] == [(1 << 48) - 1, 0]


def test_a_full_ring_drops_the_oldest_and_counts():
    ring = Ring(16)
    for n in range(100):
        ring.append_int(0, T0 + n, -1, n)
        # The base takes a slot as long as it is not the oldest thing in the ring.
        assert len(ring) == min(n + 1, 15 if n < 16 else 16)
    assert ring.dropped == 84
    assert [p[3] for p in held(ring)] == list(range(84, 100))
    assert [p[1] for p in held(ring)] == [T0 + n for n in range(84, 100)]


def test_freed_slots_are_used_again_for_ever():
    ring = Ring(16)
    cursor = Cursor()
    for n in range(200):
        ring.append_text(0, T0 + n, -1, b"%d" % n)
        ring.append_int(1, T0 + n, -1, n)
        cursor.go(ring.head)
        for point in (b"%d" % n, n):
            i = ring.next_point(cursor)
            assert (ring.text(cursor.pos) if i >= 0 and point != n else ring.values[i]) == point
            ring.skip_point(cursor, i)
        ring.head.go(cursor)
        assert len(ring) == 0
    assert ring.dropped == 0


def test_a_text_may_fill_the_ring_but_not_more():
    ring = Ring(16)
    ring.append_int(0, T0, -1, 0)
    ring.append_text(0, T0, -1, b"x" * 56)
    assert held(ring)[-1][3] == b"x" * 56
    for size in (57, MAX_TEXT + 1):
        try:
            ring.append_text(0, T0, -1, b"x" * size)
            raise AssertionError(size)
        except ValueError as e:
            assert str(size) in str(e)
    assert held(ring)[-1][3] == b"x" * 56


def test_the_longest_text_is_1_kib():
    ring = Ring(300)
    for n in range(5):
        ring.append_text(0, T0, -1, bytes([n]) * MAX_TEXT)
        assert held(ring)[-1][3] == bytes([n]) * MAX_TEXT


def test_a_thousand_random_points_against_a_list():
    random.seed(7)
    for slots in (16, 17, 61):
        ring = Ring(slots)
        model = []  # no more of it than the ring can hold
        taken = 0
        t = T0
        for n in range(1000):
            t += random.choice((1, 1000, -5000, 1 << 33, 0))
            cycle = random.choice((-1, -1, -1, 0, 3))
            prop = random.randrange(63)
            if random.randrange(3):
                value = random.getrandbits(31)
                ring.append_int(prop, t, cycle, value)
            else:
                value = bytes(random.getrandbits(7) for _ in range(random.randrange(40)))
                ring.append_text(prop, t, cycle, value)
            model.append((prop, t, cycle, value))
            if not random.randrange(4):
                cursor = Cursor()
                cursor.go(ring.head)
                i = ring.next_point(cursor)
                ring.skip_point(cursor, i)
                ring.head.go(cursor)
                taken += 1
            assert taken + ring.dropped + len(ring) == n + 1
            del model[: len(model) - len(ring)]
            assert held(ring) == model


def test_a_number_costs_at_most_ten_bytes_everything_counted():
    gc.collect()
    before = gc.mem_alloc()
    ring = Ring(1024)
    gc.collect()
    used = gc.mem_alloc() - before
    print("a ring of 1024 numbers takes", used, "bytes")
    assert used <= 10 * 1024
    for n in range(1024):
        ring.append_int(0, T0 + 5000 * n, -1, n)
    gc.collect()
    assert gc.mem_alloc() - before <= 10 * 1024


def test_appending_a_number_allocates_nothing():
    if sys.maxsize < 1 << 32:
        raise Skip("a millisecond of this century is an object on the heap of a 32-bit port")
    ring = Ring(64)
    value = 20.25
    times = [T0 + (1 << 33) * n for n in range(200)]
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for t in times:
        ring.append_float(1, t, -1, value)
        ring.append_int(1, t, -1, 5)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used == 0


def test_kinds_do_not_overlap():
    kinds = {0, INTEGER, TEXT, BASE}
    assert len({k & KIND for k in kinds}) == 4


def test_squeezing_leaves_out_exactly_what_is_not_kept():
    random.seed(11)
    for slots in (16, 61, 128):
        ring = Ring(slots)
        t = T0
        for n in range(600):
            t += random.choice((1, 1000, 1 << 33, -5000))
            cycle = random.choice((-1, -1, -1, 3))
            if random.randrange(3):
                ring.append_int(n % 7, t, cycle, n)
            else:
                ring.append_text(n % 7, t, cycle, b"%d" % n * random.randrange(1, 9))
            if not random.randrange(5):
                cursor = Cursor()
                cursor.go(ring.head)
                for _ in range(random.randrange(len(ring))):
                    ring.skip_point(cursor, ring.next_point(cursor))
                ring.void(cursor)
            if not random.randrange(9):
                before = seen(ring)
                end = ring.tail.pos - random.randrange(slots)
                asked = []

                def keeps(prop, t, asked=asked):
                    asked.append((prop, t))
                    return bool(random.randrange(2))

                left_out = ring.squeeze(end, keeps)
                after = seen(ring)
                assert len(before) - left_out == len(after)
                assert len(after) == len(ring) - holes(ring)
                assert [p[:2] for p in before[: len(asked)]] == asked
                assert all(point in before for point in after)
                assert after[len(asked) - left_out :] == before[len(asked) :]


def seen(ring):
    """As `held`, past what was set aside."""
    cursor = Cursor()
    cursor.go(ring.head)
    points = []
    while True:
        i = ring.next_point(cursor)
        if i < 0:
            return points
        kind = ring.kinds[i]
        value = ring.text(cursor.pos) if kind & KIND == TEXT else ring.values[i]
        points.append((kind & PROPERTY, cursor.base + ring.times[i], cursor.cycle, value))
        ring.skip_point(cursor, i)


def holes(ring):
    return sum(ring.kinds[p % ring.slots] == 0xFE for p in range(ring.head.pos, ring.tail.pos))


# Runs of points that are written in one go


def times_of(ring, pos, count):
    return [ring.times[(pos + n) % ring.slots] for n in range(count)]


def test_points_of_one_kind_with_ascending_times_are_alike():
    ring = Ring(8)
    for n in range(4):
        ring.append_float(1, T0 + 5 * n, -1, 20.5)
    assert ring.alike(1, 4)
    assert not ring.alike(0, 5)  # begins with the time base
    assert times_of(ring, 1, 4) == [0, 5, 10, 15]
    assert [ring.until(1, 5, limit) for limit in (0, 1, 5, 6, 15, 16)] == [1, 2, 2, 3, 4, 5]
    for add in (ring.append_int, lambda *point: ring.append_float(2, *point[1:])):
        add(1, T0 + 99, -1, 7)
        assert not ring.alike(4, ring.tail.pos - 4)


def test_points_are_not_alike_where_a_time_is_before_the_one_before_it():
    ring = Ring(16)
    for ms in (10, 20, 20, 15, 16):
        ring.append_int(0, T0 + ms, -1, 1)
    assert not ring.alike(1, 5)
    assert not ring.alike(3, 2)
    assert ring.alike(4, 2)
    ring.append_int(0, T0 - 1, -1, 1)  # with a base of its own
    ring.append_int(0, T0 + 5, -1, 1)
    assert ring.alike(7, 2)


def test_squeezed_points_are_alike_only_where_their_times_ascend():
    ring = Ring(16)
    for ms in (10, 50, 20, 30, 40):
        ring.append_int(0, T0 + ms, -1, 1)
    ring.squeeze(ring.tail.pos, lambda prop, t: t - T0 not in (30, 40))
    ring.append_int(0, T0 + 60, -1, 1)
    for pos in range(ring.head.pos, ring.tail.pos):
        for count in range(1, ring.tail.pos - pos + 1):
            found = times_of(ring, pos, count)
            if ring.alike(pos, count):
                assert found == sorted(found), (pos, found)

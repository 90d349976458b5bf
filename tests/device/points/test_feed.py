"""The feed: what it writes is what the plain way writes, for every kind, sign, size and time."""

import gc
import json
import random
import struct
import sys

from firmware.points.feed import Feed, Property
from firmware.points.ring import Cursor, Ring
from model import T0, Time, iso, make_queue, number, plain_feed, points
from skip import Skip

_BIG = 4096


def encode(ring, properties, compact=False, size=_BIG, end=1 << 30, offset=0):
    cursor = Cursor()
    cursor.go(ring.head)
    document = Feed(properties, compact, size).encode(ring, cursor, end, offset)
    return document if document is None else bytes(document), cursor


def texts(document):
    """The values of a feed as they are written."""
    return [part.split(b"}")[0].split(b",")[0].decode() for part in document.split(b'"v":')[1:]]


def ring_of(*values, prop=0, every=1000):
    ring = Ring(600)
    for n, value in enumerate(values):
        if isinstance(value, float):
            ring.append_float(prop, T0 + every * n, -1, value)
        elif isinstance(value, int):
            ring.append_int(prop, T0 + every * n, -1, value)
        else:
            ring.append_text(prop, T0 + every * n, -1, value)
    return ring


def test_the_plain_format_is_the_platforms_own_example():
    ring = Ring(16)
    ring.append_float(0, 1493647257467, -1, 15.45)
    ring.append_int(1, 1493647257468, -1, 45)
    document, cursor = encode(ring, [Property("temperature", 2), Property("humidity")])
    assert document == (
        b'{"dps":[{"t":"2017-05-01T14:00:57.467Z","v":15.45,"prop":"temperature"},'
        b'{"t":"2017-05-01T14:00:57.468Z","v":45,"prop":"humidity"}]}'
    )
    assert cursor.seq == 2


def test_the_compact_format_moves_time_and_a_shared_property_to_the_feed():
    ring = Ring(16)
    ring.append_float(0, 1493647237575, -1, 23.45)
    ring.append_float(0, 1493647237645, -1, 23.65)
    document, _ = encode(ring, [Property("temperature", 2)], compact=True)
    assert document == (
        b'{"t":"2017-05-01T14:00:37.575Z","prop":"temperature","dps":['
        b'{"v":23.45},{"tt":70,"v":23.65}]}'
    )


def test_compact_names_the_property_of_each_point_where_they_differ():
    ring = Ring(16)
    for prop in (0, 1, 0):
        ring.append_int(prop, T0, -1, prop)
    properties = [Property("a"), Property("b")]
    assert encode(ring, properties, compact=True)[0] == (
        b'{"t":"2026-11-22T10:40:00.000Z","dps":['
        b'{"v":0,"prop":"a"},{"v":1,"prop":"b"},{"v":0,"prop":"a"}]}'
    )
    # What comes after the end of the feed does not count.
    assert b'"prop":"a","dps":[{"v":0}]}' in encode(ring, properties, compact=True, end=1)[0]


def test_nothing_to_encode_is_none():
    assert encode(Ring(16), [Property("a")])[0] is None
    assert encode(ring_of(1), [Property("a")], end=0)[0] is None


def test_times_behind_and_before_the_first_point():
    for every in (1, 9, 10, 11, 99, 1001, 12345, 99999, 999999, 1234567, 9999999, 10000000):
        for sign in (1, -1):
            ring = ring_of(*[20.5] * 12, every=sign * every)
            expected = [("a", T0 + sign * every * n, 20.5) for n in range(12)]
            for compact in (False, True):
                assert points(encode(ring, [Property("a", 2)], compact)[0]) == expected, every


def test_hours_days_and_leap_days_roll_over():
    for edge in (1767225600000, 1835395200000, 1835481600000, 4102444800000, 951782400000):
        ring = Ring(64)
        expected = []
        for ms in (-3600001, -3600000, -1000, -1, 0, 1, 3599999, 3600000, 86400000, -86400001):
            ring.append_float(0, edge + ms, -1, 20.5)
            expected.append(("a", edge + ms, 20.5))
        for compact in (False, True):
            assert points(encode(ring, [Property("a", 2)], compact)[0]) == expected


def test_an_encoder_remembers_no_wrong_hour():
    feed = Feed([Property("a", 2)], False, _BIG)
    for t in (T0, T0 + 7200000, T0 - 7200000, T0 + 59 * 60000, T0 + 60 * 60000):
        ring = Ring(16)
        ring.append_float(0, t, -1, 20.5)
        cursor = Cursor()
        assert points(feed.encode(ring, cursor, 9, 0)) == [("a", t, 20.5)]


def test_undated_points_are_moved_and_dated_ones_are_not():
    ring = Ring(16)
    ring.append_int(0, 5000, 0, 1)
    ring.append_int(0, T0 + 9000, -1, 2)
    ring.append_int(0, 7000, 3, 3)
    for compact in (False, True):
        found = points(encode(ring, [Property("a")], compact, offset=T0)[0])
        assert found == [("a", T0 + 5000, 1), ("a", T0 + 9000, 2), ("a", T0 + 7000, 3)]


def test_whole_numbers_of_32_bits():
    values = [0, 1, -1, 9, 10, -10, 99, 100, 1000000, 2147483647, -2147483647, -2147483648]
    for compact in (False, True):
        assert texts(encode(ring_of(*values), [Property("a", 3)], compact)[0]) == [
            "%d" % v for v in values
        ]


def test_floats_against_the_plain_way_over_random_values():
    random.seed(3)
    for decimals in range(7):
        below = Property("a", decimals).exact[1]
        for scale in (1e-9, 1e-3, 1.0, 40.0, 120.0, below):
            values = [random.uniform(-1, 1) * scale for _ in range(100)]
            for compact in (False, True):
                document, cursor = encode(
                    ring_of(*values), [Property("a", decimals)], compact, size=8192
                )
                assert cursor.seq == 100
                expected = [number(v, decimals) for v in values]
                assert texts(document) == expected, (decimals, scale)


def test_every_hundredth_of_a_rooms_temperature_comes_out_as_it_went_in():
    properties = [Property("a", 2)]
    for first in range(-3000, 12100, 100):
        values = [n / 100 for n in range(first, first + 100)]
        for compact in (False, True):
            found = points(encode(ring_of(*values), properties, compact, size=8192)[0])
            assert [v for _, _, v in found] == values


def test_the_edges_of_what_one_call_writes():
    bits = [0x41200000 - 1, 0x41200000, 0x42C7FAE1, 0x42C7FAE2, 0x42C7FFFF, 0x42C80000]
    values = [struct.unpack("<f", struct.pack("<I", b))[0] for b in bits]
    values += [9.994, 9.995, 9.996, 99.994, 99.995, 99.996, 0.0, -0.0, -0.004, -0.006, -20.5]
    for compact in (False, True):
        document, _ = encode(ring_of(*values), [Property("a", 2)], compact)
        assert texts(document) == [number(v, 2) for v in values]
    assert texts(document)[-4:] == ["0.00", "0.00", "-0.01", "-20.50"]


def test_tiny_and_denormal_numbers_are_zero():
    values = [1e-45, -1e-45, 1e-38, 1e-20, 2.0**-39, -(2.0**-63)]
    assert texts(encode(ring_of(*values), [Property("a", 6)])[0]) == ["0.000000"] * 6


def test_texts_stand_as_they_are():
    values = ['"on"', "true", "null", '{"a":[1,2]}', '"21 °C"', '""', "123456789.25"]
    ring = Ring(64)
    for n, value in enumerate(values):
        ring.append_text(n % 2, T0 + n, -1, value.encode())
    for compact in (False, True):
        document, _ = encode(ring, [Property("a"), Property("b")], compact)
        assert [v for _, _, v in points(document)] == [json.loads(v) for v in values]


def test_kinds_mix_in_one_feed_wherever_the_ring_wraps():
    for shift in range(40):
        ring = Ring(40)
        for n in range(shift):
            ring.append_int(0, T0, -1, n)
        expected = []
        t = T0
        for n in range(20):
            t += 700000
            value = (20.5 + n, n, '"text %d"' % n)[n % 3]
            if n % 3 == 0:
                ring.append_float(n % 2, t, -1, value)
            elif n % 3 == 1:
                ring.append_int(n % 2, t, -1, value)
            else:
                ring.append_text(n % 2, t, -1, value.encode())
                value = json.loads(value)
            expected.append((("a", "b")[n % 2], t, value))
        for compact in (False, True):
            found = points(encode(ring, [Property("a", 2), Property("b", 2)], compact)[0])
            assert found[-len(expected) :] == expected


def test_a_full_buffer_ends_the_feed_and_the_next_one_goes_on():
    values = [20.5, 21, b'"' + b"x" * 50 + b'"', -3.25, b"true"] * 30
    ring = ring_of(*values)
    properties = [Property("temperature", 2)]
    whole = points(encode(ring, properties, size=32768)[0])
    assert len(whole) == 150
    for compact in (False, True):
        for size in (300, 301, 302, 303, 350, 499, 1000):
            feed = Feed(properties, compact, size)
            cursor = Cursor()
            found = []
            while cursor.seq < 150:
                document = feed.encode(ring, cursor, 150, 0)
                assert len(document) <= size
                found += points(document)
                assert len(found) == cursor.seq
            assert found == whole


def test_the_buffer_is_used_to_its_end():
    ring = ring_of(*[20.5] * 100)
    document, _ = encode(ring, [Property("a", 2)], size=1000)
    assert len(document) > 1000 - 2 * 64


def test_a_point_that_does_not_fit_at_all_is_none():
    document, cursor = encode(ring_of(b"1" * 500), [Property("a")], size=300)
    assert document is None
    assert cursor.seq == 0


def test_encoding_leaves_next_to_no_garbage():
    if sys.maxsize < 1 << 32:
        raise Skip("a millisecond of this century is an object on the heap of a 32-bit port")
    for compact in (False, True):
        time = Time()
        queue = make_queue(time, slots=256, compact=compact, max_points=100)
        readings = []
        for n in range(100):
            queue.put(0, 20 + n * 0.0137)
            readings.append(("temperature", T0 + time.ms, 20 + n * 0.0137))
            time.ms += 5000
        queue.take()
        queue.release()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        queue.take()
        here = gc.mem_alloc() - before
        before = gc.mem_alloc()
        plain_feed(readings)
        plainly = gc.mem_alloc() - before
        gc.enable()
        print("encoding 100 points allocates %d bytes, the plain way %d" % (here, plainly))
        assert here <= plainly // 10


def test_compact_takes_at_most_34_bytes_a_point():
    ring = ring_of(*[20.5 + n / 100 for n in range(100)], every=5000)
    document, _ = encode(ring, [Property("temperature", 2)], compact=True, size=8192)
    print("compact: %.1f bytes a point" % (len(document) / 100))
    assert len(document) <= 34 * 100
    assert iso(T0) in document.decode()


def test_a_feed_that_one_property_fills_may_leave_its_name_out():
    ring = Ring(64)
    for n, value in enumerate((23.45, 123.4)):
        ring.append_float(0, 1493647237575 + 70 * n, -1, value)
    ring.append_int(0, 1493647237715, -1, 7)
    ring.append_text(0, 1493647237716, -1, b'"on"')
    for compact, document in (
        (
            False,
            b'{"dps":[{"t":"2017-05-01T14:00:37.575Z","v":23.45},'
            b'{"t":"2017-05-01T14:00:37.645Z","v":123.40},'
            b'{"t":"2017-05-01T14:00:37.715Z","v":7},{"t":"2017-05-01T14:00:37.716Z","v":"on"}]}',
        ),
        (
            True,
            b'{"t":"2017-05-01T14:00:37.575Z","dps":[{"v":23.45},{"tt":70,"v":123.40},'
            b'{"tt":140,"v":7},{"tt":141,"v":"on"}]}',
        ),
    ):
        feed = Feed([Property("profile$temperature", 2)], compact, _BIG)
        assert feed.encode(ring, Cursor(), 9, 0, True) == document
        assert feed.prop == "profile$temperature"
        # What goes over MQTT is as ever.
        assert b'"prop":"profile$temperature"' in bytes(feed.encode(ring, Cursor(), 9, 0))
        assert feed.prop is None


def test_of_several_properties_each_point_keeps_its_name():
    ring = Ring(64)
    for prop in (0, 0, 1):
        ring.append_int(prop, T0, -1, prop)
    for compact in (False, True):
        feed = Feed([Property("a"), Property("b")], compact, _BIG)
        named = bytes(feed.encode(ring, Cursor(), 9, 0))
        assert feed.encode(ring, Cursor(), 9, 0, True) == named
        assert feed.prop is None
        assert b"prop" not in bytes(feed.encode(ring, Cursor(), 2, 0, True))
        assert feed.prop == "a"

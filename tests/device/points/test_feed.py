"""The feed: what it writes is what the plain way writes, for every kind, sign, size and time."""

import gc
import json
import random
import struct

from firmware.points.feed import Encoder
from firmware.points.in_flight import Window
from firmware.points.properties import Properties
from firmware.points.ring import Cursor, Ring
from model import T0, Time, iso, make_queue, number, plain_feed, points, text

HEAP = "4M"


def window(ring, *columns, compact=False):
    """Of a device with the properties [(name, decimals), ...]."""
    return Window(ring, Encoder(Properties(columns), compact, 1000))


def encode(ring, *columns, compact=False, most=1000, offset=0, alone=False):
    """The document of a feed of the ring's points."""
    return text(window(ring, *columns, compact=compact).take(most, offset, alone))


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
    feed = window(ring, ("temperature", 2), ("humidity", 0)).take(1000, 0)
    document = text(feed)
    assert document == (
        b'{"dps":[{"t":"2017-05-01T14:00:57.467Z","v":15.45,"prop":"temperature"},'
        b'{"t":"2017-05-01T14:00:57.468Z","v":45,"prop":"humidity"}]}'
    )
    assert (feed.points, feed.end.seq) == (2, 2)


def test_the_compact_format_moves_time_and_a_shared_property_to_the_feed():
    ring = Ring(16)
    ring.append_float(0, 1493647237575, -1, 23.45)
    ring.append_float(0, 1493647237645, -1, 23.65)
    document = encode(ring, ("temperature", 2), compact=True)
    assert document == (
        b'{"t":"2017-05-01T14:00:37.575Z","prop":"temperature","dps":['
        b'{"v":23.45},{"tt":70,"v":23.65}]}'
    )


def test_compact_names_the_property_of_each_point_where_they_differ():
    ring = Ring(16)
    for prop in (0, 1, 0):
        ring.append_int(prop, T0, -1, prop)
    properties = ("a", 0), ("b", 0)
    assert encode(ring, *properties, compact=True) == (
        b'{"t":"2026-11-22T10:40:00.000Z","dps":['
        b'{"v":0,"prop":"a"},{"v":1,"prop":"b"},{"v":0,"prop":"a"}]}'
    )
    # What comes after the end of the feed does not count.
    assert b'"prop":"a","dps":[{"v":0}]}' in encode(ring, *properties, compact=True, most=1)


def test_nothing_to_encode_is_none():
    assert window(Ring(16), ("a", 0)).take(10, 0) is None


def test_times_behind_and_before_the_first_point():
    for every in (1, 9, 10, 11, 99, 1001, 12345, 99999, 999999, 1234567, 9999999, 10000000):
        for sign in (1, -1):
            ring = ring_of(*[20.5] * 12, every=sign * every)
            expected = [("a", T0 + sign * every * n, 20.5) for n in range(12)]
            for compact in (False, True):
                assert points(encode(ring, ("a", 2), compact=compact)) == expected, every


def test_hours_days_and_leap_days_roll_over():
    for edge in (1767225600000, 1835395200000, 1835481600000, 4102444800000, 951782400000):
        ring = Ring(64)
        expected = []
        for ms in (-3600001, -3600000, -1000, -1, 0, 1, 3599999, 3600000, 86400000, -86400001):
            ring.append_float(0, edge + ms, -1, 20.5)
            expected.append(("a", edge + ms, 20.5))
        for compact in (False, True):
            assert points(encode(ring, ("a", 2), compact=compact)) == expected


def test_an_encoder_remembers_no_wrong_hour():
    encoder = Encoder(Properties([("a", 2)]), False, 10)
    for t in (T0, T0 + 7200000, T0 - 7200000, T0 + 59 * 60000, T0 + 60 * 60000):
        ring = Ring(16)
        ring.append_float(0, t, -1, 20.5)
        assert points(Window(ring, encoder).take(9, 0)) == [("a", t, 20.5)]


def test_undated_points_are_moved_and_dated_ones_are_not():
    ring = Ring(16)
    ring.append_int(0, 5000, 0, 1)
    ring.append_int(0, T0 + 9000, -1, 2)
    ring.append_int(0, 7000, 3, 3)
    for compact in (False, True):
        found = points(encode(ring, ("a", 0), compact=compact, offset=T0))
        assert found == [("a", T0 + 5000, 1), ("a", T0 + 9000, 2), ("a", T0 + 7000, 3)]


def test_whole_numbers_of_32_bits():
    values = [0, 1, -1, 9, 10, -10, 99, 100, 1000000, 2147483647, -2147483647, -2147483648]
    for compact in (False, True):
        assert texts(encode(ring_of(*values), ("a", 3), compact=compact)) == [
            "%d" % v for v in values
        ]


def test_floats_against_the_plain_way_over_random_values():
    random.seed(3)
    for decimals in range(7):
        below = float((1 << 23) // 10**decimals)  # what a float32 holds exactly
        for scale in (1e-9, 1e-3, 1.0, 40.0, 120.0, below):
            values = [random.uniform(-1, 1) * scale for _ in range(100)]
            for compact in (False, True):
                document = encode(ring_of(*values), ("a", decimals), compact=compact)
                expected = [number(v, decimals) for v in values]
                assert texts(document) == expected, (decimals, scale)


def test_every_hundredth_of_a_rooms_temperature_comes_out_as_it_went_in():
    for first in range(-3000, 12100, 100):
        values = [n / 100 for n in range(first, first + 100)]
        for compact in (False, True):
            found = points(encode(ring_of(*values), ("a", 2), compact=compact))
            assert [v for _, _, v in found] == values


def test_the_edges_of_what_one_call_writes():
    edges = 0x41200000, 0x41800000, 0x42C70000, 0x42C7FAE2, 0x42C80000
    bits = [edge - 1 for edge in edges] + list(edges)
    values = [struct.unpack("<f", struct.pack("<I", b))[0] for b in bits]
    values += [9.994, 9.995, 9.996, 99.994, 99.995, 99.996, 0.0, -0.0, -0.004, -0.006, -20.5]
    for compact in (False, True):
        document = encode(ring_of(*values), ("a", 2), compact=compact)
        assert texts(document) == [number(v, 2) for v in values]
    assert texts(document)[-4:] == ["0.00", "0.00", "-0.01", "-20.50"]


def test_tiny_and_denormal_numbers_are_zero():
    values = [1e-45, -1e-45, 1e-38, 1e-20, 2.0**-39, -(2.0**-63)]
    assert texts(encode(ring_of(*values), ("a", 6))) == ["0.000000"] * 6


def test_texts_stand_as_they_are():
    values = ['"on"', "true", "null", '{"a":[1,2]}', '"21 °C"', '""', "123456789.25"]
    ring = Ring(64)
    for n, value in enumerate(values):
        ring.append_text(n % 2, T0 + n, -1, value.encode())
    for compact in (False, True):
        document = encode(ring, ("a", 0), ("b", 0), compact=compact)
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
            found = points(encode(ring, ("a", 2), ("b", 2), compact=compact))
            assert found[-len(expected) :] == expected


def pieces_of(feed):
    """The sizes of its pieces, and its text."""
    found = [bytes(piece) for piece in feed]
    return [len(piece) for piece in found], b"".join(found)


def mixed(count, seed=5):
    """A ring of numbers and texts of all kinds, lengths and gaps, and [(property, ms, value)]."""
    random.seed(seed)
    ring = Ring(20000)
    expected = []
    t = T0
    for _ in range(count):
        t += random.choice((-40000, 0, 1, 999, 60000, 7200000, 20000000))
        prop = random.randrange(3)
        value = random.choice((20.5, -3.25, 99.75, 100.5, 7, -7, 2147483647, "x", "y" * 300))
        if type(value) is float:
            ring.append_float(prop, t, -1, value)
        elif type(value) is int:
            ring.append_int(prop, t, -1, value)
        else:
            ring.append_text(prop, t, -1, json.dumps(value).encode())
        expected.append((_NAMES[prop], t, value))
        if not random.randrange(4):
            ring.void(aside(ring, t, prop))
    return ring, expected


def aside(ring, t, prop):
    """A cursor at one more point, which is to be set aside."""
    cursor = Cursor()
    cursor.go(ring.tail)
    ring.append_int(prop, t, -1, 1)
    return cursor


_NAMES = ("temperature", "b", "x" * 64)


def test_a_feed_of_any_number_of_points_is_made_in_pieces_that_fit_a_segment():
    for compact in (False, True):
        ring, expected = mixed(1000)
        out = window(ring, *[(name, 2) for name in _NAMES], compact=compact)
        found = []
        while True:
            feed = out.take(1000, 0)
            if not feed:
                break
            sizes, document = pieces_of(feed)
            assert sum(sizes) == len(feed) and max(sizes) <= 1408, sizes
            # A piece ends where the longest text might not fit.
            assert min(sizes[:-1]) >= 1408 - 160 - 1024, sizes
            assert len(feed) <= 2 * 80 * 1000
            found += points(document)
            assert feed.points == len(points(document))
            # As often as it has to be sent.
            assert pieces_of(feed) == (sizes, document)
        assert len(found) == len(expected)
        assert found == expected


def test_every_length_is_known_before_it_is_written():
    for seed in range(60):
        for compact in (False, True):
            for alone in (False, True):
                ring, expected = mixed(25, seed)
                out = window(ring, *[(name, 2) for name in _NAMES], compact=compact)
                while True:
                    feed = out.take(random.randrange(1, 9), 0, alone)
                    if not feed:
                        break
                    text(feed)  # compares them
                assert len(ring) >= len(expected)


def test_the_longest_texts_end_a_feed_and_the_next_one_goes_on():
    ring = Ring(20000)
    for n in range(70):
        ring.append_text(n % 3, T0 + n, -1, b'"%s"' % (b"x" * 1022))
    for compact in (False, True):
        out = window(ring, *[(name, 2) for name in _NAMES], compact=compact)
        out = Window(ring, Encoder(Properties([(name, 2) for name in _NAMES]), compact, 10))
        found = []
        while True:
            feed = out.take(100, 0)
            if not feed:
                break
            assert len(feed) <= 2048 + 1300
            sizes, document = pieces_of(feed)
            assert max(sizes) <= 1408
            found += points(document)
        assert [t for _, t, _ in found] == [T0 + n for n in range(70)]


# What is overwritten before it was sent


def overrun(ring, count=1):
    for _ in range(count):
        ring.append_int(0, ring.tail.base, -1, 1)


def test_a_feed_whose_points_were_overwritten_ends_early():
    ring = Ring(200)
    for n in range(180):
        ring.append_float(0, T0 + n, -1, 20.5)
    out = window(ring, ("temperature", 2))
    for drops, pieces in ((0, 8), (21, 0), (60, 1)):
        # Whether before the first piece or between two of them.
        feed = out.take(150, 0)
        found = b""
        count = 0
        if not pieces:
            overrun(ring, drops)
        for piece in feed:
            found += bytes(piece)
            count += 1
            if count == pieces:
                overrun(ring, drops)
        assert (len(found) == len(feed)) is (drops == 0), (drops, len(found), len(feed))
        assert count == pieces or not drops
        assert feed.end.seq == feed.first.seq + 150
        out.release()


def test_a_feed_goes_on_while_its_points_are_only_given_up():
    ring = Ring(200)
    for n in range(150):
        ring.append_float(0, T0 + n, -1, 20.5)
    whole = encode(ring, ("temperature", 2))
    feed = window(ring, ("temperature", 2)).take(150, 0)
    found = b""
    for piece in feed:
        found += bytes(piece)
        ring.head.go(ring.tail)  # they are on flash now
        overrun(ring)
    assert found == whole


def test_a_feed_ends_early_where_points_changed_or_another_feed_was_begun():
    for change in (
        lambda ring, out: ring.squeeze(ring.tail.pos, lambda *_: True),
        lambda ring, out: ring.void(ring.head),
        lambda ring, out: next(iter(out.take(20, 0))),
    ):
        ring = Ring(300)
        for n in range(200):
            ring.append_float(0, T0 + n, -1, 20.5)
        out = window(ring, ("temperature", 2))
        feed = out.take(100, 0)
        count = 0
        for _ in feed:
            count += 1
            change(ring, out)
        assert count == 1


def test_encoding_leaves_next_to_no_garbage():
    for compact in (False, True):
        time = Time()
        queue = make_queue(time, slots=256, compact=compact, max_points=100)
        readings = []
        for n in range(100):
            queue.put(0, 20 + n * 0.0137)
            readings.append(("temperature", T0 + time.ms, 20 + n * 0.0137))
            time.ms += 5000
        list(map(len, queue.take()))
        queue.release()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        for piece in queue.take():
            len(piece)
        here = gc.mem_alloc() - before
        before = gc.mem_alloc()
        plain_feed(readings)
        plainly = gc.mem_alloc() - before
        gc.enable()
        print("encoding 100 points allocates %d bytes, the plain way %d" % (here, plainly))
        assert here <= plainly // 10


def test_compact_takes_at_most_25_bytes_a_point():
    ring = ring_of(*[20.5 + n / 100 for n in range(100)], every=5000)
    document = encode(ring, ("temperature", 2), compact=True)
    print("compact: %.1f bytes a point" % (len(document) / 100))
    assert len(document) <= 25 * 100
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
        out = window(ring, ("profile$temperature", 2), compact=compact)
        feed = out.take(9, 0, True)
        assert text(feed) == document
        assert feed.prop == "profile$temperature"
        # What goes over MQTT is as ever.
        out.release()
        feed = out.take(9, 0)
        assert b'"prop":"profile$temperature"' in text(feed)
        assert feed.prop is None


def test_of_several_properties_each_point_keeps_its_name():
    ring = Ring(64)
    for prop in (0, 0, 1):
        ring.append_int(prop, T0, -1, prop)
    for compact in (False, True):
        out = window(ring, ("a", 0), ("b", 0), compact=compact)
        named = text(out.take(9, 0))
        for most, prop in ((9, None), (2, "a")):
            out.release()
            feed = out.take(most, 0, True)
            assert feed.prop == prop
            assert (text(feed) == named) if prop is None else (b"prop" not in text(feed))

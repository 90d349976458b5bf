"""Feeds against an encoder that is slow and simple, to the byte: random values, times, rings."""

import random

from firmware.points.feed import Encoder
from firmware.points.in_flight import Window
from firmware.points.properties import Properties
from firmware.points.ring import Ring
from model import T0, iso, number, text

HEAP = "4M"

_NAMES = ("temperature", "b", "x" * 64)
_SOME_TEXTS = (b'"on"', b"null", b'"%s"' % (b"y" * 150))
# Ms from a point to the next one; those below 0 as after the clock was put right.
_STEPS = (
    (5000,),
    (60000,),
    (300,),
    (900000,),
    (4990, 5003, 5010),
    (5000, 5000, 5000, -1, -9000),
    (0, 1, 999, 7200000, -40000, 4300000000),
)
# Where the form of a number, or the way it is calculated, changes.
_EDGES = (
    0.0,
    -0.004,
    9.99,
    9.994,
    9.996,
    15.999,
    16.0,
    20.125,
    31.996,
    32.0,
    99.99,
    99.996,
    100.0,
)


def values(shape):
    """Endless values: a room's temperature, or what else `shape` says."""
    value = random.choice((9.9, 15.9, 20.9, 31.9, 99.5))
    while True:
        if shape == "room":
            value += random.uniform(-0.3, 0.3)
            yield value
        elif shape == "below 0":
            yield random.uniform(-20, 0)
        elif shape == "edges":
            yield random.choice(_EDGES)
        else:
            yield random.choice((21.5, 22.25, -3.5, 7, -7, 123456) + _SOME_TEXTS)


def simply(points, decimals, compact, alone):
    """The document of [(property, ms, value), ...]."""
    one = all(prop == points[0][0] for prop, _, _ in points)
    first = points[0][1]
    head = '"t":"%s",' % iso(first) if compact else ""
    if compact and one and not alone:
        head += '"prop":"%s",' % _NAMES[points[0][0]]
    found = []
    for prop, t, value in points:
        if not compact:
            point = '"t":"%s",' % iso(t)
        else:
            point = '"tt":%d,' % (t - first) if t != first else ""
        if isinstance(value, float):
            value = number(value, decimals[prop])
        elif isinstance(value, bytes):
            value = value.decode()
        point += '"v":%s' % value
        if not one or not (compact or alone):
            point += ',"prop":"%s"' % _NAMES[prop]
        found.append("{%s}" % point)
    return ('{%s"dps":[%s]}' % (head, ",".join(found))).encode()


def put(ring, prop, t, value):
    if isinstance(value, float):
        ring.append_float(prop, t, -1, value)
    elif isinstance(value, int):
        ring.append_int(prop, t, -1, value)
    else:
        ring.append_text(prop, t, -1, value)


def compare(seed):
    """Fill a ring and empty it again, feed by feed, until it has wrapped."""
    random.seed(seed)
    compact, alone = seed % 2 == 0, random.random() < 0.3
    decimals = [random.choice((2, 2, 2, 0, 1, 5)) for _ in _NAMES]
    ring = Ring(300)
    encoder = Encoder(Properties(list(zip(_NAMES, decimals))), compact, 100)
    window = Window(ring, encoder)
    properties = random.choice((1, 1, 2, 3))
    steps = random.choice(_STEPS)
    source = values(random.choice(("room", "room", "room", "below 0", "edges", "all")))
    t = T0 + random.randrange(10000000)
    for _ in range(6):
        waiting = []
        while len(waiting) < random.randrange(5, 140) and ring.room() > 60:
            t += random.choice(steps)
            waiting.append((random.randrange(properties), t, next(source)))
            put(ring, *waiting[-1])
        while waiting:
            feed = window.take(random.choice((1, 3, 50, 100)), 0, alone)
            expected = simply(waiting[: feed.points], decimals, compact, alone)
            assert text(feed) == expected, (seed, text(feed), expected)
            waiting = waiting[feed.points :]
            window.acknowledge(feed)


def test_a_feed_is_what_a_slow_encoder_writes():
    for seed in range(200):
        compare(seed)

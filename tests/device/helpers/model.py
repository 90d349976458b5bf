"""What the tests of points share: a clock that stands still, and the plain way to do the same.

The plain way builds dictionaries and lets json write them; it is what the firmware is compared
with, in what it says and in what it costs.
"""

import json
import struct

from firmware.points.properties import Properties
from firmware.points.queue import Queue
from firmware.times.calendar import iso
from firmware.times.clock import Clock

T0 = 1795344000000  # 2026-11-22T10:40:00.000Z


class Time:
    """An uptime counter that moves when told."""

    def __init__(self, ms=0):
        self.ms = ms

    def __call__(self):
        return self.ms


def known_clock(time, utc_ms=T0):
    """A clock that knows that it is `utc_ms` now."""
    clock = Clock(time)
    clock.set(utc_ms, time.ms)
    return clock


def make_queue(time, names=("temperature",), decimals=2, clock=None, **kw):
    settings = {
        "slots": 64,
        "compact": False,
        "max_points": 10,
        "max_age_ms": 10000,
        "when_full": "oldest",
        "flash_kib": 0,
        "spill_after_ms": 30000,
        "survived": False,
        "lost": 0,
    }
    settings.update(kw)
    properties = Properties([(name, decimals) for name in names])
    return Queue(properties=properties, clock=clock or known_clock(time), **settings)


def fill(queue, time, count, every=1000):
    """Put 0, 1, 2, …, one every so many ms."""
    for n in range(count):
        queue.put(0, n)
        time.ms += every


def values(batch):
    return [v for _, _, v in points(batch)]


def drain(queue):
    """Every value, feed by feed, acknowledged."""
    found = []
    while True:
        batch = queue.take()
        if batch is None:
            return found
        found.append(values(batch))
        queue.acknowledge(batch)


def text(feed):
    """The document of a feed, of as many bytes as it said."""
    document = b"".join([bytes(piece) for piece in feed])
    assert len(document) == len(feed), (len(document), len(feed), document)
    return document


def points(document):
    """[(property, ms since 1970, value), ...] of a feed or its text, as the platform reads it."""
    if not isinstance(document, (bytes, bytearray, memoryview)):
        document = text(document)
    feed = json.loads(bytes(document).decode())
    found = []
    for p in feed["dps"]:
        t = parse(p["t"] if "t" in p else feed["t"]) + p.get("tt", 0)
        found.append((p["prop"] if "prop" in p else feed["prop"], t, p["v"]))
    return found


def parse(text):
    """Milliseconds since 1970 of what `iso` writes; by counting days, not by what wrote it."""
    assert len(text) == 24 and text[10] == "T" and text[19] == "." and text[23] == "Z", text
    y, mo, d = int(text[:4]), int(text[5:7]), int(text[8:10])
    days = 365 * (y - 1970) + (y - 1969) // 4 - (y - 1901) // 100 + (y - 1601) // 400
    leap = y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
    days += sum((31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30)[: mo - 1]) + d - 1
    s = days * 86400 + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    return s * 1000 + int(text[20:23])


def span(begin, end, step):
    """As `range`, whose numbers are wrong beyond 2**30 where a word has 32 bits."""
    while begin < end:
        yield begin
        begin += step


def number(value, decimals):
    """The text of a float, as the ring keeps it (32 bits), rounded half away from zero.

    Exact: by the whole number and the power of two that the float is made of.
    """
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    exponent = bits >> 23 & 0xFF
    whole = bits & 0x7FFFFF | (0x800000 if exponent else 0)
    power = 150 - (exponent or 1)  # the float is whole / 2**power
    assert power >= 0, value
    n = (whole * 10**decimals * 2 + (1 << power)) >> (power + 1)
    digits = "%0*d" % (decimals + 1, n)
    sign = "-" if bits >> 31 and n else ""
    if decimals:
        digits = digits[:-decimals] + "." + digits[-decimals:]
    return sign + digits


def plain_feed(readings, decimals=2):
    """Bytes of the Data Feed of [(property, ms, float), ...], by dictionaries and json.dumps."""
    dps = [{"t": iso(t), "v": round(v, decimals), "prop": prop} for prop, t, v in readings]
    return json.dumps({"dps": dps}).encode()

"""Encoding 100 points as a Data Feed: the firmware, against dictionaries and json.dumps.

    encoding.py time N           the best of N repetitions each, taken in turns, µs
    encoding.py heap FORM WHO B  whether it succeeds with so many bytes of free heap

FORM: plain or compact. WHO: ours, dicts or nobody.
"""

import gc
import json
import sys
import time

from firmware.points.feed import Encoder
from firmware.points.in_flight import Window
from firmware.points.properties import Properties
from firmware.points.ring import Ring
from firmware.times.calendar import iso

_FORMS = ("plain", "compact")
_POINTS = 100
_START_MS = 1795389431178
_EVERY_MS = 5000

ring = Ring(256)
readings = []  # as a program without a ring keeps them: (ms since 1970, value)
for n in range(_POINTS):
    t, value = _START_MS + _EVERY_MS * n, 20.0 + n * 0.013
    ring.append_float(0, t, -1, value)
    readings.append((t, value))
windows = {
    form: Window(ring, Encoder(Properties([("temperature", 2)]), form == "compact", _POINTS))
    for form in _FORMS
}


def taken(form):
    windows[form].release()
    return windows[form].take(_POINTS, 0)


def ours(form):
    """Measure the feed, and write it, piece by piece."""
    for piece in taken(form):
        len(piece)


def dicts(form):
    if form == "plain":
        dps = [{"t": iso(t), "v": round(v, 2), "prop": "temperature"} for t, v in readings]
        return json.dumps({"dps": dps})
    first = readings[0][0]
    dps = [{"tt": t - first, "v": round(v, 2)} for t, v in readings]
    return json.dumps({"t": iso(first), "prop": "temperature", "dps": dps})


def nobody(form):
    return 1


def check(form):
    """Both have to say the same, or the comparison says nothing."""
    document = b"".join([bytes(piece) for piece in taken(form)])
    one, other = json.loads(document), json.loads(dicts(form))
    if form == "compact":
        # An offset of 0 may be left out.
        one["dps"][0]["tt"] = 0
    for a, b in zip(one["dps"], other["dps"]):  # noqa: B905 not in MicroPython
        # A float32 is kept, so the last decimal may be rounded the other way.
        if abs(a.pop("v") - b.pop("v")) > 0.0101:
            raise ValueError("the values differ")
    if one != other:
        raise ValueError(f"the feeds differ: {one}, {other}")


def took_us(function, form):
    gc.collect()
    start = time.ticks_us()
    function(form)
    return time.ticks_diff(time.ticks_us(), start)


def best_us(repetitions):
    figures = {}
    for form in _FORMS:
        check(form)
        best = {"ours": 1 << 30, "dicts": 1 << 30}
        for _ in range(repetitions):
            best["ours"] = min(best["ours"], took_us(ours, form))
            best["dicts"] = min(best["dicts"], took_us(dicts, form))
        figures[form] = best
    return figures


def suffices(function, form, free):
    """Fill the heap up to so many bytes in one piece, and try."""
    function(form)  # what is allocated once is not to be counted
    gc.collect()
    reserve = bytearray(free)
    hold = None
    try:
        while True:
            hold = (hold, bytearray(1024))
    except MemoryError:
        pass
    try:
        while True:
            hold = (hold,)
    except MemoryError:
        pass
    reserve = None  # noqa: F841
    gc.collect()
    try:
        function(form)
        enough = True
    except MemoryError:
        enough = False
    hold = None
    gc.collect()
    return enough


if sys.argv[1] == "time":
    print(json.dumps(best_us(int(sys.argv[2]))))
else:
    form, who, free = sys.argv[2:]
    encoders = {"ours": ours, "dicts": dicts, "nobody": nobody}
    print(json.dumps(suffices(encoders[who], form, int(free))))

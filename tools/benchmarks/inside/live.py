"""A thermometer as one writes it: ten readings and a feed a second, for ever.

    live.py INFO robust|chumicro

INFO: a file with the stand-in's line of JSON.
"""

import json
import sys
import time

import verified

import peers

_EVERY_MS = 100
_FEED = 10  # points


def feeds(wait):
    """A feed when it is full; `wait(ms)` is what one does between readings."""
    number = 0
    due = time.ticks_ms()
    while True:
        points = []
        while len(points) < _FEED:
            due = time.ticks_add(due, _EVERY_MS)
            wait(max(time.ticks_diff(due, time.ticks_ms()), 0))
            points.append({"t": peers.iso(time.time_ns() // 1000000), "v": number})
            number += 1
        yield json.dumps({"prop": "c0", "dps": points}).encode()


def robust(info):
    peers.robust(info, feeds(time.sleep_ms))


def chumicro(info):
    client = peers.Chumicro(info)

    def wait(ms):
        end = time.ticks_add(time.ticks_ms(), ms)
        while (left := time.ticks_diff(end, time.ticks_ms())) > 0:
            client.step(left)

    for feed in feeds(wait):
        client.kept.append(feed)


{"robust": robust, "chumicro": chumicro}[sys.argv[2]](verified.told())

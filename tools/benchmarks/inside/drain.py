"""Readings that were kept in RAM, delivered by what people use today: dicts and json.dumps.

    drain.py INFO WAY POINTS FEED

INFO: a file with the stand-in's line of JSON; WAY: one of peers.WAYS. It prints nothing but that
it is done: when the points arrive is the stand-in's to say.
"""

import json
import sys

import verified

import peers

_START_MS = 1795389431178
_EVERY_MS = 100
_PROPERTIES = 20


def feeds(count, size):
    """As many properties and readings a second as the firmware's own drain has."""
    for first in range(0, count, size):
        points = [
            {
                "t": peers.iso(_START_MS + n // _PROPERTIES * _EVERY_MS),
                "v": n // _PROPERTIES,
                "prop": f"c{n % _PROPERTIES}",
            }
            for n in range(first, min(first + size, count))
        ]
        yield json.dumps({"dps": points}).encode()


way, count, size = sys.argv[2:5]
peers.WAYS[way](verified.told(), feeds(int(count), int(size)))
print(json.dumps({}))

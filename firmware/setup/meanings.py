"""What every key means, for `setup.help` and docs/.

The linked firmware's own tables have no meanings. Those who ask find them in firmware/reference,
a module that tools/build.py makes of the tables as they stand in the sources.
"""

import io

from firmware import sensors
from firmware.base import kinds
from firmware.config import schema
from firmware.setup.draft import is_within


def every(path: str = ""):
    """(path, kind, expected, default, meaning) of the keys at and below a path, in the table's
    order. The path of a key in a list is `wifi[].ssid`; of a driver's own, `ds18x20.pin`.
    """
    path = _without_places(path)
    table, keys = _tables()
    for row in _rows(io.StringIO(table), "", 0):
        if not path or is_within(row[0], path):
            yield row
    for driver in sensors.drivers():
        if not path or is_within(path, driver):
            for row in _rows(io.StringIO(keys(driver)), driver + ".", 0):
                if path in ("", driver, row[0]):
                    yield row


def _tables():
    """The text of all keys but the drivers', and what gives a driver's."""
    try:
        texts = __import__("firmware.reference", None, None, ("TABLE",))
    except ImportError:  # the sources themselves
        return schema.TABLE, lambda name: sensors.driver(name).KEYS
    return texts.TABLE, texts.KEYS.get


def _rows(table, prefix, depth):
    for key, kind, limits, default, meaning in schema.rows(table, depth):
        expected = kinds.expected(kind, *kinds.limits(limits, schema.value))
        yield prefix + key, kind, expected, default, " ".join(meaning.split())
        if kind in ("section", "sections", "sensors"):
            below = "." if kind == "section" else "[]."
            yield from _rows(table, prefix + key + below, depth + 1)


def _without_places(path):
    """`wifi[].ssid` of `wifi[0].ssid`; `wifi` of `wifi[0]`, which is any of them."""
    words = []
    for word in path.split("."):
        name, bracket, _ = word.partition("[")
        words.append(name + "[]" if bracket else name)
    path = ".".join(words)
    return path[:-2] if path.endswith("[]") else path

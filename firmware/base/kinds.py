"""The kinds of values that a person or the platform may set, and the words for them.

A row of a table (firmware/config/schema.py, a driver's KEYS, firmware/commands/table.py) gives a
kind and its limits. The check, the error message and the documentation come from these, so they
cannot disagree.

    kind             limits
    "number"         (lowest, highest)
    "whole number"   (lowest, highest)
    "text"           (fewest, most) characters
    "secret"         the same, and never shown
    "choice"         the choices
    "choices"        the same: a list of some of them
    "true or false"  none
    "time"           none: ISO 8601
    "object"         none
    "schedule"       the most entries

A kind that ends in `" or null"` takes null, too.
"""

import json

from micropython import const

_LONGEST = const(40)  # characters of a value shown


def fits(kind: str, limits: tuple, value) -> bool:
    """Whether a value, as json.loads gives it, is of this kind and within its limits."""
    if kind.endswith(" or null"):
        if value is None:
            return True
        kind = kind[: -len(" or null")]
    # Types are compared, not tested with isinstance: true is not a number here, nor is 1.0 whole.
    if kind == "number":
        return type(value) in (int, float) and limits[0] <= value <= limits[1]
    if kind == "whole number":
        return type(value) is int and limits[0] <= value <= limits[1]
    if kind == "true or false":
        return type(value) is bool
    if kind == "choices":
        return type(value) is list and all(choice in limits for choice in value)
    if kind == "object":
        return type(value) is dict
    if kind == "time":
        # The property's owner reads it, as it reads a schedule.
        return value is None or type(value) is str
    if kind == "schedule":
        return type(value) in (list, dict)
    if type(value) is not str:
        return False
    if kind == "choice":
        return value in limits
    return limits[0] <= len(value) <= limits[1] and not _is_unprintable(value)


def expected(kind: str, limits: tuple, unit: str) -> str:
    """What would be accepted, in words: `0.1 to 86400 seconds`."""
    if kind.endswith(" or null"):
        return expected(kind[: -len(" or null")], limits, unit) + " or null"
    if kind == "choice":
        return " or ".join(['"%s"' % choice for choice in limits])
    if kind == "choices":
        return "a list of some of " + ", ".join(limits)
    if kind == "true or false":
        return kind
    if kind == "time":
        return "a time such as 2026-11-23T18:00:00Z, or null"
    if kind == "object":
        return "an object"
    if kind == "schedule":
        return "a list of at most %d entries" % limits
    lowest, highest = limits
    if kind in ("text", "secret"):
        size = "%d" % highest if lowest == highest else "%d to %d" % limits
        return "text of %s characters" % size
    words = "%s to %s" % limits
    if kind == "whole number":
        words = "a whole number " + words
    return words + " " + unit if unit else words


def shown(value) -> str:
    """A value as JSON in at most 40 characters; of a list or an object, only which it is.

    The text of one could nest to any depth, and hold what nobody may read.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and len(value) > _LONGEST:
        value = value[:_LONGEST]  # not to write out a long text only to cut it
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _is_unprintable(text):
    """Whether it has a control character, or half of a surrogate pair, which is not UTF-8."""
    return any(c < " " or c == "\x7f" or 0xD800 <= ord(c) < 0xE000 for c in text)

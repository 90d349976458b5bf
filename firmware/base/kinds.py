"""The kinds of values that a person or the platform may set, and the words for them.

One row of a table (firmware/config/schema.py, a driver's KEYS, the commands) gives a kind and its
limits. The check, the error message and the documentation all come from these, so they cannot
disagree:

    kind             limits
    "number"         (lowest, highest)
    "whole number"   (lowest, highest)
    "output pin"     the same: the number of a pin that nobody else has
    "input pin"      the same
    "bus pin"        the same, but that the chips of one bus share it
    "text"           (fewest, most) characters
    "secret"         the same; it is never shown
    "id"             the same; no character means something in an MQTT topic
    "key id"         the same; no colon, which separates it from the secret (RFC 7617, section 2)
    "property"       the same; a property's name on the platform
    "choice"         the choices
    "choices"        the same: a list of some of them
    "true or false"  none
    "url"            the schemes
    "hosts"          the most: a list of `host` or `host:port`
    "addresses"      the same, the host an IPv4 address
    "time"           none: ISO 8601
    "zone"           none: a POSIX TZ rule
    "schedule"       the most entries
    "object"         none
    "section"        none: an object with keys of its own
    "sections"       the most of them
    "sensors"        the same

`" or null"` after a kind admits null, too. Of a time, a zone and a schedule only the type is
checked: their own readers look into them. So does whoever knows the keys of a section.
"""

import json

from micropython import const

from firmware.base.characters import characters
from firmware.base.rare import rare
from firmware.base.url import is_address, parse_host, parse_url

_LONGEST = const(40)  # characters of a value shown
_PROPERTY = "abcdefghijklmnopqrstuvwxyz0123456789_-$"


def limits(cell: str, value) -> tuple:
    """(limits, unit) of a cell: `5 to 60 seconds`, `["high", "low"]`, `=SETPOINT_C °C`, `8` or
    nothing. value: what reads a word that stands for limits alone, such as the last three.
    """
    if cell.startswith("["):
        return json.loads(cell), ""
    words = cell.split(" ")
    if len(words) < 3:
        return value(words[0]), "".join(words[1:])
    return (json.loads(words[0]), json.loads(words[2])), "".join(words[3:])


def fits(kind: str, limits, value) -> bool:
    """Whether a value, as json.loads gives it, is of this kind and within its limits."""
    if kind.endswith(" or null"):
        if value is None:
            return True
        kind = kind[: -len(" or null")]
    # Types are compared, not tested with isinstance: true is not a number here, nor is 1.0 whole.
    if kind == "number":
        return type(value) in (int, float) and limits[0] <= value <= limits[1]
    if kind == "whole number" or kind.endswith(" pin"):
        return type(value) is int and limits[0] <= value <= limits[1]
    if kind == "true or false":
        return type(value) is bool
    if kind == "choices":
        return type(value) is list and all(choice in limits for choice in value)
    if kind in ("object", "section"):
        return type(value) is dict
    if kind in ("sections", "sensors"):
        return type(value) is list and len(value) <= limits
    if kind in ("hosts", "addresses"):
        return type(value) is list and len(value) <= limits and _bad_host(kind, value) is None
    if kind == "time":
        return value is None or type(value) is str
    if kind == "schedule":
        return type(value) in (list, dict)
    if type(value) is not str:
        return False
    if kind == "zone":
        return True
    if kind == "choice":
        return value in limits
    if kind == "url":
        return _flaw_of_url(limits, value) is None
    if not limits[0] <= len(value) <= limits[1]:
        return False
    if kind == "property":
        return all(c in _PROPERTY for c in characters(value))
    # Nor half of a surrogate pair, which UTF-8 cannot say.
    if _has_control(value) or any(0xD800 <= ord(c) < 0xE000 for c in characters(value)):
        return False
    if kind == "key id":
        return ":" not in value
    return kind != "id" or not any(c in value for c in ("/", "+", "#", " "))


@rare
def expected(kind: str, limits, unit: str) -> str:
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
    if kind in ("object", "section"):
        return "an object"
    if kind in ("sections", "sensors"):
        return "a list of at most %d objects" % limits
    if kind == "schedule":
        return "a list of at most %d entries" % limits
    if kind == "zone":
        return "a rule such as CET-1CEST,M3.5.0,M10.5.0/3"
    if kind == "url":
        return " or ".join([scheme + "://host:port" for scheme in limits])
    if kind == "hosts":
        return "a list of at most %d host or host:port" % limits
    if kind == "addresses":
        return "a list of at most %d IPv4 addresses, or address:port" % limits
    lowest, highest = limits
    if kind == "id":
        return "%d to %d characters, without / + # and spaces" % limits
    if kind == "key id":
        return "%d to %d characters, without a colon" % limits
    if kind == "property":
        return "%d to %d of a-z 0-9 _ - $" % limits
    if kind in ("text", "secret"):
        size = "%d" % highest if lowest == highest else "%d to %d" % limits
        return "text of %s characters" % size
    words = "%s to %s" % limits
    if kind == "whole number" or kind.endswith(" pin"):
        words = "a whole number " + words
    return words + " " + unit if unit else words


def shown(value) -> str:
    """A value as JSON in at most 40 characters; of a list or an object, which may be of any depth
    and hold what nobody may read, only what it is.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and value - value != 0:  # infinite, which JSON cannot say
        return "a number that is too large"
    if isinstance(value, str) and len(value) > _LONGEST:
        value = value[:_LONGEST]  # not to write out a long text only to cut it
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@rare
def got(kind: str, limits, value) -> str:
    """What there is instead of a value of this kind, in words, but for what may be a secret."""
    if kind in ("text", "secret") and type(value) is str:
        text = "(hidden)" if kind == "secret" else shown(value)
        return text + (", which has a control character" if _has_control(value) else "")
    if kind == "secret" or (kind == "key id" and type(value) is str and ":" in value):
        return "(hidden)"
    if kind in ("section", "sections", "sensors"):
        if type(value) is list and kind != "section":
            return "%d" % len(value)
        if type(value) is bool:
            return "true or false"
        if type(value) in (int, float):
            return "a number"
        return "a text" if type(value) is str else shown(value)
    if kind == "choices" and type(value) is list:
        return shown(next(choice for choice in value if choice not in limits))
    flaw = None
    if kind in ("hosts", "addresses") and type(value) is list:
        if len(value) > limits:
            return "%d" % len(value)
        value, flaw = _bad_host(kind, value)
    if kind == "url" and type(value) is str:
        flaw = _flaw_of_url(limits, value)
    if not flaw:
        return shown(value)
    # A password stands before an @.
    return "%s: %s" % ("(hidden)" if "@" in value else shown(value), flaw)


@rare
def _flaw_of_url(schemes, url):
    """What is wrong with a URL, or None."""
    try:
        scheme = parse_url(url)[0]
    except ValueError as error:
        return str(error)
    return None if scheme in schemes else "its scheme is none of these"


@rare
def _bad_host(kind, hosts):
    """(host, what is wrong with it, or None where it is no text) of the first that is none."""
    for host in hosts:
        if type(host) is not str:
            return host, None
        try:
            if kind == "addresses" and not is_address(parse_host(host, 53)[0]):
                return host, "it is no IPv4 address"
            parse_host(host, 53)
        except ValueError as error:
            return host, str(error)
    return None


def _has_control(value):
    return any(c < " " or c == "\x7f" for c in characters(value))

"""Mutated states of the platform: cut out of the stream as they are, or passed over."""

import json
import random

import fuzz
from firmware.link import LinkError, https_state

HEAP = "512K"
TIMEOUT_S = 100

_whole = [b"", []]  # the state that was made last, before it was damaged, and its parts

_HUGE = 1e300 if float("inf") > 1e300 else 1e38  # as this port's floats have 64 bits or 32
VALUES = (21.5, -0.0, _HUGE, 3, True, None, "off", 'quoted "\\', "°C \u2028", "x" * 900, [1, [2]])
TIMES = ("2026-11-22T16:00:00Z", "2017-05-01T14:00:57.467+02:00", "soon", "", 7, None)
NAMES = ("setpoint", "c$Mode", "schedule", "", "$", "a$b$C", None)
TOKENS = (
    b'"properties":{',
    b'"ingestion":{',
    b'"rateLimit":',
    b'{"ref":{"qname":"setpoint"},"value":{"mostRecent":22,"time":"2026-11-22T16:00:00Z"}}',
    b'"time":"9999-12-31T23:59:60.999Z"',
    b'"time":"1970-01-01T00:00:00+99:99"',
    b'"mostRecent":',
    b"{" * 20,
    b"[" * 200,
    b"}" * 5,
    b'\\"',
    b"\\",
    b'"',
    b"x" * 2100,
    b"[]," * 600,
    b"1e999",
    b"\xff\xfe",
    b"null",
)


def property_entry():
    name = random.choice(NAMES)
    entry = {random.choice(("ref", "meta")): {random.choice(("qname", "name")): name}}
    if random.randrange(6):
        entry["value"] = {"mostRecent": random.choice(VALUES), "time": random.choice(TIMES)}
    if not random.randrange(10):
        entry["meta"] = [{"deep": [[[["x"]]]]}]
    if not random.randrange(20):
        entry["note"] = "y" * 2100  # of no use
    return entry


def part_of(entry):
    """What the scanner is to find of it."""
    part = {}
    for member, key in (
        ("ref", "qname"),
        ("meta", "name"),
        ("value", "mostRecent"),
        ("value", "time"),
    ):
        tree = entry.get(member)
        if type(tree) is dict and key in tree:
            part[("%s.%s" % (member, key)).encode()] = tree[key]
    return part


def made() -> bytes:
    ingestion = {"rateLimit": random.choice((60, 0, -1, 1.5, "60")), "maxNrOfDpPerFeed": 100}
    properties = [property_entry() for _ in range(random.randrange(4))]
    texts = [json.dumps(part) for part in [ingestion] + properties]
    parts = [part_of(json.loads(text)) for text in texts[1:]]
    listed = random.randrange(2)
    members = [text if listed else '"%d" : %s' % (i, text) for i, text in enumerate(texts[1:])]
    brackets = "[%s]" if listed else "{%s}"
    data = '{"header": {"a": [{}], "ingestion": %s, "z": {"properties": {"x": {}}}},' % texts[0]
    data += random.choice(("", '"stats": {"properties": [{"ingestion": {}}]},', '"t": "{[\\"",'))
    data += ' "properties": ' + brackets % ", \r\n".join(members) + "}"
    _whole[:] = data.encode(), [part for part in parts if part]
    if not random.randrange(4):
        return _whole[0]
    return fuzz.mutated(_whole[0], (_whole[0],), TOKENS)


def scan(data, most):
    """(parts, ended), or None where it is no state."""
    found = []
    scanner = https_state.Scanner(lambda kind, part: found.append((kind, part)))
    view = memoryview(data)
    try:
        for at in range(0, len(view), most):
            scanner.feed(view[at : at + most])
    except LinkError:
        return None
    return found, scanner.ended


async def check(data):
    fuzz.begin()
    result = scan(data, 128)
    fuzz.end()
    again = scan(data, fuzz.pieces())
    assert result == again or str(result) == str(again)  # no two ranges are the same
    if result is None:
        return "refused"
    parts, ended = result
    for kind, part in parts:
        assert kind in ("ingestion", "properties") and type(part) is dict
        if kind == "ingestion":
            for limit in https_state.limits(part):
                assert limit is None or (type(limit) is int and limit > 0)
            continue
        reading = https_state.reading(part)
        if reading is not None:
            name, value, utc_ms = reading
            assert type(name) is str and name == name.lower() and "$" not in name
            assert type(utc_ms) is int and (value is not None or utc_ms >= 0)
    if data == _whole[0]:
        assert ended
        assert [part for kind, part in parts if kind == "properties"] == _whole[1]
        assert [kind for kind, _ in parts].count("ingestion") == 1
        return "whole"
    return "ended" if ended else "cut"


async def test_whatever_state_comes_its_parts_are_found_or_it_is_refused():
    await fuzz.each("states", made, check, 65536)

"""The platform's state, in pieces of every size, and everything that is none."""

import gc
import json
import random

from firmware.link import LinkError
from firmware.link.state import MAX_PART, Scanner, limits, reading

STATE = (
    '{"header":{"id":"_dev_1","profile":"thermostat","status":"enabled",'
    '"ingestion":{"rateLimit":60,"maxNrOfDpPerFeed":100}},"properties":['
    '{"ref":{"id":"_prp_1","qname":"thermostat$setpoint"},"meta":{"name":"setpoint",'
    '"type":"number","access":"public","publish":"always","min":5,"max":35},'
    '"value":{"mostRecent":21.5,"time":"2026-11-22T16:00:00.123Z"}},'
    '{"ref":{"id":"_prp_2","qname":"thermostat$mode"},"meta":{"name":"mode","type":"enum",'
    '"values":["off","heat"]},'
    '"value":{"mostRecent":"a \\"}]{[\\\\","time":"2026-11-22T16:00:00Z"}},'
    '{"ref":{"id":"_prp_3","qname":"thermostat$schedule"},"meta":{"name":"schedule"}}],'
    '"methods":[{"ingestion":{"rateLimit":1}}],"alerts":[]}'
).encode()


def scan(document, size=1 << 30):
    """([(kind, part), ...], the scanner) of a document that comes in pieces of that size."""
    found = []
    scanner = Scanner(lambda kind, part: found.append((kind, part)))
    for at in range(0, len(document), size):
        scanner.feed(memoryview(document)[at : at + size])
    return found, scanner


def parts(document, kind="properties"):
    return [part for found, part in scan(document)[0] if found == kind]


def test_the_parts_come_out_whatever_the_pieces():
    tree = json.loads(STATE)
    expected = [("ingestion", tree["header"]["ingestion"])]
    expected += [("properties", entry) for entry in tree["properties"]]
    for size in (1, 2, 3, 5, 7, 64, 128, 500, 10000):
        found, scanner = scan(STATE, size)
        assert found == expected, size
        assert scanner.ended and not scanner.skipped


def test_white_space_changes_nothing():
    tree = json.loads(STATE)
    spaced = bytearray(b" \r\n\t")
    quoted = escaped = False
    for c in STATE:
        if not quoted and c in b"{}[],:":
            spaced += b" \n"
        spaced.append(c)
        if not quoted and c in b"{}[],:":
            spaced += b"\t "
        if escaped:
            escaped = False
        elif c == 0x5C:
            escaped = True
        elif c == 0x22:
            quoted = not quoted
    assert json.loads(spaced) == tree
    assert scan(spaced)[0] == scan(STATE)[0]
    assert scan(spaced, 3)[0] == scan(STATE)[0]


def test_ingestion_may_stand_at_the_top():
    for document in (
        b'{"ingestion":{"rateLimit":7},"properties":[]}',
        b'{"properties":[],"ingestion":{"rateLimit":7}}',
        b'{"header":{"x":{"y":1},"ingestion":{"rateLimit":7},"z":[]}}',
    ):
        assert parts(document, "ingestion") == [{"rateLimit": 7}], document


def test_what_only_looks_like_a_part_is_none():
    for document in (
        b'{"properties":[{"a":{"ingestion":{"rateLimit":1},"properties":[{"b":1}]}}]}',
        b'{"x":{"properties":[{"a":1}]},"properties":[]}',
        b'{"header":{"x":{"ingestion":{"rateLimit":1}}}}',
        b'{"x":{"ingestion":{"rateLimit":1}}}',
        b'{"header":{"ingestion":[{"rateLimit":1}]}}',
        b'{"x":"properties","y":[{"a":1}]}',
        b'{"ingestion":5,"y":{"a":1}}',
        b'{"properties2":[{"a":1}],"propertie":[{"a":1}]}',
        b'{"properties\\u0020":[{"a":1}]}',
        b'{"ingestion":"","header":{"a":{"b":1}}}',
        b'{"header":{"ingestion":1},"x":{"y":{"a":1}}}',
    ):
        found = scan(document)[0]
        found = [part for part in found if "a" not in part[1] or len(part[1]["a"]) < 2]
        assert not found, (document, found)


def test_a_part_that_is_too_long_is_skipped_and_counted():
    def entry(size):
        text = b'{"x":"%s"}'
        return text % (b"y" * (size - len(text) + 2))

    for size, skipped in ((MAX_PART, 0), (MAX_PART + 1, 1), (300000, 1)):
        document = b'{"properties":[{"a":1},%s,{"a":2}]}' % entry(size)
        found, scanner = scan(document, 100)
        names = [part.get("a") for _, part in found]
        assert names == ([1, 2] if skipped else [1, None, 2])
        assert scanner.skipped == skipped and scanner.ended


def test_a_part_that_is_nested_too_deep_is_skipped():
    for deep, skipped in ((3, 0), (11, 0), (12, 1), (1000, 1)):
        nested = b"[" * deep + b"]" * deep
        document = b'{"properties":[{"a":1},{"x":[%s]},{"a":2}]}' % nested
        found, scanner = scan(document)
        assert scanner.skipped == skipped, deep
        assert len(found) == 3 - skipped
    # Outside of them it is only counted.
    document = b'{"x":' + b"[" * 50000 + b"]" * 50000 + b',"properties":[{"a":1}]}'
    assert parts(document) == [{"a": 1}]


def test_a_part_that_is_no_json_is_skipped():
    for bad in (b"{[]}", b'{"a":\xff"\xff"}', b'{"a":"\xff"}', b"{a}", b'{{"a":1}:2}'):
        document = b'{"properties":[%s,{"a":2}]}' % bad
        found, scanner = scan(document)
        assert found == [("properties", {"a": 2})], bad
        assert scanner.skipped == 1


def test_what_is_no_object_is_refused():
    for document in (b"<html>Log in to the hotel's Wi-Fi</html>", b"[{}]", b"}", b'"{}"', b"7"):
        for size in (1, 100):
            try:
                scan(b"\r\n " + document, size)
            except LinkError as error:
                assert "is no state" in str(error)
                continue
            raise AssertionError(document)


def test_a_state_that_is_cut_short_has_not_ended():
    for length in range(len(STATE)):
        assert not scan(STATE[:length])[1].ended, length
    found, scanner = scan(STATE + b'\n{"properties":[{"a":1}]}')
    assert scanner.ended and len(found) == 4


def test_mutated_states_raise_nothing_else():
    random.seed(11)
    for _ in range(1500):
        document = bytearray(STATE)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(document))
            what = random.randrange(3)
            if what == 0:
                document[at] = random.choice(b'{}[]":,\\\xff 0n')
            elif what == 1:
                document = document[:at] + document[at + random.randint(1, 40) :]
            else:
                document = document[:at] + document[random.randrange(len(document)) :]
            if not document:
                break
        try:
            found, _ = scan(document, random.choice((1, 17, 128)))
        except LinkError:
            continue
        for kind, part in found:
            if kind == "ingestion":
                limits(part)
            else:
                reading(part)


def test_a_state_larger_than_the_heap_takes_next_to_nothing_of_it():
    entry = json.loads(STATE)["properties"][0]
    text = json.dumps(entry).encode()
    count = [0]

    def found(kind, part):
        assert part == entry
        count[0] += 1

    scanner = Scanner(found)
    scanner.feed(b'{"properties":[')
    gc.collect()
    most = before = gc.mem_alloc()
    for n in range(600):
        for at in range(0, len(text), 128):
            scanner.feed(memoryview(text)[at : at + 128])
        scanner.feed(b"," if n < 599 else b"]}")
        gc.collect()
        most = max(most, gc.mem_alloc())
    assert count == [600] and scanner.ended
    assert most - before < 2048


# What a part says


def test_limits():
    assert limits({"rateLimit": 60, "maxNrOfDpPerFeed": 100}) == (60, 100)
    for wrong in ({}, {"rateLimit": "60"}, {"rateLimit": 0, "maxNrOfDpPerFeed": -1}):
        assert limits(wrong) == (None, None)
    assert limits({"rateLimit": True, "maxNrOfDpPerFeed": 1.5}) == (None, None)


def test_a_reading():
    at = "2026-11-22T16:00:00.123Z"
    t = 1795363200123
    value = {"mostRecent": 21.5, "time": at}
    assert reading({"ref": {"qname": "p$Setpoint"}, "value": value}) == ("setpoint", 21.5, t)
    assert reading({"meta": {"name": "mode"}, "value": value}) == ("mode", 21.5, t)
    assert reading({"ref": {"id": 1}, "meta": {"name": "p$mode"}, "value": value})[0] == "mode"
    assert reading({"ref": {"qname": "a"}, "meta": {"name": "b"}}) == ("a", None, 0)
    assert reading({"ref": {"qname": "a"}, "value": None}) == ("a", None, 0)
    null = {"mostRecent": None, "time": at}
    assert reading({"ref": {"qname": "a"}, "value": null}) == ("a", None, t)
    tree = {"mostRecent": {"config": [1]}, "time": at}
    assert reading({"ref": {"qname": "a"}, "value": tree}) == ("a", {"config": [1]}, t)


def test_what_is_no_reading_is_none():
    at = "2026-11-22T16:00:00.123Z"
    for entry in (
        {},
        {"ref": None, "meta": 5},
        {"ref": {"qname": 5}},
        {"ref": []},
        {"ref": {"qname": "a"}, "value": 21.5},
        {"ref": {"qname": "a"}, "value": {}},
        {"ref": {"qname": "a"}, "value": {"mostRecent": 1}},
        {"ref": {"qname": "a"}, "value": {"time": at}},
        {"ref": {"qname": "a"}, "value": {"mostRecent": 1, "time": 1795363200123}},
        {"ref": {"qname": "a"}, "value": {"mostRecent": 1, "time": "yesterday"}},
    ):
        assert reading(entry) is None, entry

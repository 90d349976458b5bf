"""The platform's state, in pieces of every size, and everything that is none."""

import gc
import json
import random

from firmware.link import LinkError
from firmware.link.https_state import MAX_VALUE, Scanner, limits, reading

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


def expected(tree):
    """The parts that a whole state has."""
    found = [("ingestion", tree["header"]["ingestion"])]
    for entry in tree["properties"]:
        part = {b"ref.qname": entry["ref"]["qname"], b"meta.name": entry["meta"]["name"]}
        for key, value in entry.get("value", {}).items():
            part[b"value." + key.encode()] = value
        found.append(("properties", part))
    return found


def values(document):
    """What the properties hold."""
    return [part.get(b"value.mostRecent") for part in parts(document)]


def property_of(value, more=b""):
    text = b'{%s"ref":{"qname":"a"},"value":{"mostRecent":%s,"time":"2026-11-22T16:00:00Z"}}'
    return text % (more, value)


def test_the_parts_come_out_whatever_the_pieces():
    for size in (1, 2, 3, 5, 7, 64, 128, 500, 10000):
        found, scanner = scan(STATE, size)
        assert found == expected(json.loads(STATE)), size
        assert scanner.ended


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
        b'{"x":{"properties":[{"ref":{"qname":"a"}}]},"properties":[]}',
        b'{"header":{"x":{"ingestion":{"rateLimit":1}}}}',
        b'{"x":{"ingestion":{"rateLimit":1}}}',
        b'{"header":{"ingestion":[{"rateLimit":1}]}}',
        b'{"x":"properties","y":[{"ref":{"qname":"a"}}]}',
        b'{"ingestion":5,"y":{"a":1}}',
        b'{"properties2":[{"ref":{"qname":"a"}}],"propertie":[{"ref":{"qname":"a"}}]}',
        b'{"properties\\u0020":[{"ref":{"qname":"a"}}]}',
        b'{"ingestion":"","header":{"a":{"b":1}}}',
        b'{"header":{"ingestion":1},"x":{"y":{"a":1}}}',
        b'{"properties":[{"ref":[{"qname":"a"}],"meta":"name","value":["time",{"time":"b"}]}]}',
        b'{"properties":[["ref",{"qname":"a"}],{"x":{"ref":{"qname":"a"}}},"meta",{"qname":"b"}]}',
        b'{"properties":[{"ref":{"name":"a","mostRecent":1},"value":{"qname":"b","name":"c"}}]}',
    ):
        assert scan(document)[0] == [], document


def test_properties_may_be_members():
    document = b'{"properties":{"x":%s,"ingestion":%s},"a":{}}' % ((property_of(b"1"),) * 2)
    assert values(document) == [1, 1]


def test_a_value_that_is_too_long_is_told_with_its_size():
    for size, fits in ((MAX_VALUE, True), (MAX_VALUE + 1, False), (100000, False)):
        text = b"y" * (size - 2)
        entries = property_of(b"1"), property_of(b'"%s"' % text), property_of(b"2")
        document = b'{"properties":[%s,%s,%s]}' % entries
        for pieces in (100, 1 << 30):
            found, scanner = scan(document, pieces)
            assert scanner.ended
            told = [reading(part) for _, part in found]
            value = text.decode() if fits else range(size)
            assert str(told) == str([("a", v, 1795363200000) for v in (1, value, 2)])


def test_nothing_beside_the_value_makes_it_too_long():
    beside = b'"meta":{"name":"a","values":["%s"]},"x":[%s],' % (b"y" * 9000, b"{}," * 9000)
    document = b'{"properties":[%s]}' % property_of(b"21.5", beside)
    assert values(document) == [21.5]
    # A platform may write the same value with more space than its command had.
    command = b"[%s0]" % (b"0," * (MAX_VALUE // 2 - 2))
    spaced = command.replace(b",", b" ,\n\t ")
    assert len(command) <= MAX_VALUE < len(spaced)
    document = b'{"properties":[%s]}' % property_of(spaced)
    assert values(document) == [json.loads(command)]


def test_a_value_that_is_nested_too_deep_is_told_with_its_size():
    for deep in (3, 12, 13, 1000):
        nested = b"[" * deep + b"]" * deep
        entries = property_of(b"1"), property_of(nested), property_of(b"2")
        document = b'{"properties":[%s,%s,%s]}' % entries
        value = json.loads(nested) if deep <= 12 else range(2 * deep)
        assert str(values(document)) == str([1, value, 2]), deep
    # Outside of them it is only counted.
    document = b'{"x":%s,"properties":[%s]}'
    nested = b"[" * 50000 + b"]" * 50000
    assert values(document % (nested, property_of(b"1"))) == [1]


def test_a_value_that_is_no_json_is_told_with_its_size():
    for bad in (b"{[]}", b'{"a":\xff"\xff"}', b'{"a":"\xff"}', b"{a}", b'{{"a":1}:2}', b""):
        document = b'{"properties":[%s,%s]}' % (property_of(bad), property_of(b"2"))
        assert str(values(document)) == str([range(len(bad)), 2]), bad


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
    found, scanner = scan(STATE + b'\n{"properties":[%s]}' % property_of(b"1"))
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
    text = json.dumps(json.loads(STATE)["properties"][0]).encode()
    expected = ("setpoint", 21.5, 1795363200123)
    count = [0]

    def found(kind, part):
        assert reading(part) == expected
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
    assert most - before < 1024


# What a part says


def test_limits():
    assert limits({"rateLimit": 60, "maxNrOfDpPerFeed": 100}) == (60, 100)
    for wrong in ({}, {"rateLimit": "60"}, {"rateLimit": 0, "maxNrOfDpPerFeed": -1}):
        assert limits(wrong) == (None, None)
    assert limits({"rateLimit": True, "maxNrOfDpPerFeed": 1.5}) == (None, None)


def test_a_reading():
    at = "2026-11-22T16:00:00.123Z"
    t = 1795363200123

    def part(most_recent, **more):
        part = {b"value.mostRecent": most_recent, b"value.time": at}
        for key, text in more.items():
            part[key.replace("_", ".").encode()] = text
        return part

    assert reading(part(21.5, ref_qname="p$Setpoint")) == ("setpoint", 21.5, t)
    assert reading(part(21.5, meta_name="p$mode")) == ("mode", 21.5, t)
    assert reading({b"ref.qname": "a", b"meta.name": "b"}) == ("a", None, 0)
    assert reading(part(None, ref_qname="a")) == ("a", None, t)
    assert reading(part({"config": [1]}, ref_qname="a")) == ("a", {"config": [1]}, t)
    size = range(5000)
    assert reading(part(size, ref_qname="a")) == ("a", size, t)


def test_a_value_that_is_not_there_was_never_written():
    for entry in (
        b'{"ref":{"qname":"p$a"},"meta":{"name":"a"}}',
        b'{"ref":{"qname":"p$a"},"value":null}',
        b'{"ref":{"id":7},"meta":{"name":"a"},"value":{}}',
    ):
        found = parts(b'{"properties":[%s]}' % entry)
        assert [reading(part) for part in found] == [("a", None, 0)], entry


def test_what_is_no_reading_is_none():
    at = "2026-11-22T16:00:00.123Z"
    for entry in (
        {},
        {b"ref.qname": 5},
        {b"ref.qname": range(3000)},
        {b"value.mostRecent": 1, b"value.time": at},
        {b"ref.qname": "a", b"value.mostRecent": 1},
        {b"ref.qname": "a", b"value.time": at},
        {b"ref.qname": "a", b"value.mostRecent": 1, b"value.time": 1795363200123},
        {b"ref.qname": "a", b"value.mostRecent": 1, b"value.time": "yesterday"},
        {b"ref.qname": "a", b"value.mostRecent": 1, b"value.time": range(3000)},
    ):
        assert reading(entry) is None, entry

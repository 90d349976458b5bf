"""The API's requests to the byte, and what each of its answers does; over real sockets."""

import json

from api import Platform, receipt
from firmware.base import uptime
from firmware.link import LinkError
from flights import in_flight
from peers import descriptors, failure

AT = "2026-11-22T16:00:00.123Z"
AT_MS = 1795363200123


def put(queue, *readings):
    for prop, value in readings:
        queue.put(prop, value)


# Feeds


async def test_a_feed_of_one_property_goes_to_its_own_address_without_its_name():
    for compact, document in (
        (False, b'{"dps":[{"t":"2026-11-22T10:40:00.000Z","v":7}]}'),
        (True, b'{"t":"2026-11-22T10:40:00.000Z","dps":[{"v":7}]}'),
    ):
        platform = Platform(receipt(1), compact=compact)
        put(platform.queue, (1, 7))
        await platform.api.deliver()
        line = "POST /v3/data/devices/_this_/properties/humidity"
        assert platform.requests == [(line, document)]
        assert len(platform.queue) == 0
        assert b"\r\nContent-Type: application/json\r\n" in platform.heads[0]


async def test_a_feed_of_several_properties_names_them():
    platform = Platform(receipt(2))
    put(platform.queue, (0, 1), (1, 2))
    await platform.api.deliver()
    line, document = platform.requests[0]
    assert line == "POST /v3/data/devices/_this_/properties"
    assert [p["prop"] for p in json.loads(document)["dps"]] == ["temperature", "humidity"]
    assert len(platform.queue) == 0


async def test_where_a_property_has_no_address_its_feed_goes_where_all_do():
    for status in (404, 405):
        platform = Platform((status, b"{}"), receipt(0, 1), receipt(1))
        put(platform.queue, (0, 1))
        await platform.api.deliver()
        assert (len(platform.queue), in_flight(platform.queue)) == (1, 0)
        await platform.api.deliver()
        assert (len(platform.queue), platform.api.rejected) == (0, 1)
        put(platform.queue, (0, 1))
        await platform.api.deliver()
        lines = [line.split("_this_")[1] for line, _ in platform.requests]
        assert lines == ["/properties/temperature", "/properties", "/properties"]


async def test_where_no_address_is_right_the_status_is_told():
    platform = Platform((404, b"{}"), (404, b"{}"))
    put(platform.queue, (0, 1))
    await platform.api.deliver()
    assert str(await failure(platform.api.deliver())) == "the API answered 404"
    assert len(platform.queue) == 1


async def test_where_everything_is_refused_no_more_than_three_points_are_given_up():
    """The API may be out of order, or somebody else's: it is not every one of the points."""
    real_ms = uptime.ms
    ahead_ms = 0
    uptime.ms = lambda: real_ms() + ahead_ms
    try:
        platform = Platform()
        put(platform.queue, *[(0, n) for n in range(10)])

        async def refused(times, answers=(400, 413)):
            """The words of the last failure."""
            told = None
            for n in range(times):
                platform.answers = [(answers[n % len(answers)], b"{}")]
                try:
                    await platform.api.deliver()
                except LinkError as error:
                    told = str(error)
            return told

        assert await refused(40) == "the API answered 413"
        assert (platform.queue.rejected, len(platform.queue)) == (3, 7)
        # If it does not end they may be to blame after all; but slowly.
        ahead_ms = 600000
        await refused(5)
        assert (platform.queue.rejected, len(platform.queue)) == (4, 6)
        # A receipt says that others are taken.
        platform.answers = [receipt(1)]
        await platform.api.deliver()
        await refused(40)
        assert platform.queue.rejected == 7
    finally:
        uptime.ms = real_ms


async def test_it_has_worked_when_it_took_something_or_knows_this_device():
    """A configuration on trial is kept for it: not for any server that answers."""
    for answer, worked in (
        ((400, b"{}"), False),
        ((404, b"{}"), False),
        ((413, b"{}"), False),
        ((429, b"{}"), False),
        ((200, b"{}"), False),
        (receipt(0, 1), True),
        (receipt(1), True),
    ):
        platform = Platform(answer)
        put(platform.queue, (0, 1))
        try:
            await platform.api.deliver()
        except LinkError:
            pass
        assert (platform.api.accepted_ms >= 0) is worked, answer
    for body, worked in (
        (b"{}", False),
        (b'{"error":"no such page","properties":[{}]}', False),
        (b'{"ingestion":{}}', True),
        (state(entry("setpoint"), header=b"{}"), True),
    ):
        platform = Platform((200, body))
        await platform.api.read_state(lambda *_: None)
        assert (platform.api.accepted_ms >= 0) is worked, body


# The state


def state(*entries, header=b'{"ingestion":{"rateLimit":30,"maxNrOfDpPerFeed":5}}'):
    return b'{"header":%s,"properties":[%s],"methods":[],"alerts":[]}' % (
        header,
        b",".join(entries),
    )


def entry(name, value=None):
    tree = {"ref": {"id": "_prp_1", "qname": "thermostat$" + name}, "meta": {"name": name}}
    if value is not None:
        tree["value"] = {"mostRecent": value, "time": AT}
    return json.dumps(tree).encode()


class Lines:
    """A log that remembers what went wrong."""

    def __init__(self):
        self.told = []

    def info(self, text, *values):
        pass

    def error(self, text, *values):
        self.told.append(text % values)


class States:
    """What on_state was told."""

    def __init__(self):
        self.told = []

    def __call__(self, *state):
        self.told.append(state)


async def test_too_many_questions_for_the_state_slow_nothing_down():
    """Nothing is known thereby about what is written."""
    platform = Platform((429, b"{}"))
    assert str(await failure(platform.api.read_state(None))) == "the API answered 429"
    assert platform.pace.ready(20)


async def test_the_state_brings_limits_and_properties():
    document = state(entry("setpoint", 21.5), entry("mode", "heat"), entry("schedule"))
    platform = Platform((200, document))
    states = States()
    await platform.api.read_state(states)
    line, _ = platform.requests[0]
    assert line == "GET /v3/data/devices/_this_/state?header=true&meta=true&stats=false"
    assert b"\r\nAuthorization: Basic X2tleV8xOmh1bnRlcjI=\r\n" in platform.heads[0]
    assert states.told == [
        ("setpoint", 21.5, AT_MS),
        ("mode", "heat", AT_MS),
        ("schedule", None, 0),
    ]
    assert (platform.pace.most_points, platform.pace._gap_ms) == (5, 2067)


async def test_a_limit_that_did_not_change_leaves_what_was_learnt_since():
    other = b'{"ingestion":{"rateLimit":30,"maxNrOfDpPerFeed":4}}'
    platform = Platform((200, state()), (200, state()), (200, state(header=other)))
    await platform.api.read_state(States())
    platform.pace.too_large(4)
    await platform.api.read_state(States())
    assert platform.pace.most_points == 2
    await platform.api.read_state(States())
    assert platform.pace.most_points == 4


async def test_a_long_state_comes_in_chunks_and_what_is_too_long_in_it_is_told_as_its_size():
    entries = [entry("p%d" % n, n) for n in range(300)]
    entries[150] = entry("p150", "x" * 3000)
    document = state(*entries)
    assert len(document) > 30000
    answer = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for at in range(0, len(document), 1000):
        piece = document[at : at + 1000]
        answer += b"%x\r\n" % len(piece) + piece + b"\r\n"
    platform = Platform(answer + b"0\r\n\r\n")
    states = States()
    await platform.api.read_state(states)
    name, value, utc_ms = states.told.pop(150)
    assert (name, str(value), utc_ms) == ("p150", "range(0, 3002)", AT_MS)
    assert states.told == [("p%d" % n, n, AT_MS) for n in range(300) if n != 150]


async def test_whatever_is_raised_by_who_is_told_the_reading_goes_on():
    class Raising(States):
        def __call__(self, name, value, utc_ms):
            super().__call__(name, value, utc_ms)
            if name == "mode":
                raise KeyError("mode")

    document = state(entry("setpoint", 21.5), entry("mode", "heat"), entry("preset", "home"))
    platform = Platform((200, document), (200, document))
    lines = Lines()
    platform.api._log = lines
    states = Raising()
    await platform.api.read_state(states)
    assert [name for name, _, _ in states.told] == ["setpoint", "mode", "preset"]
    assert lines.told == ["mode of the state is lost: KeyError: mode"]


async def test_where_there_is_no_memory_the_reading_ends():
    def full(name, value, utc_ms):
        raise MemoryError

    platform = Platform((200, state(entry("setpoint", 21.5))))
    try:
        await platform.api.read_state(full)
    except MemoryError:
        return
    raise AssertionError("it went on")


async def test_what_is_no_state_is_told():
    whole = state(entry("setpoint", 21.5))
    head = b"HTTP/1.1 200 x\r\n"
    before = descriptors()
    for answer, text, told in (
        ((200, b"<html>Log in to the hotel's Wi-Fi</html>"), "the API's answer is no state", 0),
        ((200, b"[]"), "the API's answer is no state", 0),
        ((200, b""), "the API's state is cut short", 0),
        ((200, whole[:-1]), "the API's state is cut short", 1),
        ((200, whole[:60]), "the API's state is cut short", 0),
        (head + b"Content-Length: 900\r\n\r\n" + whole + b"cut", "closed by the other side", 1),
        ((500, b"{}"), "the API answered 500", 0),
        ((302, whole), "the API answered 302", 0),
    ):
        platform = Platform(answer)
        states = States()
        error = await failure(platform.api.read_state(states))
        assert text in str(error) and not error.refused, (answer, error)
        assert len(states.told) == told, answer
        platform.api.close()
        platform.peer.close()
    for code in (401, 403):
        platform = Platform((code, b"{}"))
        error = await failure(platform.api.read_state(States()))
        assert error.refused and "(%d)" % code in str(error)
        platform.api.close()
        platform.peer.close()
    assert descriptors() == before


async def test_what_is_not_understood_is_ignored():
    entries = (
        b"5",
        b'"x"',
        b"[{}]",
        b"{}",
        b'{"ref":7,"meta":[],"value":{}}',
        b'{"ref":{"qname":"a"},"value":{"mostRecent":1,"time":"soon"}}',
        b'{"x":' + b"[" * 500 + b"]" * 500 + b"}",
        entry("mode", "off"),
    )
    platform = Platform((200, state(*entries, header=b'{"ingestion":{"rateLimit":"many"}}')))
    states = States()
    await platform.api.read_state(states)
    assert states.told == [("mode", "off", AT_MS)]
    assert platform.pace.most_points == 10

"""Single values that do not wait for a feed: over either way, and into the queue if not."""

import asyncio
import json
import sys

import broker
from firmware.base import uptime
from firmware.points.json_text import value_text
from model import Time, make_queue, points, text
from peers import until
from world import MINUTE, Steady, World

HEAP = "2M"


async def over_mqtt(world):
    await world.connected()
    await until(lambda: world.link.failover.carrier == "mqtt", "MQTT")
    world.skip(200)  # past the turns that the run before may have used


async def over_https(world):
    """For a World without a broker, whose grace is 0."""
    world.link.failover.mqtt = Steady(600000)
    world.put(0)
    await world.empty()
    await until(lambda: world.link.failover.state == "https", "HTTPS")
    world.api.requests.clear()
    world.api.feeds.clear()
    world.values.clear()


def offer(world, value):
    return world.link.offer(0, "temperature", value)


# Over MQTT


async def test_a_value_over_mqtt_to_the_byte():
    async with World(send="value") as world:
        await over_mqtt(world)
        for value in (21.5, 7, True, "on", {"a": [1.5, None]}):
            assert offer(world, value)
        await until(lambda: len(world.broker.singles) == 5, "the values")
        assert world.broker.singles == [
            (b"properties/temperature", b"21.50"),
            (b"properties/temperature", b"7"),
            (b"properties/temperature", b"true"),
            (b"properties/temperature", b'"on"'),
            (b"properties/temperature", b'{"a": [1.5, null]}'),
        ]
        await until(lambda: not world.link.in_flight, "their acknowledgements")
        assert len(set(world.broker.pids)) == 5
        assert world.broker.feeds == [] and len(world.queue) == 0


async def test_the_call_of_a_method_over_mqtt_to_the_byte():
    for method, called in ((None, b"temperature"), ("alarm", b"alarm"), ('a"b', b'a\\"b')):
        async with World(send="method", method=method) as world:
            await over_mqtt(world)
            assert offer(world, 21.5)
            await until(lambda w=world: w.broker.singles, "the call")
            payload = b'{"dps":[{"method":"%s","value":21.50}]}' % called
            assert world.broker.singles == [(b"methods/json", payload)]


async def test_eight_are_on_their_way_and_no_more():
    async with World(send="value") as world:
        world.broker.acknowledges = False
        await over_mqtt(world)
        t0 = world.clock.now()
        for value in range(8):
            assert offer(world, value)
            await asyncio.sleep_ms(2)
        await until(lambda: len(world.broker.singles) == 8, "eight values")
        # The ninth goes into the queue, and so that it is the newest there, the others before it.
        assert not offer(world, 8)
        world.broker.acknowledges = True
        world.queue.put(0, 8)
        await world.empty()
        found = [point for _, feed in world.broker.feeds for point in feed]
        assert [value for _, _, value in found] == list(range(9))
        times = [t for _, t, _ in found]
        assert sorted(times) == times and t0 <= times[0]
        assert not world.link.in_flight


async def test_what_is_not_acknowledged_becomes_a_point_of_its_own_time():
    async with World(send="value") as world:
        world.broker.acknowledges = False
        await over_mqtt(world)
        times = []
        for value in (3, 1, 2):
            times.append(world.clock.now())
            assert offer(world, value)
            await asyncio.sleep_ms(5)
        await until(lambda: len(world.broker.singles) == 3, "the values")
        await world.broker.send(broker.puback(world.broker.pids[1]))
        await until(lambda: world.link.in_flight == 2, "its acknowledgement")
        world.broker.conn.reset()
        await until(lambda: len(world.queue) == 2, "the points")
        world.broker.acknowledges = True
        await world.connected(2)
        await world.empty()
        found = [(t, value) for _, feed in world.broker.feeds for _, t, value in feed]
        assert [value for _, value in found] == [3, 2]
        for (t, _), offered in zip(found, (times[0], times[2])):
            assert offered <= t <= offered + 4


async def test_an_answer_that_does_not_come_ends_the_session():
    async with World(send="value", grace_s=5) as world:
        world.broker.acknowledges = False
        await over_mqtt(world)
        assert offer(world, 1)
        await until(lambda: world.broker.singles, "the value")
        world.skip(4500)
        await asyncio.sleep_ms(120)
        assert len(world.queue) == 0
        world.skip(1000)
        await until(lambda: world.told("did not acknowledge a value"), "the end")
        world.broker.acknowledges = True
        await world.connected(2)
        await world.empty()
        assert len(world.broker.feeds) == 1


async def test_acknowledgements_of_nothing_free_nothing():
    async with World(send="value") as world:
        world.broker.acknowledges = False
        await over_mqtt(world)
        assert offer(world, 1)
        await until(lambda: world.broker.singles, "the value")
        pid = world.broker.pids[0]
        for wrong in (0, pid - 1, pid + 1, 65535):
            await world.broker.send(broker.puback(wrong))
        await asyncio.sleep_ms(60)
        assert world.link.in_flight
        await world.broker.send(broker.puback(pid) * 2)
        await until(lambda: not world.link.in_flight, "its acknowledgement")
        assert len(world.broker.connects) == 1


async def test_packet_ids_leave_out_those_of_values():
    async with World(send="value", max_points=1) as world:
        world.broker.acknowledges = False
        await over_mqtt(world)
        world.link.mqtt.pid = 65534
        assert offer(world, 1)
        await until(lambda: world.broker.singles, "the value")
        world.link.mqtt.pid = 65534
        world.put(2, 3)
        await until(lambda: len(world.broker.feeds) == 2, "two feeds")
        assert world.broker.pids == [65535, 1, 2]


async def test_values_take_their_turns_from_the_feeds():
    """The platform counts what is sent to it in a minute."""
    async with World(send="value", per_minute=30) as world:
        await over_mqtt(world)
        world.skip(MINUTE)
        await asyncio.sleep_ms(60)
        sent = 0
        while offer(world, sent):
            sent += 1
            await until(lambda: not world.link.in_flight, "the value's acknowledgement")
        assert sent == 6
        # One turn was left for a feed; then it has one in four.
        world.put(10)
        await world.empty()
        world.put(11)
        world.skip(10000)
        await asyncio.sleep_ms(120)
        assert len(world.queue) == 1
        world.skip(1000)
        await world.empty()


async def test_no_minute_holds_more_than_the_platform_takes_over_both_ways_and_reconnections():
    names = ["temperature"] + ["s%d" % n for n in range(1, 8)]
    limits = {"per_minute": 40, "max_points": 5}
    laboratory = World(send="value", grace_s=0, names=names, slots=512, **limits)
    (sensor,) = laboratory.settings["sensors"]
    laboratory.settings["sensors"] = [dict(sensor, prop=name) for name in names]
    async with laboratory as world:
        came = []  # when, one for each feed and value

        def note():
            broker, api = world.broker, world.api
            count = len(broker.feeds) + len(broker.singles) + len(api.feeds) + len(api.singles)
            while len(came) < count:
                came.append(uptime.ms())

        await over_mqtt(world)
        value = 0
        for step in range(700):
            world.skip(250)
            await asyncio.sleep_ms(4)
            if step % 2 == 0:
                for index, name in enumerate(names):
                    value += 1
                    if not world.link.offer(index, name, value):
                        world.queue.put(index, value)
            if step % 90 == 50:
                world.broker.conn.reset()
                world.link.failover.mqtt = Steady(3000)
            note()
        await until(lambda: note() or not world.link.in_flight, "the last values")
        assert world.broker.singles and world.broker.feeds, (world.broker.singles, came)
        assert len(world.broker.connects) > 3
        for i in range(40, len(came)):
            assert came[i] - came[i - 40] >= MINUTE, (i, came[i] - came[i - 40])
        assert len(came) > 60, len(came)


# Over HTTPS


async def test_a_value_over_https_to_the_byte():
    async with World(mqtt=False, grace_s=0, send="value") as world:
        await over_https(world)
        assert offer(world, 21.4999)
        assert offer(world, "on")
        await until(lambda: len(world.api.singles) == 2, "the values")
        assert [path for path, _ in world.api.singles] == [b"", b""]
        found = [json.loads(body) for _, body in world.api.singles]
        assert found == [{"temperature": 21.5}, {"temperature": "on"}]
        await until(lambda: not world.link.in_flight, "the answers")
        assert len(world.queue) == 0


async def test_the_call_of_a_method_over_https_to_the_byte():
    async with World(mqtt=False, grace_s=0, send="method", method="alarm") as world:
        await over_https(world)
        assert offer(world, 7)
        await until(lambda: world.api.singles, "the call")
        assert world.api.singles == [(b"/methods/alarm", b'{"value": 7}')]
        await until(lambda: not world.link.in_flight, "the answer")


async def test_values_go_before_feeds_over_https():
    async with World(mqtt=False, grace_s=0, send="value", max_points=2) as world:
        await over_https(world)
        world.put(1, 2, 3)
        assert offer(world, 4)
        await world.empty()
        paths = [line.split(b" ")[1] for line in world.api.requests]
        assert paths[0].endswith(b"/_this_") and paths[1].endswith(b"/properties/temperature")


async def test_what_https_does_not_take_becomes_a_point():
    async with World(mqtt=False, grace_s=0, send="value") as world:
        await over_https(world)
        world.api.answer = lambda found: (500, b"", b"{}")
        t = world.clock.now()
        assert offer(world, 1)
        assert offer(world, 2)
        await until(lambda: len(world.queue) == 2, "the points")
        assert len(world.api.singles) == 1
        world.api.answer = lambda found: None
        await world.empty_soon()
        found = [point for feed in world.api.feeds for point in feed]
        assert [value for _, _, value in found] == [1, 2]
        assert t <= found[0][1] <= t + 4


async def test_a_method_that_there_is_not_is_no_failure_of_https():
    async with World(mqtt=False, grace_s=0, send="method") as world:
        await over_https(world)
        link = world.link
        mqtt_at_ms = link.failover.mqtt.at_ms
        world.api.answer = lambda found: (404, b"", b"{}") if type(found) is bytes else None
        for value in (1, 2, 3):
            await until(lambda: offer(world, value), "HTTPS")  # noqa: B023
            await until(lambda: world.api.feeds, "the point")
            assert len(world.api.singles) == 1
            world.api.singles.clear()
            await world.empty()
            assert world.api.feeds.pop()[0][2] == value
        assert world.told("temperature goes in a feed: the API answered 404")
        assert link.failover.https.at_ms == 0
        assert link.failover.mqtt.at_ms == mqtt_at_ms


async def test_credentials_that_are_refused_with_a_value_are_a_failure():
    async with World(mqtt=False, grace_s=0, send="value") as world:
        await over_https(world)
        world.api.answer = lambda found: (403, b"", b"{}")
        assert offer(world, 1)
        await until(lambda: world.link.failover.https.refused, "the refusal")
        assert len(world.queue) == 1
        assert len(world.api.requests) == 1


async def test_a_failure_of_a_feed_makes_points_of_the_values_behind_it():
    async with World(mqtt=False, grace_s=0, send="value") as world:
        await over_https(world)
        world.link.failover.https = Steady(600000)
        answering = asyncio.Event()

        def answer(found):
            assert offer(world, 2)
            answering.set()
            return 500, b"", b"{}"

        world.api.answer = answer
        world.put(1)
        await answering.wait()
        await until(lambda: len(world.queue) == 2, "the points")
        assert not offer(world, 3)
        assert world.api.singles == []


# Neither


async def test_nothing_is_taken_that_cannot_go_now():
    async with World(mqtt=False, https=False, send="value") as world:
        assert not offer(world, 1)
        await world.retry_mqtt()
        await until(lambda: world.link.failover.state == "waiting", "the wait")
        assert not offer(world, 1)
    async with World() as world:  # no sensor asks for it
        await over_mqtt(world)
        assert not offer(world, 1)
    async with World(send="value") as world:
        await over_mqtt(world)
        assert not world.link.offer(0, "humidity", 1)
        for value in (float("nan"), b"bytes", "x" * 1100):
            assert not offer(world, value)
        assert not world.link.in_flight


async def test_what_has_waited_for_seconds_becomes_a_point():
    """The platform would take the time of its arrival for its own."""
    async with World(send="value") as world:
        await over_mqtt(world)
        assert offer(world, 1)
        world.skip(3000)
        await until(lambda: world.broker.feeds, "a feed")
        assert world.broker.singles == []
        assert [value for _, feed in world.broker.feeds for _, _, value in feed] == [1]


async def test_an_end_puts_what_is_on_its_way_into_the_queue():
    for mqtt in (True, False):
        async with World(mqtt=mqtt, grace_s=0, send="value") as world:
            world.broker.acknowledges = False
            await (over_mqtt if mqtt else over_https)(world)
            assert offer(world, 1)
            await world.end()
            assert len(world.queue) == 1
            assert not offer(world, 2)
            world.task = asyncio.create_task(asyncio.Event().wait())


def test_only_who_sends_values_imports_it():
    name = "firmware.link.single_values"
    kept = sys.modules.pop(name, None)
    try:
        for send, imported in ((None, False), ("value", True), ("method", True)):
            sys.modules.pop(name, None)
            asyncio.run(made(send))
            assert (name in sys.modules) is imported, send
    finally:
        if kept:
            sys.modules[name] = kept


async def made(send):
    async with World(mqtt=False, https=False, send=send):
        pass


# The same digits as in a feed


def fed(value, decimals) -> bytes:
    """The value's digits, as a feed has them."""
    queue = make_queue(Time(), decimals=decimals)
    queue.put(0, value)
    data = text(queue.take())
    assert points(data)
    return data.split(b'"v":')[1].split(b',"prop"')[0]


def test_values_have_the_digits_that_they_have_in_a_feed():
    for decimals in range(7):
        for value in (
            0.0,
            -0.0,
            0.5,
            -0.5,
            0.125,
            20.1,
            20.15,
            -40.0,
            -0.04,
            99.99,
            85.0,
            1013.25,
            123456.789,
            -8388607.5,
            1e9,
            1e-9,
            3,
            -3,
            0,
            2147483647,
            True,
            "°C",
        ):
            assert value_text(value, decimals) == fed(value, decimals), (value, decimals)


def test_values_that_are_large():
    for decimals in (0, 2):
        for value in (1 << 40, -(1 << 31), 1e15):
            assert value_text(value, decimals) == fed(value, decimals)

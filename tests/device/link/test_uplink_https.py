"""What goes over HTTPS while MQTT is down, and what frees it."""

import os
import sys

from firmware.base import uptime
from firmware.base.log import Log
from flights import in_flight
from peers import until
from world import World, nothing_more, status

HEAP = "2M"


async def test_https_waits_for_the_time_of_grace():
    async with World(mqtt=False, grace_s=20) as world:
        world.put(1)
        for _ in range(3):
            await world.retry_mqtt()
        world.skip(5000)
        await nothing_more(world)
        assert world.api.feeds == []
        assert world.link.failover.carrier == "none"
        world.skip(20000)
        await world.empty()
        assert world.link.failover.carrier == "https"


async def test_a_feed_over_https_to_the_byte():
    async with World(mqtt=False, grace_s=0) as world:
        world.put(1, 2)
        await world.empty()
        head = world.api.heads[-1]
        assert head.startswith(b"POST /v3/data/devices/_this_/properties/temperature HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Basic X2tleV8xOmh1bnRlcjI=\r\n" in head
        assert b"\r\nContent-Type: application/json\r\n" in head
        assert world.link.rejected == 0
        world.complete()


async def test_what_a_receipt_rejects_is_counted_and_not_sent_again():
    for body, rejected in (
        (b'{"accepted":2,"rejected":1}', 1),
        (b'{"accepted":0,"rejected":3}', 3),
        (b'{"accepted":1}', 2),  # two of which nothing is said
        (b'{"accepted":3,"rejected":0,"more":[]}', 0),
    ):
        async with World(mqtt=False, grace_s=0) as world:
            world.api.answer = status(200, body=body)
            warnings = Log.warnings
            world.put(1, 2, 3)
            await world.empty()
            assert world.link.rejected == rejected
            assert len(world.api.feeds) == 1
            if rejected:
                assert Log.warnings > warnings


async def test_what_is_no_receipt_frees_nothing():
    for body in (
        b"",
        b"<html>Log in to the hotel's Wi-Fi</html>",
        b"[]",
        b"null",
        b"7",
        b'"accepted"',
        b"{}",
        b'{"accepted":"1"}',
        b'{"accepted":true}',
        b'{"accepted":1.0,"rejected":0}',
        b'{"accepted":1,"rejected":null}',
        b'{"rejected":0}',
        b"\xff\xfe",
        b"[" * 2000,
    ):
        async with World(mqtt=False, grace_s=0) as world:
            world.api.answer = status(200, body=body)
            world.put(1)
            await until(lambda: world.api.feeds, "a feed")
            await until(lambda: world.link.failover.https.at_ms > uptime.ms(), "a failure")
            assert len(world.queue) == 1, body
            assert in_flight(world.queue) == 0
            world.api.answer = status(200, body=b'{"accepted":1,"rejected":0}')
            world.skip(2000)
            await world.empty()
            world.complete()


async def test_other_statuses_free_nothing():
    for code in (201, 204, 301, 307, 404, 500, 502, 503):
        async with World(mqtt=False, grace_s=0) as world:
            world.api.answer = status(code)
            world.put(1)
            await until(lambda: world.api.feeds, "a feed")
            await until(lambda: world.link.failover.https.at_ms > uptime.ms(), "a failure")
            assert len(world.queue) == 1
            world.api.answer = lambda found: None
            world.skip(2000)
            await world.empty()
            world.complete()
            assert world.link.rejected == 0


async def test_too_many_feeds_is_silence_for_as_long_as_the_platform_says():
    for headers, wait_ms in (
        (b"Retry-After: 7\r\n", 7000),
        (b"", 60000),
        (b"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 60000),
        (b"Retry-After: -1\r\n", 60000),
        (b"Retry-After: 99999\r\n", 3600000),
        (b"Retry-After: 99999999999999999999\r\n", 60000),
    ):
        async with World(mqtt=False, grace_s=0) as world:
            world.api.answer = status(429, headers)
            world.put(1)
            await until(lambda: world.told("(429)"), "the refusal")
            world.skip(wait_ms - 1000)
            await nothing_more(world, 150)
            assert len(world.api.feeds) == 1, headers
            assert len(world.queue) == 1
            world.api.answer = lambda found: None
            world.skip(1000)
            await world.empty()
            assert len(world.api.feeds) == 2
            world.complete()


async def test_a_point_that_the_api_does_not_take_is_found_and_set_aside():
    for code in (400, 413):
        async with World(mqtt=False, grace_s=0) as world:
            taken = []

            def answer(found, code=code, taken=taken):
                values = [value for _, _, value in found]
                if 13 in values:
                    return code, b"", b"{}"
                taken.extend(values)
                return None

            world.api.answer = answer
            world.put(*range(10, 20))
            await world.empty()
            assert sorted(taken) == [10, 11, 12, 14, 15, 16, 17, 18, 19]
            assert world.queue.rejected == 1
            # And full feeds again afterwards.
            world.put(*range(30, 40))
            await world.empty()
            assert len(world.api.feeds[-1]) == 10


async def test_the_limits_that_the_platform_states_are_kept():
    async with World() as world:
        world.api.state = (
            200,
            b"",
            b'{"header":{"name":"x","ingestion": {"rateLimit": 600, "maxNrOfDpPerFeed": 3}}}',
        )
        await world.connected()
        assert world.api.requests[0].startswith(b"GET /v3/data/devices/_this_/state")
        world.put(*range(10))
        await world.empty()
        world.complete()
        assert max([len(found) for _, found in world.broker.feeds]) == 3


async def test_a_state_that_says_nothing_of_limits_means_that_there_are_none():
    for body, feeds in (
        (b"{}", 1),
        (b'{"ingestion":{}}', 1),
        (b'{"ingestion":{"rateLimit":0}}', 1),
        # These say nothing at all.
        (b"", 2),
        (b'"ingestion"', 2),
    ):
        if "limits.json" in os.listdir():
            os.remove("limits.json")
        async with World() as world:
            world.api.state = (200, b"", body)
            await world.connected()
            world.put(*range(10))
            await world.empty()
            assert len(world.broker.feeds) == feeds, body
            assert world.task.done() is False


async def test_the_api_is_in_memory_only_while_it_is_used():
    async with World(mqtt=False, grace_s=0) as world:
        # A platform that has no address for one property, and takes one point of two.
        world.api.answer = status(404)
        world.put(1)
        await until(lambda: world.api.feeds, "a feed for one property")
        world.api.answer = status(200, body=b'{"accepted":0,"rejected":1}')
        await world.empty()
        assert "firmware.link.https_api" not in sys.modules
        told = world.link.reached(), world.link.rejected
        assert told == (["https"], 1)
        world.broker.start()
        await world.retry_mqtt()
        await until(lambda: world.link.failover.carrier == "mqtt", "MQTT")
        assert world.link._api is None
        assert (world.link.reached(), world.link.rejected) == (["mqtt", "https"], 1)
        asked = len(world.api.heads)
        world.broker.stop()
        world.put(2)
        await until(lambda: world.link.rejected == 2, "HTTPS again")
        # What it had learnt of the platform holds.
        feeds = [head for head in world.api.heads[asked:] if head.startswith(b"POST")]
        assert [b"/properties HTTP" in head for head in feeds] == [True]

"""Which way the feeds go, and what frees them: over real sockets to a scripted platform."""

import asyncio

import broker
from firmware import uptime
from firmware.log import Log
from peers import PAUSE_MS, Ticks, descriptors, until
from world import COMMANDS, World

HEAP = "2M"

_MINUTE = 60000


def status(code, headers=b"", body=b"{}"):
    """An answer of the API to everything."""
    return lambda found: (code, headers, body)


async def nothing_more(world, ms=200):
    """Some time in which the uplink could do what it must not; there is nothing to wait for."""
    await asyncio.sleep_ms(ms)


class Steady:
    """A back-off that is always as long."""

    def __init__(self, ms):
        self._ms = ms
        self.at_ms = 0

    def failed(self, now_ms, floor_ms=0):
        self.at_ms = now_ms + self._ms
        return self._ms

    def succeeded(self):
        self.at_ms = 0


# MQTT


async def test_a_point_leaves_the_queue_when_the_broker_has_acknowledged_it():
    async with World() as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(21.5)
        await until(lambda: world.broker.feeds, "a feed")
        assert len(world.queue) == 1
        pid, found = world.broker.feeds[0]
        assert [(prop, value) for prop, _, value in found] == [("temperature", 21.5)]
        await world.broker.send(broker.puback(pid))
        await world.empty()
        assert len(world.broker.feeds) == 1
        assert world.link.transport == "mqtt"
        assert world.api.feeds == []


async def test_the_device_introduces_itself_and_listens_for_its_commands():
    async with World() as world:
        await world.connected()
        field = broker.field
        assert world.broker.connects[0] == (
            b"\0\4MQTT\x04\xc2\x00\x19"
            + field(world.settings["device"]["id"].encode())
            + field(b"_key_1")
            + field(b"hunter2")
        )
        assert world.broker.subscriptions == [field(COMMANDS + b"#") + b"\1"]


async def test_four_feeds_are_in_flight_and_acknowledged_in_any_order():
    async with World(max_points=1) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(*range(7))
        await until(lambda: len(world.broker.feeds) == 4, "four feeds")
        await nothing_more(world)
        pids = [pid for pid, _ in world.broker.feeds]
        assert len(set(pids)) == len(pids) == 4
        world.broker.acknowledges = True
        for pid in reversed(pids):
            await world.broker.send(broker.puback(pid))
        await world.empty()
        world.complete()
        assert len(world.broker.feeds) == 7


async def test_acknowledgements_of_nothing_free_nothing():
    async with World() as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        pid = world.broker.feeds[0][0]
        for wrong in (0, pid - 1, pid + 1, 65535):
            await world.broker.send(broker.puback(wrong))
        await world.broker.send(broker.PINGRESP)
        await nothing_more(world, 50)
        assert len(world.queue) == 1
        await world.broker.send(broker.puback(pid) * 2)
        await world.empty()


async def test_packet_ids_wrap_and_leave_out_those_in_flight():
    async with World(max_points=1) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.link._broker._pid = 65533
        world.put(0, 1)
        await until(lambda: len(world.broker.feeds) == 2, "two feeds")
        world.link._broker._pid = 65533  # once round: both are still unanswered
        world.put(2, 3)
        await until(lambda: len(world.broker.feeds) == 4, "two more")
        assert [pid for pid, _ in world.broker.feeds] == [65534, 65535, 1, 2]
        for pid in (2, 65535, 1, 65534):
            await world.broker.send(broker.puback(pid))
        await world.empty()
        world.complete()


async def test_a_lost_connection_loses_and_changes_nothing():
    async with World(max_points=2) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(1, 2, 3, 4)
        await until(lambda: len(world.broker.feeds) == 2, "two feeds")
        first = world.arrived()
        world.broker.conn.reset()
        world.broker.acknowledges = True
        world.put(5)
        await world.connected(2)
        await world.empty()
        world.complete()
        again = world.arrived()
        for t in first:
            assert again[t] == first[t]
        assert world.link.reconnections == 1


async def test_an_answer_that_does_not_come_ends_the_session_and_https_takes_over():
    async with World(grace_s=0.4) as world:
        world.broker.acknowledges = False
        world.link._broker._answer_ms = 400
        world.link._mqtt_backoff = Steady(2000)
        await world.connected()
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        sent_ms = uptime.ms()
        await world.empty()
        # It has been unanswered for the time of grace: there is no reason for another one.
        took_ms = uptime.ms() - sent_ms
        assert took_ms >= 300  # the peer's kernel may keep what it gets for 40 ms
        assert took_ms <= 750
        assert world.told("did not acknowledge")
        world.complete()
        assert len(world.api.feeds) == 1
        assert world.link.transport == "https"


async def test_a_broker_that_takes_feeds_and_answers_none_is_asked_ever_more_rarely():
    async with World(grace_s=0.2) as world:
        world.broker.acknowledges = False
        world.link._broker._answer_ms = 200
        backoff = world.link._mqtt_backoff
        for count in (1, 2, 3):
            await world.connected(count)
            world.put(count)
            world.skip(40000)  # however long it takes
            await until(lambda count=count: len(world.broker.feeds) >= count, "a feed")
            await until(lambda count=count: backoff._failures == count, "a failure")


async def test_mqtt_takes_over_again_when_it_has_held():
    async with World(grace_s=0.1) as world:
        world.broker.stop()
        world.put(1)
        await world.empty()
        assert world.link.transport == "https"
        world.broker.start()
        await world.connected()
        world.put(2)
        await nothing_more(world)
        assert world.broker.feeds == []  # on probation
        world.skip(5000)
        await world.empty()
        assert world.link.transport == "mqtt"
        assert [len(world.api.feeds), len(world.broker.feeds)] == [1, 1]
        world.complete()


async def test_both_ways_come_and_go_and_nothing_is_lost():
    async with World(grace_s=0.05, max_points=3, slots=400) as world:

        async def readings(count):
            for _ in range(count):
                world.put(len(world.values))
                await asyncio.sleep_ms(5)

        async with Ticks() as ticks:
            await world.connected()
            await readings(10)
            await world.empty()
            world.broker.stop()
            await readings(10)
            await until(lambda: world.link.transport == "https", "HTTPS")
            world.api.stop()
            await readings(20)
            world.api.start()
            await world.empty_soon()
            assert len(world.api.feeds) >= 3
            world.broker.start()
            await world.connected(2)
            await readings(10)
            world.skip(10000)
            await until(lambda: world.link.transport == "mqtt", "MQTT")
            world.broker.conn.reset()
            await readings(10)
            await world.connected(3)
            world.skip(10000)
            await world.empty()
        world.complete()
        assert world.queue.dropped == 0
        assert ticks.longest_ms <= PAUSE_MS


async def test_a_subscription_that_is_refused_ends_the_session():
    async with World(grace_s=0.1) as world:
        world.broker.granted = 0x80
        world.put(1)
        await until(lambda: world.link._mqtt_backoff.at_ms > uptime.ms(), "a failure")
        await world.empty()
        world.complete()


# Signs of life


async def test_a_session_without_traffic_says_that_it_lives():
    async with World(keepalive_s=10) as world:
        await world.connected()
        await nothing_more(world, 100)
        assert world.broker.pings == 0
        for count in (1, 2, 3):
            world.skip(10000)
            await until(lambda count=count: world.broker.pings == count, "a PINGREQ")
        assert len(world.broker.connects) == 1


async def test_a_feed_is_a_sign_of_life():
    async with World(keepalive_s=10) as world:
        await world.connected()
        for n in range(1, 4):
            world.skip(8000)
            world.put(n)
            await world.empty()
        assert world.broker.pings == 0


async def test_a_sign_of_life_without_an_answer_is_none():
    async with World(keepalive_s=10, grace_s=5) as world:
        world.broker.answers_pings = False
        await world.connected()
        world.skip(10000)
        await until(lambda: world.broker.pings == 1, "a PINGREQ")
        world.skip(4500)
        await nothing_more(world, 100)
        assert len(world.broker.connects) == 1
        world.skip(1000)
        await world.connected(2)


# Who is refused


async def test_credentials_that_the_broker_refuses_are_tried_once_a_minute():
    for code in (2, 4, 5):
        async with World(https=False, grace_s=1000) as world:
            world.broker.code = code
            for count in (1, 2, 3):
                await until(lambda n=count: len(world.broker.connects) == n, "an attempt")
                await until(lambda: world.link._mqtt_backoff.at_ms > uptime.ms(), "its refusal")
                world.skip(_MINUTE - 500)
                await nothing_more(world, 120)
                assert len(world.broker.connects) == count
                # Not before a minute, and after five at the latest.
                await world.retry_mqtt()


async def test_a_broker_that_is_not_there_is_tried_sooner():
    async with World(https=False, grace_s=1000) as world:
        world.broker.code = 3
        await until(lambda: world.broker.connects, "an attempt")
        await until(lambda: world.link._mqtt_backoff.at_ms > uptime.ms(), "its refusal")
        world.skip(1000)
        await until(lambda: len(world.broker.connects) >= 2, "the next one")


async def test_credentials_that_the_api_refuses_are_tried_once_a_minute():
    for code in (401, 403):
        async with World(mqtt=False, grace_s=0) as world:
            world.api.state = (code, b"", b"{}")
            world.api.answer = status(code)
            world.put(1)
            for count in (1, 2, 3):
                await until(lambda n=count: len(world.api.requests) == n, "an attempt")
                await until(lambda: world.link._https_backoff.at_ms > uptime.ms(), "its refusal")
                world.skip(_MINUTE - 500)
                await nothing_more(world, 120)
                assert len(world.api.requests) == count
                await world.retry_https()
            assert len(world.queue) == 1


# HTTPS


async def test_https_waits_for_the_time_of_grace():
    async with World(mqtt=False, grace_s=20) as world:
        world.put(1)
        for _ in range(3):
            await world.retry_mqtt()
        world.skip(5000)
        await nothing_more(world)
        assert world.api.feeds == []
        assert world.link.transport == "none"
        world.skip(20000)
        await world.empty()
        assert world.link.transport == "https"


async def test_a_feed_over_https_to_the_byte():
    async with World(mqtt=False, grace_s=0) as world:
        world.put(1, 2)
        await world.empty()
        head = world.api.heads[-1]
        assert head.startswith(b"POST /v3/data/devices/_this_/properties HTTP/1.1\r\n")
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
            await until(lambda: world.link._https_backoff.at_ms > uptime.ms(), "a failure")
            assert len(world.queue) == 1, body
            assert world.queue.in_flight == 0
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
            await until(lambda: world.link._https_backoff.at_ms > uptime.ms(), "a failure")
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


async def test_a_state_that_says_nothing_of_limits_changes_nothing():
    for body in (
        b"",
        b"{}",
        b'{"ingestion":{}}',
        b'{"ingestion":{"rateLimit":0}}',
        b'"ingestion"',
    ):
        async with World() as world:
            world.api.state = (200, b"", body)
            await world.connected()
            world.put(*range(10))
            await world.empty()
            assert len(world.broker.feeds) == 1, body
            assert world.task.done() is False


# Commands


async def test_commands_come_through_one_door():
    async with World() as world:
        await world.connected()
        await world.broker.send(
            broker.publish(COMMANDS + b"setpoint", b"21.5", 7)
            + broker.publish(COMMANDS + "°C".encode(), "°".encode())
            + broker.publish(COMMANDS + b"mode", b"", 8)
        )
        await until(lambda: world.broker.acks == [7, 8], "both acknowledgements")
        assert world.commands == [
            ("setpoint", b"21.5"),
            ("°C", "°".encode()),
            ("mode", b""),
        ]


async def test_topics_that_are_not_this_devices_are_refused():
    async with World() as world:
        await world.connected()
        warnings = Log.warnings
        foreign = (
            b"csipio/data/in/devices/_dev_2/properties/setpoint",
            b"csipio/data/out/devices/_dev_571692235317590466/json",
            COMMANDS[:-1],
            b"",
            b"\xff\xfe\x1b[2J\n",
            COMMANDS.upper() + b"setpoint",
        )
        for pid, topic in enumerate(foreign):
            await world.broker.send(broker.publish(topic, b"99", pid + 1))
        # They are acknowledged all the same: they would come back for ever.
        await until(lambda: len(world.broker.acks) == len(foreign), "the acknowledgements")
        assert world.commands == []
        assert Log.warnings == warnings + len(foreign)
        await world.broker.send(broker.publish(COMMANDS + b"\xff\xfe", b"1", 60))
        await until(lambda: world.broker.acks[-1] == 60, "the acknowledgement")
        assert world.commands == [("", b"1")]  # a name that no property has
        assert len(world.broker.connects) == 1


async def test_a_command_of_a_megabyte_is_passed_over_and_the_session_kept():
    async with World() as world:
        await world.connected()
        block = bytes(4096)
        topic = COMMANDS + b"setpoint"
        size = 2 + len(topic) + 2 + 256 * len(block)
        await world.broker.send(
            b"\x32"
            + bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
            + broker.field(topic)
            + b"\0\7"
        )
        for _ in range(256):
            await world.broker.send(block)
        await world.broker.send(broker.publish(topic, b"20", 8))
        await until(lambda: world.broker.acks == [7, 8], "both acknowledgements")
        assert world.commands == [("setpoint", b"20")]
        assert len(world.broker.connects) == 1


async def test_a_handler_that_raises_ends_nothing():
    async with World() as world:
        await world.connected()

        def fail(name, payload):
            raise MemoryError("no")

        world.link._broker._on_command = fail
        await world.broker.send(broker.publish(COMMANDS + b"setpoint", b"20", 9))
        await until(lambda: world.broker.acks == [9], "the acknowledgement")
        world.put(1)
        await world.empty()
        assert len(world.broker.connects) == 1


# Beginning and end


async def test_nothing_is_sent_before_the_time_is_known():
    async with World(known=False) as world:
        world.put(1)
        await nothing_more(world)
        assert world.broker.connects == [] and world.api.requests == []
        world.know()
        await world.empty()
        world.complete()


async def test_wifi_is_joined_first_and_again():
    async with World() as world:
        world.wifi.failures = [OSError("no such network"), OSError("no such network")]
        world.put(1)
        await world.empty()
        assert world.wifi.attempts == 2


async def test_certificates_that_are_not_verified_are_warned_of():
    warnings = Log.warnings
    world = World()
    world.settings["tls"]["verify"] = False
    async with world:
        assert Log.warnings == warnings + 1


async def test_an_end_leaves_no_socket():
    async with World() as world:
        await until(lambda: world.broker._peer and world.api._peer, "a platform")
        before = descriptors()
        await world.connected()
        world.task.cancel()
        try:
            await world.task
        except asyncio.CancelledError:
            pass
        assert world.link.transport == "none"
        for peer in (world.broker._peer, world.api._peer):
            await peer.finished(len(peer.conns))
        assert descriptors() == before
        world.task = asyncio.create_task(asyncio.Event().wait())


async def test_sockets_do_not_add_up_over_many_failures():
    async with World(grace_s=0) as world:
        world.broker.code = 3
        world.api.answer = status(500)
        world.put(1)
        found = []
        for count in range(1, 25):
            await until(lambda n=count: len(world.broker.connects) >= n, "another failure")
            await until(lambda: world.link._mqtt_backoff.at_ms > uptime.ms(), "its back-off")
            found.append(descriptors())
            world.skip(400000)
        assert len(world.api.feeds) > 5
        assert max(found[12:]) <= max(found[:12])

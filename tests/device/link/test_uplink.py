"""Which way the feeds go, and what frees them: over real sockets to a scripted platform."""

import asyncio

import broker
from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import deadlines
from peers import NETWORK, PAUSE_MS, Ticks, descriptors, until
from world import COMMANDS, Shorter, Steady, World

HEAP = "2M"

STATE = (
    b'{"header":{"ingestion":{"rateLimit":6000}},"properties":[{"ref":{"qname":"Room$SetPoint"},'
    b'"meta":{"name":"setpoint"},"value":{"mostRecent":21.5,"time":"2026-11-22T16:00:00.000Z"}}]}'
)

_MINUTE = 60000


def status(code, headers=b"", body=b"{}"):
    """An answer of the API to everything."""
    return lambda found: (code, headers, body)


async def nothing_more(world, ms=200):
    """Some time in which the uplink could do what it must not; there is nothing to wait for."""
    await asyncio.sleep_ms(ms)


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
        assert world.link.carrier == "mqtt"
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


async def test_a_session_that_the_broker_has_kept_is_a_session():
    async with World() as world:
        world.broker.present = 1
        await world.connected()
        world.put(1)
        await world.empty()
        assert len(world.broker.subscriptions) == 1  # it is asked for all the same


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
        world.link.mqtt.pid = 65533
        world.put(0, 1)
        await until(lambda: len(world.broker.feeds) == 2, "two feeds")
        world.link.mqtt.pid = 65533  # once round: both are still unanswered
        world.put(2, 3)
        await until(lambda: len(world.broker.feeds) == 4, "two more")
        assert [pid for pid, _ in world.broker.feeds] == [65534, 65535, 1, 2]
        for pid in (2, 65535, 1, 65534):
            await world.broker.send(broker.puback(pid))
        await world.empty()
        world.complete()


async def test_a_lost_connection_loses_and_changes_nothing():
    async with World(max_points=2, grace_s=20) as world:
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
        assert world.link.failover.reconnections == 1
        # Those that were sent before say so, and the new one does not.
        assert world.broker.repeated == world.broker.pids[2:4]


async def test_an_answer_that_does_not_come_ends_the_session_and_https_takes_over():
    async with World(grace_s=20) as world:
        world.broker.acknowledges = False
        world.link.failover.mqtt = Steady(100000)
        await world.connected()
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        world.skip(15000)
        await nothing_more(world)
        assert world.link.carrier == "mqtt"
        assert not world.told("did not acknowledge")
        # It has been unanswered for the time of grace: there is no reason for another one, which
        # would be far longer than this waits.
        world.skip(5000)
        await world.empty()
        assert world.told("did not acknowledge")
        world.complete()
        assert len(world.api.feeds) == 1
        assert world.link.carrier == "https"


async def test_a_broker_that_takes_feeds_and_answers_none_is_asked_ever_more_rarely():
    with Shorter("ANSWER_LEAST_MS", 200):
        async with World(grace_s=0.2) as world:
            world.broker.acknowledges = False
            delays = []
            failed = world.link.failover.mqtt.failed

            def noted(now_ms, floor_ms=0):
                delays.append(failed(now_ms, floor_ms))

            world.link.failover.mqtt.failed = noted
            for count in (1, 2, 3):
                await world.connected(count)
                world.put(count)
                world.skip(40000)  # however long it takes
                await until(lambda count=count: len(world.broker.feeds) >= count, "a feed")
                await until(lambda count=count: len(delays) == count, "a failure")


async def test_mqtt_takes_over_again_when_it_has_held():
    async with World(grace_s=0.1) as world:
        world.broker.stop()
        world.put(1)
        await world.empty()
        assert world.link.carrier == "https"
        world.broker.start()
        await world.connected()
        world.put(2)
        await nothing_more(world)
        assert world.broker.feeds == []  # on probation
        world.skip(5000)
        await world.empty()
        assert world.link.carrier == "mqtt"
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
            await until(lambda: world.link.carrier == "https", "HTTPS")
            world.api.stop()
            await readings(20)
            world.api.start()
            await world.empty_soon()
            assert len(world.api.feeds) >= 3
            world.broker.start()
            await world.connected(2)
            await readings(10)
            world.skip(10000)
            await until(lambda: world.link.carrier == "mqtt", "MQTT")
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
        await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "a failure")
        await world.empty()
        world.complete()


async def test_a_subscription_that_is_not_answered_ends_the_session():
    async with World(grace_s=5) as world:
        world.broker.granted = None
        await world.connected()
        for wrong in (0, 2, 65535):
            await world.broker.send(broker.suback(wrong))
        world.put(1)
        await world.empty()  # feeds need no subscription
        world.skip(4500)
        await nothing_more(world, 100)
        assert len(world.broker.connects) == 1
        world.skip(1000)
        await world.connected(2)
        assert world.told("did not acknowledge the subscription")
        assert not world.told("listening")
        world.broker.granted = 0
        world.skip(6000)
        await until(lambda: world.told("listening for commands"), "the subscription")


async def test_a_broker_that_accepts_and_stays_silent_is_left():
    with Shorter("CONNACK_MS", 100):
        async with World(grace_s=0.1) as world:
            world.broker.code = None
            world.put(1)
            await world.empty()
            assert world.told("the broker's answer to CONNECT took longer")
            assert world.link.carrier == "https"
            assert world.link.reached() == ["https"]


async def test_how_long_an_answer_may_take_has_limits():
    for grace_s, expected_ms in ((0.1, 5000), (10, 10000), (3600, 30000)):
        async with World(https=False, grace_s=grace_s) as world:
            world.broker.acknowledges = False
            await world.connected()
            world.put(1)
            await until(lambda w=world: w.broker.feeds, "a feed")
            world.skip(expected_ms - 1000)
            await nothing_more(world, 100)
            assert not world.told("did not acknowledge a feed")
            world.skip(1000)
            await until(lambda w=world: w.told("did not acknowledge a feed"), "its end")


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
        # Even if both are due at once.
        world.skip(10000)
        world.put(4)
        await world.empty()
        await nothing_more(world, 100)
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


async def test_a_sign_of_life_is_due_even_if_all_feeds_wait_for_their_answers():
    async with World(keepalive_s=5, grace_s=30, max_points=1) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(*range(5))
        await until(lambda: len(world.broker.feeds) == 4, "four feeds")
        world.skip(5000)
        await until(lambda: world.broker.pings == 1, "a PINGREQ")


# Who is refused


async def test_credentials_that_the_broker_refuses_are_tried_once_a_minute():
    for code in (2, 4, 5):
        async with World(https=False, grace_s=1000) as world:
            world.broker.code = code
            for count in (1, 2, 3):
                await until(lambda n=count: len(world.broker.connects) == n, "an attempt")
                await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "its refusal")
                world.skip(_MINUTE - 500)
                await nothing_more(world, 120)
                assert len(world.broker.connects) == count
                # Not before a minute, and after five at the latest.
                await world.retry_mqtt()


async def test_a_broker_that_is_not_there_is_tried_sooner():
    async with World(https=False, grace_s=1000) as world:
        world.broker.code = 3
        await until(lambda: world.broker.connects, "an attempt")
        await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "its refusal")
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
                await until(lambda: world.link.failover.https.at_ms > uptime.ms(), "its refusal")
                world.skip(_MINUTE - 500)
                await nothing_more(world, 120)
                assert len(world.api.requests) == count
                await world.retry_https()
            assert len(world.queue) == 1


# Back-off


def test_the_deadlines_keep_the_rules_of_the_supervisor_and_of_the_platform():
    d = deadlines
    opened_ms = d.DNS_MS + d.TCP_MS + d.TLS_MS + d.UPGRADE_MS
    assert opened_ms + d.TLS_MS + d.PACKET_OUT_MS + d.CONNACK_MS < 90000
    assert max(d.EXCHANGE_MS, d.STATE_MS) < 90000
    assert 25000 + d.ANSWER_MOST_MS <= 60000


async def test_a_network_that_is_joined_again_is_worth_a_new_try():
    async with World(mqtt=False, https=False) as world:
        await world.retry_mqtt()
        await until(lambda: world.link.failover.state == "waiting", "the wait")
        for backoff in (world.link.failover.mqtt, world.link.failover.https):
            for _ in range(10):
                backoff.failed(uptime.ms())
            backoff.at_ms = uptime.ms() + 250000
        world.wifi.failures = [OSError("gone")]
        world.broker.start()
        world.api.start()
        await until(lambda: world.broker.subscriptions, "a session")
        assert world.link.failover.mqtt.at_ms <= uptime.ms()
        assert world.link.failover.https.at_ms <= uptime.ms()
        assert world.told("state: wifi: joining")


async def test_a_network_that_is_joined_again_changes_no_credentials():
    async with World(https=False) as world:
        world.broker.code = 5
        await until(lambda: world.link.failover.mqtt.refused, "the refusal")
        world.wifi.failures = [OSError("gone")]
        await until(lambda: not world.wifi.failures, "the network")
        await until(lambda: world.link.failover.state == "waiting", "the wait")
        world.skip(50000)
        await nothing_more(world, 100)
        assert len(world.broker.connects) == 1
        world.skip(300000)
        await until(lambda: len(world.broker.connects) == 2, "the next try")


async def test_a_network_over_which_nothing_is_heard_is_joined_anew():
    """A dead access point is noticed by nobody else for a long time."""
    async with World(mqtt=False, https=False) as world:
        link = world.link
        await world.retry_mqtt()
        await until(lambda: link.failover.state == "waiting", "the wait")
        for backoff in (link.failover.mqtt, link.failover.https):
            for _ in range(10):
                backoff.failed(uptime.ms())
            backoff.at_ms = uptime.ms() + 2000000
        world.skip(599000)
        await nothing_more(world, 100)
        assert world.wifi.left == 0
        world.skip(330000)
        await until(lambda: world.wifi.left == 1, "the end of the network")
        await until(lambda: link.failover.mqtt.at_ms < uptime.ms() + 1001, "a shorter wait")
        await until(lambda: link.failover.https.at_ms < uptime.ms() + 1001, "a shorter wait")
        world.skip(300000)
        await nothing_more(world, 100)
        assert world.wifi.left == 1


async def test_a_network_over_which_anything_is_heard_is_kept():
    async with World(grace_s=0, keepalive_s=60) as world:
        steady = world.link.failover.mqtt = Steady(100)
        await world.connected()
        world.skip(20 * _MINUTE)
        await until(lambda: world.broker.pings, "a sign of life")
        world.broker.stop()
        await until(lambda: steady.at_ms, "a failure of MQTT")
        steady.failed(uptime.ms() + 600 * _MINUTE)  # far away
        for value in range(3):
            world.put(value)
            await world.empty()
            world.skip(9 * _MINUTE)
            await nothing_more(world, 60)
        world.api.answer = status(401)
        for value in range(3):
            world.put(value)
            await world.retry_https()
            world.skip(8 * _MINUTE)
            await nothing_more(world, 60)
        assert world.wifi.left == 0


async def test_https_that_works_again_shortens_the_wait_of_mqtt():
    async with World(mqtt=False, https=False, grace_s=0) as world:
        world.put(1)
        await world.retry_https()
        await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "a failure of MQTT")
        world.link.failover.mqtt.at_ms = uptime.ms() + 250000
        world.api.start()
        world.broker.start()
        await until(lambda: len(world.queue) == 0 or world.skip(2000), "the point")
        assert world.link.failover.mqtt.at_ms <= uptime.ms() + 1000
        world.skip(1000)
        await until(lambda: world.broker.subscriptions, "a session")


async def test_https_that_comes_and_goes_leaves_mqtt_alone():
    async with World(mqtt=False, grace_s=0) as world:
        link = world.link
        world.put(0)
        await world.empty()
        for value, restarted in ((1, True), (2, False), (3, False)):
            far_ms = link.failover.mqtt.at_ms = uptime.ms() + 200000
            world.api.answer = status(500)
            world.put(value)
            await world.retry_https()
            world.api.answer = lambda found: None
            await world.empty_soon()
            assert (link.failover.mqtt.at_ms != far_ms) is restarted, value
        world.skip(300000)
        await until(lambda: link.failover.state == "https", "HTTPS")
        link.failover.mqtt.at_ms = uptime.ms() + 200000
        world.api.answer = status(500)
        world.put(4)
        await world.retry_https()
        world.api.answer = lambda found: None
        await world.empty_soon()
        await until(lambda: link.failover.mqtt.at_ms < uptime.ms() + 190000, "another restart")


async def test_https_that_has_worked_all_the_time_changes_nothing():
    async with World(mqtt=False, grace_s=0) as world:
        world.put(1)
        await world.empty()
        until_ms = world.link.failover.mqtt.at_ms = uptime.ms() + 250000
        await until(lambda: world.link.failover.state == "https", "HTTPS")
        world.put(2)
        await world.empty()
        assert world.link.failover.mqtt.at_ms == until_ms


# The story in the log


def story(world):
    """The states that the log tells of, in order."""
    return [line.split("state: ")[1].split(":")[0] for line in world.lines if "state: " in line]


async def test_the_states_are_told_once_each():
    world = World(known=False, grace_s=0)
    world.wifi.failures = [OSError("no such network")]
    async with world:
        assert world.link.failover.state == ""
        await until(lambda: world.link.failover.state == "time", "the wait for the time")
        world.know()
        await world.connected()
        world.put(1)
        await world.empty()
        await nothing_more(world, 120)
        assert story(world) == ["wifi", "time", "asking", "mqtt"]
        world.link.failover.mqtt = Steady(100000)
        world.broker.stop()
        world.put(2)
        await world.empty()
        await until(lambda: world.link.failover.state == "https", "HTTPS")
        await nothing_more(world, 120)
        assert story(world)[4:] == ["waiting", "https"]
        world.broker.start()
        world.skip(100000)
        await world.connected(2)
        assert story(world)[6:] == ["asking", "mqtt"]


async def test_it_gets_on_in_every_state():
    async def gets_on(world, state):
        await until(lambda: world.link.failover.state == state, state)
        for _ in range(2):
            seen = world.link.alive_ms
            await until(lambda seen=seen: world.link.alive_ms > seen, "progress in " + state)
        assert world.link.failover.state == state

    world = World(known=False, grace_s=300)
    world.wifi.failures = [OSError("no such network")] * 3
    async with world:
        world.link.failover.mqtt = Steady(1000000)
        await gets_on(world, "wifi")
        world.wifi.failures.clear()
        await gets_on(world, "time")
        world.know()
        await world.connected()
        await gets_on(world, "mqtt")
        world.broker.stop()
        await gets_on(world, "waiting")
        world.skip(300000)
        world.put(1)
        await gets_on(world, "https")


async def test_what_worked_since_it_began_is_known():
    async with World(mqtt=False, https=False, grace_s=0) as world:
        link = world.link
        await world.retry_mqtt()
        assert link.reached() == [] and not link.unverified
        world.api.start()
        await until(lambda: link.reached() == ["https"] or world.skip(1000), "HTTPS")
        world.broker.start()
        await world.connected()
        assert link.reached() == ["mqtt", "https"]
        world.broker.stop()
        world.api.stop()
        await until(lambda: link.failover.state != "mqtt", "the end")
        assert link.reached() == ["mqtt", "https"]
        await world.end()
        world.skip(1)
        world.task = asyncio.create_task(link.run())
        await asyncio.sleep_ms(0)
        assert link.reached() == []


async def test_a_stranger_that_answers_over_https_has_not_worked():
    for found, stated in (
        (status(404), (404, b"", b"{}")),
        (status(400), (200, b"", b"{}")),
        (lambda found: (200, b"", b'{"error":"unknown host"}'), (200, b"", b"[]")),
    ):
        async with World(mqtt=False, grace_s=0) as world:
            world.link.failover.mqtt = Steady(10000000)
            world.api.answer = found
            world.api.state = stated
            world.put(*range(9))
            await until(lambda: len(world.api.feeds) > 3 or world.skip(500), "its answers")
            assert world.link.reached() == []
            world.api.answer = lambda found: None
            await world.empty_soon()
            assert world.link.reached() == ["https"]


# The state of the platform


async def test_the_state_is_had_before_each_session():
    async with World() as world:
        world.api.state = (200, b"", STATE)
        await world.connected()
        assert len(world.api.requests) == 1 and b"/state?" in world.api.requests[0]
        assert world.states == [("setpoint", 21.5, 1795363200000)]
        world.broker.conn.reset()
        await world.connected(2)
        assert len(world.api.requests) == 2
        assert len(world.states) == 2


async def test_a_session_without_the_state_is_left_in_time_to_ask_for_it():
    async with World(https=False, keepalive_s=3600) as world:
        await world.connected()
        world.put(1)
        await world.empty()
        world.api.start()
        world.skip(14 * _MINUTE)
        await nothing_more(world, 100)
        assert world.api.requests == []
        world.skip(_MINUTE)
        await until(lambda: len(world.broker.subscriptions) == 2, "the next session")
        assert len(world.api.requests) == 1
        world.skip(60 * _MINUTE)
        await nothing_more(world, 100)
        assert len(world.broker.connects) == 2


async def test_a_command_between_the_question_and_the_subscription_is_found_in_time():
    async with World(keepalive_s=36000) as world:
        await world.connected()
        await until(lambda: world.told("listening"), "the subscription")
        world.skip(359 * _MINUTE)
        await nothing_more(world, 100)
        assert len(world.api.requests) == 1
        world.api.state = (200, b"", STATE)
        world.skip(_MINUTE)
        await until(lambda: len(world.broker.subscriptions) == 2, "the next session")
        assert [name for name, _, _ in world.states] == ["setpoint"]
        assert world.link.failover.reconnections == 0
        world.broker.conn.reset()
        await world.connected(3)
        assert world.link.failover.reconnections == 1


async def test_a_session_is_not_left_while_a_feed_is_in_flight():
    async with World(https=False, keepalive_s=3600) as world:
        await world.connected()
        world.skip(15 * _MINUTE - 2000)
        world.broker.acknowledges = False
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        world.skip(2000)
        await nothing_more(world)
        assert len(world.broker.connects) == 1
        await world.broker.send(broker.puback(world.broker.pids[0]))
        await until(lambda: len(world.broker.connects) == 2, "the next session")
        assert len(world.queue) == 0


async def test_the_state_is_asked_for_when_both_ways_come_back():
    """However long HTTPS would have been left alone."""
    async with World(mqtt=False, https=False, grace_s=0) as world:
        await world.retry_https()
        await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "a failure of MQTT")
        world.link.failover.https.at_ms = uptime.ms() + 250000
        world.api.state = (200, b"", STATE)
        world.broker.start()
        world.api.start()
        world.skip(1000)
        await world.connected()
        assert [name for name, _, _ in world.states] == ["setpoint"]


async def test_the_state_is_asked_for_while_https_carries_the_feeds():
    async with World(mqtt=False, grace_s=0, poll_s=60) as world:
        world.link.failover.mqtt = Steady(1000000)
        world.put(1)
        await world.empty()
        asked = lambda: len([line for line in world.api.requests if b"GET" in line])  # noqa: E731
        for count in (1, 2, 3):
            assert asked() == count
            world.api.state = (200, b"", STATE)
            world.skip(50000)
            world.put(2)
            await world.empty()
            assert asked() == count
            world.skip(10000)
            await until(lambda count=count: asked() == count + 1, "the next question")
        await until(lambda: len(world.states) == 3, "the last answer")


async def test_a_platform_that_cannot_tell_its_state_gets_the_feeds():
    async with World(mqtt=False, grace_s=0, poll_s=10) as world:
        world.link.failover.mqtt = Steady(1000000)
        world.api.state = (500, b"", b"{}")
        for value in range(4):
            world.put(value)
            await world.empty_soon()
            world.skip(10000)
        world.complete()


class Counting:
    """A Network that counts the connections that are open."""

    names = NETWORK.names

    def __init__(self):
        self.open = set()
        self.made = 0
        self.most = 0

    async def connect(self, host, port, tls):
        stream = await NETWORK.connect(host, port, tls)
        self.made += 1
        self.open.add(self.made)
        self.most = max(self.most, len(self.open))
        close = stream.close

        def closed(number=self.made):
            self.open.discard(number)
            close()

        stream.close = closed
        return stream


async def test_one_connection_is_open_at_a_time():
    """The memory of a board holds one TLS session."""
    network = Counting()
    async with World(grace_s=0, network=network) as world:
        link = world.link
        await world.connected()
        link.failover.mqtt = Steady(1000)
        world.broker.stop()
        world.put(1)
        await world.empty()
        assert link.carrier == "https" and len(network.open) == 1
        link.failover.https.failed(uptime.ms(), _MINUTE)  # so that the API is not asked before
        world.broker.start()
        await world.connected(2)
        assert network.most == 1 and network.made >= 4


async def test_the_state_is_not_asked_for_during_a_session():
    async with World(keepalive_s=3600, poll_s=10) as world:
        await world.connected()
        await until(lambda: world.told("listening"), "the subscription")
        for _ in range(4):
            world.skip(10 * _MINUTE)
            await nothing_more(world, 60)
        assert len(world.api.requests) == 1


# HTTPS


async def test_https_waits_for_the_time_of_grace():
    async with World(mqtt=False, grace_s=20) as world:
        world.put(1)
        for _ in range(3):
            await world.retry_mqtt()
        world.skip(5000)
        await nothing_more(world)
        assert world.api.feeds == []
        assert world.link.carrier == "none"
        world.skip(20000)
        await world.empty()
        assert world.link.carrier == "https"


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


async def test_of_a_command_of_a_megabyte_the_size_is_told_and_the_session_kept():
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
        size = range(256 * len(block))
        assert str(world.commands) == str([("setpoint", size), ("setpoint", b"20")])
        assert len(world.broker.connects) == 1


async def test_a_handler_that_raises_ends_nothing():
    def fail(name, payload):
        raise MemoryError("no")

    async with World(on_command=fail) as world:
        await world.connected()
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
    async with World(verify=False) as world:
        assert Log.warnings == warnings + 1
        assert world.link.unverified


async def test_a_lack_of_memory_ends_it_with_nothing_left_open():
    """Whoever runs it makes room and runs it again."""

    def no_memory(*_):
        raise MemoryError("no")

    for https in (False, True):
        async with World(mqtt=not https, grace_s=0) as world:
            await until(lambda w=world: w.api._peer, "a platform")
            before = descriptors()
            if https:
                await until(lambda w=world: w.link.failover.state == "waiting", "the wait")
            else:
                await world.connected()
            take = world.queue.take
            world.queue.take = no_memory
            world.put(1)
            await until(lambda w=world: w.task.done() or w.skip(1000), "the end")
            try:
                await world.task
                raise AssertionError("it ended without an error")
            except MemoryError:
                pass
            for peer in (world.broker._peer, world.api._peer):
                if peer:
                    await peer.finished(len(peer.conns))
            assert descriptors() == before
            assert world.link.failover.state == "" and world.link.carrier == "none"
            world.queue.take = take
            world.task = asyncio.create_task(world.link.run())
            await world.empty_soon()
            world.complete()


async def test_an_end_leaves_no_socket():
    async with World() as world:
        await until(lambda: world.broker._peer and world.api._peer, "a platform")
        before = descriptors()
        await world.connected()
        await world.end()
        assert world.link.carrier == "none"
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
            await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "its back-off")
            found.append(descriptors())
            world.skip(400000)
        assert len(world.api.feeds) > 5
        # One may be open just when they are counted; what leaks is one more each time.
        assert max(found[12:]) <= max(found[:12]) + 1

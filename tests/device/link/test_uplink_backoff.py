"""When a way that failed is tried again."""

from firmware.base import uptime
from firmware.link import deadlines
from peers import until
from world import MINUTE, Steady, World, nothing_more, status

HEAP = "2M"


# Who is refused


async def test_credentials_that_the_broker_refuses_are_tried_once_a_minute():
    for code in (2, 4, 5):
        async with World(https=False, grace_s=1000) as world:
            world.broker.code = code
            for count in (1, 2, 3):
                await until(lambda n=count: len(world.broker.connects) == n, "an attempt")
                await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "its refusal")
                world.skip(MINUTE - 500)
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
                world.skip(MINUTE - 500)
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
        world.skip(20 * MINUTE)
        await until(lambda: world.broker.pings, "a sign of life")
        world.broker.stop()
        await until(lambda: steady.at_ms, "a failure of MQTT")
        steady.failed(uptime.ms() + 600 * MINUTE)  # far away
        for value in range(3):
            world.put(value)
            await world.empty()
            world.skip(9 * MINUTE)
            await nothing_more(world, 60)
        world.api.answer = status(401)
        for value in range(3):
            world.put(value)
            await world.retry_https()
            world.skip(8 * MINUTE)
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
        await until(lambda: world.link.failover.state == "https", "HTTPS")
        until_ms = world.link.failover.mqtt.at_ms = uptime.ms() + 250000
        world.put(2)
        await world.empty()
        assert world.link.failover.mqtt.at_ms == until_ms


async def test_a_state_that_is_told_cures_no_feed_that_fails():
    """POST is answered by 500, and GET by 200."""
    async with World(mqtt=False, grace_s=0, poll_s=10) as world:
        world.api.answer = status(500)
        world.put(1)
        https = world.link.failover.https
        delays = []
        for _ in range(14):
            gets = len([line for line in world.api.requests if line.startswith(b"GET")])
            posts = len(world.api.feeds)
            await until(lambda n=posts: len(world.api.feeds) > n, "a try")
            await until(lambda: https.at_ms > uptime.ms(), "its failure")
            delays.append(https.at_ms - uptime.ms())
            # Meanwhile MQTT is tried, and the state asked for before that.
            world.link.failover.mqtt.at_ms = 0
            await until(
                lambda n=gets: len([r for r in world.api.requests if r.startswith(b"GET")]) > n,
                "the state",
            )
            await nothing_more(world, 60)
            assert len(world.api.feeds) == posts + 1
            world.skip(https.at_ms - uptime.ms())
        assert https._failures >= 14
        assert max(delays) > 30000, delays
        world.api.answer = lambda found: None
        await world.empty_soon()
        assert https._failures == 0


async def test_an_api_that_tells_its_state_again_gets_the_feeds_soon():
    async with World(mqtt=False, https=False, grace_s=0) as world:
        world.put(1)
        for _ in range(12):
            world.link.failover.https.failed(uptime.ms())
        world.link.failover.https.at_ms = 0
        await until(lambda: world.link.failover.https.at_ms > uptime.ms(), "a failure")
        world.link.failover.https.at_ms = uptime.ms() + 250000
        world.link.failover.mqtt.at_ms = 0
        world.api.start()
        await world.empty()

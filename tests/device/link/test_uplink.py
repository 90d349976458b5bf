"""The states of the link, what it asks the platform, and how it begins and ends."""

import asyncio

import broker
from firmware.base import uptime
from firmware.base.log import Log
from peers import NETWORK, descriptors, until
from world import MINUTE, STATE, Steady, World, nothing_more, status

HEAP = "2M"


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
        world.skip(14 * MINUTE)
        await nothing_more(world, 100)
        assert world.api.requests == []
        world.skip(MINUTE)
        await until(lambda: len(world.broker.subscriptions) == 2, "the next session")
        assert len(world.api.requests) == 1
        world.skip(60 * MINUTE)
        await nothing_more(world, 100)
        assert len(world.broker.connects) == 2


async def test_a_command_between_the_question_and_the_subscription_is_found_in_time():
    async with World(keepalive_s=36000) as world:
        await world.connected()
        await until(lambda: world.told("listening"), "the subscription")
        world.skip(359 * MINUTE)
        await nothing_more(world, 100)
        assert len(world.api.requests) == 1
        world.api.state = (200, b"", STATE)
        world.skip(MINUTE)
        await until(lambda: len(world.broker.subscriptions) == 2, "the next session")
        assert [name for name, _, _ in world.states] == ["setpoint"]
        assert world.link.failover.reconnections == 0
        world.broker.conn.reset()
        await world.connected(3)
        assert world.link.failover.reconnections == 1


async def test_a_session_is_not_left_while_a_feed_is_in_flight():
    async with World(https=False, keepalive_s=3600) as world:
        await world.connected()
        world.skip(15 * MINUTE - 2000)
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
        assert link.failover.carrier == "https" and len(network.open) == 1
        link.failover.https.failed(uptime.ms(), MINUTE)  # so that the API is not asked before
        world.broker.start()
        await world.connected(2)
        assert network.most == 1 and network.made >= 4


async def test_the_state_is_not_asked_for_during_a_session():
    async with World(keepalive_s=3600, poll_s=10) as world:
        await world.connected()
        await until(lambda: world.told("listening"), "the subscription")
        for _ in range(4):
            world.skip(10 * MINUTE)
            await nothing_more(world, 60)
        assert len(world.api.requests) == 1


# Beginning and end


async def test_nothing_is_sent_before_the_time_is_known():
    async with World(known=False, grace_s=0) as world:
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
            assert world.link.failover.state == "" and world.link.failover.carrier == "none"
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
        assert world.link.failover.carrier == "none"
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


async def test_it_moves_to_a_better_access_point_but_not_in_the_middle_of_a_feed():
    async with World() as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        world.wifi.moving = True
        await nothing_more(world, 150)
        assert world.wifi.attempts == 0 and world.broker.goodbyes == 0
        world.broker.acknowledges = True
        await world.broker.send(broker.puback(world.broker.pids[0]))
        await world.connected(2)
        assert world.wifi.attempts == 1 and world.broker.goodbyes == 1
        assert len(world.broker.feeds) == 1, "it was not sent again"
        assert not world.wifi.left
        assert story(world)[-3:] == ["wifi", "asking", "mqtt"]


async def test_it_moves_between_two_feeds_over_https_too():
    async with World(mqtt=False, grace_s=0) as world:
        world.put(1)
        await world.empty()
        await until(lambda: world.link.failover.state == "https", "HTTPS")
        world.wifi.moving = True
        await until(lambda: world.wifi.attempts == 1, "the move")
        world.put(2)
        await world.empty_soon()

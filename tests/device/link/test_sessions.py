"""When a session of MQTT is left to ask for the state, and when it was none at all."""

import asyncio

import broker
from firmware.base import uptime
from firmware.link import deadlines
from peers import until
from world import COMMANDS, MINUTE, Steady, World, nothing_more

STATE = (
    b'{"properties":[{"meta":{"name":"setpoint"},'
    b'"value":{"mostRecent":21.5,"time":"2026-11-22T16:00:00.000Z"}}]}'
)


async def slow(world, count):
    """The broker takes 2.5 s to answer the subscription of that session."""
    await until(lambda: len(world.broker.subscriptions) == count, "the subscription")
    world.skip(2500)
    await world.broker.send(broker.suback(count, 1))
    heard = "listening for commands"
    await until(lambda: len([s for s in world.lines if heard in s]) == count, "the session")


async def test_after_a_slow_subscription_the_state_is_asked_for_once_more():
    async with World(keepalive_s=36000) as world:
        world.broker.granted = None
        await slow(world, 1)
        world.api.state = (200, b"", STATE)
        world.skip(59 * 1000)
        await asyncio.sleep_ms(200)
        assert len(world.api.requests) == 1
        world.skip(1000)
        await slow(world, 2)
        assert len(world.api.requests) == 2
        assert [name for name, _, _ in world.states] == ["setpoint"]
        assert world.link.failover.reconnections == 0
        # The next one is not left so soon, or there would be no end to it.
        world.skip(60 * MINUTE)
        await asyncio.sleep_ms(200)
        assert len(world.broker.subscriptions) == 2
        # But after a failure there may again be something to be missed.
        world.broker.conn.reset()
        await world.connected(3)
        await slow(world, 3)
        world.skip(MINUTE)
        await slow(world, 4)


async def test_it_is_told_when_a_state_was_read_to_its_end():
    async with World(grace_s=0, poll_s=10) as world:
        world.api.state = (200, b"", STATE)
        await world.connected()
        assert world.recoveries == 1 and len(world.states) == 1
        world.api.state = (200, b"", STATE[:-8])
        world.broker.conn.reset()
        await world.connected(2)
        assert world.recoveries == 1
        world.broker.stop()
        world.link.failover.mqtt = Steady(1000000)
        world.api.state = (200, b"", STATE)
        world.skip(10000)
        await until(lambda: world.recoveries == 2, "the poll over HTTPS")


async def test_sessions_that_take_nothing_do_not_keep_https_waiting():
    async with World(grace_s=20) as world:
        world.broker.acknowledges = False
        failed = world.link.failover.mqtt = Steady(3000)
        world.put(1)
        for count in range(1, 20):
            await until(
                lambda count=count: len(world.broker.feeds) == count or world.api.feeds, "a feed"
            )
            if world.api.feeds:
                break
            world.broker.conn.reset()
            await until(lambda: failed.at_ms > uptime.ms(), "the end of the session")
            world.skip(2800)
            await asyncio.sleep_ms(100)
            if world.api.feeds:
                break
            world.skip(100)
        assert world.api.feeds and count <= 8
        await world.empty()
        world.complete()


async def test_values_on_their_way_can_be_taken_back():
    async with World(send="value") as world:
        await until(lambda: world.link.failover.carrier == "mqtt", "MQTT")
        world.skip(200)  # past the turns that the run before may have used
        world.broker.acknowledges = False
        for value in (1, 2, 3):
            assert world.link.offer(0, "temperature", value)
        await until(lambda: len(world.broker.singles) == 3, "the values")
        assert world.link.in_flight == 3 and not len(world.queue)
        world.link.release()
        assert world.link.in_flight == 0 and len(world.queue) == 3


async def commanded(world, ms):
    """A command every 400 ms, for so long, or until the session ends."""
    end = uptime.ms() + ms
    while uptime.ms() < end and not world.told("in time"):
        count = len(world.commands) + 1
        await world.broker.send(broker.publish(COMMANDS + b"setpoint", b"21.5"))
        await until(
            lambda count=count: len(world.commands) == count or world.told("in time"), "a command"
        )
        world.skip(340)
        await asyncio.sleep_ms(60)  # for a look at what is late


async def test_an_acknowledgement_behind_many_commands_is_waited_for_but_not_for_ever():
    async with World() as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(1)
        await until(lambda: world.broker.feeds, "a feed")
        await commanded(world, 6000)  # where there is silence, five seconds are the limit
        await world.broker.send(broker.puback(world.broker.feeds[0][0]))
        await world.empty()
        world.put(2)
        await until(lambda: len(world.broker.feeds) == 2, "another feed")
        sent_ms = uptime.ms()
        await commanded(world, 60000)
        assert world.told("the broker did not acknowledge a feed (PUBACK) in time")
        assert uptime.ms() - sent_ms >= deadlines.ANSWER_MOST_MS
        world.broker.acknowledges = True
        await world.empty_soon()
        world.complete()


async def test_who_needs_a_connection_of_his_own_has_his_turn_when_none_is_open():
    asked = []

    async with World(grace_s=0) as world:
        world.api.state = (200, b"", STATE)
        await world.connected()

        async def step():
            for _ in range(2):
                await asyncio.sleep_ms(50)  # for the servers to notice
                asked.append((world.broker.open, world.api.open))
            return len(asked)

        turn = asyncio.create_task(world.link.alone(step))
        await asyncio.sleep_ms(100)
        assert not asked, "a session is open"
        world.broker.stop()
        world.put(1)
        assert await turn == 2
        assert asked == [(0, 0)] * 2
        # One that is cancelled while it waits is none, and the link goes on after each.
        world.broker.start()
        await world.connected(2)
        turn = asyncio.create_task(world.link.alone(step))
        await asyncio.sleep_ms(0)
        turn.cancel()
        world.broker.conn.reset()
        await world.connected(3)
        await world.empty()
        world.complete()
        assert len(asked) == 2


async def test_what_is_in_a_hurry_goes_at_once_and_nothing_after_it():
    async with World(grace_s=0, max_age_ms=10 * MINUTE) as world:
        world.put(0)
        await world.empty()
        world.put(1)
        await nothing_more(world, 100)
        assert len(world.broker.feeds) == 1, "what was there when the session began"
        world.link.hurry()
        await world.empty()
        world.put(2)
        await nothing_more(world, 300)
        assert len(world.broker.feeds) == 2
        world.link.failover.mqtt = Steady(10 * MINUTE)
        world.broker.stop()
        await world.empty_soon()
        assert len(world.api.feeds) == 1, "what was there when MQTT failed"
        world.put(3)
        await nothing_more(world, 300)
        assert len(world.api.feeds) == 1
        world.link.hurry()
        await world.empty()
        assert len(world.api.feeds) == 2
        world.put(4)
        world.broker.start()
        world.skip(10 * MINUTE)
        await world.empty()
        assert len(world.broker.feeds) == 3, "what was there when MQTT was back"


async def test_an_outage_leaves_nothing_that_waits_for_its_age():
    """Neither what was in flight, nor what came meanwhile, more than a feed of it."""
    async with World(https=False, max_age_ms=10 * MINUTE) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(1)
        world.link.hurry()
        await until(lambda: world.broker.feeds, "the feed")
        world.broker.stop()
        await world.retry_mqtt()
        world.put(*range(2, 15))
        world.broker.acknowledges = True
        world.broker.start()
        await world.connected(2)
        await world.empty()
        assert [len(found) for _, found in world.broker.feeds] == [1, 5, 5, 4]


async def test_what_went_to_flash_during_an_outage_does_not_hold_up_what_is_newer():
    async with World(
        https=False, max_age_ms=10 * MINUTE, flash_kib=64, spill_after_ms=60 * MINUTE
    ) as world:
        world.put(1)
        await world.empty()
        world.broker.stop()
        await world.retry_mqtt()
        world.put(2, 3)
        world.queue.flush()
        world.put(4)
        assert world.queue.spilled == 2
        world.broker.start()
        await world.connected(2)
        await world.empty()

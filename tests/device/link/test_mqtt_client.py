"""What goes over MQTT, and what frees it: over real sockets to a scripted broker."""

import asyncio

import broker
from firmware.base import uptime
from firmware.base.log import Log
from peers import PAUSE_MS, Ticks, until
from world import COMMANDS, Shorter, Steady, World, nothing_more

HEAP = "2M"


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
        assert world.link.failover.carrier == "mqtt"
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


async def test_eight_feeds_are_in_flight_and_acknowledged_in_any_order():
    async with World(max_points=1) as world:
        world.broker.acknowledges = False
        await world.connected()
        world.put(*range(11))
        await until(lambda: len(world.broker.feeds) == 8, "eight feeds")
        await nothing_more(world)
        pids = [pid for pid, _ in world.broker.feeds]
        assert len(set(pids)) == len(pids) == 8
        world.broker.acknowledges = True
        for pid in reversed(pids):
            await world.broker.send(broker.puback(pid))
        await world.empty()
        world.complete()
        assert len(world.broker.feeds) == 11


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
        assert world.link.failover.carrier == "mqtt"
        assert not world.told("did not acknowledge")
        # It has been unanswered for the time of grace: there is no reason for another one, which
        # would be far longer than this waits.
        world.skip(5000)
        await world.empty()
        assert world.told("did not acknowledge")
        world.complete()
        assert len(world.api.feeds) == 1
        assert world.link.failover.carrier == "https"


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
        assert world.link.failover.carrier == "https"
        world.broker.start()
        await world.connected()
        world.put(2)
        await world.empty()
        assert [len(world.api.feeds), len(world.broker.feeds)] == [1, 1]
        assert world.link.failover.carrier == "https"  # MQTT is on probation
        world.skip(5000)
        await until(lambda: world.link.failover.carrier == "mqtt", "the end of that")
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
            await until(lambda: world.link.failover.carrier == "https", "HTTPS")
            world.api.stop()
            await readings(20)
            world.api.start()
            await world.empty_soon()
            assert len(world.api.feeds) >= 3
            world.broker.start()
            await world.connected(2)
            await readings(10)
            world.skip(10000)
            await until(lambda: world.link.failover.carrier == "mqtt", "MQTT")
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
            assert world.link.failover.carrier == "https"
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


async def test_the_keep_alive_is_never_over_when_the_sign_of_life_comes():
    async with World(keepalive_s=25) as world:
        await world.connected()
        world.skip(23000)
        await nothing_more(world, 100)
        assert world.broker.pings == 0
        world.skip(1000)  # a second before its end, for what may hold the loop up
        # The client waits for that in the time of the test, which nothing has skipped.
        await until(lambda: world.broker.pings == 1, "a PINGREQ", 2000)


async def test_a_sign_of_life_is_due_even_if_the_last_one_waits_for_its_answer():
    async with World(keepalive_s=5, grace_s=30) as world:
        world.broker.answers_pings = False
        await world.connected()
        for count in range(1, 6):
            world.skip(4000)
            await until(lambda count=count: world.broker.pings == count, "a PINGREQ")
        assert len(world.broker.connects) == 1
        # The first of them counts.
        world.skip(14500)
        await until(lambda: world.told("did not answer a PINGREQ"), "the end of the session")


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


async def test_what_the_broker_has_retained_is_no_command():
    """It is what once was, and comes back with each session."""

    def retained(name, payload, pid, dup=0):
        return bytes((0x33 | dup,)) + broker.publish(COMMANDS + name, payload, pid)[1:]

    async with World(mqtt=True) as world:
        await world.connected()
        await world.broker.send(broker.publish(COMMANDS + b"setpoint", b"23", 1))
        for pid, (name, payload) in enumerate(
            (
                (b"setpoint", b"16"),
                (b"restart", b"true"),
                (b"identify", b"60"),
                (b"config", b'{"feed": {"max_age_s": 5}}'),
                (b"mode", b"off"),
                (b"mode", b""),
                (b"schedule", b"x" * 5000),
            )
        ):
            await world.broker.send(retained(name, payload, 10 + pid, 8 * (pid & 1)))
        # After the session has begun, a message that is to be retained is new.
        await world.broker.send(broker.publish(COMMANDS + b"mode", b"off", 2))
        await until(lambda: world.broker.acks[-1:] == [2], "all of them")
        assert world.commands == [("setpoint", b"23"), ("mode", b"off")]
        assert world.broker.acks == [1] + list(range(10, 17)) + [2], "or they would come back"
        assert world.told("a retained message is no command: 'restart' is passed over")
        assert len(world.broker.subscriptions) == 1

"""A device with a fleet's key alone asks who it is: over real sockets to a scripted broker."""

import json
import sys

import broker
from firmware.base import uptime
from firmware.link import deadlines
from peers import until
from provisions import (
    ANSWER,
    CLIENT,
    FLEET_SECRET,
    MAC,
    OWN,
    PACKETS,
    Provisions,
    changed,
    fleet,
)
from world import COMMANDS, DEVICE, MINUTE, SECRET, Shorter, World, nothing_more

HEAP = "2M"

SECRETS = (FLEET_SECRET, SECRET, "hunter3")


def lab(**more):
    """A World whose device has a fleet's key, and nothing of its own."""
    more.setdefault("provision", fleet())
    return World(broker=Provisions(), **more)


async def waits(world, attempts, floor_ms):
    """An attempt has failed; the next one is made after that time, and not before."""
    asked = world.broker.connects
    backoff = world.link.failover.mqtt
    await until(lambda: len(asked) == attempts and backoff.at_ms > uptime.ms(), "a failure", 9000)
    assert floor_ms - 1000 < backoff.at_ms - uptime.ms() <= floor_ms + 5000
    world.skip(floor_ms - 1000)
    await nothing_more(world, 120)
    assert len(asked) == attempts
    await world.retry_mqtt()
    await until(lambda: len(asked) == attempts + 1, "the next attempt")


async def failed(world):
    await until(lambda: world.link.failover.mqtt.at_ms > uptime.ms(), "a failure")


def no_secret(world):
    for line in world.lines:
        assert not any(secret in line for secret in SECRETS), line


async def test_it_asks_as_the_documentation_says_and_reports_under_its_identity():
    async with lab() as world:
        world.put(21.5)  # taken before it is anybody
        await world.empty()
        body = world.broker.asked[0][1]
        field = broker.field
        assert body == b"\0\4MQTT\x04\xc2\x00\x19" + field(CLIENT) + field(b"_key_9") + field(
            FLEET_SECRET.encode()
        )
        assert len(CLIENT) == 23 and CLIENT.startswith(b"_???_")
        assert [what for what, _ in world.broker.asked] == list(PACKETS)
        assert world.broker.asked[1][1][2:] == field(OWN) + b"\1"
        topic, _, payload = broker.read_publish(world.broker.asked[2][1])
        assert topic == b"csipio/provisions"
        assert payload == b'{"mac": "%s", "configProperty": "config"}' % MAC.encode()
        assert world.broker.sessions() == [CLIENT, DEVICE.encode()]
        # OUT of the scripted broker is this device's, and so are its commands.
        assert world.broker.subscriptions == [field(COMMANDS + b"#") + b"\1"]
        assert world.recoveries == 1, "its state was read before its session"
        world.complete()
        no_secret(world)


async def test_no_request_goes_to_the_api_before_it_is_somebody():
    async with lab(grace_s=0, poll_s=10) as world:
        world.broker.fleet_code = 5
        world.put(1)
        await until(lambda: world.broker.connects, "an attempt")
        for _ in range(3):
            world.skip(15000)
            await nothing_more(world, 80)
        assert world.api.requests == []
        assert len(world.queue) == 1
        await failed(world)
        world.broker.fleet_code = 0
        await world.retry_mqtt()
        await world.empty()
        assert world.api.requests


async def test_it_does_not_ask_before_the_time_is_known():
    async with lab(known=False) as world:
        await until(lambda: world.link.failover.state == "time", "the wait for the time")
        await nothing_more(world)
        assert world.broker.connects == []
        world.know()
        await until(lambda: len(world.broker.subscriptions) == 1, "a session")


async def test_a_fleets_key_that_is_refused_is_tried_again_after_a_minute():
    for code in (2, 4, 5):
        async with lab(https=False) as world:
            world.broker.fleet_code = code
            await waits(world, 1, MINUTE)
            await waits(world, 2, MINUTE)
            assert world.told("the broker refused the fleet's key, device.provision")
            await failed(world)
            world.broker.fleet_code = 0
            await world.retry_mqtt()
            await until(lambda w=world: w.broker.subscriptions, "a session")
            no_secret(world)


async def test_without_an_answer_it_leaves_and_asks_again_after_two_minutes():
    assert deadlines.IDENTITY_MS == 30000
    with Shorter("IDENTITY_MS", 300):
        async with lab(https=False) as world:
            world.broker.answer = None
            await until(lambda: world.broker.requests(), "a request")
            await nothing_more(world, 150)
            assert world.broker.goodbyes == 0, "it waits"
            await waits(world, 1, 2 * MINUTE)
            await until(lambda: len(world.broker.requests()) == 2, "the second request")
            assert world.broker.goodbyes == 1, "it has disconnected"
            await failed(world)
            world.broker.answer = changed()
            await world.retry_mqtt()
            await until(lambda: world.broker.subscriptions, "a session")


async def test_a_broker_that_closes_without_an_answer_is_asked_again_after_two_minutes():
    async with lab(https=False) as world:
        world.broker.vanishes = True
        await waits(world, 1, 2 * MINUTE)
        await failed(world)
        world.broker.vanishes = False
        await world.retry_mqtt()
        await until(lambda: world.broker.subscriptions, "a session")


async def test_a_subscription_that_is_refused_is_tried_again_after_two_minutes():
    async with lab(https=False) as world:
        world.broker.fleet_granted = 0x80
        await waits(world, 1, 2 * MINUTE)
        assert world.broker.requests() == []


async def test_an_answer_whose_broker_does_not_close_is_good_all_the_same():
    with Shorter("CLOSING_MS", 100):
        async with lab(https=False) as world:
            world.broker.ends = False
            await until(lambda: world.broker.subscriptions, "a session")


async def test_an_answer_of_another_time_is_passed_over():
    async with lab(https=False) as world:
        world.broker.retained = changed(deviceId="_dev_1", apiSecret="hunter3")
        await until(lambda: world.broker.subscriptions, "a session")
        assert world.broker.sessions() == [CLIENT, DEVICE.encode()]


async def test_a_strange_answer_is_refused_and_told_without_its_secrets():
    strange = [changed(deviceId=bad) for bad in ("_dev_1/x", "_dev_#", "_dev_+", "_dev_ 1", "me")]
    strange += [changed(deviceId=bad) for bad in ("", "_dev_" + 60 * "1", 5, None, "_dev_\n1")]
    strange += [changed(apiKeyId=bad) for bad in ("", "a:b", "a\x00b", ["_key_1"], 65 * "k")]
    strange += [changed(apiSecret=bad) for bad in ("", "hunter3\r\n", 129 * "s", {}, None)]
    strange += [changed(config=bad) for bad in ([], 5, "hunter3", True)]
    strange += [b"", b"hunter3", b"[]", b"null", changed()[:-1], b"\xff" + changed()]
    strange += [changed()[:-1] + b',"apiSecret":"hunter3"}']  # twice
    strange += [changed(config={"a": "x" * 5000}), b"[" * 40 + b"]" * 40]
    strange += [changed(config={"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}})]
    async with lab(https=False) as world:
        for count in range(len(strange)):
            world.broker.answer = strange[count]
            backoff = world.link.failover.mqtt
            await until(lambda n=count: len(world.broker.connects) == n + 1, "an attempt")
            await until(lambda b=backoff: b.at_ms > uptime.ms() + MINUTE, "its failure")
            assert world.broker.subscriptions == [], strange[count]
            assert world.settings["device"]["id"] is None
            if count == len(strange) - 1:
                world.broker.answer = changed(config=None, more=[1])
            world.skip(backoff.at_ms - uptime.ms())
        await until(lambda: world.broker.subscriptions, "a session")
        no_secret(world)
        assert world.told("is refused: expected deviceId: 1 to 64 characters, without / + # and")
        assert world.told("expected an object")


async def test_a_connection_that_is_cut_at_any_packet_costs_one_attempt():
    for packet in PACKETS:
        async with lab(https=False) as world:
            world.broker.cut_at = packet
            world.put(21.5)
            if packet == "PUBACK":  # the answer is here
                await world.empty()
                continue
            await until(lambda w=world: w.link.failover.mqtt.at_ms > uptime.ms(), "a failure")
            await world.connected()
            await world.empty()
            world.complete()


async def test_an_identity_that_is_refused_is_tried_three_times_more_and_then_given_up():
    async with lab(https=False) as world:
        world.broker.code = 5
        world.broker.answer = changed(deviceId="_dev_1")
        for attempt in range(3):
            await waits(world, 2 + attempt, 2 * MINUTE)
        world.broker.answer = changed()
        world.broker.code = 5
        await until(lambda: world.told("_dev_1 is given up"), "its end")
        world.broker.code = 0
        await world.connected()
        ids = world.broker.sessions()
        assert ids == [CLIENT] + 4 * [b"_dev_1"] + [CLIENT, DEVICE.encode()]
        no_secret(world)


async def test_a_session_in_between_is_a_new_beginning_of_the_refusals():
    async with lab(https=False) as world:
        await world.connected()
        backoff = world.link.failover.mqtt
        for count in (1, 2):
            world.broker.code = 4
            tried = len(world.broker.connects)
            world.broker.stop()
            world.broker.start()
            for attempt in range(1, 4):
                await until(
                    lambda n=tried + attempt: (
                        len(world.broker.connects) == n and backoff.at_ms > uptime.ms() + MINUTE
                    ),
                    "a refusal",
                )
                world.broker.code = 0 if attempt == 3 else 4
                await world.retry_mqtt()
            await until(lambda n=count: len(world.broker.subscriptions) > n, "a session")
        assert CLIENT not in world.broker.sessions()[1:]


async def test_other_failures_say_nothing_of_the_identity():
    async with lab(https=False) as world:
        await world.connected()
        world.broker.code = 3  # not available
        world.broker.stop()
        world.broker.start()
        for count in range(6):
            backoff = world.link.failover.mqtt
            await world._past(
                backoff, lambda n=count: len(world.broker.connects) > 2 + n, "an attempt"
            )
        assert CLIENT not in world.broker.sessions()[1:]
        assert world.settings["device"]["id"] == DEVICE


async def test_a_board_is_told_by_what_the_configuration_says():
    for by in ("id", "cid", "sn", "esn", "imei"):
        async with lab(https=False, provision=fleet(by=by, value='a "b" é')) as world:
            await until(lambda w=world: w.broker.subscriptions, "a session")
            (request,) = world.broker.requests()
            assert json.loads(request) == {by: 'a "b" é', "configProperty": "config"}
            assert world.broker.sessions()[0] == CLIENT, "which has the MAC all the same"


async def test_a_configuration_that_comes_along_is_a_command():
    part = {"thermostat": {"setpoint": 19}}
    heard = []
    take = lambda name, payload: heard.append((name, json.loads(payload))) or True  # noqa: E731
    async with lab(https=False, on_command=take) as world:
        world.broker.answer = changed(config=part)
        await until(lambda: world.broker.subscriptions, "a session")
        assert heard == [("config", part)]


async def test_single_values_go_under_the_identity():
    async with lab(https=False, send="value") as world:
        await world.connected()
        await until(lambda: world.link.failover.carrier == "mqtt", "the carrier")
        assert world.link.offer(0, "temperature", 21.5)
        await until(lambda: world.broker.singles, "the value")
        assert world.broker.singles == [(b"properties/temperature", b"21.50")]


async def test_what_asked_is_forgotten_when_it_is_done():
    async with lab(https=False) as world:
        await world.connected()
        assert "firmware.link.provisioning" not in sys.modules
        assert ANSWER["deviceId"] == world.settings["device"]["id"]


async def test_a_device_with_an_identity_loads_nothing_of_it():
    async with World(https=False) as world:
        sys.modules["firmware.link.provisioning"] = None  # a use would fail in it
        try:
            world.broker.code = 5
            for attempt in range(1, 6):
                await until(
                    lambda n=attempt: (
                        len(world.broker.connects) == n
                        and world.link.failover.mqtt.at_ms > uptime.ms()
                    ),
                    "a refusal",
                )
                assert world.link.failover.mqtt.at_ms - uptime.ms() <= MINUTE + 5000
                await world.retry_mqtt()
        finally:
            del sys.modules["firmware.link.provisioning"]


def test_no_two_boards_have_the_same_client_id():
    from firmware.link import provisioning

    ids = set()
    for number in range(300):
        mac = ":".join(["%02x" % (number * factor & 255) for factor in (1, 3, 7, 11, 13, 17)])
        client = provisioning.who(fleet(mac=mac))["id"]
        assert len(client) == 23 and " " not in client
        ids.add((client, mac))
    assert len({client for client, _ in ids}) == len({mac for _, mac in ids})
    del sys.modules["firmware.link.provisioning"]

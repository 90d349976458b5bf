"""identity.json: what of a provisioned identity outlives a restart, and when it is deleted."""

import json
import os

from firmware.base import files
from firmware.config import trial
from firmware.link import provisioning
from flash import HALF, NEW, OLD, Flash, formatted, mount, umount
from peers import until
from provisions import CLIENT, Provisions, changed, fleet
from world import DEVICE, MINUTE, SECRET, World

HEAP = "8M"

PART = {"thermostat": {"setpoint": 19}}


def device(**more):
    return {"id": None, "key_id": None, "key_secret": None, "provision": fleet(**more)}


def anew():
    for name in ("identity.json", "identity.json.new"):
        if files.exists(name):
            os.remove(name)


def kept():
    if not files.exists("identity.json"):
        return None
    with open("identity.json") as file:
        return json.load(file)


def given(who, obeys=True, **members):
    """What comes of an answer: the commands."""
    heard = []

    def command(name, payload):
        heard.append((name, json.loads(payload)))
        return obeys

    answer = json.loads(changed(**members))
    provisioning._take(who, answer, command)
    return heard


async def run(provision, answer=None, code=0):
    """A run of the device until it has a session; as whom it connected."""
    async with World(https=False, broker=Provisions(), provision=provision) as world:
        world.broker.answer = answer or changed()
        world.broker.code = code
        if code:
            for attempt in range(4):
                await until(
                    lambda n=attempt: (
                        len(world.broker.connects) > n
                        and world.link.failover.mqtt.at_ms > world._ms() + MINUTE
                    ),
                    "a refusal",
                )
                if attempt == 3:
                    break
                await world.retry_mqtt()
            return world.broker.sessions()
        await world.connected()
        return world.broker.sessions()


async def test_an_identity_is_kept_in_memory_alone():
    anew()
    assert await run(fleet()) == [CLIENT, DEVICE.encode()]
    assert kept() is None
    assert await run(fleet()) == [CLIENT, DEVICE.encode()]


async def test_with_store_it_is_asked_for_once():
    anew()
    assert await run(fleet(store=True)) == [CLIENT, DEVICE.encode()]
    assert kept()["key_secret"] == SECRET
    assert await run(fleet(store=True)) == [DEVICE.encode()]
    # Not to be kept any more.
    assert await run(fleet()) == [CLIENT, DEVICE.encode()]
    assert kept() is None


async def test_it_is_deleted_for_another_key_or_another_board():
    for other in (
        {"key_id": "_key_8"},
        {"key_secret": "another"},
        {"by": "sn", "value": "7"},
        {"mac": "24:0a:c4:00:01:ff"},
    ):
        anew()
        given(device(store=True), deviceId="_dev_1")
        who = device(store=True, **other)
        provisioning.recall(who)
        assert who["id"] is None and kept() is None, other
    given(device(store=True, by="sn", value="7"), deviceId="_dev_1")
    # The identifier is the board's number, whatever its radio is.
    who = device(store=True, by="sn", value="7", mac="24:0a:c4:00:01:ff")
    provisioning.recall(who)
    assert who["id"] == "_dev_1"


async def test_it_is_deleted_when_the_platform_refuses_it():
    anew()
    given(device(store=True), deviceId="_dev_1")
    sessions = await run(fleet(store=True), code=5)
    assert sessions[:5] == 4 * [b"_dev_1"] + [CLIENT]
    assert await run(fleet(store=True)) != [b"_dev_1"]
    assert kept()["id"] == DEVICE


def test_what_makes_no_sense_on_flash_is_no_identity():
    for text in ("", "{", "[]", "null", '{"for": 1}', '{"id": "_dev_1"}'):
        anew()
        with open("identity.json", "w") as file:
            file.write(text)
        who = device(store=True)
        provisioning.recall(who)
        assert who["id"] is None, text
    given(device(store=True))
    whole = kept()
    for key, bad in (("id", "_dev_/#"), ("key_id", 5), ("key_secret", "a\nb"), ("id", None)):
        files.replace_json("identity.json", dict(whole, **{key: bad}))
        who = device(store=True)
        provisioning.recall(who)
        assert who["id"] is None, (key, bad)


def test_a_configuration_is_tried_once():
    for store in (False, True):
        anew()
        assert given(device(store=store), config=PART) == [("config", PART)]
        assert given(device(store=store), config=PART) == []
        other = {"thermostat": {"setpoint": 20}}
        assert given(device(store=store), config=other) == [("config", other)]
        # An identity that is given up does not bring it back.
        who = device(store=store)
        given(who, config=other)
        provisioning.forget(who)
        assert who["id"] is None and "key_secret" not in kept()
        assert given(device(store=store), config=other) == []
        # Another fleet may.
        assert given(device(store=store, key_id="_key_8"), config=other) == [("config", other)]


def test_a_configuration_that_was_not_taken_comes_again():
    anew()
    for _ in range(2):
        assert given(device(), obeys=False, config=PART) == [("config", PART)]
    assert kept() is None


def test_no_configuration_is_none():
    for nothing in (None, {}):
        anew()
        assert given(device(), config=nothing) == []
        assert kept() is None


def test_a_flash_that_cannot_be_written_leaves_the_identity_in_memory():
    def full(path, tree):
        raise OSError(28)

    anew()
    real = files.replace_json
    files.replace_json = full
    try:
        who = device(store=True)
        given(who)
    finally:
        files.replace_json = real
    assert who["id"] == DEVICE and kept() is None


def test_the_power_may_go_at_any_moment_of_it():
    """It is the one before, or the new one, whole."""
    empty = formatted(16)
    before = boot(empty, lambda: given(device(store=True), deviceId="_dev_1"), 0, OLD)[0].data
    seen = set()
    count = boot(before, store_another, 0, OLD)[0].operations
    assert count > 2
    for cut_at in range(1, count + 1):
        for leaves in (OLD, NEW, HALF):
            data = boot(before, store_another, cut_at, leaves)[0].data
            _, who = boot(data, look, 0, OLD)
            assert (who["id"], who["key_secret"]) in (("_dev_1", SECRET), (DEVICE, "new"))
            seen.add(who["id"])
    assert seen == {"_dev_1", DEVICE}


def store_another():
    given(device(store=True), apiSecret="new")


def look():
    who = device(store=True)
    provisioning.recall(who)
    return who


def boot(image, act, cut_at, leaves):
    flash = Flash(16, image)
    mount(flash)
    here = os.getcwd()
    os.chdir("/flash")
    flash.operations = 0
    flash.cut_at = cut_at
    flash.cut_leaves = leaves
    try:
        return flash, act()
    finally:
        os.chdir(here)
        umount()


def test_the_room_of_configurations_knows_the_file():
    assert trial.IDENTITY == provisioning._FILE

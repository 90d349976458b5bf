"""`device.provision` in config.json: in place of an identity, whole, and never shown."""

import json

from example import EXAMPLE
from firmware import config
from firmware.base import files
from firmware.config import check, schema
from firmware.config.change import shown
from tried import Device, read, write

HEAP = "2M"

FLEET = {"key_id": "_key_9", "key_secret": "fleets-secret"}
THREE = ("id", "key_id", "key_secret")


def checked(device, **sections):
    given = json.loads(EXAMPLE)
    given["device"] = device
    given.update(sections)
    settings, found = check.check(given)
    assert check.check(given, check.COMPARED)[1] == found
    return settings, found


def problems(device, **sections):
    settings, found = checked(device, **sections)
    assert (settings is None) == bool(found)
    assert not any("fleets-secret" in problem for problem in found), found
    return found


def test_a_fleets_key_stands_in_place_of_an_identity():
    settings, found = checked({"provision": FLEET})
    assert not found
    device = settings["device"]
    assert [device[key] for key in THREE] == [None, None, None]
    fleet = {"key_id": "_key_9", "key_secret": "fleets-secret", "by": "mac"}
    fleet.update(value=None, store=False)
    assert device["provision"] == fleet
    settings, found = checked(json.loads(EXAMPLE)["device"])
    assert not found and settings["device"]["provision"] is None


def test_one_of_the_two_is_needed_and_what_is_missing_is_named():
    for device in ({}, {"provision": None}, {"led": 2}):
        found = problems(device)
        assert len(found) == 3
        for key, problem in zip(THREE, found):
            assert problem.startswith("device.%s: missing; expected " % key), problem
            assert problem.endswith("; or device.provision in place of it"), problem
    assert problems({"provision": {}}) == [
        "device.provision.key_id: missing; expected 1 to 64 characters, without a colon",
        "device.provision.key_secret: missing; expected text of 1 to 128 characters",
    ]
    assert problems({"provision": 5}) == ["device.provision: expected an object, got a number"]


def test_both_are_one_too_many():
    device = dict(json.loads(EXAMPLE)["device"], provision=FLEET)
    assert problems(device) == [
        "device.%s: expected none beside device.provision; leave one of the two out" % key
        for key in THREE
    ]


def test_what_tells_the_board_is_given_unless_the_board_knows_it():
    for by in ("id", "cid", "sn", "esn", "imei"):
        assert problems({"provision": dict(FLEET, by=by)}) == [
            "device.provision.value: missing; expected the device's " + by
        ]
        assert problems({"provision": dict(FLEET, by=by, value="7")}) == []
    assert problems({"provision": dict(FLEET, value="24:0a:c4:00:01:fe")}) == [
        "device.provision.value: expected null with mac, which the board knows, "
        'got "24:0a:c4:00:01:fe"'
    ]
    (problem,) = problems({"provision": dict(FLEET, by="name")})
    assert problem.startswith("device.provision.by: expected "), problem


def test_an_answer_that_is_a_secret_comes_over_tls_alone():
    for url in ("mqtt://a", "ws://a", "tcp://a:1883"):
        assert problems({"provision": FLEET}, mqtt={"url": url}) == [
            "mqtt.url: expected mqtts:// or wss:// with device.provision: its answer is a secret, "
            'got "%s"' % url
        ]
    for url in ("mqtts://a", "wss://a", "tcp://a:8883"):
        assert problems({"provision": FLEET}, mqtt={"url": url}) == []


def test_a_part_from_afar_is_checked_by_the_same_rules():
    device = Device()
    assert device.refused({"device": {"provision": FLEET}}) == (
        "device.id: expected none beside device.provision; leave one of the two out"
    )
    part = {"device": dict.fromkeys(THREE, None), "mqtt": {"url": "mqtts://localhost"}}
    part["device"]["provision"] = FLEET
    hidden, changes = device.propose(part)
    assert changes and "provision" in read()["device"] and "id" not in read()["device"]
    assert hidden["device"]["provision"] == {"key_id": "_key_9", "key_secret": "(hidden)"}


def test_no_secret_of_it_is_ever_shown():
    assert shown({"device": {"provision": FLEET}}) == {
        "device": {"provision": {"key_id": "_key_9", "key_secret": "(hidden)"}}
    }
    write("config.json", {"device": {"provision": FLEET}, "wifi": [{"password": "geheim"}]})
    files.replace_json("identity.json", {"for": 1, "id": "_dev_1", "key_secret": "devices-secret"})
    text = "refused: fleets-secret, devices-secret, geheim!"
    assert config.censored(text) == "refused: (hidden), (hidden), (hidden)!"


def test_a_default_that_depends_on_another_key():
    assert schema.is_required("required", {})
    assert schema.is_required("required unless a", {"a": None})
    assert not schema.is_required("required unless a", {"a": {}})
    assert not schema.is_required("null", {})
    assert schema.value("required unless a") is None

"""A part of a configuration from afar: merged, checked as a whole, shown without its secrets."""

import json
import os

from firmware.config.change import merge, shown
from tried import CONFIG, TWO, Device, read, write


def test_a_second_one_has_to_wait():
    device = Device()
    device.propose(TWO)
    again = "another configuration is on trial; wait until it is kept or given up"
    assert device.refused({"health": {"every_s": 60}}) == again
    device.boot()
    assert device.refused({"health": {"every_s": 60}}) == again
    device.trial.confirm()
    device.propose({"health": {"every_s": 60}})


def test_what_changes_nothing_needs_no_trial():
    device = Device()
    files = os.listdir()
    for part in ({}, {"mqtt": {}}, {"mqtt": {"url": "mqtts://one.example:8883"}}, {"tls": None}):
        _, changes = device.propose(part)
        # An empty section is one that was not there.
        assert not changes, part
        assert os.listdir() == files
    assert device.propose({"health": {}})[1], "it is there now"


def test_objects_merge_lists_replace_and_null_removes():
    """The rules of RFC 7396, and some of its examples (appendix A)."""
    for target, patch, result in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": 1.0}, {"a": 1.0}),
        ({"a": 1}, {"a": True}, {"a": True}),
    ):
        before = json.dumps(target)
        changes = merge(target, patch)
        assert target == result, (before, patch, target)
        assert changes == (json.dumps(target) != before), (before, patch)


def test_a_wrong_part_is_refused_with_the_name_of_what_is_wrong():
    device = Device()
    assert device.refused({"mqtt": {"ulr": "x"}}).startswith(
        "mqtt.ulr: unknown key; expected one of url, keepalive_s"
    )
    assert device.refused({"mqtts": {}}).startswith("mqtts: unknown key; expected one of device")
    assert device.refused({"mqtt": {"keepalive_s": 1}}) == (
        "mqtt.keepalive_s: expected a whole number 5 to 60 seconds, got 1"
    )
    assert device.refused({"mqtts": None}).startswith("mqtts: unknown key; expected one of device")
    for part in ({"mqtt": 5}, {"mqtt": []}, {"tls": True}):
        (name,) = part
        assert device.refused(part).startswith(name + ": expected an object, got ")
    for part in ({"wifi": {}}, {"sensors": "x"}):
        (name,) = part
        assert device.refused(part).startswith(name + ": expected a list of at most ")
    assert device.refused({"device": {"id": None}}).startswith("device.id: missing")
    assert device.refused({"sensors": []}) == (
        'thermostat.sensor: expected the prop of one of the sensors, got "temperature"'
    )
    assert device.refused({"thermostat": {"schedule": ["daily 06:30 home", "never"]}}).startswith(
        "thermostat.schedule[1]: expected days, time and preset"
    )
    assert device.refused({"time": {"zone": "Europe/Berlin"}}).startswith(
        "time.zone: expected an offset to UTC in hours"
    )
    deep = {}
    for _ in range(100):
        deep = {"a": deep}
    assert device.refused({"mqtt": deep}).startswith("mqtt.a: unknown key; expected one of url")
    assert "config.json.new" not in os.listdir(), "nothing of a refused one is left"


def test_secrets_are_taken_and_not_shown():
    device = Device()
    part = {
        "device": {"key_secret": "neues-geheimnis"},
        "wifi": [{"ssid": "other", "password": "anderes"}, {"ssid": "open"}],
    }
    hidden, changes = device.propose(part)
    assert changes
    assert hidden == {
        "device": {"key_secret": "(hidden)"},
        "wifi": [{"ssid": "other", "password": "(hidden)"}, {"ssid": "open"}],
    }
    assert read()["device"]["key_secret"] == "neues-geheimnis"
    assert read()["device"]["id"] == "_dev_1"
    assert read()["wifi"] == part["wifi"]


def test_of_what_is_long_only_the_sections_are_shown():
    """A value of more than 1 KiB is not sent; its bytes count."""
    for name, fits in (("o", True), ("é", True), ("\U0001f600", False)):
        part = {"wifi": [{"ssid": name * 32}] * 8}
        assert len(json.dumps(part)) < 1000
        assert shown(part) == (part if fits else {"wifi": "(long)"}), name
    long = {"time": {"zone": "x" * 1900}, "tls": {"ca": "y" * 40}}
    assert shown(long) == {"time": "(long)", "tls": "(long)"}


def test_what_stands_for_a_secret_is_no_secret():
    device = Device()
    words = '"(hidden)" only stands for a secret; leave the key out'
    assert device.refused({"device": {"key_secret": "(hidden)"}}) == words
    assert device.refused({"wifi": [{"ssid": "home", "password": "(hidden)"}]}) == words


def test_where_the_file_is_broken_the_last_good_one_is_what_is_changed():
    device = Device()
    write("config.good.json", CONFIG)
    for broken in ("{", json.dumps({"mqtt": {"keepalive_s": 1}})):
        device = Device()
        write("config.good.json", CONFIG)
        with open("config.json", "w") as file:
            file.write(broken)
        assert device.propose(TWO)[1]
        device.boot()
        assert read()["mqtt"] == TWO["mqtt"]
        device.trial.roll_back("nobody answered")
        device.boot()
        assert read() == CONFIG, "it is a good one that is back"

"""What is read at the door, and what of it is no JSON, too long, or the device's own answer."""

import os

from door import T0, Door, verdict
from firmware.commands import apply, table

SETTABLE = apply.Settable(dict.fromkeys([row[4] for row in table.rows()]))


def read(name, payload):
    return SETTABLE.read(SETTABLE.row(name), payload)


def refused(name, payload):
    """Why."""
    try:
        value = read(name, payload)
    except ValueError as error:
        return apply.words(name, error)
    raise AssertionError("%r was taken for %r" % (payload, value))


def test_json_is_read():
    for payload, value in (
        (b"21.5", 21.5),
        (b" 2.15e+1\r\n", 21.5),
        (b"-0", 0),
        (b'"\xc3\xa9\\u00e9"', "éé"),
        (b'{"a": [1, {"b": null}], "b": [true]}', {"a": [1, {"b": None}], "b": [True]}),
    ):
        assert read("config", payload) == value, payload


def test_a_key_that_is_there_twice_is_refused():
    """A parser would obey one of them without a word."""
    text = refused("config", b'{"thermostat": {"setpoint": 20, "setpoint": 21}}')
    assert text == "expected an object, got something, which has a key twice"


def test_what_is_no_json_is_refused():
    for payload in (
        b",21.5",
        b":21.5",
        b"021.5",
        b"21.",
        b"21\x00",
        b"\x0021",
        b"21.5,",
        b"NaN",
        b"\xef\xbb\xbf21",
        b'"\xff"',
        b'"a\nb"',
        b'"\\x41"',
        b"[1 2]",
        b"[1,]",
        b'{"a" 1}',
        b'{"a": 1',
        b"",
    ):
        assert refused("setpoint", payload).endswith(", which is not JSON"), payload
    assert refused("setpoint", b",21.5") == ("expected 5 to 35 °C, got ,21.5, which is not JSON")


def test_of_what_is_too_large_only_the_size_counts():
    for name, most in (("config", 2048), ("schedule", 2048), ("setpoint", 1024)):
        assert read(name, b"[%s]" % (b" " * (most - 2))) == []
        assert refused(name, b" " * (most + 1)).endswith(", got %d bytes" % (most + 1))
        assert refused(name, range(100000)).endswith(", got 100000 bytes")
    # What could not be kept for another reason.
    assert refused("setpoint", range(300)).endswith(", got 300 bytes, which cannot be read")


def test_a_command_that_was_too_large_for_the_link_is_refused_by_its_name():
    door = Door()
    for name, expected in (
        ("config", "an object"),
        ("schedule", "a list of at most 42 entries"),
        ("setpoint", "5 to 35 °C"),
    ):
        assert door.handle(name, range(5000)) is False
        reason = "expected %s, got 5000 bytes" % expected
        assert door.answers[-1] == ("lastcommand", verdict(name, reason))
        assert door.values()[0][0] == name
    assert door.handle("unheard_of", range(5000)) is False
    reason = "this device takes no such command"
    assert door.take() == [("lastcommand", verdict("unheard_of", reason))]


def test_so_is_one_that_was_missed():
    for name, expected in (
        ("config", "an object"),
        ("schedule", "a list of at most 42 entries"),
        ("setpoint", "5 to 35 °C"),
        ("preset", '"home" or "away" or "sleep" or "boost" or "manual"'),
        ("hold_until", "a time such as 2026-11-23T18:00:00Z, or null"),
        ("identify", "a whole number 0 to 300 seconds"),
        ("restart", "true or false"),
    ):
        if "settings.json" in os.listdir():
            os.remove("settings.json")
        door = Door()
        door.recover(name, range(5000), T0 + 500)
        reason = "expected %s, got 5000 bytes" % expected
        assert door.take()[-1] == ("lastcommand", verdict(name, reason, T0 + 500))
        # And not again.
        door.recover(name, range(5000), T0 + 500)
        assert door.take() == []


def test_no_time_is_taken_that_cannot_be_read_again():
    door = Door()
    for text in ("9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00+01:00"):
        assert door.handle("hold_until", b'"%s"' % text) is False, text


def known(name, value):
    settable = Door().settable
    return settable.is_known(settable.row(name), value)


def test_a_schedule_that_cannot_be_had_is_no_known_one():
    assert not known("schedule", range(5000))
    assert not known("setpoint", range(5000))


def test_a_schedule_is_known_however_it_is_written():
    entries = ["daily 06:30 home", "mon-fri 22:30 18"]
    door = Door(entries=entries)
    row = door.settable.row("schedule")
    for value in (entries, {"entries": entries}, door.program.get("schedule")):
        assert door.settable.is_known(row, value), value
    for value in ([], {"entries": []}, entries[:1], entries[::-1]):
        assert not door.settable.is_known(row, value), value
    assert known("schedule", []) and known("schedule", {"entries": []})
    assert not known("schedule", entries)


def test_only_an_empty_configuration_as_a_whole_is_an_answer():
    for value, answer in (
        ({}, True),
        ({"mqtt": "(long)"}, True),
        ({"wifi": [{"ssid": "home", "password": "(hidden)"}]}, True),
        ({"thermostat": {"failsafe": {}}}, False),
        ({"thermostat": {}}, False),
        ({"sensors": []}, False),
        ({"sensors": [{}]}, False),
        ([], False),
    ):
        assert known("config", value) == answer, value

"""The prompt's commands: what they print, and what they do to config.json."""

import json
import os

from example import EXAMPLE
from firmware.setup import prompt as setup
from firmware.setup.draft import Draft, split


def said(call, *arguments):
    """The lines that a command prints."""
    lines = []

    def note(*words, end="\n"):
        lines.append(" ".join([str(word) for word in words]))

    setup.print = note
    try:
        call(*arguments)
    finally:
        del setup.print
    return lines


def begin(text=EXAMPLE):
    """A board that has this config.json, and nobody at its prompt yet."""
    for name in os.listdir():
        if name.startswith("config"):
            os.remove(name)
    if text:
        with open("config.json", "w") as file:
            file.write(text)
    setup._draft = None


def saved():
    with open("config.json") as file:
        return json.load(file)


def test_nothing_is_in_force_before_it_is_saved():
    begin()
    assert said(setup.set, "wifi[0].ssid", "attic") == ["Changed; setup.save() puts it in force."]
    assert saved() == json.loads(EXAMPLE)
    assert said(setup.show)[-1] == "Changed, and not saved: setup.save() puts it in force."
    assert said(setup.save) == ["Saved. Ctrl-D starts the thermostat with it."]
    assert saved()["wifi"] == [{"ssid": "attic", "password": "p"}]
    assert "not saved" not in said(setup.show)[-1]


def test_what_a_key_cannot_be_is_refused_and_leaves_the_draft_as_it_was():
    begin()
    for path, value, words in (
        ("feed.max_points", 0, "feed.max_points: expected a whole number 1 to 1000 points, got 0"),
        ("feed.max_pionts", 5, "feed.max_pionts: unknown key; expected one of format, max_points"),
        ("wifi[0].password", "p" * 70, "wifi[0].password: expected text of 0 to 64 characters"),
        ("wifi[2].ssid", "x", "wifi[2].ssid: there are only 1; the next is [1]"),
        ("wifi.ssid", "x", "wifi.ssid: ssid is no key of a list; name a place, such as [0]"),
        ("device[0]", "x", "device[0]: there is no list to have a place [0]"),
        ("wifi[x].ssid", "x", "wifi[x].ssid: expected a path such as wifi[0].ssid"),
        ("", "x", ": expected a path such as wifi[0].ssid"),
        ("thermostat", 5, "thermostat: expected an object, got a number"),
    ):
        (line,) = said(setup.set, path, value)
        assert line.startswith("Not changed: " + words), (path, line)
    setup._draft.save()
    assert saved() == json.loads(EXAMPLE)


def test_a_secret_is_never_shown_nor_repeated():
    begin(EXAMPLE.replace('"password": "p"', '"password": "hunter2"'))
    said(setup.set, "device.key_secret", "hunter22")
    lines = said(setup.show) + said(setup.set, "wifi[0].password", ["hunter3"])
    assert not any("hunter" in line for line in lines), lines
    assert "*     password = (hidden)" in lines


def test_show_marks_what_differs_and_what_is_missing():
    begin('{"device": {"id": "d"}, "sensors": [{"prop": "t", "driver": "ds18x20", "pin": 4}]}')
    lines = said(setup.show)
    assert lines[0] == "  device", lines[0]
    for line in ('*   id = "d"', "!   key_id = ", "    led = null", "  thermostat = null"):
        assert line in lines, (line, lines)
    at = lines.index("*   [0]")
    assert lines[at + 1 : at + 3] == ['*     prop = "t"', '*     driver = "ds18x20"']
    assert "*     pin = 4" in lines[at:], "the driver's own keys are shown, too"
    assert said(setup.show, "feed")[0] == "  feed"
    reported = said(setup.show, "health.properties")[0]
    assert reported.startswith('    properties = ["uptime", "freeheap", '), reported
    assert said(setup.show, "nothing") == [
        'There is no key "nothing"; setup.help() shows how to go on, setup.show() all of them.'
    ]


def test_a_default_holds_again_and_an_entry_goes():
    begin()
    said(setup.set, "feed.max_points", 7)
    assert said(setup.unset, "feed.max_points") == ["Changed; setup.save() puts it in force."]
    said(setup.unset, "wifi[0]")
    assert said(setup.unset, "wifi[0]") == ["Not changed: wifi[0]: is not set"]
    said(setup.save)
    assert saved()["wifi"] == [] and "max_points" not in saved()["feed"]


def test_a_board_without_a_configuration_is_set_up_key_by_key():
    begin(None)
    assert said(setup.show)[0].startswith("There is no config.json yet")
    said(setup.set, "device.id", "_dev_1")
    assert said(setup.save)[0] == "Not saved:"
    for path, value in (
        ("device.key_id", "_key_1"),
        ("device.key_secret", "s"),
        ("sensors[0].prop", "temperature"),
        ("sensors[0].driver", "ds18x20"),
        ("sensors[0].pin", 4),
        ("thermostat.sensor", "temperature"),
        ("thermostat.relay.pin", 26),
    ):
        assert said(setup.set, path, value)[-1].startswith("Changed"), path
    assert said(setup.save) == ["Saved. Ctrl-D starts the thermostat with it."]
    assert saved()["thermostat"] == {"sensor": "temperature", "relay": {"pin": 26}}


def test_a_mistake_elsewhere_does_not_keep_a_key_from_being_set():
    begin(EXAMPLE.replace('"per_minute": 60', '"per_minute": 0'))
    lines = said(setup.set, "feed.max_points", 7)
    assert lines[0].startswith("still  feed.per_minute: expected a whole number"), lines
    assert lines[1] == "Changed; not complete yet."


def test_what_ran_well_last_comes_back():
    begin()
    assert said(setup.restore)[0].startswith("There is no last good configuration")
    with open("config.good.json", "w") as file:
        file.write(EXAMPLE.replace("21.0", "19.5"))
    said(setup.restore)
    assert saved()["thermostat"]["setpoint"] == 21.0
    said(setup.save)
    assert saved()["thermostat"]["setpoint"] == 19.5


def test_a_file_that_is_no_json_is_told_and_replaced_only_by_saving():
    begin("{junk")
    assert "config.json: not JSON at line 1" in said(setup.show)[0]
    said(setup.save)
    with open("config.json") as file:
        assert file.read() == "{junk"


def test_help_says_what_a_key_means():
    lines = said(setup.help, "thermostat.pi")
    assert lines[0] == "thermostat.pi: the regulator `pi`"
    assert lines[1] == "thermostat.pi.kp: share of the cycle for each K that is missing"
    assert lines[2] == "    0.01 to 10; without it 0.5"
    assert said(setup.help, "wifi[0].ssid")[1] == "    text of 1 to 32 characters; required"
    assert said(setup.help, "wifi")[2].startswith("wifi[].ssid")
    assert said(setup.help, "ds18x20.pin")[1] == "    a whole number 0 to 48; required"
    assert any(line.startswith("sht3x.address") for line in said(setup.help, "sht3x"))
    assert 'setup.set("wifi[0].ssid", "home")' in said(setup.help)[2]
    assert said(setup.help, "nothing")[0].startswith("There is no key")


def test_a_path_is_keys_and_places():
    assert split("a.b[0].c[12]") == ["a", "b", 0, "c", 12]
    for path in ("", ".a", "a.", "a[", "a[]", "a[-1]", "a[0", "a[0]b", "a..b"):
        try:
            split(path)
        except ValueError as error:
            assert "wifi[0].ssid" in str(error)
        else:
            raise AssertionError(path)


def test_an_interrupted_save_leaves_the_old_one():
    begin()
    draft = Draft()
    draft.put("feed.max_points", 7)

    class Full:
        def dump(self, tree, file):
            file.write(b"{")
            raise OSError(28)

        def __getattr__(self, name):
            return getattr(json, name)

    from firmware.base import files

    files.json = Full()
    try:
        draft.save()
    except OSError:
        assert saved() == json.loads(EXAMPLE) and draft.changed
    else:
        raise AssertionError("it was saved")
    finally:
        files.json = json


def test_a_value_that_is_left_out_is_asked_for_unseen():
    from firmware.setup import wizard

    begin()
    asked = []
    kept = wizard.unseen
    wizard.unseen = lambda text: asked.append(text) or "hunter2"
    try:
        lines = said(setup.set, "device.key_secret")
    finally:
        wizard.unseen = kept
    assert asked == ["device.key_secret: "]
    assert lines == ["Changed; setup.save() puts it in force."], lines
    said(setup.save)
    assert saved()["device"]["key_secret"] == "hunter2"

"""What gets in at the door, what is refused and why, and what is answered."""

import json
import os

from door import Door, verdict
from firmware.commands import door as commands


def test_a_setpoint_is_put_in_force_and_answered():
    door = Door()
    assert door.handle("setpoint", b"22.5") is True
    assert door.thermostat.setpoint == 22.5
    assert door.answers == [("setpoint", 22.5), ("lastcommand", verdict("setpoint"))]
    assert door.log.infos == ["command setpoint: 22.5 is now in force"]
    assert door.log.warnings == []


def test_the_limits_themselves_are_accepted():
    door = Door()
    for payload, value in ((b"5", 5), (b"35", 35), (b" 35.0 ", 35.0)):
        assert door.handle("setpoint", payload) is True
        assert door.thermostat.setpoint == value


def test_a_mode_is_put_in_force_and_answered():
    door = Door()
    assert door.handle("mode", b'"off"') is True
    assert door.thermostat.mode == "off"
    assert door.values() == [("mode", "off")]


def test_names_compare_in_lower_case():
    door = Door()
    assert door.handle("SetPoint", b"19") is True
    assert door.values() == [("setpoint", 19)]


def test_a_name_may_be_qualified_by_its_profile():
    """As in the platform's state, where it is recovered by the same name."""
    door = Door()
    assert door.handle("thermostat$setpoint", b"19") is True
    assert door.take() == [("setpoint", 19), ("lastcommand", verdict("setpoint"))]


def test_a_number_out_of_range_is_refused_with_what_was_expected():
    Door().refuses("setpoint", b"99", "expected 5 to 35 °C, got 99")
    Door().refuses("setpoint", b"4.99", "expected 5 to 35 °C, got 4.99")


def test_what_is_no_number_is_no_setpoint():
    for payload, got in (
        (b"true", "true"),
        (b"null", "null"),
        (b'"21"', '"21"'),
        (b"[21]", "a list"),
        (b'{"v":21}', "an object"),
        (b"1e999", "a number that is too large"),
        (b"-1e999", "a number that is too large"),
        (b"NaN", "NaN, which is not JSON"),
        (b"Infinity", "Infinity, which is not JSON"),
        (b"", "nothing, which is not JSON"),
        (b"21,5", "21,5, which is not JSON"),
        (b"21.5\xff", "21.5., which is not JSON"),
        (b'"\xff\xfe"', '"..", which is not JSON'),
    ):
        Door().refuses("setpoint", payload, "expected 5 to 35 °C, got " + got)


def test_a_mode_that_the_hardware_cannot_do_is_refused():
    Door().refuses("mode", b'"cool"', 'expected "off" or "heat", got "cool"')
    Door().refuses("mode", b'"Heat"', 'expected "off" or "heat", got "Heat"')
    Door().refuses("mode", b"1", 'expected "off" or "heat", got 1')
    door = Door()
    door.thermostat.modes = ("off", "heat", "cool", "auto")
    assert door.handle("mode", b'"auto"') is True


def test_a_long_value_is_shown_short():
    door = Door()
    door.handle("mode", b'"' + b"x" * 500 + b'"')
    assert door.log.warnings[0].endswith("xxx…"), door.log.warnings
    assert len(door.log.warnings[0]) < 120
    door.handle("mode", b"x" * 500)
    assert door.log.warnings[1].endswith("x…, which is not JSON"), door.log.warnings
    assert len(door.log.warnings[1]) < 120


def test_a_large_payload_is_refused_before_it_is_parsed():
    door = Door()
    door.refuses("setpoint", b" " * 1023 + b"21", "expected 5 to 35 °C, got 1025 bytes")
    assert door.handle("setpoint", b" " * 1022 + b"22") is True
    assert door.handle("schedule", b" " * 2046 + b"[]") is True
    assert door.handle("schedule", b" " * 2047 + b"[]") is False
    assert door.log.warnings[-1].endswith("got 2049 bytes")


def test_another_property_is_refused():
    door = Door()
    assert door.handle("temperature", b"21") is False
    reason = "this device takes no such command"
    assert door.log.warnings == ["command temperature refused: " + reason]
    assert door.answers == [("lastcommand", verdict("temperature", reason))]


def test_a_device_without_thermostat_takes_what_needs_none():
    door = Door(regulated=False)
    for name in ("setpoint", "setpoint_cool", "mode", "preset", "schedule", "hold_until"):
        assert door.handle(name, b"21") is False
        assert door.log.warnings.pop().endswith("this device takes no such command")
    assert door.handle("report_every", b"5") is True
    assert door.handle("identify", b"5") is True
    assert [name for name, _ in commands.properties(("device",))] == [
        "report_every",
        "restart",
        "identify",
        "config",
        "update",
        "lastcommand",
    ]


def test_what_a_preset_changes_is_answered_too():
    door = Door()
    door.handle("preset", b'"away"')
    assert door.values() == [("preset", "away"), ("setpoint", 16.0), ("setpoint_cool", 30.0)]
    door.handle("setpoint", b"19.5")
    assert door.values() == [("setpoint", 19.5), ("preset", "manual")]
    door.refuses(
        "preset",
        b'"party"',
        'expected "home" or "away" or "sleep" or "boost" or "manual", got "party"',
    )


def test_a_schedule_is_put_in_force_and_answered():
    door = Door()
    entries = [{"days": "mon-fri", "at": "06:30", "preset": "home"}]
    assert door.handle("schedule", json.dumps(entries).encode())
    assert door.values() == [("schedule", {"entries": entries})]
    assert door.handle("schedule", json.dumps({"entries": entries}).encode())
    assert door.values() == [("schedule", {"entries": entries})]
    door.refuses(
        "schedule",
        b'[{"days": "mon-fri", "at": "06:30", "preset": "home"},'
        b' {"days": "sat", "at": "25:00", "preset": "home"}]',
        'schedule[1].at: expected a time from "00:00" to "23:59"',
    )
    door.refuses("schedule", b"7", "expected a list of at most 42 entries, got 7")


def test_what_utf_8_cannot_say_is_not_answered():
    door = Door()
    door.proposal = ValueError("\ud800: unknown key")
    for name, payload in (
        ("mode", b'"\\udfff"'),
        ("mode", b'"\xed\xbf\xbf"'),
        ("schedule", b'[{"days":"mon","at":"06:00","\\ud800":1}]'),
        ("config", b'{"\\ud800":{}}'),
        ("\ud800", b"1"),
    ):
        assert door.handle(name, payload) is False
        for _, value in door.take():
            json.dumps(value).encode().decode("utf-8")
            assert "\ud800" not in json.dumps(value) and "\udfff" not in json.dumps(value)


def test_a_hold_is_put_in_force_and_answered():
    door = Door()
    door.handle("hold_until", b'"2026-12-24T18:00:00Z"')
    assert door.values() == [("hold_until", "2026-12-24T18:00:00.000Z")]
    door.handle("hold_until", b"null")
    assert door.values() == [("hold_until", "")]
    for payload in (b'"tomorrow"', b'"2026-12-24"', b'"2026-13-24T18:00:00Z"', b'"-"'):
        reason = 'expected a time such as "2026-11-23T18:00:00Z", or null'
        door.refuses("hold_until", payload, reason)


def test_report_every_sets_the_age_of_feeds():
    door = Door()
    assert door.handle("report_every", b"2.5")
    assert door.queue.max_age_ms == 2500
    assert door.values() == [("report_every", 2.5)]
    assert not door.handle("report_every", b"0.05")
    assert door.values() == [("report_every", 2.5)]
    for seconds in (16.3, 32.3, 0.1, 3599.9, 4.35):
        assert door.handle("report_every", b"%f" % seconds)
        assert door.values() == [("report_every", seconds)]
        assert door.queue.max_age_ms % 10 == 0


def test_a_restart_comes_after_its_answer():
    door = Door()
    order = []
    door.restart = lambda: order.append(len(door.answers))
    assert door.handle("restart", b"true")
    assert order == [2]
    assert door.take() == [("restart", False), ("lastcommand", verdict("restart"))]
    assert "settings.json" in os.listdir()
    assert door.handle("restart", b"false")
    assert len(order) == 1


def test_identify_is_passed_on():
    door = Door()
    assert door.handle("identify", b"30") and not door.handle("identify", b"301")
    assert door.identified == [30]
    assert door.values() == [("identify", 0), ("identify", 0)]

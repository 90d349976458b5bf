"""What is in force survives a restart; what nobody has set is as the configuration says."""

import json

from door import T0, Door, fresh, shown, state
from firmware.commands.store import Store


def test_what_is_in_force_survives_a_restart():
    door = Door()
    door.handle("setpoint", b"22.5")
    door.handle("setpoint_cool", b"27")
    door.handle("mode", b'"off"')
    door.handle("report_every", b"5")
    door.handle("schedule", b'["daily 06:30 home"]')
    door.handle("hold_until", b'"2027-12-24T18:00:00Z"')
    again = door.again()
    assert again.take() == [], "nothing has changed"
    assert (again.thermostat.setpoint, again.thermostat.setpoint_cool) == (22.5, 27)
    assert again.thermostat.mode == "off"
    assert again.queue.max_age_ms == 5000
    assert again.program.short_schedule() == "daily 06:30 home"
    assert again.program.get("hold_until") == "2027-12-24T18:00:00.000Z"
    door.handle("preset", b'"sleep"')
    assert door.again().program.preset == "sleep"


def test_a_boost_survives_a_restart_with_what_was_before_it():
    door = Door()
    door.handle("setpoint", b"19.5")
    door.handle("preset", b'"boost"')
    door.pass_s(60)
    again = door.again()
    again.take()
    assert (again.program.preset, again.thermostat.setpoint) == ("boost", 24.0)
    again.pass_s(3500)
    assert again.program.preset == "boost"
    again.pass_s(60)
    assert (again.program.preset, again.thermostat.setpoint) == ("manual", 19.5)
    assert dict(again.values())["setpoint"] == 19.5


def test_a_restart_takes_no_value_that_does_not_fit():
    store = Store()
    for name, value in (
        ("setpoint", 99),
        ("setpoint_cool", "26"),
        ("mode", "cool"),
        ("preset", "party"),
        ("schedule", "daily 25:00 home"),
        ("hold_until", "tomorrow"),
        ("report_every", 0),
        ("restart", True),
        ("identify", 300),
        ("config", {"device": {"id": "x"}}),
        ("before", 5),
        ("unknown", 7),
    ):
        store.put(name, value, T0)
    store.flush()
    door = Door()
    assert (door.thermostat.setpoint, door.thermostat.setpoint_cool) == (21.0, 26.0)
    assert (door.thermostat.mode, door.program.preset) == ("heat", "manual")
    assert door.program.short_schedule() == door.program.get("hold_until") == ""
    assert door.queue.max_age_ms == 10000
    assert (door.restarts, door.identified) == (0, [])
    assert len(door.log.warnings) == 7, door.log.warnings


def test_what_nobody_has_set_is_as_the_configuration_says():
    names = ("setpoint", "setpoint_cool", "mode", "preset", "schedule", "hold_until")
    door = Door()
    door.recover(*[(name, None, 0) for name in names + ("report_every", "config")])
    assert len(door.answers) == 8
    assert not door.handle("setpoint", b"99")
    found = [(name,) + told for name, told in shown(door).items()]
    for _ in range(2):
        door.store.flush()
        door = Door(utc_ms=T0 + 60000, entries=["daily 00:00 away"])
        assert door.program.short_schedule() == "daily 00:00 away"
        assert state(door) == ("manual", 21.0, 26.0)
        door.recover(*found)
        told = [("schedule", {"entries": [{"days": "daily", "at": "00:00", "preset": "away"}]})]
        assert door.take() == told, "the platform has another one"
    door.pass_s(1)
    assert state(door) == ("away", 16.0, 30.0)
    # That was a change at the device, and survives.
    assert state(door.again()) == ("away", 16.0, 30.0)
    # What somebody has set holds.
    door.handle("schedule", b"[]")
    assert door.again(entries=["daily 00:00 away"]).program.short_schedule() == ""


def test_answers_are_no_commands_where_the_settings_are_lost():
    door = Door()
    door.handle("mode", b'"off"')
    door.handle("report_every", b"5")
    door.pass_s(2)
    door.handle("preset", b'"away"')
    door.pass_s(2)
    found = [(name,) + told for name, told in shown(door).items()]
    early = door.clock.now()
    # All of them, and where the power went before the last ones were written.
    door.store.flush()
    with open("settings.json", "rb") as file:
        before = file.read()
    for kept in (None, before):
        lost = fresh(utc_ms=early)
        if kept:
            with open("settings.json", "wb") as file:
                file.write(kept)
            lost = Door(utc_ms=early)
        lost.recover(*found)
        lost.pass_s(5)
        assert state(lost) == ("away", 16.0, 30.0), kept
        assert lost.thermostat.mode == "off" and lost.queue.max_age_ms == 5000
        lost.take()
        lost.recover(*found)
        assert lost.take() == []


def test_a_boost_whose_answer_outlived_the_settings_stays_one():
    door = Door()
    door.handle("setpoint", b"19")
    door.store.flush()
    door.pass_s(10)
    door.handle("preset", b'"boost"')
    found = [(name,) + told for name, told in shown(door).items()]
    with open("settings.json", "rb") as file:
        before = file.read()
    for order in (found, found[::-1]):
        with open("settings.json", "wb") as file:
            file.write(before)
        late = Door(utc_ms=T0 + 20000)  # the power went before that was on flash
        late.recover(*order)
        assert state(late)[:2] == ("boost", 24.0)
        late.pass_s(3700)
        assert state(late)[:2] == ("manual", 19)


def test_what_nobody_has_set_is_stored_without_a_value():
    door = Door()
    door.recover(("setpoint", None, 0), ("mode", "off", T0 - 5000), ("hold_until", None, 0))
    assert not door.handle("setpoint", b"99")
    door.store.flush()
    with open("settings.json") as file:
        kept = json.load(file)["values"]
    assert sorted(kept) == ["hold_until", "mode", "setpoint"]
    assert kept["mode"][:-1] == ["off"]
    assert len(kept["setpoint"]) == len(kept["hold_until"]) == 1


def test_a_file_of_before_has_null_for_what_nobody_had_set():
    store = Store()
    store.put("setpoint", None, T0)
    store.put("config", None, T0)
    store.put("mode", "off", T0)
    store.flush()
    door = Door(entries=["daily 00:00 away"])
    assert (door.thermostat.setpoint, door.thermostat.mode) == (21.0, "off")
    assert door.log.warnings == [] and door.store.time("setpoint") == T0

"""Commands that were missed: what was written while nobody was connected takes effect as if it had
come in time.
"""

import json
import random
import sys

from door import T0, Door, fresh, orders, shown, state

_HOUR_MS = 3600000
_DAY_MS = T0 // 86400000 * 86400000


def at(text):
    """Of `09:00`, on the day of the tests."""
    return _DAY_MS + (int(text[:2]) * 60 + int(text[3:5])) * 60000


def test_what_is_in_force_already_is_obeyed_after_what_was_in_between():
    for order in orders(("setpoint", 21.0, T0 + 5000), ("preset", "away", T0 + 3000)):
        door = fresh()
        door.handle("setpoint", b"21")
        door.pass_s(60)
        door.take()
        door.recover(*order)
        assert state(door) == ("manual", 21.0, 30.0), order
        assert shown(door)["preset"] == ("manual", T0 + 5001)
        assert shown(door)["setpoint"] == (21.0, T0 + 5001)
        verdicts = [value["property"] for name, value in door.take() if name == "lastcommand"]
        assert verdicts == ["preset", "setpoint"]


def test_what_was_overtaken_is_answered():
    for order in orders(("setpoint", 22.0, T0 + 5000), ("preset", "away", T0 + 3000)):
        door = fresh(utc_ms=T0 + 60000)
        door.recover(*order)
        assert state(door)[:2] == ("manual", 22.0), order
        assert shown(door)["preset"][0] == "manual"
        assert shown(door)["setpoint"][0] == 22.0


def test_what_was_overtaken_by_a_command_that_came_is_answered_once():
    door = Door(utc_ms=T0 + 60000)
    door.handle("setpoint", b"22")
    assert door.values() == [("setpoint", 22)], "there was no preset before"
    door.pass_s(10)
    for _ in range(3):
        # Written in the moment before the subscription.
        door.recover(("setpoint", 22, T0 + 60000), ("preset", "away", T0 + 50000))
    assert state(door)[:2] == ("manual", 22)
    assert door.times == [T0 + 60001] and door.take() == [("preset", "manual")]
    # And in case that does not arrive, once after a restart.
    door = door.again()
    for _ in range(3):
        door.recover("preset", "away", T0 + 50000)
    assert door.values() == [("preset", "manual")]


def test_a_set_point_ends_a_boost_to_the_same_one():
    for missed in (False, True):
        door = fresh()
        door.handle("preset", b'"boost"')
        door.pass_s(10)
        if missed:
            door.recover("setpoint", 24.0, door.clock.now() - 1000)
        else:
            door.handle("setpoint", b"24")
        assert state(door)[:2] == ("manual", 24)
        door.pass_s(3600)
        assert state(door)[:2] == ("manual", 24)


def test_what_is_missed_takes_effect_as_it_would_have_in_time():
    """Random commands, each in time for one device and at the end for another one."""
    random.seed(20261122)
    values = {
        "setpoint": (16.0, 21.0, 22.0, 24.0),
        "setpoint_cool": (23.0, 26.0, 30.0),
        "preset": ("home", "away", "sleep", "boost", "manual"),
        "mode": ("off", "heat"),
        "hold_until": ("2026-11-22T12:00:00Z", ""),
        "report_every": (5, 10),
    }
    entries = ["daily 08:00 away", "daily 08:30 20.5", "daily 09:00 home"]
    for round_ in range(60):
        found = []
        for name in values:
            if random.randint(0, 1):
                # It was away from half past seven on, and off.
                ms = at("07:30") + random.randint(0, 2 * _HOUR_MS)
                found.append((name, random.choice(values[name]), ms))
        live = fresh(utc_ms=at("07:00"), entries=entries)
        live.recover(*[(name, None, 0) for name in values])
        live.handle("setpoint", b"21")
        live.pass_s(600)
        live.store.flush()
        missed = Door(utc_ms=at("10:00" if round_ % 2 else "07:10"), entries=entries)
        if not round_ % 2:
            # Neither was off, and the schedule went on.
            while missed.clock.now() < at("10:00"):
                missed.pass_s(1)
                missed.time.ms += 59000
        live.take()
        for name, value, ms in sorted(found, key=lambda part: part[2]):
            # The device's loop steps once a second.
            live.time.ms += ms - live.clock.now() - 1000
            live.pass_s(1)
            live.handle(name, json.dumps(value).encode())
        live.time.ms += at("10:00") - live.clock.now()
        live.pass_s(1)
        missed.recover(*found)
        missed.pass_s(1)
        assert state(missed) == state(live), (round_, state(missed), state(live), found)
        assert missed.thermostat.mode == live.thermostat.mode
        assert missed.program.get("hold_until") == live.program.get("hold_until")
        live.pass_s(5)
        missed.pass_s(5)
        for name, value in {name: told[0] for name, told in shown(missed).items()}.items():
            if name != "lastcommand":
                assert value == missed.in_force(name), (name, found)


def test_a_hold_that_was_missed_undoes_what_the_schedule_did_since():
    entries = ["daily 05:00 sleep", "daily 08:00 home", "daily 09:00 20.5"]
    found = (
        ("setpoint", 17.0, at("07:00")),
        ("hold_until", "2026-11-22T12:00:00Z", at("07:00") + 9),
    )
    for order in orders(*found):
        door = fresh(utc_ms=at("06:30"), entries=entries)
        door.pass_s(12600)
        assert state(door) == ("manual", 20.5, 26.0)
        before = shown(door)
        door.take()
        door.recover(*order)
        door.pass_s(5)
        assert state(door) == ("manual", 17.0, 27.0)
        told = shown(door)
        for name, value in (("setpoint", 17.0), ("setpoint_cool", 27.0)):
            assert told[name][0] == value and told[name][1] > before[name][1]
        door.take()
        for _ in range(3):
            door.recover(*[(name,) + told[name] for name in told])
            # What the platform still has while the answers are under way.
            door.recover(*order)
            door.pass_s(60)
        assert door.take() == []
        door.time.ms += 2 * _HOUR_MS
        door.pass_s(1)
        assert state(door) == ("manual", 20.5, 27.0), "back to the schedule"


def test_a_boost_that_was_missed_is_not_cut_short():
    entries = ["daily 06:00 home", "daily 08:00 away"]
    door = Door(utc_ms=at("07:00"), entries=entries)
    door.pass_s(4800)
    door.recover("preset", "boost", at("07:45") + 500)
    door.pass_s(1)
    assert state(door)[:2] == ("boost", 24.0)
    door.pass_s(1500)
    assert state(door)[:2] == ("away", 16.0)


def test_what_the_schedule_told_itself_undoes_nothing():
    entries = ["daily 06:00 home", "daily 08:00 away", "daily 09:00 boost"]
    door = Door(utc_ms=at("07:00"), entries=entries)
    door.pass_s(3660)
    first = shown(door)
    door.pass_s(3600)
    second = shown(door)
    assert state(door)[0] == "boost"
    door.pass_s(3600)
    assert state(door)[0] == "away"
    door.take()
    for told in (first, second):
        for _ in range(3):
            door.recover(*[(name,) + told[name] for name in told])
            door.pass_s(10)
            assert state(door)[0] == "away" and door.take() == []


def test_what_was_answered_of_a_boost_that_has_ended_since_undoes_nothing():
    """The platform has its beginning, and not yet its end."""
    # Answered in the second of the command or after it; the platform's clock may be ahead.
    for begun_ms, ahead_ms in ((400, 0), (1000, 0), (999, 0), (400, 200), (400, 1300)):
        for restarts in (False, True):
            for late in (False, True):
                door = fresh(utc_ms=T0 + begun_ms)
                if late:
                    for _ in range(40):
                        door.handle("setpoint", b"99")
                    door.take()
                written_ms = door.clock.now() + ahead_ms
                door.handle("preset", b'"boost"')
                door.pass_s(8)
                told = shown(door)
                assert "preset" in told
                if ahead_ms:
                    told["preset"] = "boost", written_ms
                if restarts:
                    door = door.again()
                door.pass_s(3700)
                assert state(door) == ("manual", 21.0, 26.0)
                found = [(name,) + told[name] for name in told]
                for order in (found, found[::-1]):
                    door.take()
                    door.recover(*order)
                    door.pass_s(5)
                    assert state(door) == ("manual", 21.0, 26.0), (begun_ms, ahead_ms, late)
                    # The end is told again where the platform's clock made news of the beginning.
                    assert ahead_ms or door.take() == []
                door.take()
                door.recover(*found)
                door.pass_s(60)
                assert door.take() == []


def test_what_was_answered_and_then_changed_by_the_schedule_undoes_nothing():
    entries = ["daily 08:00 away", "daily 09:00 home"]
    door = Door(utc_ms=at("07:00") + 250, entries=entries)
    door.handle("setpoint", b"23")
    door.handle("hold_until", b'"2026-11-22T08:30:00Z"')
    first = shown(door)
    # The schedule's own, told once more, since the platform had not got that.
    door.time.ms += at("08:31") - door.clock.now()
    door.pass_s(1)
    assert state(door)[0] == "away"
    door = door.again(entries=entries)
    door.recover("setpoint", 23.0, at("07:00"))
    again = shown(door)
    assert again["setpoint"][0] == 16.0
    door.time.ms += at("09:30") - door.clock.now()
    door.pass_s(1)
    assert state(door)[0] == "home"
    door.take()
    for told in (first, again):
        found = [(name,) + told[name] for name in told]
        door.recover(*found)
        door.pass_s(5)
        assert state(door)[0] == "home"
        # What the platform has not got since the restart is told once more.
        assert "lastcommand" not in dict(door.take()), found


def test_an_older_one_does_not_bring_the_schedule_back_over_a_newer_one():
    entries = ["daily 06:00 home", "daily 08:00 away"]
    setpoint = ("setpoint", 23.0, at("09:00"))
    cool = ("setpoint_cool", 28.0, at("07:00"))
    for states in ([(setpoint, cool)], [(cool, setpoint)], [(setpoint,), (cool,)]):
        door = fresh(utc_ms=at("06:00") + 60000, entries=entries)
        door.pass_s(2)
        door.clock.set(at("10:00"), door.time.ms)  # it was off meanwhile
        door = door.again(entries=entries)
        for found in states:
            door.recover(*found)
        door.pass_s(2)
        # That of eight has changed what was set at seven.
        assert state(door) == ("manual", 23.0, 30.0), states


def test_the_platform_s_state_may_end_without_a_word():
    door = Door(utc_ms=T0 + 60000)
    door.commands.recover("setpoint", 22.0, T0 + 5000)
    for _ in range(3):
        door.pass_s(1)
        assert door.thermostat.setpoint == 21.0, "more of it may come"
        door.commands.recover("preset", "away", T0 + 3000)
    door.pass_s(3)
    assert state(door)[:2] == ("manual", 22.0)
    # A command that comes before its end comes after all of it.
    door.commands.recover("setpoint", 18.0, door.clock.now())
    door.time.ms += 1
    door.handle("setpoint", b"19")
    door.pass_s(5)
    assert door.thermostat.setpoint == 19


def test_two_that_were_written_together():
    for order in orders(("preset", "away", T0), ("setpoint", 19.0, T0)):
        door = fresh(utc_ms=T0 + 60000)
        door.recover(*order)
        assert state(door)[:2] == ("manual", 19.0)


def test_what_recovers_is_in_memory_only_while_a_state_is_told():
    door = Door()
    assert door.commands._missed is None
    door.commands.recover("setpoint", 22.0, T0 + 5000)
    assert "firmware.commands.missed" not in sys.modules and door.commands._missed
    door.commands.recovered()
    assert door.commands._missed is None
    assert ("setpoint", 22.0) in door.values()

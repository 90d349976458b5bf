"""Which set point is in force: presets, boost, the weekly schedule, holds; and what a restart does
to them.
"""

import gc

from model import span
from program import AWAY, BOOST, HOME, SLEEP, WEEK, make, state, utc


def test_without_schedule_nothing_happens_by_itself():
    program = make()
    for now in span(utc("2026-11-23T00:00:00"), utc("2026-11-24T00:00:00"), 600):
        assert program.step(now, 0) == ()
    assert state(program) == ("manual", 20.0, 25.0)
    assert program.get("schedule") == {"entries": []} and program.get("hold_until") == ""


def test_a_week_of_the_schedule():
    program = make(WEEK)
    now = utc("2026-11-22T23:59:00")  # a Sunday
    found = []
    while now < utc("2026-11-30T00:00:00"):
        names = program.step(now, 0)
        if names:
            found.append((now % 86400 // 60, program.preset, program.get("setpoint")))
            assert program.changed_s == now or len(found) == 1
        now += 60
    first = (1439, "sleep", 18.0)  # that of half past ten, which was due
    weekday = [(390, "home", 21.0), (480, "away", 16.0), (1350, "sleep", 18.0)]
    weekend = [(540, "manual", 21.5), (1350, "sleep", 18.0)]
    assert found == [first] + 5 * weekday + 2 * weekend


def test_what_the_schedule_changed_is_named_with_its_time():
    program = make(WEEK)
    assert program.step(utc("2026-11-23T07:00:00"), 0) == ("setpoint", "setpoint_cool", "preset")
    assert program.changed_s == utc("2026-11-23T06:30:00")
    assert state(program) == ("home",) + HOME
    assert program.step(utc("2026-11-23T07:59:59"), 0) == ()
    assert program.step(utc("2026-11-23T08:00:00"), 0) == ("setpoint", "setpoint_cool", "preset")
    # A temperature leaves the cooling where it is, and has no preset.
    assert program.step(utc("2026-11-28T09:00:00"), 0) == ("setpoint", "preset")
    assert state(program) == ("manual", 21.5, AWAY[1]) or program.get("setpoint_cool") == SLEEP[1]


def test_a_set_point_by_hand_holds_until_the_next_entry():
    program = make(WEEK)
    program.step(utc("2026-11-23T07:00:00"), 0)
    program.put("setpoint", 23.5, utc("2026-11-23T07:10:00"))
    assert set(program.take()) == {"setpoint", "preset"}
    assert program.step(utc("2026-11-23T07:10:01"), 0) == ()
    assert program.step(utc("2026-11-23T07:59:59"), 0) == ()
    assert state(program) == ("manual", 23.5, 26.0)
    program.step(utc("2026-11-23T08:00:00"), 0)
    assert state(program) == ("away",) + AWAY


def test_by_hand_in_the_second_of_an_entry():
    for first in ("put", "step"):
        program = make(WEEK)
        program.step(utc("2026-11-23T07:00:00"), 0)
        at = utc("2026-11-23T08:00:00")
        if first == "step":
            program.step(at, 0)
        program.put("setpoint", 23.5, at)
        program.step(at, 0)
        program.step(at + 1, 0)
        assert program.get("setpoint") == 23.5, first


def test_a_set_point_that_comes_late_yields_to_what_was_due_since():
    program = make(WEEK)
    program.step(utc("2026-11-23T12:00:00"), 0)
    program.put("setpoint", 23.5, utc("2026-11-23T07:10:00"))  # written then, known now
    program.step(utc("2026-11-23T12:00:01"), 0)
    assert state(program) == ("away",) + AWAY
    program.put("setpoint", 23.5, utc("2026-11-23T08:10:00"))
    program.step(utc("2026-11-23T12:00:02"), 0)
    assert state(program) == ("manual", 23.5, 30.0)


def test_hold_until_pauses_the_schedule_and_then_returns_to_it():
    program = make(WEEK)
    program.step(utc("2026-11-23T07:00:00"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T07:10:00"))
    program.put("hold_until", "2026-11-23T10:00:00Z", utc("2026-11-23T07:10:00"))
    program.take()
    assert program.get("hold_until") == "2026-11-23T10:00:00.000Z"
    for at in ("07:10:01", "08:00:00", "09:59:59"):
        assert program.step(utc("2026-11-23T" + at), 0) == (), at
    assert program.get("setpoint") == 23.0
    names = program.step(utc("2026-11-23T10:00:00"), 0)
    assert set(names) == {"hold_until", "setpoint", "setpoint_cool", "preset"}
    assert program.changed_s == utc("2026-11-23T10:00:00")
    assert state(program) == ("away",) + AWAY
    assert program.get("hold_until") == ""


def test_a_hold_between_two_entries_returns_to_the_one_before():
    program = make(WEEK)
    program.step(utc("2026-11-23T09:00:00"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T12:00:00"))
    program.put("hold_until", "2026-11-23T14:00:00+01:00", utc("2026-11-23T12:00:00"))
    program.step(utc("2026-11-23T12:59:59"), 0)
    assert program.get("setpoint") == 23.0
    program.step(utc("2026-11-23T13:00:00"), 0)
    assert state(program) == ("away",) + AWAY


def test_a_hold_can_be_given_up_and_one_that_is_over_ends_at_once():
    program = make(WEEK)
    for value in (None, ""):
        program.put("hold_until", "2026-12-24T10:00:00Z", utc("2026-11-23T07:10:00"))
        program.put("hold_until", value, utc("2026-11-23T07:11:00"))
        assert program.get("hold_until") == ""
    program.put("hold_until", "2026-11-23T07:00:00Z", utc("2026-11-23T07:10:00"))
    assert "hold_until" in program.step(utc("2026-11-23T07:10:00"), 0)
    assert program.get("hold_until") == ""


def test_without_schedule_a_hold_just_ends():
    program = make()
    program.put("setpoint", 23.0, utc("2026-11-23T12:00:00"))
    program.put("hold_until", "2026-11-23T13:00:00Z", utc("2026-11-23T12:00:00"))
    program.take()
    assert program.step(utc("2026-11-23T13:00:00"), 0) == ("hold_until",)
    assert program.get("setpoint") == 23.0


def test_a_preset_brings_its_set_points():
    program = make()
    program.put("preset", "away", None)
    assert program.take() == ("setpoint", "setpoint_cool", "preset")
    assert state(program) == ("away",) + AWAY
    program.put("preset", "away", None)
    assert program.take() == ()
    program.put("preset", "manual", None)
    assert program.take() == ("preset",)
    assert state(program) == ("manual",) + AWAY
    program.put("setpoint_cool", 28.0, None)
    assert program.take() == ("setpoint_cool",)


def test_a_boost_ends_and_brings_back_what_was_before():
    program = make()
    program.put("setpoint", 19.5, 1000000)
    program.put("preset", "boost", 1000100)
    assert state(program) == ("boost",) + BOOST
    program.take()
    assert program.step(1003699, 0) == ()
    assert program.step(1003700, 0) == ("setpoint", "setpoint_cool", "preset")
    assert state(program) == ("manual", 19.5, 25.0)
    assert program.changed_s == 1003700 and program.before is None


def test_a_boost_in_a_boost_goes_back_to_before_the_first():
    program = make()
    program.put("preset", "sleep", 1000000)
    program.put("preset", "boost", 1000100)
    program.put("preset", "boost", 1002000)
    program.step(1003700, 0)
    assert program.preset == "boost"
    program.step(1005600, 0)
    assert state(program) == ("sleep",) + SLEEP


def test_a_set_point_by_hand_ends_a_boost():
    program = make()
    program.put("preset", "boost", 1000100)
    program.put("setpoint", 19.0, 1000200)
    assert state(program) == ("manual", 19.0, BOOST[1])
    program.step(1009000, 0)
    assert program.get("setpoint") == 19.0


def test_the_schedule_does_not_cut_a_boost_short_but_is_in_force_after_it():
    program = make(WEEK)
    program.step(utc("2026-11-23T07:30:00"), 0)
    program.put("preset", "boost", utc("2026-11-23T07:30:00"))
    program.step(utc("2026-11-23T08:00:00"), 0)
    assert program.preset == "boost"
    program.step(utc("2026-11-23T08:29:59"), 0)
    assert program.preset == "boost"
    program.step(utc("2026-11-23T08:30:00"), 0)
    assert state(program) == ("away",) + AWAY


def test_what_the_schedule_says_of_one_set_point_in_a_boost_leaves_the_other_as_it_was_before():
    program = make(WEEK)
    program.step(utc("2026-11-28T08:00:00"), 0)
    program.put("preset", "away", utc("2026-11-28T08:30:00"))
    program.put("preset", "boost", utc("2026-11-28T08:30:01"))
    for minute in range(31, 95):
        program.step(utc("2026-11-28T08:00:00") + 60 * minute, 0)
    assert state(program) == ("manual", 21.5, AWAY[1])


def test_without_a_clock_a_boost_is_timed_by_the_uptime():
    program = make()
    program.put("preset", "boost", None)
    program.step(None, 5000)
    program.step(None, 5000 + 3599999)
    assert program.preset == "boost"
    program.step(None, 5000 + 3600000)
    assert state(program) == ("manual", 20.0, 25.0)


def test_without_a_clock_the_schedule_pauses():
    program = make(WEEK)
    for ms in range(0, 200000000, 1000000):
        assert program.step(None, ms) == ()
    assert state(program) == ("manual", 20.0, 25.0)
    program.step(utc("2026-11-23T12:00:00"), 200000000)
    assert state(program) == ("away",) + AWAY


def test_a_boost_in_the_schedule_ends_too():
    program = make([{"days": "daily", "at": "06:00", "preset": "boost"}])
    program.put("setpoint", 19.0, utc("2026-11-23T05:00:00"))
    program.step(utc("2026-11-23T06:00:00"), 0)
    assert program.preset == "boost"
    program.step(utc("2026-11-23T07:00:00"), 0)
    assert state(program) == ("manual", 19.0, 25.0)
    assert program.step(utc("2026-11-23T07:00:01"), 0) == ()


def test_the_last_preset_that_fell_due_while_off_is_in_force_after_a_restart():
    program = make(WEEK)
    program.restore("setpoint", 23.0, utc("2026-11-23T07:10:00"))
    program.restore("setpoint_cool", 26.0, utc("2026-11-23T06:30:00"))
    program.restore("preset", "manual", utc("2026-11-23T07:10:00"))
    assert state(program) == ("manual", 23.0, 26.0) and program.take() == ()
    program.step(utc("2026-11-23T07:50:00"), 0)
    assert program.get("setpoint") == 23.0, "nothing was due since"
    program = make(WEEK)
    program.restore("setpoint", 23.0, utc("2026-11-23T07:10:00"))
    program.restore("preset", "manual", utc("2026-11-23T07:10:00"))
    program.step(None, 0)
    assert program.get("setpoint") == 23.0
    assert "preset" in program.step(utc("2026-11-23T23:50:00"), 0)
    assert state(program) == ("sleep",) + SLEEP
    assert program.changed_s == utc("2026-11-23T22:30:00")


def test_a_boost_goes_on_after_a_restart_and_ends_when_it_would_have():
    for back, over in (("2026-11-23T07:40:00", False), ("2026-11-23T07:40:01", True)):
        program = make()
        program.restore("setpoint", 24.0, utc("2026-11-23T06:40:01"))
        program.restore("preset", "boost", utc("2026-11-23T06:40:01"))
        program.restore("before", ["sleep", 18.0, 27.0], None)
        program.step(None, 0)
        assert program.preset == "boost"
        program.step(utc(back), 1000)
        assert (program.preset == "sleep") == over, back
        assert (program.get("setpoint") == 18.0) == over


def test_a_new_schedule_is_in_force_at_once_unless_something_newer_is():
    program = make()
    program.step(utc("2026-11-23T12:00:00"), 0)
    program.put("schedule", WEEK, utc("2026-11-23T12:00:00"))
    program.step(utc("2026-11-23T12:00:01"), 0)
    assert state(program) == ("away",) + AWAY
    assert program.changed_s == utc("2026-11-23T12:00:00")
    # Found in the platform's state, older than the set point.
    program = make()
    program.put("setpoint", 23.0, utc("2026-11-23T11:00:00"))
    program.put("schedule", WEEK, utc("2026-11-23T10:00:00"))
    program.step(utc("2026-11-23T12:00:00"), 0)
    assert program.get("setpoint") == 23.0
    program.put("schedule", [], utc("2026-11-23T12:00:00"))
    for now in span(utc("2026-11-23T12:00:00"), utc("2026-11-25T12:00:00"), 600):
        assert program.step(now, 0) == ()


def test_a_second_in_which_nothing_is_due_allocates_nothing():
    program = make(WEEK)
    now = utc("2026-11-23T12:00:00")
    program.step(now, 0)
    step = program.step
    later = now + 1
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(100):
        step(later, 0)
    assert gc.mem_alloc() - before < 100


def test_what_is_older_than_what_was_set_by_hand_brings_no_entry_back():
    program = make(WEEK)
    program.step(utc("2026-11-23T07:30:00"), 0)
    program.step(utc("2026-11-23T08:00:00"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T09:00:00"))
    program.put("setpoint_cool", 28.0, utc("2026-11-23T07:00:00"))
    program.step(utc("2026-11-23T10:00:00"), 0)
    assert state(program) == ("manual", 23.0, 28.0)


def test_a_hold_that_is_over_leaves_what_was_set_since():
    program = make(WEEK)
    program.step(utc("2026-11-23T10:00:00"), 0)
    program.put("setpoint", 24.0, utc("2026-11-23T10:00:10"))
    program.put("hold_until", "2026-11-23T09:00:00Z", utc("2026-11-23T10:01:00"))
    program.take()
    assert program.step(utc("2026-11-23T10:01:01"), 0) == ("hold_until",)
    assert state(program) == ("manual", 24.0, 30.0) and program.get("hold_until") == ""
    # Set while it lasts, it ends with it.
    program.put("hold_until", "2026-11-23T10:30:00Z", utc("2026-11-23T10:02:00"))
    program.put("setpoint", 25.0, utc("2026-11-23T10:10:00"))
    program.step(utc("2026-11-23T10:30:00"), 0)
    assert state(program) == ("away",) + AWAY


def test_a_boost_of_before_a_restart_waits_for_the_clock_no_longer_than_ten_minutes():
    for dated in (None, utc("2026-11-23T06:40:00")):
        program = make()
        program.restore("setpoint", 24.0, dated)
        program.restore("preset", "boost", dated)
        program.restore("before", ["sleep", 18.0, 27.0], None)
        program.step(None, 599999)
        assert program.preset == "boost"
        program.step(None, 600000)
        assert state(program)[:2] == ("sleep", 18.0)
    # With the clock, one whose beginning is known ends in time.
    program = make()
    program.restore("preset", "boost", utc("2026-11-23T06:40:00"))
    program.step(utc("2026-11-23T07:39:59"), 900000)
    assert program.preset == "boost"
    program.step(utc("2026-11-23T07:40:00"), 901000)
    assert program.preset == "home"


def test_what_the_schedule_did_can_be_undone_up_to_what_was_put_last():
    program = make(WEEK)
    assert not program.can_rewind(utc("2026-11-23T07:20:00"))
    program.step(utc("2026-11-23T07:00:00"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T07:10:00"))
    program.step(utc("2026-11-23T07:30:00"), 0)
    assert not program.can_rewind(utc("2026-11-23T07:20:00")), "nothing has changed since"
    program.step(utc("2026-11-23T08:00:00"), 0)
    program.take()
    assert program.can_rewind(utc("2026-11-23T07:10:00"))
    assert not program.can_rewind(utc("2026-11-23T07:09:59"))
    assert not program.can_rewind(utc("2026-11-23T08:00:00"))
    ten = utc("2026-11-23T07:10:00")
    assert not program.rewind("setpoint", 22.0, ten), "the schedule came after it"
    assert not program.rewind("preset", "boost", ten - 1), "it is older than what was put"
    assert program.rewind("preset", "boost", ten)
    assert state(program) == ("manual", 23.0, 26.0)
    assert set(program.take()) == {"setpoint", "setpoint_cool", "preset"}
    # And happens again.
    program.step(utc("2026-11-23T08:00:10"), 0)
    assert state(program) == ("away",) + AWAY
    assert program.changed_s == utc("2026-11-23T08:00:00")


def test_what_each_property_decides_beside_itself():
    program = make()
    assert program.decides("preset") == ("setpoint", "setpoint_cool")
    assert program.decides("setpoint") == program.decides("setpoint_cool") == ("preset",)
    assert program.decides("schedule") == program.decides("report_every") == ()

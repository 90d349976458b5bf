"""Which set point is in force: presets, boost, the weekly schedule, holds; and what a restart or a
clock that is not known does to them.
"""

import gc
import random

from firmware.control import schedule
from firmware.control.program import Program
from firmware.times.calendar import from_iso
from firmware.times.zone import Zone
from model import span

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SYDNEY = "AEST-10AEDT,M10.1.0,M4.1.0/3"
WEEK = [
    {"days": "mon-fri", "at": "06:30", "preset": "home"},
    {"days": "mon-fri", "at": "08:00", "preset": "away"},
    {"days": "sat,sun", "at": "09:00", "setpoint": 21.5},
    {"days": "daily", "at": "22:30", "preset": "sleep"},
]
HOME, AWAY, SLEEP, BOOST = (21.0, 26.0), (16.0, 30.0), (18.0, 27.0), (24.0, 23.0)


class Thermostat:
    setpoint = 20.0
    setpoint_cool = 25.0


def make(entries=(), zone="UTC0", boost_s=3600):
    presets = {}
    for name, (setpoint, cool) in zip(schedule.PRESETS, (HOME, AWAY, SLEEP, BOOST)):
        presets[name] = {"setpoint": setpoint, "setpoint_cool": cool}
    regulated = {"presets": presets, "boost_s": boost_s, "schedule": list(entries)}
    return Program({"thermostat": regulated, "time": {"zone": zone}}, Thermostat())


def utc(text):
    return from_iso(text + "Z") // 1000


def state(program):
    return program.preset, program.setpoint, program.setpoint_cool


def test_without_schedule_nothing_happens_by_itself():
    program = make()
    for now in span(utc("2026-11-23T00:00:00"), utc("2026-11-24T00:00:00"), 600):
        assert program.step(now, 0) == ()
    assert state(program) == ("manual", 20.0, 25.0)
    assert program.schedule == {"entries": []} and program.hold_until == ""


def test_a_week_of_the_schedule():
    program = make(WEEK)
    now = utc("2026-11-22T23:59:00")  # a Sunday
    found = []
    while now < utc("2026-11-30T00:00:00"):
        names = program.step(now, 0)
        if names:
            found.append((now % 86400 // 60, program.preset, program.setpoint))
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
    assert state(program) == ("manual", 21.5, AWAY[1]) or program.setpoint_cool == SLEEP[1]


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
        assert program.setpoint == 23.5, first


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
    assert program.hold_until == "2026-11-23T10:00:00.000Z"
    for at in ("07:10:01", "08:00:00", "09:59:59"):
        assert program.step(utc("2026-11-23T" + at), 0) == (), at
    assert program.setpoint == 23.0
    names = program.step(utc("2026-11-23T10:00:00"), 0)
    assert set(names) == {"hold_until", "setpoint", "setpoint_cool", "preset"}
    assert program.changed_s == utc("2026-11-23T10:00:00")
    assert state(program) == ("away",) + AWAY
    assert program.hold_until == ""


def test_a_hold_between_two_entries_returns_to_the_one_before():
    program = make(WEEK)
    program.step(utc("2026-11-23T09:00:00"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T12:00:00"))
    program.put("hold_until", "2026-11-23T14:00:00+01:00", utc("2026-11-23T12:00:00"))
    program.step(utc("2026-11-23T12:59:59"), 0)
    assert program.setpoint == 23.0
    program.step(utc("2026-11-23T13:00:00"), 0)
    assert state(program) == ("away",) + AWAY


def test_a_hold_can_be_given_up_and_one_that_is_over_ends_at_once():
    program = make(WEEK)
    for value in (None, ""):
        program.put("hold_until", "2026-12-24T10:00:00Z", utc("2026-11-23T07:10:00"))
        program.put("hold_until", value, utc("2026-11-23T07:11:00"))
        assert program.hold_until == ""
    program.put("hold_until", "2026-11-23T07:00:00Z", utc("2026-11-23T07:10:00"))
    assert "hold_until" in program.step(utc("2026-11-23T07:10:00"), 0)
    assert program.hold_until == ""


def test_without_schedule_a_hold_just_ends():
    program = make()
    program.put("setpoint", 23.0, utc("2026-11-23T12:00:00"))
    program.put("hold_until", "2026-11-23T13:00:00Z", utc("2026-11-23T12:00:00"))
    program.take()
    assert program.step(utc("2026-11-23T13:00:00"), 0) == ("hold_until",)
    assert program.setpoint == 23.0


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
    assert program.setpoint == 19.0


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
    assert program.setpoint == 23.0, "nothing was due since"
    program = make(WEEK)
    program.restore("setpoint", 23.0, utc("2026-11-23T07:10:00"))
    program.restore("preset", "manual", utc("2026-11-23T07:10:00"))
    program.step(None, 0)
    assert program.setpoint == 23.0
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
        assert (program.setpoint == 18.0) == over


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
    assert program.setpoint == 23.0
    program.put("schedule", [], utc("2026-11-23T12:00:00"))
    for now in span(utc("2026-11-23T12:00:00"), utc("2026-11-25T12:00:00"), 600):
        assert program.step(now, 0) == ()


def run(program, begin, end, step_s=60):
    """[(utc, set point), …] of what happened by itself."""
    found = []
    for now in span(begin, end, step_s):
        if "setpoint" in program.step(now, 0):
            found.append((now, program.setpoint))
    return found


def test_what_falls_into_the_skipped_hour_happens_once_when_it_is_skipped():
    entries = [
        {"days": "daily", "at": "01:30", "setpoint": 10},
        {"days": "daily", "at": "02:15", "setpoint": 11},
        {"days": "daily", "at": "02:45", "setpoint": 12},
        {"days": "daily", "at": "03:00", "setpoint": 13},
        {"days": "daily", "at": "03:15", "setpoint": 14},
    ]
    program = make(entries[:3] + entries[4:], BERLIN)
    change = utc("2026-03-29T01:00:00")
    program.step(change - 7200, 0)
    found = run(program, change - 7200 + 60, change + 7200)
    # 01:30 is before; 02:15 and 02:45 are due at the change, and the later one wins.
    assert found == [(change - 1800, 10), (change, 12), (change + 900, 14)]
    program = make(entries, BERLIN)
    program.step(change - 7200, 0)
    found = run(program, change - 7200 + 60, change + 7200)
    assert found == [(change - 1800, 10), (change, 13), (change + 900, 14)]


def test_what_falls_into_the_hour_that_comes_twice_happens_the_first_time():
    entries = [
        {"days": "daily", "at": "02:15", "setpoint": 11},
        {"days": "daily", "at": "02:45", "setpoint": 12},
        {"days": "daily", "at": "03:00", "setpoint": 13},
    ]
    program = make(entries, BERLIN)
    change = utc("2026-10-25T01:00:00")
    program.step(change - 7200, 0)
    found = run(program, change - 7200 + 60, change + 7200)
    assert found == [(change - 2700, 11), (change - 900, 12), (change + 3600, 13)]


def test_by_hand_in_the_hour_that_comes_twice_is_not_undone_the_second_time():
    entries = [{"days": "daily", "at": "02:45", "setpoint": 12}]
    change = utc("2026-10-25T01:00:00")
    for by_hand in (change - 600, change, change + 600):
        for restarts in (False, True):
            program = make(entries, BERLIN)
            run(program, change - 7200, by_hand)
            assert program.setpoint == 12
            program.put("setpoint", 25.0, by_hand)
            if restarts:
                program = make(entries, BERLIN)
                program.restore("setpoint", 25.0, by_hand)
            program.take()
            assert run(program, by_hand, change + 7200) == [], by_hand
            assert program.setpoint == 25.0


def test_a_restart_in_the_second_of_the_two_hours_finds_what_it_missed_in_the_first():
    entries = [{"days": "daily", "at": "02:45", "setpoint": 12}]
    change = utc("2026-10-25T01:00:00")
    program = make(entries, BERLIN)
    program.restore("setpoint", 25.0, change - 3000)
    assert run(program, change + 600, change + 7200) == [(change + 600, 12)]
    assert program.changed_s == change - 900


def reference(entries, zone, begin, end):
    """What is due in each minute, by looking at the clock on the wall every minute."""
    due = []
    seen = zone.wall(begin) // 60
    for now in span(begin + 60, end, 60):
        wall = zone.wall(now) // 60
        what = None
        for minute in range(seen + 1, wall + 1):
            for entry in entries:
                if entry["at"] == minute % 1440 and (minute // 1440 + 3) % 7 in entry["days"]:
                    what = entry["setpoint"]
        seen = max(seen, wall)
        if what is not None:
            due.append((now, what))
    return due


def test_random_schedules_over_both_change_days_against_a_clock_watcher():
    random.seed(20260329)
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for round_ in range(40):
        rule, change = random.choice(
            (
                (BERLIN, "2026-03-29T01:00:00"),
                (BERLIN, "2026-10-25T01:00:00"),
                (SYDNEY, "2026-10-03T16:00:00"),
                (SYDNEY, "2026-04-04T16:00:00"),
                ("NST3:30NDT,M3.2.0,M11.1.0", "2026-03-08T05:30:00"),
                ("IST-5:30", "2026-05-05T05:05:00"),
            )
        )
        plain = []
        taken = set()
        for i in range(random.randint(1, 12)):
            days = sorted({random.randint(0, 6) for _ in range(3)})
            # Most of them around the change.
            at = random.choice((random.randint(0, 1439), random.randint(90, 220)))
            if not any((day, at) in taken for day in days):
                taken.update((day, at) for day in days)
                plain.append({"days": days, "at": at, "setpoint": 10 + 0.5 * i})
        written = [
            {
                "days": ",".join([names[day] for day in entry["days"]]),
                "at": "%02d:%02d" % (entry["at"] // 60, entry["at"] % 60),
                "setpoint": entry["setpoint"],
            }
            for entry in plain
        ]
        begin = utc(change) - random.randint(4, 30) * 3600
        begin -= begin % 60
        end = utc(change) + random.randint(4, 30) * 3600
        program = make(written, rule)
        program.step(begin, 0)
        expected = []
        for now, what in reference(plain, Zone(rule), begin, end):
            # What repeats the value in force is no news.
            if what != (expected[-1][1] if expected else program.setpoint):
                expected.append((now, what))
        found = run(program, begin + 60, end)
        assert found == expected, (round_, rule, written)


def test_a_clock_that_is_set_back_repeats_nothing_within_an_hour():
    program = make(WEEK)
    program.step(utc("2026-11-23T08:00:30"), 0)
    program.put("setpoint", 23.0, utc("2026-11-23T08:10:00"))
    program.take()
    for at in ("07:59:59", "08:00:00", "08:10:00", "09:00:00"):
        assert program.step(utc("2026-11-23T" + at), 0) == (), at
    # By a day, what is due then is due.
    program.step(utc("2026-11-22T12:00:00"), 0)
    program.step(utc("2026-11-22T22:30:00"), 0)
    assert program.preset == "sleep"


def test_a_clock_that_was_wrong_by_hours_leaves_nothing_of_the_schedule_behind():
    noon = utc("2026-11-23T12:00:00")
    for by_hand, kept in ((None, AWAY), (19.0, (19.0, SLEEP[1]))):
        program = make(WEEK)
        program.step(noon, 0)
        assert program.step(noon + 39600, 60000)
        assert program.preset == "sleep"
        if by_hand:
            program.put("setpoint", by_hand, noon + 39660)
        program.step(noon + 120, 120000)
        # What a person has set meanwhile stays so until the next entry.
        assert state(program)[1:] == kept
        program.step(utc("2026-11-23T22:29:59"), 0)
        assert state(program)[1:] == kept
        program.step(utc("2026-11-23T22:30:00"), 0)
        assert state(program) == ("sleep",) + SLEEP


def test_what_is_written_is_read_back():
    program = make(WEEK)
    assert program.schedule == {"entries": WEEK}
    assert program.short_schedule == (
        "mon-fri 06:30 home;mon-fri 08:00 away;sat,sun 09:00 21.5;daily 22:30 sleep"
    )
    again = make()
    for form in (
        WEEK,
        {"entries": WEEK},
        program.short_schedule,
        program.short_schedule.split(";"),
    ):
        again.put("schedule", form, None)
        assert again.schedule == {"entries": WEEK}
    again.put("schedule", {"entries": []}, None)
    assert again.schedule == {"entries": []} and again.short_schedule == ""


def test_days_are_written_in_the_shortest_way():
    for days, canonical in (
        ("daily", "daily"),
        ("mon-sun", "daily"),
        ("sun,sat", "sat,sun"),
        ("mon,tue,wed", "mon-wed"),
        ("fri-mon", "mon,fri-sun"),
        ("tue", "tue"),
        ("mon,wed,fri", "mon,wed,fri"),
        ("mon-wed,tue-thu,sun", "mon-thu,sun"),
    ):
        numbers = schedule.compiled([{"days": days, "at": "00:00", "setpoint": 5}])
        assert schedule.text(numbers) == canonical + " 00:00 5.0", days


def refused(entries):
    try:
        schedule.compiled(entries)
    except ValueError as error:
        return ": ".join(error.args)
    raise AssertionError(entries)


def test_what_is_wrong_is_named_with_its_place():
    good = {"days": "daily", "at": "06:30", "preset": "home"}

    def bad(**change):
        entry = dict(good)
        entry.update(change)
        return [WEEK[0], {k: v for k, v in entry.items() if v is not ...}]

    which = ": expected an object with days, at, and preset or setpoint"
    assert refused([good, 5]) == "[1]" + which
    assert refused([None]) == "[0]" + which
    assert refused([[]]) == "[0]" + which
    days = '[1].days: expected days such as "mon-fri", "sat,sun" or "daily"'
    for value in ("", "Mon", "mon-", "mon--fri", "mon,", "monday", 1, None, [], ...):
        assert refused(bad(days=value)) == days, value
    at = '[1].at: expected a time from "00:00" to "23:59"'
    for value in ("6:30", "24:00", "06:60", "06.30", "06:30:00", "-1:30", "", 390, None, ...):
        assert refused(bad(at=value)) == at, value
    preset = "[1].preset: expected one of home, away, sleep, boost"
    for value in ("", "Home", "manual", 1, None):
        assert refused(bad(preset=value)) == preset, value
    for value in (4.9, 35.1, "21", True, None):
        text = refused(bad(preset=..., setpoint=value))
        assert text == "[1].setpoint: expected 5 to 35 °C", value
    both = "[1]: expected either a preset or a setpoint"
    assert refused(bad(setpoint=21)) == both
    assert refused(bad(preset=...)) == both
    unknown = "[1].until: unknown key; expected days, at, and preset or setpoint"
    assert refused(bad(until="07:00")) == unknown
    assert refused(bad(days="wed,sun")) == "[1]: it is at the same time as entry [0]"
    assert refused(["daily 06:30"]) == (
        '[0]: expected days, time and preset, as in "mon-fri 06:30 home"'
    )
    assert refused(["daily 06:30 warm"]) == "[0].setpoint: expected 5 to 35 °C"
    for entries in (None, 5, {}, {"entries": 5}, {"entries": [], "x": 1}, {"list": []}):
        assert refused(entries).startswith(": expected a list of at most 42 entries"), entries


def test_there_may_be_as_many_entries_as_are_said():
    entries = [
        {"days": day, "at": "%02d:00" % hour, "preset": "sleep"}
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        for hour in range(6)
    ]
    assert len(schedule.compiled(entries)) == 42
    # Too long to be reported otherwise.
    assert schedule.entries(schedule.compiled(entries))[0] == "mon 00:00 sleep"
    entries.append({"days": "sun", "at": "20:00", "preset": "home"})
    assert refused(entries) == ": expected a list of at most 42 entries, got 43"
    many = [{"days": "mon,wed,fri,sun", "at": "%02d:00" % i, "setpoint": 21.25} for i in range(24)]
    many += [
        {"days": "mon,wed,fri,sun", "at": "%02d:30" % i, "setpoint": 21.25} for i in range(18)
    ]
    assert refused(many) == ": expected a shorter one: join the days that are the same"


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
    assert state(program) == ("manual", 24.0, 30.0) and program.hold_until == ""
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
    program.rewind()
    assert state(program) == ("manual", 23.0, 26.0)
    assert set(program.take()) == {"setpoint", "setpoint_cool", "preset"}
    # And happens again.
    program.step(utc("2026-11-23T08:00:10"), 0)
    assert state(program) == ("away",) + AWAY
    assert program.changed_s == utc("2026-11-23T08:00:00")

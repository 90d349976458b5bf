"""The schedule where clocks change: the skipped hour, the hour that comes twice, a wrong clock."""

import random

from firmware.times.zone import Zone
from model import span
from program import AWAY, BERLIN, SLEEP, SYDNEY, WEEK, make, run, state, utc


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
            assert program.get("setpoint") == 12
            program.put("setpoint", 25.0, by_hand)
            if restarts:
                program = make(entries, BERLIN)
                program.restore("setpoint", 25.0, by_hand)
            program.take()
            assert run(program, by_hand, change + 7200) == [], by_hand
            assert program.get("setpoint") == 25.0


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
            if what != (expected[-1][1] if expected else program.get("setpoint")):
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

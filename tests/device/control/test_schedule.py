"""The weekly schedule as people write it: what is read, what is refused, what is written back."""

from firmware.control import schedule
from program import WEEK, make


def test_what_is_written_is_read_back():
    program = make(WEEK)
    assert program.get("schedule") == {"entries": WEEK}
    assert program.short_schedule() == (
        "mon-fri 06:30 home;mon-fri 08:00 away;sat,sun 09:00 21.5;daily 22:30 sleep"
    )
    again = make()
    for form in (
        WEEK,
        {"entries": WEEK},
        program.short_schedule(),
        program.short_schedule().split(";"),
    ):
        again.put("schedule", form, None)
        assert again.get("schedule") == {"entries": WEEK}
    again.put("schedule", {"entries": []}, None)
    assert again.get("schedule") == {"entries": []} and again.short_schedule() == ""


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

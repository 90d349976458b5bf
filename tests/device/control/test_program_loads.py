"""What reads a schedule is loaded only for that. (Each file of tests is a process.)"""

import sys

from firmware.control import program as tested
from program import make, utc

NAMES = ("firmware.control.schedule", "firmware.times.zone", "firmware.times.zone_rule")


def test_only_a_schedule_loads_what_reads_one_and_for_that_moment():
    loaded = []
    real = tested.passing

    def passing(use, *given):
        loaded.append(use.__name__)
        return real(use, *given)

    tested.passing = passing
    program = make()
    for value in ([], {"entries": []}):
        assert program.is_schedule(value)
        program.put("schedule", value, None)
    program.restore("schedule", "", None)
    program.step(utc("2026-11-23T12:00:00"), 0)
    assert program.get("schedule") == {"entries": []} and program.short_schedule() == ""
    assert not loaded
    program.put("schedule", ["daily 06:30 home"], None)
    assert loaded == ["_compiled", "_zone"]
    assert program.short_schedule() == "daily 06:30 home"
    assert program.is_schedule(["daily 06:30 home"]) and not program.is_schedule([])
    for value in ({}, None, 5, {"entries": 5}):
        try:
            program.is_schedule(value)
            raise AssertionError(value)
        except ValueError:
            pass
    assert not any(name in sys.modules for name in NAMES)

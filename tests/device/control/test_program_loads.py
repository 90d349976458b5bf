"""What reads a schedule is loaded with the first one. (Each file of tests is a process.)"""

import sys

from program import make, utc


def test_only_a_schedule_loads_what_reads_one():
    names = ("firmware.control.schedule", "firmware.times.zone", "firmware.times.zone_rule")
    program = make()
    for value in ([], {"entries": []}):
        assert program.is_schedule(value)
        program.put("schedule", value, None)
    program.restore("schedule", "", None)
    program.step(utc("2026-11-23T12:00:00"), 0)
    assert program.get("schedule") == {"entries": []} and program.short_schedule() == ""
    assert not any(name in sys.modules for name in names)
    program.put("schedule", ["daily 06:30 home"], None)
    assert all(name in sys.modules for name in names)
    assert program.is_schedule(["daily 06:30 home"]) and not program.is_schedule([])
    for value in ({}, None, 5, {"entries": 5}):
        try:
            program.is_schedule(value)
            raise AssertionError(value)
        except ValueError:
            pass

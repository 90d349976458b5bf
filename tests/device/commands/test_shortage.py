"""Memory that runs out between a command's packet and its answer, at every single allocation: it
is in force, kept and answered, or the device is as it was, and the next attempt works.
"""

import os

from door import T0, Door, fresh
from shortage import shortages

TIMEOUT_S = 240
HEAP = "512K"

COMMANDS = (
    ("setpoint", b"23", 23),
    ("preset", b'"away"', "away"),
    ("mode", b'"off"', "off"),
    ("hold_until", b'"2026-11-23T10:00:00Z"', "2026-11-23T10:00:00.000Z"),
    ("report_every", b"2.5", 2.5),
    ("Room$SETPOINT_COOL", b"27.5", 27.5),
)


def test_a_command_and_its_answer():
    for name, payload, value in COMMANDS:
        own = name[name.rfind("$") + 1 :].lower()
        before = fresh().in_force(own)
        assert before != value

        def check(door, n, name=name, payload=payload, own=own, value=value, before=before):
            door.pass_s(10)
            told = door.take()
            shown = [said for what, said in told if what == own]
            verdicts = [said["ok"] for what, said in told if what == "lastcommand"]
            where = (name, n, told)
            now = door.in_force(own)
            assert now in (before, value), where
            assert not shown or shown[-1] == now, where
            if verdicts:
                # What is said of it is true, also after a restart.
                assert all(ok == (now == value) for ok in verdicts), where
                assert (door.store.get(own) or (before,))[0] == now, where
            assert now != value or shown or verdicts, where
            if now != value:
                # Its state comes when the device connects again.
                door.recover(own, value, T0 + 5000)
                door.pass_s(2)
                assert door.in_force(own) == value, where
                door.take()
            again = door.again()
            assert again.in_force(own) == value, where
            assert again.handle(name, payload), where

        shortages(fresh, lambda door, n=name, p=payload: door.handle(n, p), check)


def test_a_restart():
    def check(door, n):
        door.pass_s(1)
        if not door.restarts:
            assert door.handle("restart", b"true")
        assert door.restarts == 1, n

    shortages(fresh, lambda door: door.handle("restart", b"true"), check)


def test_commands_that_were_missed():
    found = (("setpoint", 23, T0 + 1000), ("mode", "off", T0 + 2000), ("report_every", 2.5, T0))

    def begin():
        door = fresh()
        door.time.ms += 5000
        return door

    def recover(door):
        door.recover(*found)

    def check(door, n):
        door.pass_s(10)
        for name, value, _ in found:
            if door.in_force(name) != value:
                # Whatever was not told is asked for again.
                door.recover(*found)
                door.pass_s(10)
                break
        assert all(door.in_force(name) == value for name, value, _ in found), n
        again = door.again()
        assert all(again.in_force(name) == value for name, value, _ in found), n

    shortages(begin, recover, check)


def test_times_of_a_clock_that_was_wrong():
    """All of them are put right, each once."""

    def begin():
        door = fresh()
        for name, payload, _ in COMMANDS:
            door.handle(name, payload)
        door.pass_s(10)
        door.clock.set(door.clock.now() - 7200000, door.time.ms)
        return door

    def check(door, n):
        door.commands.tick(door.time.ms)
        for name, _, _ in COMMANDS:
            name = name[name.rfind("$") + 1 :].lower()
            assert -7200000 <= door.store.time(name) - T0 < -7190000, (name, n)

    shortages(begin, lambda door: door.commands.tick(door.time.ms), check)


def test_what_is_kept_on_flash():
    def begin():
        door = fresh()
        door.handle("setpoint", b"22")
        door.store.flush()
        door.handle("setpoint", b"23")
        return door

    def check(door, n):
        assert Door().in_force("setpoint") in (22, 23), n
        door.store.flush()
        again = Door()
        assert again.in_force("setpoint") == 23, n
        assert "settings.json.new" not in os.listdir()

    shortages(begin, lambda door: door.store.flush(), check)


def test_what_is_kept_is_read_at_the_start():
    def begin():
        door = fresh()
        door.handle("setpoint", b"23")
        door.handle("schedule", b'["mon 06:00 home", "mon 22:00 sleep"]')
        door.store.flush()
        return [None]

    def start(made):
        made[0] = Door()

    def check(made, n):
        """The start fails, or all is there: never without what was set."""
        door = made[0] or Door()
        assert door.in_force("setpoint") == 23, n
        assert len(door.in_force("schedule")["entries"]) == 2, n

    shortages(begin, start, check)

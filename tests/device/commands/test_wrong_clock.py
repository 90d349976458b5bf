"""A clock that was wrong: what was kept and answered by it hides no command, and becomes none."""

from door import T0, Door, fresh, shown
from firmware.commands.store import Store

HOURS = 3600000
YEARS = 10 * 365 * 24 * HOURS
AHEAD = (YEARS, 2 * HOURS)


def correct(door, utc_ms):
    """The clock is set right, and nobody doubts it."""
    door.clock.set(utc_ms, door.time.ms)
    door.pass_s(1)


def test_a_command_that_was_missed_is_obeyed_though_the_run_before_was_ahead():
    for ahead_ms in AHEAD:
        for known in (True, False):
            door = fresh(utc_ms=T0 + ahead_ms)
            door.recover(("setpoint", None, 0), ("mode", None, 0), ("preset", None, 0))
            door.handle("setpoint", b"22")
            door.pass_s(5)
            assert Store().time("setpoint") >= T0 + ahead_ms, "nobody knows better"
            # Somebody writes while it is away; then it knows the time, at once or a little later.
            door = Door(utc_ms=T0 + 60000, known=known)
            assert door.thermostat.setpoint == 22, "that it was set stays true"
            if not known:
                door.pass_s(1)
                door.clock.set(T0 + 60000, door.time.ms)
            door.recover(("setpoint", 19, T0 + 30000), ("mode", "off", T0 + 30001))
            assert (door.thermostat.setpoint, door.thermostat.mode) == (19, "off"), ahead_ms
            # Nothing of it is left on flash; the next run starts from what is right.
            door.pass_s(10)
            for name in ("setpoint", "mode", "preset"):
                assert Store().time(name) <= door.clock.now(), name
            door = door.again()
            door.recover("setpoint", 18.5, T0 + 70000)
            assert door.thermostat.setpoint == 18.5


def test_what_the_device_answered_with_a_wrong_clock_is_no_command():
    """The platform holds it as its newest value, and will for hours, or for ever."""
    for ahead_ms in AHEAD:
        door = fresh(utc_ms=T0 + ahead_ms)
        door.handle("setpoint", b"22")
        door.pass_s(5)
        said = shown(door)["setpoint"]
        door.store.flush()
        door = Door(utc_ms=T0 + 60000)
        for _ in range(2):
            door.handle("setpoint", b"19")
            door.take()
            door.recover("setpoint", *said)
            assert door.thermostat.setpoint == 19
            door.pass_s(10)
            assert Store().time("setpoint") <= door.clock.now()
            assert len([name for name, _ in door.take() if name == "setpoint"]) <= 1
            door = door.again()


def test_what_was_obeyed_before_the_clock_was_corrected_is_not_obeyed_again():
    """Nor does it hide what comes after it, whether the clock was ahead or behind."""
    for off_ms in AHEAD + (-2 * HOURS, -300 * 24 * HOURS):
        door = fresh(utc_ms=T0 + off_ms)
        door.handle("setpoint", b"22")
        door.handle("mode", b'"off"')
        door.pass_s(600)
        correct(door, T0 + 600000)
        assert abs(door.store.time("setpoint") - T0) < 2000
        door.handle("setpoint", b"21")
        door.recover(("setpoint", 22, T0 - 50), ("mode", "heat", T0 + 300000))
        assert door.thermostat.setpoint == 21, "that was long ago"
        assert door.thermostat.mode == "heat", "that was after it"
        door.pass_s(10)
        assert abs(Store().time("mode") - T0 - 300000) < 10


def test_the_schedule_obeys_the_right_time():
    """Also where somebody has set something by hand while the clock was wrong."""
    for ahead_ms in AHEAD:
        for by_hand in (True, False):
            for restarted in (True, False):
                entries = ["daily 10:45 away", "daily 11:50 sleep"]
                door = fresh(utc_ms=T0 + ahead_ms, entries=entries)
                door.pass_s(2)
                if by_hand:
                    door.handle("setpoint", b"22")
                door.pass_s(2)
                if restarted:
                    door.store.flush()
                    door = Door(utc_ms=T0 + 60000, entries=entries)
                else:
                    correct(door, T0 + 60000)
                door.pass_s(2)
                case = ahead_ms, by_hand, restarted
                if by_hand:
                    assert door.thermostat.setpoint == 22, case
                door.pass_s(4 * 60)
                assert door.thermostat.setpoint == 16, case
                door.pass_s(65 * 60)
                assert door.thermostat.setpoint == 18, case


def test_a_boost_lasts_as_long_as_it_should():
    """Also where something was set by hand while the clock was ahead."""
    for ahead_ms in AHEAD:
        for restarted in (True, False):
            door = fresh(utc_ms=T0 + ahead_ms)
            door.handle("setpoint", b"22")
            door.pass_s(2)
            if restarted:
                door.store.flush()
                door = Door(utc_ms=T0 + 60000)
            else:
                correct(door, T0 + 60000)
            door.pass_s(2)
            door.handle("preset", b'"boost"')
            door.pass_s(3590)
            assert door.program.preset == "boost", (ahead_ms, restarted)
            door.pass_s(20)
            assert (door.program.preset, door.thermostat.setpoint) == ("manual", 22)

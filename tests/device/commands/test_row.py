"""One row makes a command: its owner's get and put are all that is needed beside it."""

import json

from door import T0, Door, verdict
from firmware.commands.table import TABLE

ROWS = (
    TABLE
    + """\
display_brightness|whole number or null|0 to 100 percent|display kept|
beep|whole number|0 to 10 seconds|display seconds|
calibrate|true or false||display once|
"""
)


class Display:
    """Shows something, or nothing at all: null."""

    def __init__(self):
        self.brightness = 50
        self.done = []

    def get(self, name):
        return self.brightness if name == "display_brightness" else 0

    def put(self, name, value, utc_s=None):
        if name == "display_brightness":
            self.brightness = value
        else:
            self.done.append((name, value))


def made(**settings):
    """A door, and the display that it has."""
    display = Display()
    return Door(more={"display": display}, rows=ROWS, **settings), display


def again(door):
    door.store.flush()
    return made(utc_ms=door.clock.now() + 5000)


def test_it_is_put_in_force_answered_and_checked():
    door, display = made()
    assert door.handle("display_brightness", b"70") is True
    assert display.brightness == 70
    assert door.take() == [
        ("display_brightness", 70),
        ("lastcommand", verdict("display_brightness")),
    ]
    door.refuses(
        "display_brightness",
        b"101",
        "expected a whole number 0 to 100 percent or null, got 101",
    )


def test_it_survives_a_restart_also_as_null():
    door, display = made()
    for payload, value in ((b"70", 70), (b"null", None), (b"0", 0)):
        assert door.handle("display_brightness", payload) is True
        assert door.values() == [("display_brightness", value)]
        door, display = again(door)
        assert display.brightness == value
        with open("settings.json") as file:
            assert json.load(file)["values"]["display_brightness"][:-1] == [value]


def test_what_nobody_has_set_stays_as_it_is():
    door, display = made()
    door.recover("display_brightness", None, 0)
    assert door.values() == [("display_brightness", 50)]
    assert not door.handle("display_brightness", b"-1")
    door, display = again(door)
    assert display.brightness == 50


def test_it_is_recovered_and_its_answer_is_none():
    door, display = made()
    door.recover("display_brightness", 30, T0 - 5000)
    assert display.brightness == 30
    told = dict(zip([name for name, _ in door.answers], door.times))["display_brightness"]
    door.take()
    door.recover("display_brightness", 30, told)
    assert door.take() == []


def test_what_lasts_a_moment_is_not_kept():
    door, display = made()
    start_ms = door.clock.now() - door.time.ms
    door.pass_s(20)
    door.recover(("beep", 10, start_ms - 1), ("calibrate", True, start_ms - 1))
    assert display.done == []
    door.recover(("beep", 10, start_ms + 15000), ("calibrate", True, start_ms + 14000))
    assert display.done == [("calibrate", True), ("beep", 4)]
    assert door.handle("beep", b"3")
    door, display = again(door)
    assert display.done == []


def test_without_its_owner_there_is_no_such_command():
    door = Door(rows=ROWS)
    assert door.handle("display_brightness", b"70") is False
    assert door.log.warnings[0].endswith("this device takes no such command")

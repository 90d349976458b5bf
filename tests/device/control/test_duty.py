"""The heating of safe mode: a relay and a share of time."""

from firmware.control.duty import Duty
from firmware.control.heating import Regulation
from house import Output
from house import settings as section

HOUR_S = 3600


class Pins:
    """Every relay's output, by its pin."""

    def __init__(self):
        self.made = {}

    def __call__(self, pin, active):
        self.made[pin] = Output()
        return self.made[pin]


def seconds_on(begin_s=7, **changes):
    """In which seconds of an hour of safe mode the heater is on."""
    regulation = Regulation(section(**changes), Pins(), None, 1000 * begin_s, Duty)
    on = []
    for second in range(HOUR_S):
        regulation.step(1000 * (begin_s + second))
        if regulation.heater.on:
            on.append(second)
    return on


def test_it_heats_for_the_failsafes_share_and_off_first():
    for on_s, every_s, expected_s, times in (
        (600, 3600, 600, 1),
        (300, 1200, 900, 3),
        # It would be over before it heats: the same share of the hour.
        (3600, 14400, 900, 1),
        (43200, 86400, 1800, 1),
    ):
        failsafe = {"on_s": on_s, "every_s": every_s}
        on = seconds_on(failsafe=failsafe, min_on_s=0, min_off_s=0)
        assert len(on) == expected_s, (on_s, every_s, len(on))
        assert on[-1] == HOUR_S - 1
        rises = [s for s in on if s - 1 not in on[max(0, on.index(s) - 1) : on.index(s)]]
        assert len(rises) == times, rises


def test_without_a_failsafe_everything_is_off():
    assert seconds_on(failsafe=None) == []


def test_the_relays_own_times_hold():
    # It is due after a second and, of 1,700 s, again after 1,701; each time it waits.
    on = seconds_on(failsafe={"on_s": 1699, "every_s": 1700}, min_off_s=0)
    assert on[0] == 1 and 1700 not in on and 1701 in on
    on = seconds_on(failsafe={"on_s": 1000, "every_s": 1201}, min_off_s=200)
    assert on[0] == 201 and 1201 not in on and 1402 in on


def test_neither_the_second_stage_nor_the_cooler_runs_and_their_pins_are_off():
    pins = Pins()
    more = {"stage2": {"pin": 27, "active": "high", "after_s": 1, "beyond": 1}}
    more["cooler"] = {"pin": 25, "active": "high"}
    given = section(failsafe={"on_s": 599, "every_s": 600}, min_off_s=0, **more)
    regulation = Regulation(given, pins, None, 0, Duty)
    for second in range(100):
        regulation.step(1000 * second)
    assert regulation.heater.on and len(pins.made) == 3
    assert dict(regulation.changes()) == {
        "relay": True,
        "relay2": False,
        "cooler": False,
        "fault": "safe mode",
    }

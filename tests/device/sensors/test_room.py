"""The driver `room`: Newton's law of cooling, and the relays that heat it."""

import io

from drivers import create, failure, spec
from firmware.base.kinds import limits
from firmware.board import board, unix
from firmware.config.schema import rows, value
from firmware.sensors import room


class Clock:
    """Stands for the uptime module."""

    def __init__(self):
        self.now_ms = 0

    def ms(self):
        return self.now_ms


def simulated(**keys):
    """A room in a test's own time, and that time."""
    unix.outputs.clear()
    room.uptime = Clock()
    return create(spec("room", **keys)), room.uptime


def pass_time(sensor, clock, seconds, step_s=5):
    for _ in range(0, seconds, step_s):
        clock.now_ms += 1000 * step_s
        value = sensor.value(0)
    return value


def test_a_room_begins_as_it_is_told():
    sensor, _ = simulated(start=17.5)
    assert sensor.value(0) == 17.5


def test_an_unheated_room_cools_down_to_the_outside():
    sensor, clock = simulated(start=18, outside=5, tau_s=1000, speed=1)
    # After one time constant 1/e of the difference is left: 5 + 13/e.
    assert abs(pass_time(sensor, clock, 1000) - 9.782) < 0.01
    assert abs(pass_time(sensor, clock, 20000) - 5) < 0.01


def test_a_heated_room_warms_up():
    sensor, clock = simulated(start=18, outside=5, heater=25, tau_s=1000, speed=1)
    relay = unix.Output(26, "low")
    relay.set(True)
    assert abs(pass_time(sensor, clock, 20000) - 30) < 0.01
    relay.set(False)
    assert pass_time(sensor, clock, 100) < 29


def test_any_relay_that_is_on_warms_the_room():
    sensor, clock = simulated()
    unix.Output(26, "high")
    unix.Output(27, "high").set(True)
    assert pass_time(sensor, clock, 60) > 18


def test_the_step_does_not_matter():
    results = []
    for step_s in (1, 7, 700):
        sensor, clock = simulated(tau_s=1000, speed=1)
        results.append(pass_time(sensor, clock, 700, step_s))
    assert max(results) - min(results) < 0.001, results


def test_a_demonstration_moves_visibly():
    sensor, clock = simulated()
    unix.Output(26, "high").set(True)
    assert pass_time(sensor, clock, 20) - 18 > 1


def test_a_room_stays_within_its_range():
    lowest, highest = room.MEASURES[0][2:]
    keys = {key: limits(cell, value)[0] for key, _, cell, _, _ in rows(io.StringIO(room.KEYS))}
    for key in ("start", "outside"):
        assert keys[key][0] >= lowest and keys[key][1] <= highest, key
    assert keys["outside"][1] + keys["heater"][1] <= highest


class RealBoard:
    outputs = None


def test_a_room_needs_the_simulated_board():
    room.board = RealBoard
    try:
        assert "unix port" in failure(create, spec("room"))
    finally:
        room.board = board

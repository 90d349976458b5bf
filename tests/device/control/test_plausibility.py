"""Which readings are believed, and when a sensor that failed is believed again."""

import random

from firmware.control.plausibility import Plausible
from house import settings

NAN = float("nan")
INF = float("inf")
EVERY_MS = 5000


class Sensor:
    """A sensor that is read every five seconds, and what is made of its readings."""

    def __init__(self, range_c=(-55, 125), now_ms=0, **changes):
        self.plausible = Plausible(settings(**changes), range_c, now_ms)
        self.now_ms = now_ms

    def reads(self, *temps):
        """(temperature believed, fault) after these readings; None for one that was not taken."""
        for temp_c in temps:
            self.now_ms += EVERY_MS
            if temp_c is not None:
                self.plausible.reading(temp_c, self.now_ms)
            self.plausible.look(self.now_ms)
        return self.plausible.temp_c, self.plausible.fault


def test_at_first_there_is_neither_a_temperature_nor_a_fault():
    assert Sensor().reads() == (None, None)
    assert Sensor().reads(None) == (None, None)


def test_a_good_reading_is_believed_at_once():
    sensor = Sensor()
    assert sensor.reads(20.0) == (20.0, None)
    assert sensor.reads(20.5) == (20.5, None)
    assert sensor.reads(20) == (20, None)


def test_no_reading_for_too_long_is_a_fault():
    sensor = Sensor(stale_after_s=120)
    assert sensor.reads(20.0, *[None] * 24) == (20.0, None)
    assert sensor.reads(None) == (None, "no reading")


def test_no_reading_at_all_is_a_fault_after_the_same_time():
    sensor = Sensor(stale_after_s=120, now_ms=10**12)
    assert sensor.reads(*[None] * 24) == (None, None)
    assert sensor.reads(None) == (None, "no reading")


def test_a_reading_outside_of_the_sensors_range_is_a_fault_at_once():
    for wrong in (-55.1, 125.1, 850.0, NAN, INF, -INF, 10**30, "20", True):
        sensor = Sensor(jump=100)
        assert sensor.reads(20.0, wrong) == (None, "range"), wrong
    assert Sensor(jump=100).reads(125) == (125, None)
    assert Sensor(jump=100).reads(-55) == (-55, None)


def test_where_the_range_is_not_known_only_numbers_are_readings():
    assert Sensor(range_c=None).reads(850.0) == (850.0, None)
    for wrong in (NAN, INF, -INF, 10**30, "20"):
        assert Sensor(range_c=None).reads(wrong) == (None, "range"), wrong


def test_a_jump_is_a_fault_at_once_and_a_quick_change_is_not():
    for step in (10.1, -10.1, 64.9):
        assert Sensor(jump=10).reads(20.0, 20.0 + step) == (None, "jump"), step
    for step in (9.9, -9.9):
        assert Sensor(jump=10).reads(20.0, 20.0 + step) == (20.0 + step, None), step


def test_a_longer_gap_allows_a_larger_change():
    # 115 seconds after the last reading.
    for step, fault in ((19.0, None), (19.5, "jump")):
        sensor = Sensor(jump=10, stale_after_s=300)
        assert sensor.reads(20.0, *[None] * 22, 20.0 + step)[1] == fault, step


def test_many_small_steps_are_a_jump_as_well():
    for step in (9.0, -9.0, 2.0, -2.0):
        sensor = Sensor(jump=10)
        sensor.reads(20.0)
        # As far as no room gets within two minutes.
        readings = [20.0 + step * i for i in range(1, 24)]
        faults = [sensor.reads(temp_c)[1] for temp_c in readings]
        assert "jump" in faults, step
        assert abs(readings[faults.index("jump")] - 20.0) <= 2 * 10 + 2 * abs(step), step
        assert sensor.plausible.fault or abs(step) < 5, step


def test_a_room_that_warms_for_hours_is_believed():
    sensor = Sensor(jump=10)
    for i in range(600):
        assert sensor.reads(15.0 + i / 30)[1] is None


def test_three_good_readings_end_a_fault():
    faults = {
        "range": (850.0,),
        "jump": (60.0,),
        "no reading": [None] * 25,
    }
    for fault, readings in faults.items():
        sensor = Sensor()
        assert sensor.reads(20.0, *readings) == (None, fault), fault
        assert sensor.reads(20.0) == (None, fault)  # after a jump, the jump back
        assert sensor.reads(20.1) == (None, fault)
        assert sensor.reads(20.2) == (20.2, None)


def test_a_new_place_is_believed_after_three_readings_that_agree():
    sensor = Sensor()
    assert sensor.reads(20.0, 35.0) == (None, "jump")
    assert sensor.reads(35.1) == (None, "jump")
    assert sensor.reads(35.0) == (35.0, None)


def test_readings_that_jump_to_and_fro_are_never_believed():
    sensor = Sensor()
    assert sensor.reads(20.0, *[60.0, 20.0] * 100) == (None, "jump")
    assert sensor.reads(*[60.0, 60.1, 20.0, 20.1] * 100) == (None, "jump")


def test_a_bad_reading_among_good_ones_begins_the_count_anew():
    sensor = Sensor()
    sensor.reads(20.0, 850.0)
    for _ in range(10):
        assert sensor.reads(20.0, 20.1, 850.0) == (None, "range")
    assert sensor.reads(20.0, 20.1, 20.0) == (20.0, None)


def test_a_reading_that_never_changes_is_a_fault_where_that_is_asked_for():
    hour = [20.0625] * 720
    assert Sensor().reads(*hour) == (20.0625, None)
    sensor = Sensor(stuck_after_s=3600)
    assert sensor.reads(*hour) == (20.0625, None)
    assert sensor.reads(20.0625) == (None, "stuck")
    assert sensor.reads(*hour) == (None, "stuck")
    assert sensor.reads(20.125) == (None, "stuck")
    assert sensor.reads(20.125) == (None, "stuck")
    assert sensor.reads(20.125) == (20.125, None)


def test_the_last_digit_tells_a_steady_room_from_a_stuck_sensor():
    sensor = Sensor(stuck_after_s=3600)
    assert sensor.reads(*[20.0625, 20.0] * 2000) == (20.0, None)


def test_what_was_not_there_was_not_stuck():
    sensor = Sensor(stuck_after_s=3600)
    assert sensor.reads(20.0625) == (20.0625, None)
    assert sensor.reads(*[None] * 1500) == (None, "no reading")
    assert sensor.reads(*[20.0625] * 3) == (20.0625, None)


def test_a_fault_begins_once_whatever_it_turns_into():
    sensor = Sensor()
    sensor.reads(20.0, 850.0)
    begun_ms = sensor.now_ms
    assert sensor.reads(60.0) == (None, "jump")
    assert sensor.reads(*[None] * 25) == (None, "no reading")
    assert sensor.plausible.since_ms == begun_ms


def driven(sensor, hours, temp_c, share=1):
    """Whether a fault came in these hours, while a relay is on for a share of every ten minutes
    and the reading does not move.
    """
    faults = set()
    for i in range(int(hours * 720)):
        sensor.now_ms += EVERY_MS
        sensor.plausible.reading(temp_c, sensor.now_ms)
        sensor.plausible.look(sensor.now_ms, i % 120 < 120 * share)
        faults.add(sensor.plausible.fault)
    return faults


def test_hours_of_full_heat_that_move_no_digit_are_a_fault_by_default():
    for share in (1, 0.9):
        sensor = Sensor()
        assert driven(sensor, 3, 20.0, share) == {None}
        assert driven(sensor, 9, 20.0, share) == {None, "stuck"}
        # Without the heat it is not believed any more than before.
        assert driven(sensor, 24, 20.0, 0) == {"stuck"}
        assert sensor.reads(19.9375, 19.9375) == (None, "stuck")
        assert sensor.reads(19.9375) == (19.9375, None)
        assert driven(sensor, 3, 19.9375) == {None}


def test_a_steady_room_is_no_fault():
    assert driven(Sensor(), 72, 20.0, 0) == {None}
    assert driven(Sensor(), 72, 20.0, 0.6) == {None}, "the regulator holds it"
    sensor = Sensor()
    for _ in range(12):
        assert driven(sensor, 2, 20.0) == {None}
        assert driven(sensor, 0.1, 20.0625) == {None}


def test_one_reading_in_twelve_that_is_off_is_ignored():
    for off in (4, -4, 9, -9):
        sensor = Sensor()
        sensor.reads(20.0, 20.0, 20.0)
        for i in range(2000):
            temp_c = 20.0 + i / 500
            believed, fault = sensor.reads(temp_c + off if i % 12 == 7 else temp_c)
            assert fault is None and abs(believed - temp_c) < 0.1, (i, off, believed)


def test_a_few_in_a_row_that_are_off_are_ignored_as_well():
    for off in ((4, 4), (4, 4, 4), (-4, -4, -4), (4, -4, 4, 4, -4), (-3, -5, 4, -3)):
        sensor = Sensor()
        sensor.reads(20.0, 20.0, 20.0)
        for i in range(240):
            temp_c = 20.0 + off[i % 12] if i % 12 < len(off) else 20.0
            assert sensor.reads(temp_c) == (20.0, None), off


def test_a_noisy_sensor_is_followed():
    random.seed(3)
    sensor = Sensor()
    for i in range(4000):
        true_c = 20.0 + i / 1000
        believed_c, fault = sensor.reads(true_c + random.uniform(-1, 1))
        assert fault is None and abs(believed_c - true_c) <= 1.3, (i, believed_c)


def test_what_changes_as_rooms_do_is_believed_at_once():
    sensor = Sensor(hysteresis=0.5)
    sensor.reads(20.0, 20.0, 20.0)
    for step in (0.0625, -0.0625, 0.25, -0.25):
        assert sensor.reads(20.0, 20.0 + step) == (20.0 + step, None), step
    # After a minute as far as a room gets in it, as well.
    assert sensor.reads(20.0, *[None] * 11, 20.34) == (20.34, None)


def test_a_sudden_change_is_believed_after_four_readings():
    for now_c in (23.0, 17.0):
        sensor = Sensor()
        sensor.reads(20.0, 20.0, 20.0, 20.0, 20.0)
        assert sensor.reads(now_c, now_c, now_c) == (20.0, None)
        assert sensor.reads(now_c) == (now_c, None)
        assert sensor.reads(now_c + 0.2) == (now_c + 0.2, None)


def test_after_a_fault_nothing_of_before_is_left():
    sensor = Sensor()
    sensor.reads(20.0, 20.0, 20.0, 850.0)
    assert sensor.reads(29.0, 29.0, 29.0) == (29.0, None)
    assert sensor.reads(29.1) == (29.1, None)

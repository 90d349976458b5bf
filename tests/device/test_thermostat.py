"""The thermostat's rule."""

from firmware.control.thermostat import Thermostat

NAN = float("nan")
INF = float("inf")


def thermostat(**changes):
    settings = {
        "mode": "heat",
        "setpoint": 21.0,
        "hysteresis": 0.5,
        "frost": 5.0,
        "stale_after_s": 120,
    }
    settings.update(changes)
    return Thermostat(settings)


def test_heats_below_the_band_and_not_above_it():
    for heating in (False, True):
        assert thermostat().decide(20.0, 0, heating) is True
        assert thermostat().decide(22.0, 0, heating) is False


def test_keeps_its_state_inside_the_band():
    for temp_c in (20.76, 21.0, 21.24):
        assert thermostat().decide(temp_c, 0, True) is True
        assert thermostat().decide(temp_c, 0, False) is False


def test_switches_at_the_edges_of_the_band():
    assert thermostat().decide(20.75, 0, False) is True
    assert thermostat().decide(21.25, 0, True) is False


def test_a_room_that_warms_and_cools_switches_once_a_swing():
    regulator = thermostat()
    heating, switched, temp_c = False, 0, 20.0
    for _ in range(1000):
        decided = regulator.decide(temp_c, 0, heating)
        switched += decided != heating
        heating = decided
        temp_c += 0.01 if heating else -0.01
    # 0.5 K up or down at 0.01 K a step are 50 steps or so.
    assert 17 <= switched <= 21, switched
    assert 20.7 < temp_c < 21.3, temp_c


def test_a_new_setpoint_counts_at_once():
    regulator = thermostat()
    assert regulator.decide(21.5, 0, False) is False
    regulator.setpoint = 23
    assert regulator.decide(21.5, 0, False) is True


def test_without_a_reading_it_is_off():
    for temp_c in (None, NAN, INF, -INF):
        for heating in (False, True):
            assert thermostat().decide(temp_c, 0, heating) is False, temp_c


def test_a_stale_reading_is_none():
    assert thermostat().decide(10.0, 120, True) is True
    for age_s in (120.1, 1e9, INF, NAN, -1):
        assert thermostat().decide(10.0, age_s, True) is False, age_s


def test_trust_and_decision_agree_on_what_is_a_reading():
    assert thermostat().trusts(10.0, 120)
    for temp_c, age_s in ((None, 0), (NAN, 0), (INF, 0), (10.0, 121), (10.0, -1)):
        assert not thermostat().trusts(temp_c, age_s), (temp_c, age_s)


def test_mode_off_does_not_heat():
    assert thermostat(mode="off").decide(15.0, 0, True) is False
    assert thermostat(mode="off", frost=None).decide(-20.0, 0, True) is False


def test_frost_protection_works_in_mode_off():
    regulator = thermostat(mode="off")
    assert regulator.decide(4.0, 0, False) is True
    assert regulator.decide(5.1, 0, True) is True
    assert regulator.decide(5.25, 0, True) is False


def test_frost_protection_is_the_floor_of_mode_heat():
    regulator = thermostat(setpoint=6, frost=10)
    assert regulator.target == 10
    assert regulator.decide(9.0, 0, False) is True


def test_frost_protection_at_zero_is_not_none():
    assert thermostat(mode="off", frost=0).decide(-1.0, 0, False) is True

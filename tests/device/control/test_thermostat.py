"""The thermostat's rules, one by one; test_house.py has them all together in a house."""

import sys

from firmware.control.thermostat import Thermostat
from house import COOLER, STAGE2, settings

NAN = float("nan")
HEAT = (True, False, False)
HEAT2 = (True, True, False)
COOL = (False, False, True)
OFF = (False, False, False)


class Room:
    """A thermostat that reads a temperature every second."""

    def __init__(self, range_c=(-55, 125), now_ms=0, **changes):
        changes.setdefault("jump", 100)  # to be taken from one temperature to any other
        self.thermostat = Thermostat(settings(**changes), range_c, now_ms)
        self.now_ms = now_ms

    def at(self, *temps, seconds=1):
        """What is decided after these readings; None for one that was not taken.

        One that is believed is believed at once: it is read four times in its second.
        """
        plausible = self.thermostat._plausible
        for temp_c in temps:
            for _ in range(seconds):
                self.now_ms += 1000
                if temp_c is not None:
                    before = plausible.fault
                    for _ in range(1 if before else 4):
                        if plausible.fault == before:
                            self.thermostat.reading(temp_c, self.now_ms)
                decided = self.thermostat.decide(self.now_ms)
        return decided


# heating


def test_heats_below_the_band_and_not_above_it():
    for before in (20.0, 22.0):
        assert Room().at(before, 20.0) == HEAT
        assert Room().at(before, 22.0) == OFF


def test_keeps_its_state_inside_the_band():
    for temp_c in (20.76, 21.0, 21.24):
        assert Room().at(20.0, temp_c) == HEAT
        assert Room().at(22.0, temp_c) == OFF


def test_switches_at_the_edges_of_the_band():
    assert Room().at(22.0, 20.75) == HEAT
    assert Room().at(20.0, 21.25) == OFF


def test_a_room_that_warms_and_cools_switches_once_a_swing():
    room = Room()
    heating, switched, temp_c = OFF, 0, 20.0
    for _ in range(1000):
        decided = room.at(temp_c)
        switched += decided != heating
        heating = decided
        temp_c += 0.01 if heating == HEAT else -0.01
    # 0.5 K up or down at 0.01 K a step are 50 steps or so.
    assert 17 <= switched <= 21, switched
    assert 20.7 < temp_c < 21.3, temp_c


def test_a_new_setpoint_counts_at_once():
    room = Room()
    assert room.at(21.5) == OFF
    room.thermostat.setpoint = 23
    assert room.thermostat.decide(room.now_ms) == HEAT


def test_mode_off_does_not_heat():
    assert Room(mode="off").at(15.0) == OFF
    assert Room(mode="off", frost=None).at(-20.0) == OFF


# cooling


def test_cools_above_the_band_and_not_below_it():
    room = Room(mode="cool", cooler=COOLER, setpoint_cool=25)
    for temp_c, decided in ((25.2, OFF), (25.25, COOL), (24.8, COOL), (24.75, OFF), (25.2, OFF)):
        assert room.at(temp_c) == decided, temp_c


def test_auto_stays_between_its_two_set_points():
    room = Room(mode="auto", cooler=COOLER, setpoint=20, setpoint_cool=24)
    for temp_c, decided in (
        (22, OFF),
        (19.7, HEAT),
        (20.2, HEAT),
        (20.3, OFF),
        (24.2, OFF),
        (24.3, COOL),
        (23.8, COOL),
        (23.7, OFF),
    ):
        assert room.at(temp_c) == decided, temp_c


def test_auto_keeps_the_dead_band_whatever_is_set():
    room = Room(mode="auto", cooler=COOLER, setpoint=20, setpoint_cool=24, dead_band=2)
    room.thermostat.setpoint = 25
    assert room.at(26.9) == OFF  # 27 is the least that it may cool to
    assert room.at(27.3) == COOL
    assert room.at(26.7) == OFF


def test_heating_and_cooling_are_never_wanted_together():
    for regulator in ("hysteresis", "pi"):
        room = Room(mode="auto", cooler=COOLER, regulator=regulator, hysteresis=1, dead_band=1.1)
        for setpoint in (5, 12, 20, 35):
            for setpoint_cool in (5, 20.5, 35):
                room.thermostat.setpoint = setpoint
                room.thermostat.setpoint_cool = setpoint_cool
                for mode in room.thermostat.modes:
                    room.thermostat.mode = mode
                    for tenth in list(range(300)) + list(range(300, -20, -1)):
                        heat, _, cool = room.at(tenth / 10)
                        assert not (heat and cool), (mode, setpoint, setpoint_cool, tenth)


def test_cooling_beats_what_the_regulator_pi_has_learnt():
    section = {"regulator": "pi", "pi": {"kp": 0.1, "ti_s": 600}}
    room = Room(mode="auto", cooler=COOLER, setpoint=20, setpoint_cool=22, **section)
    assert room.at(19.5, seconds=7200) == HEAT
    assert room.at(21.5) == HEAT
    assert room.at(22.5) == COOL


def test_without_a_cooler_there_is_nothing_to_cool_with():
    room = Room()
    assert room.thermostat.modes == ("off", "heat")
    assert Room(cooler=COOLER).thermostat.modes == ("off", "heat", "cool", "auto")
    room.thermostat.mode = "cool"
    assert room.at(30.0) == OFF and room.at(15.0) == OFF
    room.thermostat.mode = "auto"
    assert room.at(30.0) == OFF and room.at(15.0) == HEAT


# frost


def test_frost_protection_works_in_every_mode():
    for mode in ("off", "heat", "cool", "auto"):
        for regulator in ("hysteresis", "pi"):
            room = Room(mode=mode, cooler=COOLER, setpoint=5, frost=5, regulator=regulator)
            assert room.at(9.0) == OFF, mode
            assert room.at(5.25) == HEAT, mode
            assert room.at(5.7) == HEAT, mode
            assert room.at(5.75 + 5 * (regulator == "pi")) == OFF, mode


def test_frost_protection_is_the_floor_of_the_set_points():
    room = Room(setpoint=6, frost=10)
    assert room.at(10.2) == HEAT
    room = Room(mode="cool", cooler=COOLER, setpoint_cool=6, frost=10, dead_band=2)
    assert room.at(12.7) == OFF
    assert room.at(12.8) == COOL  # not below 10 + 0.5 + 2, and half a band above that
    assert room.at(12.2) == OFF
    assert Room(mode="off", frost=10).at(10.2) == HEAT


def test_frost_protection_at_zero_is_not_none():
    assert Room(mode="off", frost=0).at(0.0) == HEAT
    assert Room(mode="off", frost=None).at(0.0) == OFF


# the second stage


def test_the_second_stage_joins_after_a_time():
    room = Room(stage2={"pin": 27, "after_s": 600, "beyond": 3})
    assert room.at(20.0, seconds=600) == HEAT
    assert room.at(20.0) == HEAT2
    assert room.at(20.9) == HEAT2
    assert room.at(21.0) == HEAT  # the first one does the rest
    assert room.at(20.9) == HEAT2


def test_the_second_stage_joins_at_once_where_much_is_missing():
    room = Room(stage2={"pin": 27, "after_s": 600, "beyond": 3})
    assert room.at(18.1) == HEAT
    assert room.at(18.0) == HEAT2
    assert room.at(20.9) == HEAT2
    assert room.at(21.0) == HEAT
    assert room.at(18.1) == HEAT


def test_the_time_of_the_first_stage_begins_anew_after_a_pause():
    room = Room(stage2={"pin": 27, "after_s": 600, "beyond": 3})
    assert room.at(20.0, seconds=599) == HEAT
    assert room.at(21.3) == OFF
    assert room.at(20.0, seconds=600) == HEAT
    assert room.at(20.0) == HEAT2


def test_without_a_second_stage_none_is_wanted():
    assert Room().at(-20.0, seconds=4000) == HEAT


# faults


def test_without_a_reading_it_is_off():
    room = Room()
    assert room.at(None) == OFF and room.thermostat.temp_c is None
    assert Room().at(NAN) == OFF


def test_a_fault_ends_all_and_is_told():
    for fault, readings in (
        ("no reading", [None] * 121),
        ("range", (850,)),
        ("jump", (28.0,)),
        ("stuck", [8.0] * 100),
    ):
        stuck_after_s = 90 if fault == "stuck" else 0
        room = Room(jump=9, stuck_after_s=stuck_after_s, stage2=STAGE2)
        assert room.at(8.0) == HEAT2, fault
        assert room.thermostat.fault is None and room.thermostat.temp_c == 8.0
        assert room.at(*readings) == OFF, fault
        assert room.thermostat.fault == fault
        assert room.thermostat.temp_c is None
        assert room.at(9.0, 9.1) == OFF, fault
        assert room.at(9.2) == HEAT2, fault
        assert room.thermostat.fault is None


def test_a_stale_reading_is_none():
    room = Room(stale_after_s=120)
    room.at(10.0)
    assert room.at(*[None] * 120) == HEAT
    assert room.at(None) == OFF
    assert room.thermostat.fault == "no reading"


def test_cooling_ends_with_a_fault_too():
    room = Room(mode="cool", cooler=COOLER)
    assert room.at(30.0) == COOL
    assert room.at(850) == OFF


def test_after_a_fault_the_state_inside_the_band_is_off():
    room = Room()
    assert room.at(20.0) == HEAT
    assert room.at(850, 21.0, 21.0, 21.0) == OFF
    assert room.thermostat.fault is None


def test_the_failsafe_heats_for_a_part_of_the_time():
    room = Room(failsafe={"on_s": 300, "every_s": 1200}, stage2=STAGE2)
    assert room.at(20.0) == HEAT
    assert room.at(850) == OFF  # off first
    began = [second for second in range(1, 3600) if room.at(850) == HEAT]
    assert began == [n + 1200 * cycle for cycle in range(3) for n in range(900, 1200)]
    assert room.at(20.0, 20.0) == OFF
    assert room.at(20.0) == HEAT


def test_the_failsafe_keeps_pipes_from_freezing_in_every_mode():
    for mode in ("off", "heat", "cool", "auto"):
        room = Room(mode=mode, cooler=COOLER, failsafe={"on_s": 300, "every_s": 1200})
        heated = sum([room.at(850) == HEAT for _ in range(6000)])
        assert heated == 1500, mode


def test_at_power_up_the_failsafe_waits_for_the_sensor_to_be_at_fault():
    room = Room(failsafe={"on_s": 300, "every_s": 1200}, stale_after_s=1500)
    assert [room.at(None) for _ in range(2400)].count(OFF) == 2400
    assert room.at(None) == HEAT


def test_the_cut_out_beats_everything_and_is_told():
    room = Room(setpoint=35, hysteresis=5, cut_out=40, regulator="pi")
    assert room.at(34.0) == HEAT
    room.thermostat.setpoint = 60  # as no command may
    assert room.at(39.9) == HEAT
    assert room.at(40.0) == OFF
    assert room.thermostat.fault == "too hot" and room.thermostat.temp_c == 40.0
    assert room.at(38.1) == OFF
    assert room.at(37.9) == HEAT
    assert room.thermostat.fault is None


def test_a_room_that_is_too_hot_is_still_cooled():
    room = Room(mode="cool", cooler=COOLER, cut_out=40)
    assert room.at(41.0) == COOL
    assert room.thermostat.fault == "too hot"


# the regulator


def test_the_regulator_pi_heats_for_a_share_of_the_cycle():
    room = Room(regulator="pi")
    decided = [room.at(21.0) for _ in range(1200)]
    assert 390 <= decided.count(HEAT) <= 410 and decided.count(OFF) == 1200 - decided.count(HEAT)


def test_the_regulator_pi_costs_nothing_where_it_is_not_asked_for():
    sys.modules.pop("firmware.control.pi", None)
    Room()
    assert "firmware.control.pi" not in sys.modules
    Room(regulator="pi")
    assert "firmware.control.pi" in sys.modules


def test_the_uptime_may_be_of_any_size():
    room = Room(now_ms=10**14, stage2=STAGE2)
    assert room.at(20.0) == HEAT
    assert room.at(*[None] * 121) == OFF

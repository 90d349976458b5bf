"""What two keys of config.json must have in common, or must not."""

import json

from example import EXAMPLE, changed, checked, refuses


def test_names_of_properties_are_legal_and_their_own():
    for name in ("t", "room-1", "climate$temperature", "a_b", "x" * 64):
        settings = changed("sensors.0.prop", name)
        settings["thermostat"]["sensor"] = name
        assert checked(settings)[1] == [], name
    for name in ("Temperature", "a/b", "a+b", "#", "", "a b", "°", "x" * 65):
        _, problems = checked(changed("sensors.0.prop", name))
        assert problems[0].startswith("sensors[0].prop: expected 1 to 64 of a-z 0-9 _ - $, got ")
    for name in ("setpoint", "mode", "relay", "uptime", "freeheap"):
        settings = changed("sensors.0.prop", name)
        settings["thermostat"]["sensor"] = name
        assert checked(settings)[1] == [
            "sensors[0].prop: expected a name that the firmware does not use itself, "
            'got "%s"' % name
        ]


def test_two_sensors_cannot_share_a_property():
    settings = changed("sensors.0.pin", 4)
    settings["sensors"].append({"prop": "temperature", "driver": "room"})
    assert checked(settings)[1] == [
        'sensors[1].prop: expected a name of its own, got "temperature", which is sensors[0]'
    ]


def test_the_thermostat_needs_a_sensor_that_exists():
    refuses(
        "thermostat.sensor",
        "outside",
        'thermostat.sensor: expected the prop of one of the sensors, got "outside"',
    )
    refuses(
        "sensors",
        [],
        'thermostat.sensor: expected the prop of one of the sensors, got "temperature"',
    )


def regulated(**changes):
    """The problems of a thermostat with these keys."""
    settings = json.loads(EXAMPLE)
    settings["thermostat"].update(changes)
    return checked(settings)[1]


def test_a_stale_reading_is_older_than_the_sensors_period():
    assert regulated(stale_after_s=5.5) == []
    assert regulated(stale_after_s=5) == [
        "thermostat.stale_after_s: expected more than the sensor's every_s, got 5"
    ]


def test_a_mode_needs_its_relay():
    for mode in ("cool", "auto"):
        assert regulated(mode=mode, cooler={"pin": 25}) == []
        assert regulated(mode=mode) == [
            'thermostat.mode: expected a cooler for it, got "%s"' % mode
        ]


def test_heating_and_cooling_are_kept_apart():
    cooler = {"pin": 25}
    assert regulated(mode="auto", cooler=cooler, setpoint=20, setpoint_cool=22) == []
    assert regulated(mode="auto", cooler=cooler, setpoint=20.5, setpoint_cool=22) == [
        "thermostat.setpoint_cool: expected at least setpoint + dead_band, 22.5, got 22"
    ]
    assert regulated(mode="heat", cooler=cooler, setpoint=20.5, setpoint_cool=22) == []
    assert regulated(cooler=cooler, dead_band=1, hysteresis=1.5) == [
        "thermostat.dead_band: expected more than the hysteresis, got 1"
    ]


def test_a_maximum_time_leaves_room_for_the_minimum_times():
    assert regulated(max_on_s=3600) == []
    assert regulated(max_on_s=0, min_off_s=0) == []
    assert regulated(max_on_s=180) == [
        "thermostat.max_on_s: expected more than min_on_s, or 0, got 180"
    ]
    assert regulated(max_on_s=3600, min_off_s=0) == [
        "thermostat.min_off_s: expected more than 0, as max_on_s is not 0, got 0"
    ]


def test_a_cycle_leaves_room_for_the_minimum_times():
    assert regulated(failsafe={"on_s": 180, "every_s": 361}) == []
    assert regulated(failsafe={"on_s": 179, "every_s": 3600}) == [
        "thermostat.failsafe.on_s: expected at least min_on_s, got 179"
    ]
    assert regulated(failsafe={"on_s": 180, "every_s": 360}) == [
        "thermostat.failsafe.every_s: expected more than on_s + min_off_s, got 360"
    ]
    assert regulated(regulator="hysteresis", pi={"cycle_s": 60}) == []
    assert regulated(regulator="pi", pi={"cycle_s": 361}) == []
    assert regulated(regulator="pi", pi={"cycle_s": 360}) == [
        "thermostat.pi.cycle_s: expected more than min_on_s + min_off_s, got 360"
    ]


def test_every_relay_has_a_pin_of_its_own():
    assert regulated(cooler={"pin": 25}, stage2={"pin": 27}) == []
    assert regulated(cooler={"pin": 26}) == [
        "thermostat.cooler.pin: expected a pin of its own, got 26, which is thermostat.relay's"
    ]
    assert regulated(cooler={"pin": 27}, stage2={"pin": 27}) == [
        "thermostat.cooler.pin: expected a pin of its own, got 27, which is thermostat.stage2's"
    ]
    assert regulated(stage2={"pin": 4}) == [
        "thermostat.stage2.pin: expected a pin of its own, got 4, which is sensors[0]'s"
    ]

"""Pins: those that the chip has for a use, and one user for each."""

from firmware.board import board
from firmware.board.pins import usable
from firmware.config import check
from settings import DEVICE

OUTPUTS = "0, 2, 4, 5, 12-19, 21-23, 25-27, 32, 33"


def problems(sensors_=(), device=DEVICE, **thermostat):
    """What is wrong with a configuration of these sensors, device and thermostat."""
    given = {"device": device, "sensors": list(sensors_)}
    if thermostat:
        given["sensors"].append({"prop": "room", "driver": "room"})
        given["thermostat"] = dict(thermostat, sensor="room")
    return check.check(given)[1]


def wire(prop, pin, rom=None):
    return {"prop": prop, "driver": "ds18x20", "pin": pin, "rom": rom}


def test_a_relay_on_a_pin_that_is_no_output_is_refused_with_those_that_are():
    # Inputs only; the flash's; those that the chip has not; the serial line's.
    for pin in [34, 39, 6, 11, 20, 24, 28, 31, 40, 48, 1, 3]:
        wanted = "expected an output of the ESP32, one of %s, got %d" % (OUTPUTS, pin)
        for name, section in (
            ("relay", {"relay": {"pin": pin}}),
            ("stage2", {"relay": {"pin": 26}, "stage2": {"pin": pin}}),
            ("cooler", {"relay": {"pin": 26}, "cooler": {"pin": pin}}),
        ):
            assert problems(**section) == ["thermostat.%s.pin: %s" % (name, wanted)], pin
        assert problems(device=dict(DEVICE, led=pin)) == ["device.led: " + wanted]
        # A 1-Wire bus is driven from both ends.
        assert problems([wire("t", pin)]) == ["sensors[0].pin: " + wanted]


def test_every_pin_that_is_an_output_is_accepted():
    accepted = [pin for pin in range(49) if not problems(relay={"pin": pin})]
    assert accepted == [0, 2, 4, 5] + list(range(12, 20)) + [21, 22, 23, 25, 26, 27, 32, 33]


def test_a_pin_has_one_user():
    own = "expected a pin of its own, got 26, which is %s's"
    led = dict(DEVICE, led=26)
    bus = wire("t", 26)
    assert problems(device=led, relay={"pin": 26}) == [
        "thermostat.relay.pin: " + own % "device.led"
    ]
    assert problems([bus], device=led) == ["sensors[0].pin: " + own % "device.led"]
    assert problems([bus], relay={"pin": 26}) == ["thermostat.relay.pin: " + own % "sensors[0]"]
    for name in ("stage2", "cooler"):
        assert problems(relay={"pin": 26}, **{name: {"pin": 26}}) == [
            "thermostat.%s.pin: " % name + own % "thermostat.relay"
        ]
    assert problems([bus], device=dict(DEVICE, led=25), relay={"pin": 27}) == []


def test_a_bus_is_shared_by_its_own_kind_alone():
    one, two = "28ff641e0016034c", "28ff641e0016034d"
    assert problems([wire("a", 4, one), wire("b", 4, two)]) == []

    for name, pin in (("dht22", 4), ("contact", 4), ("contact", 34)):
        entry = {"prop": "b", "driver": name, "pin": pin}
        wrong = "sensors[1].pin: expected a pin of its own, got 4, which is sensors[0]'s"
        expected = [wrong] if pin == 4 else []
        assert problems([wire("a", 4), entry]) == expected, name
    twice = [{"prop": prop, "driver": "contact", "pin": 35} for prop in ("a", "b")]
    wrong = "sensors[1].pin: expected a pin of its own, got 35, which is sensors[0]'s"
    assert problems(twice) == [wrong]


def test_chips_of_any_kind_share_an_i2c_bus_but_its_wires_are_two():
    def chip(prop, driver, sda, scl):
        return {"prop": prop, "driver": driver, "sda": sda, "scl": scl}

    assert problems([chip("a", "bme280", 21, 22), chip("b", "sht3x", 21, 22)]) == []
    wrong = "expected a pin of its own, got 21, which is sensors[0].sda's"
    assert problems([chip("a", "bme280", 21, 21)]) == ["sensors[0].scl: " + wrong]
    assert problems([chip("a", "bme280", 21, 22), chip("b", "sht3x", 22, 19)])[0].startswith(
        "sensors[1].sda: expected a pin of its own, got 22"
    )


def test_each_chip_has_its_own_pins():
    assert board.chip() == ("ESP32", False)
    for chip, psram, outputs, inputs in (
        ("ESP32", False, OUTPUTS, "34-39"),
        ("ESP32", True, "0, 2, 4, 5, 12-15, 18, 19, 21-23, 25-27, 32, 33", "34-39"),
        ("ESP32S2", False, "0-18, 21, 33-45", "46"),
        ("ESP32S3", False, "0-18, 21, 33-48", ""),
        ("ESP32S3", True, "0-18, 21, 38-48", ""),
        ("ESP32C3", False, "0-10, 20, 21", ""),
        ("ESP32C6", False, "0-11, 14-23", ""),
        ("ESP32X9", False, "0-48", ""),
    ):
        assert usable(chip, psram, True) == outputs
        assert usable(chip, psram, False) == (outputs + ", " + inputs if inputs else outputs)

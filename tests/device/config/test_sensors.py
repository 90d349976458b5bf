"""The sensors' entries: what their drivers and the chips that several of them are ask for."""

from example import checked
from settings import DEVICE


def problems_of(*sensors, **sections):
    return checked(dict(sections, device=DEVICE, sensors=list(sensors)))[1]


def entry(prop, driver, **keys):
    return dict(keys, prop=prop, driver=driver)


def test_a_quantity_that_the_driver_does_not_measure_is_refused():
    assert problems_of(entry("p", "sht4x", quantity="pressure")) == [
        'sensors[0].quantity: expected temperature or humidity, got "pressure"'
    ]
    assert not problems_of(entry("p", "bme280", quantity="pressure"))


def test_a_driver_may_need_time_between_two_readings():
    assert problems_of(entry("p", "dht22", pin=4, every_s=1)) == [
        "sensors[0].every_s: expected at least 2 seconds for a dht22, got 1"
    ]
    assert not problems_of(entry("p", "dht22", pin=4, every_s=2))


def test_the_entries_of_one_chip_have_one_period():
    both = [entry("t", "sht3x"), entry("h", "sht3x", quantity="humidity", every_s=10)]
    assert problems_of(*both) == [
        "sensors[1].every_s: expected 5, as sensors[0] of the same chip has it, got 10"
    ]
    both[0]["every_s"] = 10
    assert not problems_of(*both)


def test_one_reading_has_one_entry():
    for twice in (
        (entry("a", "sht3x"), entry("b", "sht3x", quantity="temperature")),
        (entry("a", "ds18x20", pin=4, nth=2), entry("b", "ds18x20", pin=4, nth=2)),
    ):
        (problem,) = problems_of(*twice)
        assert problem.startswith("sensors[1]: expected another quantity, rom or nth"), problem
    places = [entry("p%d" % nth, "ds18x20", pin=4, nth=nth) for nth in (1, 2)]
    assert not problems_of(*places)


def test_an_address_on_a_bus_is_one_chips():
    both = entry("a", "sht3x"), entry("b", "sht4x")
    assert problems_of(*both) == [
        "sensors[1].address: expected an address of its own on this bus, got 0x44, "
        "which is sensors[0]'s"
    ]
    both[1]["sda"] = 18
    assert not problems_of(*both)


def test_a_thermostat_regulates_by_a_temperature():
    humid = entry("h", "sht3x", quantity="humidity")
    thermostat = {"sensor": "h", "relay": {"pin": 26}}
    assert problems_of(humid, thermostat=thermostat) == [
        "thermostat.sensor: expected a sensor of °C, got one of %"
    ]
    humid["quantity"] = "temperature"
    assert not problems_of(humid, thermostat=thermostat)

"""The registry: every driver has what the sampler, the configuration and docs/ need."""

import io

from firmware.config.schema import rows
from firmware.sensors import chips, driver, drivers, limits, quantity


def test_every_driver_says_what_it_measures_and_has_a_class():
    for name in drivers():
        module = driver(name)
        for name_of_it, unit, lowest, highest in module.MEASURES:
            assert name_of_it and type(unit) is str, name
            assert lowest is None or lowest < highest, name
        for step in ("start", "read", "value"):
            assert callable(getattr(module.Driver, step)), name
        assert all(meaning for _, _, _, _, meaning in rows(io.StringIO(module.KEYS))), name


def entry(driver, quantity=None, **keys):
    return dict(keys, driver=driver, quantity=quantity)


def test_an_entry_asks_for_the_first_quantity_unless_it_names_one():
    assert quantity(entry("sht3x"))[:2] == ("temperature", "°C")
    assert quantity(entry("sht3x", "humidity")) == ("humidity", "%", 0, 100)
    try:
        quantity(entry("sht3x", "pressure"))
    except ValueError as error:
        assert str(error) == "temperature or humidity"
    else:
        raise AssertionError("it has no pressure")
    assert limits(entry("counter")) is None and limits(entry("sht4x")) == (-40, 125)


def test_entries_of_one_chip_are_read_at_once():
    bus = {"sda": 21, "scl": 22}
    specs = [
        entry("sht3x", address="0x44", **bus),
        entry("counter", file="a"),
        entry("sht3x", "humidity", address="0x44", **bus),
        entry("sht3x", address="0x45", **bus),
        entry("counter", file="a"),
        entry("ds18x20", pin=4),
        entry("dht22", pin=4),
        entry("ds18x20", pin=4),
    ]
    assert chips(specs) == [[0, 2], [1], [3], [4], [5, 7], [6]]

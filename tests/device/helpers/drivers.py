"""What the drivers' tests share: an entry of config.json's `sensors`, and failures in words."""

from firmware import sensors
from settings import settings


def spec(name, **keys):
    """An entry of `sensors` as the configuration hands it over, every key filled in."""
    required = {"pin": 4} if name == "ds18x20" else {}
    (entry,) = settings(sensors=[dict(required, prop="p", driver=name)])["sensors"]
    entry.update(keys)
    return entry


def create(entry):
    """A driver's sensor."""
    return sensors.driver(entry["driver"]).Driver(entry)


def failure(call, *arguments):
    """What it says of itself."""
    try:
        call(*arguments)
    except OSError as error:
        return str(error)
    raise AssertionError("it did not fail")

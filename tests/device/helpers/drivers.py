"""What the drivers' tests share: an entry of config.json's `sensors`, and failures in words."""

from firmware import sensors
from settings import settings


def spec(name, **keys):
    """An entry of `sensors` as the configuration hands it over, every key filled in."""
    required = {"pin": 4} if name in ("ds18x20", "dht22", "contact") else {}
    if name == "ntc":
        required = {"pin": 34}
    (entry,) = settings(sensors=[dict(required, prop="p", driver=name)])["sensors"]
    entry.update(keys)
    return entry


def create(*entries):
    """A driver's chip, of one entry or several."""
    return sensors.driver(entries[0]["driver"]).Driver(list(entries))


def reading(chip, n=0):
    """A reading without the wait."""
    chip.start()
    chip.read()
    return chip.value(n)


def failure(call, *arguments):
    """What it says of itself."""
    try:
        call(*arguments)
    except OSError as error:
        return str(error)
    raise AssertionError("it did not fail")

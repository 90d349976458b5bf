"""What the drivers' tests share: an entry of config.json's `sensors`, and failures in words."""

from firmware import sensors


def spec(name, **keys):
    """An entry of `sensors` as the configuration hands it over, every key filled in."""
    entry = {"prop": "p", "driver": name, "every_s": 5, "decimals": 2}
    for key, _, _, _, default, _ in sensors.driver(name).KEYS:
        entry[key] = default
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

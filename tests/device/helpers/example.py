"""The design's example of a config.json, and what the firmware makes of it and of changed ones."""

import json

from firmware.config import check, load

# The design's example, with every key of the schema.
EXAMPLE = """
    {
     "device":     {"id": "_dev_571692235317590466", "key_id": "_key_1", "key_secret": "s"},
     "wifi":       [{"ssid": "home", "password": "p"}],
     "mqtt":       {"url": "mqtts://mqtt.csip.io:8883", "keepalive_s": 25, "grace_s": 10},
     "https":      {"url": "https://api.csip.io/v3"},
     "tls":        {"ca": "certs/ca.pem", "verify": true},
     "time":       {"ntp": ["pool.ntp.org"]},
     "feed":       {"format": "plain", "max_points": 100, "max_age_s": 10, "per_minute": 60},
     "buffer":     {"ram_points": 1024, "flash_kib": 512, "spill_after_s": 30,
                    "when_full": "oldest"},
     "sensors":    [{"prop": "temperature", "driver": "ds18x20", "pin": 4, "every_s": 5,
                     "decimals": 2}],
     "thermostat": {"sensor": "temperature", "relay": {"pin": 26, "active": "high"},
                    "mode": "heat", "setpoint": 21.0, "hysteresis": 0.5,
                    "min_on_s": 180, "min_off_s": 180, "stale_after_s": 120, "frost": 5.0},
     "health":     {"every_s": 300}
    }
"""


def load_text(text):
    with open("config.json", "w") as file:
        file.write(text)
    return load.load("config.json")


def checked(settings):
    text = json.dumps(settings)
    made, problems = load_text(text)
    # A command's configuration is looked through for problems alone: they are the same.
    found = check.check(json.loads(text), check.COMPARED)[1]
    assert found == problems, found
    return made, problems


def changed(path, value):
    """The example with one value changed; a path is like `sensors.0.every_s`."""
    settings = json.loads(EXAMPLE)
    *way, last = path.split(".")
    place = settings
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return settings


def accepts(path, value):
    settings, problems = checked(changed(path, value))
    assert problems == [], (path, value, problems)
    assert settings is not None


def refuses(path, value, *expected):
    settings, problems = checked(changed(path, value))
    assert problems == list(expected), (path, value, problems)
    assert settings is None


def holds(settings, expected):
    """Whether the settings have all that is expected, and maybe more."""
    for key, value in expected.items():
        if type(value) is dict:
            holds(settings[key], value)
        elif value and type(value) is list and type(value[0]) is dict:
            assert len(settings[key]) == len(value), key
            for one, other in zip(settings[key], value):
                holds(one, other)
        else:
            assert settings[key] == value, (key, settings[key])

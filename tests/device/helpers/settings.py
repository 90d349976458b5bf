"""Settings as the firmware hands them over: from its own check, with all defaults filled in."""

from firmware.config import check

DEVICE = {"id": "_dev_1", "key_id": "_key_1", "key_secret": "s"}


def alone(**sections):
    """A config.json of a heated room whose platform cannot be reached."""
    given = {
        "device": DEVICE,
        "mqtt": {"url": "mqtt://127.0.0.1:1", "grace_s": 0},
        "https": {"url": "http://127.0.0.1:1"},
        "time": {"ntp": []},
        "buffer": {"flash_kib": 64, "ram_points": 64},
        "sensors": [{"prop": "temperature", "driver": "room", "every_s": 0.1}],
        "thermostat": {"sensor": "temperature", "relay": {"pin": 26}, "min_off_s": 0},
    }
    given.update(sections)
    return given


def settings(**sections):
    """The settings of a config.json of these sections. Raises ValueError where one is wrong."""
    given = {"device": DEVICE}
    given.update(sections)
    checked, problems = check.check(given)
    if problems:
        raise ValueError(problems)
    return checked

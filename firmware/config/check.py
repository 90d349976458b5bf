"""The check of what config.json says against the schema: settings, or problems.

The settings are nested dicts of the file's own shape, with every default filled in. A problem is
one line that names the key, what was expected, and what was found:

    sensors[1].every_s: expected 0.1 to 86400 seconds, got -3

No problem repeats a secret, nor a value that stands where a secret may have been put by mistake.
"""

from micropython import const

from firmware import sensors
from firmware.base import kinds
from firmware.config import schema

_MOST_PROBLEMS = const(20)  # more would only cost memory: they are mended one at a time
_LONGEST_KEY = const(40)  # characters of an unknown key that are repeated


def check(given: dict) -> tuple:
    """(settings, problems) of what a configuration's file holds; with problems, no settings."""
    problems = []
    settings = _section(problems, "", "", given)
    if not problems:
        _cross_check(problems, settings)
    return (None if problems else settings), problems


def _section(problems, section, name, given):
    """The settings of an object. section: its name in the schema; name: its name in messages."""
    if type(given) is not dict:
        _unexpected(problems, name, "section", (), "", given)
        return None
    prefix = name + "." if name else ""
    text = schema.section(section)
    # Of a sensor whose driver is not known, the keys are not known either.
    all_known = section != "sensors" or given.get("driver") in sensors.DRIVERS
    if all_known and section == "sensors":
        text += sensors.driver(given["driver"]).KEYS
    settings = {}
    for key, kind, limits, unit, default, _ in schema.rows(text):
        below = section + "." + key if section else key
        if key in given:
            value = given[key]
        elif default is ...:
            wanted = kinds.expected(kind, limits, unit)
            _add(problems, prefix + key, "missing; expected " + wanted)
            continue
        else:
            value = default
        settings[key] = value
        if kind == "section":
            if value is not None or default is not None:
                settings[key] = _section(problems, below, prefix + key, value)
        elif value is not default:
            if kind in ("zone", "schedule"):
                _check_by_use(problems, prefix + key, kind, value)
            elif not kinds.fits(kind, limits, value):
                _unexpected(problems, prefix + key, kind, limits, unit, value)
            elif kind in ("sections", "sensors"):
                settings[key] = [
                    _section(problems, below, "%s%s[%d]" % (prefix, key, i), entry)
                    for i, entry in enumerate(value)
                ]
    for key in given:
        if all_known and key not in settings:
            keys = ", ".join([row[0] for row in schema.rows(text)])
            _add(problems, prefix + key[:_LONGEST_KEY], "unknown key; expected one of " + keys)
    return settings


def _check_by_use(problems, name, kind, value):
    """A zone and a schedule have grammars of their own: their readers say what is wrong where.

    They are loaded only for a configuration that has them.
    """
    try:
        if kind == "zone":
            from firmware.times.zone_rule import read

            read(value)
        else:
            from firmware.control.schedule import compiled

            compiled(value)
    except ValueError as error:
        where, text = error.args
        _add(problems, name + where, text)


def _unexpected(problems, name, kind, limits, unit, value):
    wanted = kinds.expected(kind, limits, unit)
    _add(problems, name, "expected %s, got %s" % (wanted, kinds.got(kind, limits, value)))


def _add(problems, name, text):
    if len(problems) < _MOST_PROBLEMS:
        problems.append("%s: %s" % (name, text))
    elif len(problems) == _MOST_PROBLEMS:
        problems.append("and more: mend these first")


def _cross_check(problems, settings):
    """What two keys must have in common, or must not."""
    properties = [sensor["prop"] for sensor in settings["sensors"]]
    for i, name in enumerate(properties):
        first = properties.index(name)
        if schema.is_reserved(name):
            text = 'expected a name that the firmware does not use itself, got "%s"' % name
            _add(problems, "sensors[%d].prop" % i, text)
        elif first < i:
            text = 'expected a name of its own, got "%s", which is sensors[%d]' % (name, first)
            _add(problems, "sensors[%d].prop" % i, text)
    thermostat = settings["thermostat"]
    if thermostat and thermostat["sensor"] not in properties:
        text = 'expected the prop of one of the sensors, got "%s"' % thermostat["sensor"]
        _add(problems, "thermostat.sensor", text)
    elif thermostat:
        every_s = settings["sensors"][properties.index(thermostat["sensor"])]["every_s"]
        _check_thermostat(problems, thermostat, every_s)
        _check_pins(problems, thermostat, settings["sensors"])


def _check_pins(problems, thermostat, sensors_):
    """Each relay has a pin of its own."""
    used = {sensor.get("pin"): "sensors[%d]" % i for i, sensor in enumerate(sensors_)}
    for name in ("relay", "stage2", "cooler"):
        if thermostat[name]:
            pin = thermostat[name]["pin"]
            if pin in used:
                text = "expected a pin of its own, got %d, which is %s's" % (pin, used[pin])
                _add(problems, "thermostat.%s.pin" % name, text)
            used[pin] = "thermostat." + name


def _check_thermostat(problems, thermostat, every_s):
    """Times and temperatures that contradict each other."""

    def more(key, value, least, what):
        if value <= least:
            text = "expected more than %s, got %s" % (what, kinds.shown(value))
            _add(problems, "thermostat." + key, text)

    more("stale_after_s", thermostat["stale_after_s"], every_s, "the sensor's every_s")
    cooler = thermostat["cooler"]
    mode = thermostat["mode"]
    if cooler is None and mode in ("cool", "auto"):
        _add(problems, "thermostat.mode", 'expected a cooler for it, got "%s"' % mode)
    if cooler:
        more("dead_band", thermostat["dead_band"], thermostat["hysteresis"], "the hysteresis")
    if mode == "auto":
        least = thermostat["setpoint"] + thermostat["dead_band"]
        if thermostat["setpoint_cool"] < least:
            text = "expected at least setpoint + dead_band, %s, got %s"
            text %= (kinds.shown(least), kinds.shown(thermostat["setpoint_cool"]))
            _add(problems, "thermostat.setpoint_cool", text)
    if thermostat["max_on_s"]:
        more("max_on_s", thermostat["max_on_s"], thermostat["min_on_s"], "min_on_s, or 0")
        more("min_off_s", thermostat["min_off_s"], 0, "0, as max_on_s is not 0")
    failsafe = thermostat["failsafe"]
    if failsafe:
        on_s = failsafe["on_s"]
        off_s = thermostat["min_off_s"]
        if on_s < thermostat["min_on_s"]:
            text = "expected at least min_on_s, got %s" % kinds.shown(on_s)
            _add(problems, "thermostat.failsafe.on_s", text)
        more("failsafe.every_s", failsafe["every_s"], on_s + off_s, "on_s + min_off_s")
    pi = thermostat["pi"]
    if thermostat["regulator"] == "pi":
        least = thermostat["min_on_s"] + thermostat["min_off_s"]
        more("pi.cycle_s", pi["cycle_s"], least, "min_on_s + min_off_s")

"""The check of what config.json says against the schema: settings out of it, or problems.

The settings are nested dicts of the file's own shape, with every default filled in. A problem is
one line that names the key, what was expected, and what was found:

    sensors[1].every_s: expected 0.1 to 86400 seconds, got -3

No problem repeats a secret, nor a value that stands where a secret might have been put by mistake.
"""

from firmware import sensors
from firmware.base import kinds
from firmware.base.url import parse_host, parse_url
from firmware.config.schema import RESERVED, SCHEMA
from firmware.control import schedule
from firmware.times import zone_rule

_MOST_PROBLEMS = 20  # more would only cost memory: they are mended one at a time
_LONGEST_KEY = 40  # characters of an unknown key that are repeated
_PROPERTY = "abcdefghijklmnopqrstuvwxyz0123456789_-$"


def check(given: dict) -> tuple:
    """(settings, problems), as config.load returns them."""
    problems = _Problems()
    settings = _section(problems, "", given, SCHEMA)
    if not problems.lines:
        _cross_check(problems, settings)
    return (None if problems.lines else settings), problems.lines


def fits(kind: str, limits, value) -> bool:
    """values.fits, for the schema's own kinds as well."""
    if kind == "url":
        return _flaw_of_url(limits, value) is None
    if kind == "hosts":
        return type(value) is list and len(value) <= limits and all(map(_is_host, value))
    if kind == "id":
        return kinds.fits("text", limits, value) and not any(c in "/+# " for c in value)
    if kind == "property":
        return kinds.fits("text", limits, value) and all(c in _PROPERTY for c in value)
    if kind in ("zone", "schedule"):
        return _flaw_by_use(kind, value) is None
    return kinds.fits(kind, limits, value)


def expected(kind: str, limits, unit: str) -> str:
    """values.expected, for the schema's own kinds as well."""
    if kind == "section":
        return "an object"
    if kind in ("sections", "sensors"):
        return "a list of at most %d objects" % limits[0]
    if kind == "zone":
        return "a rule such as CET-1CEST,M3.5.0,M10.5.0/3"
    if kind == "url":
        return " or ".join([scheme + "://host:port" for scheme in limits])
    if kind == "hosts":
        return "a list of at most %d host or host:port" % limits
    if kind == "id":
        return "%d to %d characters, without / + # and spaces" % limits
    if kind == "property":
        return "%d to %d of a-z 0-9 _ - $" % limits
    return kinds.expected(kind, limits, unit)


class _Problems:
    """The lines about what is wrong, as many as are of use."""

    def __init__(self):
        self.lines = []

    def add(self, name, text):
        if len(self.lines) < _MOST_PROBLEMS:
            self.lines.append("%s: %s" % (name, text))
        elif len(self.lines) == _MOST_PROBLEMS:
            self.lines.append("and more: mend these first")


def _section(problems, prefix, given, rows, strict=True):
    """The settings of an object. strict: whether it may have no other keys than its rows."""
    if strict:
        keys = [row[0] for row in rows]
        for key in given:
            if key not in keys:
                name = prefix + str(key)[:_LONGEST_KEY]
                problems.add(name, "unknown key; expected one of " + ", ".join(keys))
    settings = {}
    for key, kind, limits, unit, default, _ in rows:
        name = prefix + key
        if key in given:
            value = given[key]
            if value is None and default is None and kind == "section":
                settings[key] = None
            else:
                settings[key] = _value(problems, name, value, kind, limits, unit)
        elif default is ...:
            problems.add(name, "missing; expected " + expected(kind, limits, unit))
        elif kind == "section" and default is not None:
            settings[key] = _section(problems, name + ".", default, limits)
        else:
            settings[key] = list(default) if isinstance(default, tuple) else default
    return settings


def _value(problems, name, value, kind, limits, unit):
    """The settings under one key, from the value that it has."""
    if kind == "section":
        return _object(problems, name, value, limits)
    if kind in ("sections", "sensors"):
        most, rows = limits
        if type(value) is list and len(value) <= most:
            one = _sensor if kind == "sensors" else _object
            return [one(problems, "%s[%d]" % (name, i), v, rows) for i, v in enumerate(value)]
        got = "%d" % len(value) if type(value) is list else _sort(value)
        problems.add(name, "expected %s, got %s" % (expected(kind, limits, unit), got))
    elif kind in ("zone", "schedule"):
        flaw = _flaw_by_use(kind, value)
        if flaw:
            where, text = flaw
            problems.add(name + where, text)
    elif not fits(kind, limits, value):
        wanted = expected(kind, limits, unit)
        problems.add(name, "expected %s, got %s" % (wanted, _got(kind, limits, value)))
    return value


def _flaw_by_use(kind, value):
    """Of what has a grammar of its own, its reader says where it is wrong, and how; or None."""
    try:
        if kind == "zone":
            zone_rule.read(value)
        else:
            schedule.compiled(value)
    except ValueError as error:
        return error.args
    return None


def _object(problems, name, value, rows, strict=True):
    if type(value) is dict:
        return _section(problems, name + ".", value, rows, strict)
    problems.add(name, "expected an object, got %s" % _sort(value))
    return None


def _sensor(problems, name, value, rows):
    """A sensor's entry: its driver says which further keys it has."""
    driver = value.get("driver") if type(value) is dict else None
    if type(driver) is str and driver in sensors.DRIVERS:
        return _object(problems, name, value, rows + sensors.driver(driver).KEYS)
    return _object(problems, name, value, rows, strict=False)


def _cross_check(problems, settings):
    """What two keys must have in common, or must not."""
    properties = [sensor["prop"] for sensor in settings["sensors"]]
    for i, name in enumerate(properties):
        first = properties.index(name)
        if name in RESERVED:
            text = 'expected a name that the firmware does not use itself, got "%s"' % name
            problems.add("sensors[%d].prop" % i, text)
        elif first < i:
            text = 'expected a name of its own, got "%s", which is sensors[%d]' % (name, first)
            problems.add("sensors[%d].prop" % i, text)
    thermostat = settings["thermostat"]
    if thermostat and thermostat["sensor"] not in properties:
        text = 'expected the prop of one of the sensors, got "%s"' % thermostat["sensor"]
        problems.add("thermostat.sensor", text)
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
                problems.add("thermostat.%s.pin" % name, text)
            used[pin] = "thermostat." + name


def _check_thermostat(problems, thermostat, every_s):
    """Times and temperatures that contradict each other."""

    def more(key, value, least, what):
        if value <= least:
            text = "expected more than %s, got %s" % (what, kinds.shown(value))
            problems.add("thermostat." + key, text)

    more("stale_after_s", thermostat["stale_after_s"], every_s, "the sensor's every_s")
    cooler = thermostat["cooler"]
    mode = thermostat["mode"]
    if cooler is None and mode in ("cool", "auto"):
        problems.add("thermostat.mode", 'expected a cooler for it, got "%s"' % mode)
    if cooler:
        more("dead_band", thermostat["dead_band"], thermostat["hysteresis"], "the hysteresis")
    if mode == "auto":
        least = thermostat["setpoint"] + thermostat["dead_band"]
        if thermostat["setpoint_cool"] < least:
            text = "expected at least setpoint + dead_band, %s, got %s"
            text %= (kinds.shown(least), kinds.shown(thermostat["setpoint_cool"]))
            problems.add("thermostat.setpoint_cool", text)
    if thermostat["max_on_s"]:
        more("max_on_s", thermostat["max_on_s"], thermostat["min_on_s"], "min_on_s, or 0")
        more("min_off_s", thermostat["min_off_s"], 0, "0, as max_on_s is not 0")
    failsafe = thermostat["failsafe"]
    if failsafe:
        on_s = failsafe["on_s"]
        off_s = thermostat["min_off_s"]
        if on_s < thermostat["min_on_s"]:
            text = "expected at least min_on_s, got %s" % kinds.shown(on_s)
            problems.add("thermostat.failsafe.on_s", text)
        more("failsafe.every_s", failsafe["every_s"], on_s + off_s, "on_s + min_off_s")
    pi = thermostat["pi"]
    if thermostat["regulator"] == "pi":
        least = thermostat["min_on_s"] + thermostat["min_off_s"]
        more("pi.cycle_s", pi["cycle_s"], least, "min_on_s + min_off_s")


def _got(kind, limits, value):
    """A value that does not fit, in words; never a secret."""
    if kind == "secret":
        return "(hidden)"
    if kind == "choices" and type(value) is list:
        return kinds.shown(next(choice for choice in value if choice not in limits))
    if kind != "url" or type(value) is not str:
        return kinds.shown(value)
    # A password in a URL stands before an @.
    text = "(hidden)" if "@" in value else kinds.shown(value)
    return "%s: %s" % (text, _flaw_of_url(limits, value))


def _flaw_of_url(schemes, value):
    """What is wrong with a URL, or None."""
    if type(value) is not str:
        return "it is no text"
    try:
        scheme = parse_url(value)[0]
    except ValueError as error:
        return str(error)
    return None if scheme in schemes else "its scheme is none of these"


def _is_host(value):
    try:
        return type(value) is str and bool(parse_host(value, 123))
    except ValueError:
        return False


def _sort(value):
    """What a value is, where the value itself must not be shown."""
    if value is None:
        return "null"
    if type(value) is bool:
        return "true or false"
    if type(value) in (int, float):
        return "a number"
    return "a text" if type(value) is str else kinds.shown(value)

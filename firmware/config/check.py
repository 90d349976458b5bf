"""The check of what config.json says against the schema: settings, nested dicts of the file's own
shape with every default filled in, or problems. A problem names the key, what was expected, and
what was found:

    sensors[1].every_s: expected 0.1 to 86400 seconds, got -3

No problem repeats a secret, nor a value that stands where a secret may have been put by mistake.
"""

import io

from micropython import const

from firmware import sensors
from firmware.base import kinds
from firmware.base.passing import passing
from firmware.base.url import parse_url
from firmware.config import schema

_MOST_PROBLEMS = const(20)  # more would only cost memory: they are mended one at a time
_LONGEST_KEY = const(40)  # characters of an unknown key that are repeated


# The keys that `_cross_check` reads: enough to find problems.
# fmt: off
COMPARED = (
    "device", "device.provision", "device.provision.by", "device.provision.value",
    "mqtt", "mqtt.url", "sensors",
    "thermostat", "thermostat.sensor", "thermostat.stale_after_s", "thermostat.mode",
    "thermostat.cooler", "thermostat.cooler.pin", "thermostat.dead_band", "thermostat.hysteresis",
    "thermostat.setpoint", "thermostat.setpoint_cool", "thermostat.min_on_s",
    "thermostat.min_off_s", "thermostat.max_on_s", "thermostat.failsafe",
    "thermostat.failsafe.on_s", "thermostat.failsafe.every_s", "thermostat.regulator",
    "thermostat.pi", "thermostat.pi.cycle_s",
)
# fmt: on


def check(given: dict, only=None, spent=False) -> tuple:
    """(settings, problems) of what a file holds; the settings are None if there is a problem.

    only: the keys that are wanted, COMPARED among them; None: all. All are checked.
    spent: nobody needs `given` any more; each of its sections is let go when it is checked.
    """
    problems = []
    table = io.StringIO(schema.TABLE)
    settings = _section(problems, {}, table, 0, "", given, only=only, spent=spent)
    if not problems:
        _cross_check(problems, settings)
    return (None if problems else settings), problems


def _section(problems, pins, table, depth, name, given, more="", only=None, spent=False):
    """The settings of an object, whose rows are the table's next ones, and those of a text.

    pins: who has which so far; see `_pin`. more: that text, a driver's KEYS; None: the driver is
    not known, so any key may be its own.
    """
    if type(given) is not dict:
        _unexpected(problems, name, "section", (), "", given)
        return None
    prefix = name + "." if name else ""
    start = table.tell()
    settings = {}
    found = 0
    for source, level in ((table, depth), (io.StringIO(more or ""), 0)):
        for key, kind, limits, default, _ in schema.rows(source, level):
            where = prefix + key
            wanted = only is None or where in only
            if key in given:
                found += 1
                value = given[key]
                other = default.partition(" unless ")[2]
                if other and given.get(other) is not None:
                    text = "expected none beside %s%s; leave one of the two out"
                    _add(problems, where, text % (prefix, other))
                if kind != "section":
                    value = _value(problems, pins, source, level, where, kind, limits, value)
                    if value is not None and " pin" in kind:
                        # A bus goes by the driver, or, as I²C's, by what its wire is called.
                        bus = given.get("driver") if key == "pin" else key
                        _pin(problems, pins, where, kind, value, bus)
                elif value is not None or default != "null":
                    value = _section(problems, pins, source, level + 1, where, value, only=only)
                if spent and given[key]:
                    given[key] = True  # it is there, for what is required unless it is
            elif schema.is_required(default, given):
                text = "missing; expected "
                text += kinds.expected(kind, *kinds.limits(limits, schema.value))
                other = default.partition(" unless ")[2]
                text += "; or %s%s in place of it" % (prefix, other) if other else ""
                _add(problems, where, text)
                continue
            elif default == "{}":
                value = _section(problems, pins, source, level + 1, where, {}, only=only)
            else:
                value = schema.value(default) if wanted else None
            if wanted:
                settings[key] = value
    if found < len(given) and more is not None:
        table.seek(start)
        keys = []
        for source, level in ((table, depth), (io.StringIO(more), 0)):
            keys.extend([row[0] for row in schema.rows(source, level)])
        for key in given:
            if key not in keys:
                text = "unknown key; expected one of " + ", ".join(keys)
                _add(problems, prefix + key[:_LONGEST_KEY], text)
    return settings


def _value(problems, pins, table, depth, name, kind, limits, value):
    """The settings of a key of another kind than a section, from the value that it has."""
    if kind in ("zone", "schedule"):
        _check_by_use(problems, name, kind, value)
        return value
    limits, unit = kinds.limits(limits, schema.value)
    if not kinds.fits(kind, limits, value):
        _unexpected(problems, name, kind, limits, unit, value)
    elif kind in ("sections", "sensors"):
        start = table.tell()
        entries = []
        for entry in value:
            more = ""
            if kind == "sensors":
                driver = entry.get("driver") if type(entry) is dict else None
                more = sensors.driver(driver).KEYS if driver in sensors.drivers() else None
            table.seek(start)
            where = "%s[%d]" % (name, len(entries))
            entries.append(_section(problems, pins, table, depth + 1, where, entry, more))
        return entries
    return value


def _pin(problems, pins, where, kind, pin, bus):
    """Whether the chip has that pin for such a use, and nobody else has it.

    pins: {pin: (its user, the bus that it is of or None)}. bus: what it is of, if it is one.
    """
    if type(pin) is not int:
        return  # that has been said
    expected = sensors.unusable(pin, not kind.startswith("input"))
    bus = bus if kind.startswith("bus") else None
    user, other = pins.get(pin, (None, bus))
    if expected:
        _add(problems, where, "expected %s, got %d" % (expected, pin))
    elif user and (bus is None or other != bus):
        text = "expected a pin of its own, got %d, which is %s's" % (pin, user)
        _add(problems, where, text)
    else:
        # A key that is called `pin` is its section's; others, as `led`, go by their own name.
        pins[pin] = (where[:-4] if where.endswith(".pin") else where, bus)


def _check_by_use(problems, name, kind, value):
    """A zone and a schedule have grammars of their own: their readers say what is wrong where."""
    try:
        passing(_read_zone if kind == "zone" else _read_schedule, value)
    except ValueError as error:
        where, text = error.args
        _add(problems, name + where, text)


def _read_zone(value):
    from firmware.times import zone_rule

    zone_rule.read(value)


def _read_schedule(value):
    from firmware.control import schedule

    schedule.compiled(value)


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
    fleet = settings["device"]["provision"]
    if fleet:
        _check_provision(problems, fleet, settings["mqtt"]["url"])
    properties = [sensor["prop"] for sensor in settings["sensors"]]
    for i, name in enumerate(properties):
        first = properties.index(name)
        text = None
        if schema.is_reserved(name):
            text = 'expected a name that the firmware does not use itself, got "%s"' % name
        elif first < i:
            text = 'expected a name of its own, got "%s", which is sensors[%d]' % (name, first)
        if text:
            _add(problems, "sensors[%d].prop" % i, text)
    _check_sensors(problems, settings["sensors"])
    thermostat = settings["thermostat"]
    if thermostat and thermostat["sensor"] not in properties:
        text = 'expected the prop of one of the sensors, got "%s"' % thermostat["sensor"]
        _add(problems, "thermostat.sensor", text)
    elif thermostat:
        spec = settings["sensors"][properties.index(thermostat["sensor"])]
        if not problems and sensors.quantity(spec)[1] not in ("°C", ""):
            text = "expected a sensor of °C, got one of %s" % sensors.quantity(spec)[1]
            _add(problems, "thermostat.sensor", text)
        _check_thermostat(problems, thermostat, settings["sensors"])


def _check_provision(problems, fleet, url):
    by = fleet["by"]
    if by == "mac" and fleet["value"] is not None:
        text = "expected null with mac, which the board knows, got "
        _add(problems, "device.provision.value", text + kinds.shown(fleet["value"]))
    elif by != "mac" and fleet["value"] is None:
        _add(problems, "device.provision.value", "missing; expected the device's " + by)
    if parse_url(url)[0] not in ("mqtts", "wss"):
        text = "expected mqtts:// or wss:// with device.provision: its answer is a secret, got "
        _add(problems, "mqtt.url", text + kinds.shown(url))


def _check_sensors(problems, specs):
    """What the entries ask of their drivers, and of the chips that several of them are."""
    for i, spec in enumerate(specs):
        least_s = getattr(sensors.driver(spec["driver"]), "LEAST_S", 0)
        if spec["every_s"] < least_s:
            wanted = "at least %d seconds for a %s" % (least_s, spec["driver"])
            got = kinds.shown(spec["every_s"])
            _add(problems, "sensors[%d].every_s" % i, "expected %s, got %s" % (wanted, got))
        try:
            sensors.quantity(spec)
        except ValueError as error:
            text = "expected %s, got %s" % (error, kinds.shown(spec["quantity"]))
            _add(problems, "sensors[%d].quantity" % i, text)
    if problems:
        return
    addresses: dict = {}
    for first, *others in sensors.chips(specs):
        spec = specs[first]
        if "address" in spec:
            where = spec["sda"], spec["scl"], spec["address"]
            if where in addresses:
                text = "expected an address of its own on this bus, got %s, which is sensors[%d]'s"
                _add(problems, "sensors[%d].address" % first, text % (where[2], addresses[where]))
            addresses[where] = first
        taken = [_measured(spec)]
        for i in others:
            name = "sensors[%d]" % i
            if specs[i]["every_s"] != spec["every_s"]:
                text = "expected %s, as sensors[%d] of the same chip has it, got %s"
                text %= kinds.shown(spec["every_s"]), first, kinds.shown(specs[i]["every_s"])
                _add(problems, name + ".every_s", text)
            if _measured(specs[i]) in taken:
                text = "expected another quantity, rom or nth than another entry of its chip has"
                _add(problems, name, text)
            taken.append(_measured(specs[i]))


def _measured(spec):
    """What tells an entry from the others of its chip."""
    return sensors.quantity(spec)[0], spec.get("rom"), spec.get("nth")


def _check_thermostat(problems, thermostat, sensors_):
    """Times and temperatures that contradict each other."""

    def wrong(key, wanted, got):
        text = "expected %s, got %s" % (wanted, kinds.shown(got))
        _add(problems, "thermostat." + key, text)

    def more(key, value, least, what):
        if value <= least:
            wrong(key, "more than " + what, value)

    for sensor in sensors_:
        if sensor["prop"] == thermostat["sensor"]:
            stale_s = thermostat["stale_after_s"]
            more("stale_after_s", stale_s, sensor["every_s"], "the sensor's every_s")
    mode = thermostat["mode"]
    if thermostat["cooler"]:
        more("dead_band", thermostat["dead_band"], thermostat["hysteresis"], "the hysteresis")
    elif mode in ("cool", "auto"):
        wrong("mode", "a cooler for it", mode)
    if mode == "auto":
        least = thermostat["setpoint"] + thermostat["dead_band"]
        cool_c = thermostat["setpoint_cool"]
        if cool_c < least:
            wanted = "at least setpoint + dead_band, " + kinds.shown(least)
            wrong("setpoint_cool", wanted, cool_c)
    on_s, off_s = thermostat["min_on_s"], thermostat["min_off_s"]
    if thermostat["max_on_s"]:
        more("max_on_s", thermostat["max_on_s"], on_s, "min_on_s, or 0")
        more("min_off_s", off_s, 0, "0, as max_on_s is not 0")
    failsafe = thermostat["failsafe"]
    if failsafe:
        if failsafe["on_s"] < on_s:
            wrong("failsafe.on_s", "at least min_on_s", failsafe["on_s"])
        least = failsafe["on_s"] + off_s
        more("failsafe.every_s", failsafe["every_s"], least, "on_s + min_off_s")
    if thermostat["regulator"] == "pi":
        more("pi.cycle_s", thermostat["pi"]["cycle_s"], on_s + off_s, "min_on_s + min_off_s")

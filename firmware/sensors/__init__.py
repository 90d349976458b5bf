"""The sensors: one file a driver, and this registry of them by name.

A driver is a module `firmware/sensors/<name>.py` with

    MEASURES  a row for each of its quantities: (name, unit, lowest, highest). What is outside of
              the limits is a fault of the sensor, and not regulated by; None: there are none
    SHARED    the keys by which two entries of config.json's `sensors` are one chip, which is read
              once for both; () where every entry is a sensor of its own
    KEYS      the keys of its own in an entry, a text of rows as in firmware/config/schema.py
    LEAST_S   the shortest time between two readings; without it as short as wanted
    Driver    a class made from the entries of one chip, with every key filled in. It has
              start()    begins a reading; returns after how many milliseconds it is there
              read()     ends that reading
              value(n)   what the n-th entry asks for: an int, a float or a bool
              changed()  only where a reading is due at every change: whether there was one
                         since the last reading; asked every POLL_MS, a constant of the module

and its name in `drivers`. What keeps a reading from being taken is an OSError that says why, and
what to look at. A reading has three steps because they allocate nothing but the values, where a
coroutine would. A driver knows its bus and nothing else.
"""

from firmware.base.rare import rare


@rare
def drivers() -> tuple:
    """Their names."""
    return (
        "bme280",
        "bmp280",
        "chip",
        "contact",
        "counter",
        "dht22",
        "ds18x20",
        "ntc",
        "room",
        "rssi",
        "sht3x",
        "sht4x",
    )


def driver(name: str):
    """The module of a driver, one of `drivers`."""
    return __import__("firmware.sensors." + name, None, None, ("Driver",))


@rare
def quantity(spec: dict) -> tuple:
    """The row of MEASURES that an entry asks for; its driver's first unless it names one. Raises
    ValueError, with the names that there are.
    """
    rows = driver(spec["driver"]).MEASURES
    wanted = spec["quantity"]
    for row in rows:
        if wanted in (None, row[0]):
            return row
    raise ValueError(" or ".join([row[0] for row in rows]))


@rare
def limits(spec: dict) -> "tuple | None":
    """(lowest, highest) that an entry's sensor can measure at all; None where there are none."""
    lowest, highest = quantity(spec)[2:]
    return None if lowest is None else (lowest, highest)


@rare
def chips(specs: list) -> list:
    """The places of the entries that are one chip, a list for each chip."""
    groups: dict = {}
    for place, spec in enumerate(specs):
        shared = driver(spec["driver"]).SHARED
        chip = [spec["driver"]] + [spec[key] for key in shared] if shared else [place]
        groups.setdefault(tuple(chip), []).append(place)
    # A dict keeps no order here.
    return sorted(groups.values())


@rare
def unusable(pin: int, output: bool) -> "str | None":
    """None where the board's chip has that pin, for an output if it is to be one; else words for
    what is expected.
    """
    from firmware.board import board
    from firmware.board.pins import has, usable

    chip, psram = board.chip()
    pins = usable(chip, psram, output)
    if has(pins, pin):
        return None
    return "%s of the %s, one of %s" % ("an output" if output else "a pin", chip, pins)

"""The sensors: one file a driver, and this registry of them by name.

A driver is a module `firmware/sensors/<name>.py` with

    MEASURES  what its readings are, and their unit
    RANGE     (lowest, highest) that the sensor can measure at all, None where there are no limits:
              what is outside is a fault of the sensor, and not regulated by
    KEYS      the keys of its own in an entry of config.json's `sensors`, a text of rows as in
              firmware/config/schema.py
    Driver    a class made from such an entry, with every key filled in. It has
              start()  begins a reading; returns after how many milliseconds its value is there
              value()  ends that reading, and returns it, an int or a float

and its name in DRIVERS. What keeps a reading from being taken is an OSError that says why, and
what to look at. A reading has two steps because they allocate nothing but the value, where a
coroutine would. A driver knows its bus and nothing else.
"""

DRIVERS = ("counter", "ds18x20", "room")


def driver(name: str):
    """The module of one of DRIVERS."""
    return __import__("firmware.sensors." + name, None, None, ("Driver",))


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

"""A contact: a window's, a door's, a button's. It is read at each change, and every `every_s`.

A level counts when two looks in a row, POLL_MS apart, have seen it: contacts bounce for a few
milliseconds.
"""

from micropython import const

from firmware.board import board

MEASURES = (("state", "true or false", None, None),)
SHARED = ()
KEYS = """\
pin    | input pin    | 0 to 48                | required | the pin that it switches
pull   | choice       | ["up", "down", "none"] | "up"     | \
    the pin's own resistor; 34 to 39 have none
active | choice       | ["high", "low"]        | "high"   | \
    the level that is true; with `up` and a contact to ground, high is open
"""
POLL_MS = const(50)


class Driver:
    def __init__(self, specs: list):
        (spec,) = specs
        try:
            self._pin = board.Input(spec["pin"], spec["pull"])
        except (OSError, ValueError) as error:
            raise OSError("the contact on pin %d cannot be used: %s" % (spec["pin"], error))
        self._active = int(spec["active"] == "high")
        self._level = self._seen = self._pin.level()

    def start(self) -> int:
        return 0

    def read(self):
        self.changed()

    def value(self, n: int) -> bool:
        return self._level == self._active

    def changed(self) -> bool:
        level = self._pin.level()
        settled = level == self._seen
        self._seen = level
        if not settled or level == self._level:
            return False
        self._level = level
        return True

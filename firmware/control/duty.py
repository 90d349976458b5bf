"""Heating in safe mode: no sensor, no clock, no set point; `failsafe`'s share of the time."""

from micropython import const

from firmware.base.rare import rare

_LONGEST_MS = const(3600000)  # safe mode lasts an hour


class Duty:
    """In the place of a Thermostat, from which no fault of a sensor or a setting can keep it."""

    fault = "safe mode"
    temp_c = frost_c = None

    @rare
    def __init__(self, settings: dict, range_c, now_ms: int):
        """settings: the section `thermostat`; without `failsafe` everything is off."""
        self._since_ms = now_ms
        self._every_ms = _LONGEST_MS
        self._on_ms = 0
        failsafe = settings["failsafe"]
        if failsafe:
            every_ms = int(1000 * failsafe["every_s"])
            # The same share of an hour, where that would be over before it heats at all.
            self._every_ms = min(every_ms, _LONGEST_MS)
            self._on_ms = int(1000 * failsafe["on_s"]) * self._every_ms // every_ms

    def decide(self, now_ms: int, driven: bool = False) -> tuple:
        """As Thermostat.decide. Off first: most faults are over before they do harm."""
        passed_ms = (now_ms - self._since_ms) % self._every_ms
        return passed_ms >= self._every_ms - self._on_ms, False, False

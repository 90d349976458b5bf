"""The thermostat's rule: readings and settings in, the relay's decision out.

Pure: no clock, no pins. With a target T and a band (hysteresis) H,

    off  → on   at or below  T − H/2
    on   → off  at or above  T + H/2
    between them it stays as it is

T is the set point in mode `heat`, but never below the frost protection; in mode `off` it is the
frost protection alone, or none. Without a reading that can be trusted the answer is off.
"""

import math

SETPOINT_C = (5, 35)
MODES = ("off", "heat")


class Thermostat:
    """settings: the `thermostat` section of config.json. `mode` and `setpoint` may be changed."""

    def __init__(self, settings: dict):
        self.mode = settings["mode"]
        self.setpoint = settings["setpoint"]
        self._half_band = settings["hysteresis"] / 2
        self._frost = settings["frost"]
        self._stale_after_s = settings["stale_after_s"]

    @property
    def target(self) -> "int | float | None":
        """The temperature now held, in °C; None where nothing is."""
        if self.mode == "off":
            return self._frost
        if self._frost is None or self.setpoint > self._frost:
            return self.setpoint
        return self._frost

    def trusts(self, temp_c: "float | None", age_s: float) -> bool:
        """Whether a reading is a number and young enough to be regulated by.

        Where it is not, the heat must go off at once: use `Relay.off`, which waits for nothing.
        """
        return temp_c is not None and math.isfinite(temp_c) and 0 <= age_s <= self._stale_after_s

    def decide(self, temp_c: "float | None", age_s: float, heating: bool) -> bool:
        """Whether to heat.

        temp_c: the last reading in °C, None if there was none; age_s: how long ago it was taken;
        heating: whether the relay is on.
        """
        target = self.target
        if target is None or not self.trusts(temp_c, age_s):
            return False
        if heating:
            return temp_c < target + self._half_band
        return temp_c <= target - self._half_band

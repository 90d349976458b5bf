"""The thermostat's rules: readings and settings in, what the relays are to do out.

Pure: no clock, no pins; the time is handed in, in milliseconds of base.uptime. With a target T
and a band (hysteresis) H, heating goes

    off → on   at or below  T − H/2
    on → off   at or above  T + H/2

and cooling the other way round. The rules, of which an earlier one beats a later one:

1. Without a reading that can be believed (firmware/control/plausibility.py) everything is off.
   Where `failsafe` is configured, the heating is then on for the last `on_s` of every `every_s`.
2. At or above `cut_out` the heating is off until it is 2 K colder.
3. Frost protection, in every mode: the room is to stay above `frost`, so heating begins half a
   band above that, T = frost + H.
4. The mode: `heat` holds `setpoint`, `cool` holds `setpoint_cool`, `auto` stays between the two,
   which are at least `dead_band` apart: where they are not, cooling yields.

The second stage joins the first one when that alone has not reached the target in `after_s`, or at
once where `beyond` kelvins are missing; it leaves when the target is reached.
"""

from micropython import const

from firmware.base.rare import rare
from firmware.control.limits import MODES
from firmware.control.plausibility import Plausible

_CUT_OUT_BAND_C = const(2)


class Thermostat:
    """mode, setpoint, setpoint_cool: may be changed, to values that were checked.

    modes: those that this hardware can do.
    frost_c: what it protects from; None: nothing.
    temp_c: the reading that it regulates by; None where there is none that can be believed.
    fault: why it does not regulate as it should: one of Plausible's words, "too hot", or None.
    While there is one, what is to be off must be off at once, whatever its minimum on time.
    """

    @rare
    def __init__(self, settings: dict, range_c: "tuple | None" = None, now_ms: int = 0):
        """settings: the section `thermostat`. range_c: what its sensor can measure, or None."""
        self.mode = settings["mode"]
        self.setpoint = settings["setpoint"]
        self.setpoint_cool = settings["setpoint_cool"]
        self.modes = MODES if settings["cooler"] else MODES[:2]
        self._plausible = Plausible(settings, range_c, now_ms)
        self._band_c = settings["hysteresis"]
        self._dead_band_c = settings["dead_band"]
        self.frost_c = settings["frost"]
        self._cut_out_c = settings["cut_out"]
        self._failsafe = settings["failsafe"]
        self._stage2 = settings["stage2"]
        self._pi = None
        if settings["regulator"] == "pi":
            from firmware.control.pi import Pi

            self._pi = Pi(settings["pi"], settings["min_on_s"], settings["min_off_s"])
        self._hot = False
        self.temp_c: "int | float | None" = None
        self.fault: "str | None" = None
        self._rest()

    def get(self, name: str) -> str:
        return self.mode

    def put(self, name: str, value: str, utc_s: "int | None" = None) -> None:
        self.mode = value

    def limits(self, name: str) -> tuple:
        return self.modes

    def reading(self, temp_c: "int | float", now_ms: int) -> None:
        self._plausible.reading(temp_c, now_ms)

    def decide(self, now_ms: int, driven: bool = False) -> tuple:
        """(heat, heat2, cool): which of them are to be on. Called every second or so.

        driven: one of them has been on since the last call.
        """
        self._plausible.look(now_ms, driven)
        self.fault = self._plausible.fault
        temp_c = self.temp_c = self._plausible.temp_c
        if temp_c is None:
            self._rest()
            return self._failsafe_heats(now_ms), False, False
        self._hot = temp_c >= self._cut_out_c - (_CUT_OUT_BAND_C if self._hot else 0)
        if self._hot:
            self.fault = "too hot"
        self._cooling = self._cools(temp_c)
        heat = self._heats(temp_c, now_ms) and not self._hot
        return heat, self._joins(temp_c, heat, now_ms), self._cooling

    def _mode(self):
        """The mode as far as the hardware can do it."""
        if self.mode in self.modes:
            return self.mode
        return "heat" if self.mode == "auto" else "off"

    def _rest(self):
        """Everything is off, and begins anew."""
        self._hot = self._heating = self._freezing = self._cooling = self._second = False
        self._first_ms: "int | None" = None  # since when heat is wanted without a break
        if self._pi:
            self._pi.rest()

    def _failsafe_heats(self, now_ms):
        duty = self._failsafe
        if duty is None or self.fault is None:
            return False
        # Off first: most faults are over before they do harm.
        every_ms = int(1000 * duty["every_s"])
        passed_ms = (now_ms - self._plausible.since_ms) % every_ms
        return passed_ms >= every_ms - int(1000 * duty["on_s"])

    def _heat_target(self):
        """What heating aims at, the frost protection's margin included; None for nothing."""
        floor_c = None if self.frost_c is None else self.frost_c + self._band_c
        if self._mode() not in ("heat", "auto"):
            return floor_c
        return self.setpoint if floor_c is None else max(self.setpoint, floor_c)

    def _cool_target(self):
        heat_c = self._heat_target()
        if heat_c is None:
            return self.setpoint_cool
        return max(self.setpoint_cool, heat_c + self._dead_band_c)

    def _cools(self, temp_c) -> bool:
        if self._mode() not in ("cool", "auto"):
            return False
        return not self._is_cold(temp_c, self._cool_target(), not self._cooling)

    def _heats(self, temp_c, now_ms):
        if self.frost_c is not None:
            floor_c = self.frost_c + self._band_c
            self._freezing = self._is_cold(temp_c, floor_c, self._freezing)
        if self._mode() not in ("heat", "auto") or self._cooling:
            self._heating = False
            if self._pi:
                self._pi.rest()
        elif self._pi:
            self._heating = self._pi.heats(temp_c, self.setpoint, now_ms)
        else:
            self._heating = self._is_cold(temp_c, self.setpoint, self._heating)
        return self._heating or self._freezing

    def _is_cold(self, temp_c, target_c, was) -> bool:
        """Hysteresis: whether it is too cold, where a temperature in the band changes nothing."""
        half_c = self._band_c / 2
        return temp_c < target_c + half_c if was else temp_c <= target_c - half_c

    def _joins(self, temp_c, heat, now_ms):
        """Whether the second stage is to be on."""
        if not (heat and self._stage2):
            self._first_ms = None
            self._second = False
            return False
        if self._first_ms is None:
            self._first_ms = now_ms
        short_c = self._heat_target() - temp_c
        waited = now_ms - self._first_ms >= int(1000 * self._stage2["after_s"])
        self._second = short_c > 0 and (
            self._second or waited or short_c >= self._stage2["beyond"]
        )
        return self._second

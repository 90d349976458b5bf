"""The regulator "pi": how much heat a room needs, given as the share of a cycle that it is on.

It is for radiators and floors, which go on heating for long after the valve has closed. Hysteresis
waits for the room to be too cold or too warm; this one finds the share that holds it. With the
error e = set point − temperature in kelvins,

    share = kp · (e + (1 / ti) · ∫ e dt),  limited to 0…1

of every cycle the relay is on. The integral stands still while the share is at a limit that the
error would push it beyond (anti-windup by conditional integration: Åström, Hägglund, "PID
Controllers", section 3.5). It is kept in whole millikelvin seconds, because single floats, of
seven digits, would lose its small steps.
"""

from micropython import const

from firmware.base.rare import rare

# Between two calls: of a longer gap, a pause, only this much counts. Not above the shortest ti.
_LONGEST_S = const(60)


class Pi:
    """settings: the section `thermostat.pi`. A pulse or a pause that would be shorter than the
    relay's minimum times is left out; the integral makes up for it.
    """

    @rare
    def __init__(self, settings: dict, min_on_s: float, min_off_s: float):
        self._kp = settings["kp"]
        self._cycle_ms = int(1000 * settings["cycle_s"])
        self._min_on_ms = int(1000 * min_on_s)
        self._min_off_ms = int(1000 * min_off_s)
        self._most = int(1000 * settings["ti_s"] / self._kp)  # the sum that means a share of 1
        # Of errors, mK s. A third of the heating is what a room needs most of the winter. A sum
        # that began at 0 would leave it cold for an hour after each restart.
        self._sum = self._most // 3
        self._at_ms = 0  # up to when they are summed
        self._began_ms: "int | None" = None  # the cycle
        self._on = False

    def rest(self) -> None:
        """Nothing is asked of it for now. What it has learnt of the room stays."""
        self._began_ms = None
        self._on = False

    def heats(self, temp_c: float, target_c: float, now_ms: int) -> bool:
        """Whether to heat now. To be called every second or so."""
        error_mk = round(1000 * (target_c - temp_c))
        share = self._kp * error_mk / 1000 + self._sum / self._most
        self._integrate(error_mk, share, now_ms)
        on_ms = max(0, min(1, share)) * self._cycle_ms
        if on_ms > self._cycle_ms - self._min_off_ms:
            on_ms = self._cycle_ms
        begins = self._began_ms is None or now_ms - self._began_ms >= self._cycle_ms
        # A new set point far away need not wait for the cycle to end.
        if begins or (share >= 1 and not self._on):
            self._began_ms = now_ms
            self._on = on_ms >= max(1, self._min_on_ms)
        elif self._on:
            self._on = now_ms - self._began_ms < on_ms
        return self._on

    def _integrate(self, error_mk, share, now_ms):
        seconds = (now_ms - self._at_ms) // 1000
        self._at_ms += 1000 * seconds
        if share < 1 if error_mk > 0 else share > 0:
            # In a time of up to ti this adds no more than the error's own share, which is what
            # was left to the limit: the sum stays within 0 and the most.
            self._sum += error_mk * min(seconds, _LONGEST_S)

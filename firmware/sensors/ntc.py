"""A thermistor (NTC) in a voltage divider, on an analog pin.

The divider's other resistor goes to the other rail. The resistance becomes a temperature by the
beta equation, or by the one of Steinhart and Hart where its three coefficients are given:

    1/T = 1/298.15 K + ln(R / R25) / beta          1/T = a + b · ln R + c · (ln R)³
"""

import math

from micropython import const

from firmware.board import board

MEASURES = (("temperature", "°C", -40, 125),)
SHARED = ()
KEYS = """\
pin    | input pin      | 0 to 48               | required | an analog pin: 32 to 39 on an ESP32
side   | choice         | ["ground", "supply"]  | "ground" | where the thermistor is
series | number         | 100 to 1000000 Ω      | 10000    | the other resistor
supply | number         | 1 to 5 V              | 3.3      | the divider's voltage
r25    | number         | 100 to 1000000 Ω      | 10000    | its resistance at 25 °C
beta   | number         | 1000 to 10000 K       | 3950     | its B value
a      | number or null | -1 to 1               | null     | Steinhart and Hart; all three or none
b      | number or null | -1 to 1               | null     | the second coefficient
c      | number or null | -1 to 1               | null     | the third
"""

_SAMPLES = const(16)
# Shares of the supply. An ESP32's converter gives 0.14 V for nothing and ends at 3.1 V.
_LEAST = 0.05
_MOST = 0.93


class Driver:
    def __init__(self, specs: list):
        (spec,) = specs
        self._where = "the thermistor on pin %d" % spec["pin"]
        try:
            self._adc = board.Analog(spec["pin"])
        except (OSError, ValueError) as error:
            raise OSError("%s cannot be used: %s" % (self._where, error))
        self._to_ground = spec["side"] == "ground"
        self._series = spec["series"]
        self._supply_uv = 1000000 * spec["supply"]
        self._r25 = spec["r25"]
        self._beta = spec["beta"]
        self._steinhart = spec["a"], spec["b"], spec["c"]
        if None in self._steinhart and any(self._steinhart):
            raise OSError("a, b, c: expected all three or none of them")
        self._share = 0.0

    def start(self) -> int:
        return 0

    def read(self):
        total_uv = 0
        for _ in range(_SAMPLES):
            total_uv += self._adc.microvolts()
        share = total_uv / _SAMPLES / self._supply_uv
        if not _LEAST < share < _MOST:
            if (share <= _LEAST) == self._to_ground:
                raise OSError("%s is shorted, or hotter than it can tell" % self._where)
            raise OSError("%s is open, or colder than it can tell" % self._where)
        # As if it stood at ground, so that a high share is a high resistance.
        self._share = share if self._to_ground else 1 - share

    def value(self, n: int) -> float:
        ohm = self._series * self._share / (1 - self._share)
        a, b, c = self._steinhart
        if a is None:
            return 1 / (1 / 298.15 + math.log(ohm / self._r25) / self._beta) - 273.15
        log = math.log(ohm)
        return 1 / (a + b * log + c * log * log * log) - 273.15

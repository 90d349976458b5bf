"""SHT30, SHT31 and SHT35, thermometers and hygrometers on I²C, in single shots.

Formulas, commands and times are the data sheet's (Sensirion SHT3x-DIS, December 2022): "Conversion
of Signal Output", "Measurement Commands for Single Shot Data Acquisition Mode", "Heater".
"""

from micropython import const

from firmware.sensors.sensirion import Sht

MEASURES = (("temperature", "°C", -40, 125), ("humidity", "%", 0, 100))
SHARED = ("sda", "scl", "address")
KEYS = """\
sda     | bus pin      | 0 to 48          | 21     | the bus's data pin
scl     | bus pin      | 0 to 48          | 22     | the bus's clock pin
address | choice       | ["0x44", "0x45"] | "0x44" | 0x45 where its pin ADDR is high
"""

_SHOT = b"\x24\x00"  # high repeatability, and the clock is not held meanwhile
_SHOT_MS = const(16)
_HEATER_OFF = b"\x30\x66"


class Driver(Sht):
    def __init__(self, specs: list):
        super().__init__(specs)
        self._cold = False  # the heater is off for certain

    def start(self) -> int:
        if not self._cold:
            self.write(_HEATER_OFF)
            self._cold = True
        self.write(_SHOT)
        return _SHOT_MS

    def value(self, n: int) -> float:
        if self.is_humidity(n):
            return 100 * self.word(n) / 65535
        return 175 * self.word(n) / 65535 - 45

"""SHT40, SHT41, SHT43 and SHT45, thermometers and hygrometers on I²C, in single shots.

Formulas, command and time are the data sheet's (Sensirion SHT4x, 2023): "Conversion of Signal
Output", "Command Overview", "Timings". The heater is on only for commands that ask for it.
"""

from micropython import const

from firmware.sensors.sensirion import Sht

MEASURES = (("temperature", "°C", -40, 125), ("humidity", "%", 0, 100))
SHARED = ("sda", "scl", "address")
KEYS = """\
sda     | bus pin      | 0 to 48                  | 21     | the bus's data pin
scl     | bus pin      | 0 to 48                  | 22     | the bus's clock pin
address | choice       | ["0x44", "0x45", "0x46"] | "0x44" | as the letter in its order code says
"""

_SHOT = b"\xfd"  # high precision
_SHOT_MS = const(10)


class Driver(Sht):
    def start(self) -> int:
        self.write(_SHOT)
        return _SHOT_MS

    def value(self, n: int) -> float:
        if self.is_humidity(n):
            # What the formula gives beyond 0 and 100 is noise at the ends of the range.
            return min(100.0, max(0.0, 125 * self.word(n) / 65535 - 6))
        return 175 * self.word(n) / 65535 - 45

"""BME280, a thermometer, hygrometer and barometer on I²C: a BMP280 with humidity.

Registers and the compensation, in whole numbers, are the data sheet's (Bosch BST-BME280-DS002):
"Memory map", "Trimming parameter readout", "Compensation formulas".
"""

import struct

from micropython import const

from firmware.sensors.bosch import Barometer

MEASURES = (
    ("temperature", "°C", -40, 85),
    ("humidity", "%", 0, 100),
    ("pressure", "hPa", 300, 1100),
)
SHARED = ("sda", "scl", "address")
KEYS = """\
sda     | bus pin      | 0 to 48          | 21     | the bus's data pin
scl     | bus pin      | 0 to 48          | 22     | the bus's clock pin
address | choice       | ["0x76", "0x77"] | "0x76" | 0x77 where its pin SDO is high
"""

_HUMIDITY = b"\xf2\x01"  # ctrl_hum: sampled once; in force with the next measurement
_H1 = const(0xA1)
_H2 = const(0xE1)
_SKIPPED = const(0x8000)


class Driver(Barometer):
    def prepare(self) -> None:
        super().prepare()
        self._trimming = trimming(self.bytes_from(_H1, 1)[0], self.bytes_from(_H2, 7))
        self.write(_HUMIDITY)

    def humidity(self, raw: int, t_fine: int) -> float:
        if raw == _SKIPPED:
            raise OSError("%s has measured no humidity; check its power" % self.name)
        return humidity_1024(raw, t_fine, *self._trimming) / 1024


def trimming(h1: int, rest: bytearray) -> tuple:
    """dig_H1 to dig_H6, from the registers 0xA1 and 0xE1 to 0xE7."""
    h2, h3, high4, low, high5, h6 = struct.unpack("<hBbBbb", rest)
    return h1, h2, h3, high4 << 4 | low & 15, high5 << 4 | low >> 4, h6


def humidity_1024(raw: int, t_fine: int, h1, h2, h3, h4, h5, h6) -> int:
    """The humidity in 1/1024 %, from t_fine and the calibration."""
    v = t_fine - 76800
    scale = (v * h6 >> 10) * ((v * h3 >> 11) + 32768) >> 10
    v = ((raw << 14) - (h4 << 20) - h5 * v + 16384 >> 15) * ((scale + 2097152) * h2 + 8192 >> 14)
    v -= ((v >> 15) * (v >> 15) >> 7) * h1 >> 4
    return min(max(v, 0), 419430400) >> 12

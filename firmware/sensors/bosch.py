"""What Bosch's BMP280 and BME280 on I²C have in common, in single measurements ("forced mode").

Registers, times and the compensation, in whole numbers, are the data sheet's (Bosch
BST-BMP280-DS001): "Memory map", "Measurement time", "Compensation formula".
"""

import struct

from micropython import const

from firmware.sensors.i2c import Chip

CHIP_IDS = {0x56: "bmp280", 0x57: "bmp280", 0x58: "bmp280", 0x60: "bme280"}

_ID = const(0xD0)
_STATUS = const(0xF3)
_MEASURING = const(0x08)
_ONCE = b"\xf4\x25"  # ctrl_meas: temperature and pressure sampled once, forced mode
_DATA = const(0xF7)
_CALIBRATION = const(0x88)
_SKIPPED = const(0x80000)
_MEASURE_MS = const(10)  # once each, the BME280's humidity included: 9.3 ms at most


class Barometer(Chip):
    """calibration: what prepare() has read, and the first rows of it are the thermometer's."""

    def __init__(self, specs: list):
        super().__init__(specs[0])
        self._driver = specs[0]["driver"]
        self._quantities = [spec["quantity"] or "temperature" for spec in specs]
        self._ready = False
        self._data = bytearray(8)
        self.calibration: tuple = ()

    def start(self) -> int:
        if not self._ready:
            self.prepare()
            self._ready = True
        self.write(_ONCE)
        return _MEASURE_MS

    def prepare(self) -> None:
        """Before the first reading, and after each that failed: another chip may be there."""
        number = self.bytes_from(_ID, 1)[0]
        found = CHIP_IDS.get(number)
        if found is None:
            text = "%s has the chip id 0x%02x, which is none of Bosch's; check address and wires"
            raise OSError(text % (self.name, number))
        if found != self._driver:
            raise OSError("%s is a %s: name the driver %s" % (self.name, found.upper(), found))
        self.calibration = struct.unpack("<HhhHhhhhhhhh", self.bytes_from(_CALIBRATION, 24))

    def read(self):
        try:
            if self.bytes_from(_STATUS, 1)[0] & _MEASURING:
                raise OSError("%s is not done in time; check its power" % self.name)
            self.registers(_DATA, self._data)
            if self.raw(3) == _SKIPPED:
                raise OSError("%s has measured nothing; check its power" % self.name)
        except OSError:
            self._ready = False
            raise

    def value(self, n: int) -> float:
        t_fine = fine(self.raw(3), *self.calibration[:3])
        wanted = self._quantities[n]
        if wanted == "temperature":
            return (t_fine * 5 + 128 >> 8) / 100
        if wanted == "pressure":
            return pressure(self.raw(0), t_fine, *self.calibration[3:]) / 25600
        try:
            return self.humidity(self._data[6] << 8 | self._data[7], t_fine)
        except OSError:
            self._ready = False
            raise

    def humidity(self, raw: int, t_fine: int) -> float:
        """In %, where the chip measures it."""
        raise NotImplementedError

    def raw(self, at: int) -> int:
        """One of the 20-bit readings."""
        data = self._data
        return data[at] << 12 | data[at + 1] << 4 | data[at + 2] >> 4

    def bytes_from(self, register: int, count: int) -> bytearray:
        found = bytearray(count)
        self.registers(register, found)
        return found


def fine(raw: int, t1: int, t2: int, t3: int) -> int:
    """The temperature as the other formulas take it, t_fine."""
    var1 = ((raw >> 3) - (t1 << 1)) * t2 >> 11
    var2 = (((raw >> 4) - t1) * ((raw >> 4) - t1) >> 12) * t3 >> 14
    return var1 + var2


def pressure(raw: int, t_fine: int, p1, p2, p3, p4, p5, p6, p7, p8, p9) -> int:
    """The pressure in 1/256 Pa, from t_fine and the calibration."""
    var1 = t_fine - 128000
    var2 = var1 * var1 * p6
    var2 += var1 * p5 << 17
    var2 += p4 << 35
    var1 = (var1 * var1 * p3 >> 8) + (var1 * p2 << 12)
    var1 = ((1 << 47) + var1) * p1 >> 33
    if var1 == 0:
        return 0  # no such calibration; out of the range
    p = 1048576 - raw
    p = ((p << 31) - var2) * 3125 // var1
    var1 = p9 * (p >> 13) * (p >> 13) >> 25
    var2 = p8 * p >> 19
    return (p + var1 + var2 >> 8) + (p7 << 4)

"""What Sensirion's thermometers and hygrometers on I²C have in common: a reading of two words."""

from micropython import const

from firmware.sensors.i2c import Chip

_POLYNOMIAL = const(0x131)  # x^8 + x^5 + x^4 + 1: data sheets, "Checksum"


class Sht(Chip):
    """temp and humidity: the raw words of the last reading, 0 to 65535."""

    def __init__(self, specs: list):
        super().__init__(specs[0])
        self._humid = [spec["quantity"] == "humidity" for spec in specs]
        self._six = bytearray(6)

    def read(self):
        six = self._six
        self.read_into(six)
        if crc8(six, 0) != six[2] or crc8(six, 3) != six[5]:
            raise OSError("%s was misread: CRC error; check its wires" % self.name)

    def word(self, n: int) -> int:
        """Of the reading: the humidity's where the n-th entry asks for that, else the other's."""
        at = 3 if self._humid[n] else 0
        return self._six[at] << 8 | self._six[at + 1]

    def is_humidity(self, n: int) -> bool:
        return self._humid[n]


def crc8(data: bytearray, at: int) -> int:
    """Of the two bytes there. 0xBE 0xEF gives 0x92."""
    crc = 0xFF
    for i in range(at, at + 2):
        crc ^= data[i]
        for _ in range(8):
            crc <<= 1
            if crc & 0x100:
                crc ^= _POLYNOMIAL
    return crc

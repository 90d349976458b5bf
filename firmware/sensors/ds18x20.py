"""DS18B20, DS18S20 and DS1822 thermometers on a 1-Wire bus, several to a pin if need be.

It uses the modules `onewire` and `ds18x20` that MicroPython has frozen in on an ESP32. A
conversion at the full 12 bits takes up to 750 ms (DS18B20 data sheet, "AC electrical
characteristics": tCONV), in which the loop goes on. A sensor must be powered by its VDD pin: one
that feeds on the data line (parasite power) would need the bus for itself meanwhile.
"""

from binascii import hexlify, unhexlify

from micropython import const

from firmware.board import board

MEASURES = "temperature, °C"
RANGE = (-55, 125)  # data sheet, "Features"
KEYS = """\
pin | bus pin      | 0 to 48  | required | the bus's data pin, pulled up with 4.7 kΩ
rom | text or null | 16 to 16 | null     | \
    the sensor's address in hexadecimal; null for the only one on its pin
"""

_CONVERSION_MS = const(750)
_CONVERT_T = const(0x44)  # data sheet, "DS18B20 function commands"
_POWER_ON_C = 85.0  # what the scratchpad holds until the first conversion has ended


class Driver:
    def __init__(self, spec: dict):
        self._where = "the sensor on pin %d" % spec["pin"]
        rom = spec["rom"]
        try:
            self._named = self._rom = rom and unhexlify(rom)
        except ValueError:
            raise OSError("rom: expected 16 hexadecimal digits, got %s" % rom)
        try:
            bus = board.onewire(spec["pin"])
            import ds18x20

            self._chip = ds18x20.DS18X20(bus)
        except (ImportError, OSError) as error:
            raise OSError("%s cannot be used: %s" % (self._where, error))

    def start(self) -> int:
        bus = self._chip.ow
        try:
            if self._rom is None:
                self._rom = self._only_one()
            bus.reset(True)
            bus.select_rom(self._rom)
            bus.writebyte(_CONVERT_T)
        except OSError:
            raise
        except Exception as error:  # the frozen modules raise nothing narrower
            raise OSError("%s does not answer: %s; check its wires" % (self._where, error))
        return _CONVERSION_MS

    def value(self) -> float:
        try:
            temp_c = self._chip.read_temp(self._rom)
        except Exception as error:  # a CRC error is a plain Exception in the frozen module
            # Another sensor may have been put in its place: look which one is there.
            self._rom = self._named
            raise OSError("%s was misread: %s; check its wires" % (self._where, error))
        if not any(self._chip.buf):
            # Nine zeros pass the CRC, and are what a bus shorted to ground reads.
            raise OSError("%s reads only zeros; is its bus shorted?" % self._where)
        if temp_c == _POWER_ON_C:
            raise OSError("%s has just lost its power (85.0 °C); check it" % self._where)
        return temp_c

    def _only_one(self):
        """It is looked for at each start until found, so a sensor may be plugged in later."""
        roms = self._chip.scan()
        if not roms:
            raise OSError("%s does not answer; check its wires" % self._where)
        if len(roms) > 1:
            names = ", ".join([hexlify(rom).decode() for rom in roms])
            raise OSError("%s is one of %s: name it as `rom`" % (self._where, names))
        return roms[0]

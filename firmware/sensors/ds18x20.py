"""DS18B20, DS18S20 and DS1822 thermometers on a 1-Wire bus, several to a pin if need be.

It uses the modules `onewire` and `ds18x20` that MicroPython has frozen in on an ESP32. All on a
wire convert at once, for up to 750 ms at 12 bits (DS18B20 data sheet, "AC electrical
characteristics": tCONV), in which the loop goes on. Those that feed on the data line ("parasite
power") get the pin itself as their supply meanwhile.
"""

from binascii import hexlify, unhexlify

from micropython import const

from firmware.board import board

MEASURES = (("temperature", "°C", -55, 125),)  # data sheet, "Features"
SHARED = ("pin",)
KEYS = """\
pin        | bus pin              | 0 to 48      | required | \
    the bus's data pin, pulled up with 4.7 kΩ
rom        | text or null         | 16 to 16     | null     | \
    the sensor's address in hexadecimal; null for the only one on its pin
nth        | whole number or null | 1 to 24      | null     | \
    or its place, counted from 1, among those on its pin in the order of their addresses
resolution | whole number         | 9 to 12 bits | 12       | \
    a bit less halves the time of a conversion; the same for all on a pin
"""

# Data sheet, "DS18B20 function commands", "ROM commands".
_CONVERT_T = const(0x44)
_SKIP_ROM = const(0xCC)
_READ_POWER_SUPPLY = const(0xB4)
_CONVERSION_MS = const(750)
_POWER_ON_C = 85.0  # what the scratchpad holds until the first conversion has ended
_CONFIGURATION = const(4)  # a byte of the scratchpad
_DS18S20 = const(0x10)  # the family that has one resolution only


class Driver:
    def __init__(self, specs: list):
        pin = specs[0]["pin"]
        self._where = "the sensor on pin %d" % pin
        self._named = [_address(spec["rom"]) for spec in specs]
        self._nth = [spec["nth"] for spec in specs]
        self._roms: list = [None] * len(specs)  # an address each; None: to be looked for
        self._lacking: list = [None] * len(specs)  # or why there is none
        self._resolution = specs[0]["resolution"]
        self._conversion_ms = _CONVERSION_MS
        self._parasite = False
        try:
            bus = board.onewire(pin)
            import ds18x20

            self._chip = ds18x20.DS18X20(bus)
        except (ImportError, OSError) as error:
            raise OSError("%s cannot be used: %s" % (self._where, error))

    def start(self) -> int:
        bus = self._chip.ow
        try:
            if None in self._roms:
                self._find()
                self._to_all(_READ_POWER_SUPPLY)
                self._parasite = not bus.readbit()
            self._to_all(_CONVERT_T)
            if self._parasite:
                # They need the current within 10 µs (data sheet, "Powering the DS18B20").
                bus.pin.init(bus.pin.OUT, value=1)
        except OSError:
            raise
        except Exception as error:  # the frozen modules raise nothing narrower
            raise self._told(error)
        return self._conversion_ms

    def read(self):
        if self._parasite:
            pin = self._chip.ow.pin
            pin.init(pin.OPEN_DRAIN, pin.PULL_UP)

    def value(self, n: int) -> float:
        rom = self._roms[n]
        if rom is None:
            raise OSError(self._lacking[n])
        self._roms[n] = None  # another sensor may have been put in its place
        try:
            temp_c = self._chip.read_temp(rom)
        except Exception as error:  # a CRC error is a plain Exception in the frozen module
            raise self._told(error)
        if not any(self._chip.buf):
            # Nine zeros pass the CRC, and are what a bus shorted to ground reads.
            raise OSError("%s reads only zeros; is its bus shorted?" % self._where)
        if temp_c == _POWER_ON_C:
            raise OSError("%s has just lost its power (85.0 °C); check it" % self._where)
        self._roms[n] = rom
        # The bits below the resolution mean nothing (data sheet, "Temperature register format").
        step_c = (1 << 12 - self._resolution) / 16
        return temp_c // step_c * step_c

    def _told(self, error):
        what = "was misread: CRC error" if str(error) == "CRC error" else "does not answer"
        return OSError("%s %s; check its wires" % (self._where, what))

    def _to_all(self, command):
        bus = self._chip.ow
        bus.reset(True)
        bus.writebyte(_SKIP_ROM)
        bus.writebyte(command)

    def _find(self):
        """They are looked for at each start until found, so a sensor may be plugged in later."""
        found = self._chip.scan()
        if not found:
            raise OSError("%s does not answer; check its wires" % self._where)
        found.sort(key=bytes)
        self._conversion_ms = _CONVERSION_MS >> 12 - self._resolution
        for rom in found:
            if rom[0] == _DS18S20:
                self._conversion_ms = _CONVERSION_MS
            else:
                self._set_resolution(rom)
        for n, rom in enumerate(self._named):
            nth = self._nth[n]
            if rom is not None:
                here = bytes(rom) in [bytes(other) for other in found]
                text = "%s does not answer: " + hexlify(rom).decode()
            elif nth is not None:
                here = nth <= len(found)
                text = "%s is to be number " + "%d of %d" % (nth, len(found))
            else:
                here = len(found) == 1
                names = ", ".join([hexlify(other).decode() for other in found])
                text = "%s is one of " + names + ": name it as `rom` or `nth`"
            self._lacking[n] = text % self._where
            self._roms[n] = (rom or found[(nth or 1) - 1]) if here else None

    def _set_resolution(self, rom):
        configuration = (self._resolution - 9) << 5 | 0x1F
        pad = self._chip.read_scratch(rom)
        if pad[_CONFIGURATION] != configuration:
            # After the two bytes of its alarm.
            self._chip.write_scratch(rom, bytes((pad[2], pad[3], configuration)))


def _address(rom):
    try:
        return rom and unhexlify(rom)
    except ValueError:
        raise OSError("rom: expected 16 hexadecimal digits, got %s" % rom)

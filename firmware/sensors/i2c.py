"""A chip on an I²C bus: its transfers, and what keeps them from working, in words."""

import errno

from firmware.board import board


class Chip:
    """What the drivers of such chips have in common: `spec` has sda, scl and address."""

    def __init__(self, spec: dict):
        self.name = "the %s at %s" % (spec["driver"], spec["address"])
        self._address = int(spec["address"], 16)
        try:
            self._bus = board.i2c(spec["sda"], spec["scl"])
        except OSError as error:
            raise OSError("%s cannot be used: %s" % (self.name, error))

    def write(self, data: bytes) -> None:
        try:
            self._bus.writeto(self._address, data)
        except OSError as error:
            raise self._told(error)

    def read_into(self, buffer: bytearray) -> None:
        try:
            self._bus.readfrom_into(self._address, buffer)
        except OSError as error:
            raise self._told(error)

    def registers(self, first: int, buffer: bytearray) -> None:
        """The registers from the first one on."""
        try:
            self._bus.readfrom_mem_into(self._address, first, buffer)
        except OSError as error:
            raise self._told(error)

    def _told(self, error):
        if error.errno == errno.ETIMEDOUT:
            return OSError("%s: SCL is held low; check the bus's wires and pull-ups" % self.name)
        found = ", ".join(["0x%02x" % address for address in self._bus.scan()]) or "nothing"
        text = "%s does not answer (%s does); check its wires and its address"
        return OSError(text % (self.name, found))

"""The temperature inside the board's own chip: for watching it, not for regulating by."""

from firmware.board import board

MEASURES = (("temperature", "°C", -40, 125),)
SHARED = ()
KEYS = ""


class Driver:
    def __init__(self, specs: list):
        pass

    def start(self) -> int:
        return 0

    def read(self):
        pass

    def value(self, n: int) -> float:
        temp_c = board.chip_temperature()
        if temp_c is None:
            raise OSError("this board's chip does not tell its temperature")
        return temp_c

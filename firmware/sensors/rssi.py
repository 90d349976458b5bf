"""The strength of the Wi-Fi's signal at the board."""

from firmware.board import board

MEASURES = (("signal", "dBm", -127, 0),)
SHARED = ()
KEYS = ""


class Driver:
    def __init__(self, specs: list):
        pass

    def start(self) -> int:
        return 0

    def read(self):
        pass

    def value(self, n: int) -> int:
        dbm = board.rssi()
        if dbm is None:
            raise OSError("no Wi-Fi is joined")
        return dbm

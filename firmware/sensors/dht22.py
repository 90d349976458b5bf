"""DHT22 (AM2302), a thermometer and hygrometer on a wire of its own.

It uses MicroPython's module `dht`, frozen in on an ESP32, whose reading takes a quarter of a
second and waits all the time: it runs in a thread, and the loop goes on. The sensor measures anew
every 2 s at most (data sheet, "Sensing period").
"""

from micropython import const

from firmware.board import board

MEASURES = (("temperature", "°C", -40, 80), ("humidity", "%", 0, 100))
SHARED = ("pin",)
KEYS = """\
pin | bus pin | 0 to 48 | required | the data pin, pulled up with 10 kΩ
"""
LEAST_S = 2

_READING_MS = const(400)


class Driver:
    def __init__(self, specs: list):
        pin = specs[0]["pin"]
        self._where = "the sensor on pin %d" % pin
        self._humid = [spec["quantity"] == "humidity" for spec in specs]
        self._error: "object" = None  # what the last reading ended with
        self._done = True
        try:
            self._chip = board.dht22(pin)
        except (ImportError, OSError) as error:
            raise OSError("%s cannot be used: %s" % (self._where, error))

    def start(self) -> int:
        # A thread may come late on a board that has much to do.
        if not self._done:
            raise OSError("%s: its last reading has not ended" % self._where)
        self._done = False
        board.aside(self._measure)
        return _READING_MS

    def _measure(self):
        self._error = None
        try:
            self._chip.measure()
        except Exception as error:  # a wrong sum is a plain Exception in the frozen module
            self._error = error
        self._done = True

    def read(self):
        if not self._done:
            raise OSError("%s has not answered in time" % self._where)
        if isinstance(self._error, OSError):
            raise OSError("%s does not answer; check its wires and its pull-up" % self._where)
        if self._error:
            raise OSError("%s was misread: CRC error; check its wires" % self._where)
        if not any(self._chip.buf):
            raise OSError("%s reads only zeros; is its wire shorted?" % self._where)

    def value(self, n: int) -> float:
        data = self._chip.buf
        if self._humid[n]:
            return (data[0] << 8 | data[1]) / 10
        tenths = (data[2] & 0x7F) << 8 | data[3]
        return (-tenths if data[2] & 0x80 else tenths) / 10

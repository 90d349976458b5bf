"""The drivers of sensors on a pin of their own, and of the board itself."""

import errno
import math

from drivers import create, failure, reading, spec
from firmware.board import board
from firmware.sensors import chip, contact, dht22, ntc, rssi


def with_board(module, fake, make):
    module.board = fake
    try:
        return make()
    finally:
        module.board = board


class Analog:
    def __init__(self, pin):
        assert pin == 34
        self.samples = 0

    def microvolts(self):
        self.samples += 1
        # It scatters by 20 mV around what there is.
        return Analog.volts * 1000000 + (20000 if self.samples % 2 else -20000)


class AnalogBoard:
    Analog = Analog


def thermistor(**keys):
    return with_board(ntc, AnalogBoard, lambda: create(spec("ntc", pin=34, **keys)))


def volts(ohm, series=10000, supply=3.3):
    return supply * ohm / (ohm + series)


def test_a_thermistor_by_beta():
    sensor = thermistor()
    for temp_c in (-20, 0, 25, 60, 100):
        kelvin = temp_c + 273.15
        Analog.volts = volts(10000 * math.exp(3950 * (1 / kelvin - 1 / 298.15)))
        assert abs(reading(sensor) - temp_c) < 0.02, (temp_c, reading(sensor))


def test_a_thermistor_by_steinhart_and_hart():
    # Vishay NTCLE100E3103, R25 = 10 kΩ: 32,650 Ω at 0 °C and 3,603 Ω at 50 °C.
    sensor = thermistor(a=0.001129148, b=0.000234125, c=8.76741e-8)
    for ohm, temp_c in ((32650, 0), (10000, 25), (3603, 50)):
        Analog.volts = volts(ohm)
        assert abs(reading(sensor) - temp_c) < 0.05, (temp_c, reading(sensor))


def test_a_thermistor_at_the_supply():
    sensor = thermistor(side="supply")
    Analog.volts = 3.3 - volts(20000)
    kelvin = 1 / (1 / 298.15 + math.log(2) / 3950)
    assert abs(reading(sensor) - (kelvin - 273.15)) < 0.02


def test_sixteen_samples_are_one_reading():
    sensor = thermistor()
    Analog.volts = volts(10000)
    assert abs(reading(sensor) - 25) < 0.01


def test_open_and_short_are_told_apart():
    for side, low, high in (("ground", "shorted", "open"), ("supply", "open", "shorted")):
        sensor = thermistor(side=side)
        Analog.volts = 0.14  # what an ESP32 reads of nothing
        assert low in failure(reading, sensor), side
        Analog.volts = 3.12  # and at most
        assert high in failure(reading, sensor), side
        Analog.volts = volts(10000)
        assert abs(reading(sensor) - 25) < 0.01


def test_half_of_the_coefficients_is_refused():
    assert "all three" in failure(lambda: thermistor(a=0.001))


class Dht:
    """The frozen dht.DHT22: `answer` is five bytes, or what measure raises."""

    def __init__(self):
        self.buf = bytearray(5)
        self.answer = b"\x02\x8c\x01\x5f\xee"  # data sheet's example: 65.2 %, 35.1 °C

    def measure(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        self.buf[:] = self.answer
        if sum(self.buf[:4]) & 0xFF != self.buf[4]:
            raise Exception("checksum error")


class DhtBoard:
    def __init__(self):
        self.chip = Dht()
        self.threads = []

    def dht22(self, pin):
        assert pin == 4
        return self.chip

    def aside(self, call):
        self.threads.append(call)


def humid_one(fake):
    both = [spec("dht22", quantity=name) for name in ("temperature", "humidity")]
    return with_board(dht22, fake, lambda: create(*both))


def measured(sensor, fake):
    """The thread runs while the sampler waits."""
    dht22.board = fake
    try:
        assert sensor.start() > 268  # ms that the frozen module waits
    finally:
        dht22.board = board
    fake.threads.pop()()
    sensor.read()
    return sensor.value(0), sensor.value(1)


def test_a_dht22_gives_both_of_one_reading_as_in_its_data_sheet():
    fake = DhtBoard()
    sensor = humid_one(fake)
    assert measured(sensor, fake) == (35.1, 65.2)
    fake.chip.answer = b"\x02\x8c\x80\x65\x73"  # -10.1 °C
    assert measured(sensor, fake) == (-10.1, 65.2)


def test_what_goes_wrong_with_a_dht22_is_told_apart():
    fake = DhtBoard()
    sensor = humid_one(fake)
    for answer, text in (
        (OSError(errno.ETIMEDOUT), "does not answer; check its wires and its pull-up"),
        (b"\x02\x8c\x01\x5f\xed", "misread: CRC error"),
        (bytes(5), "only zeros"),
    ):
        fake.chip.answer = answer
        assert text in failure(measured, sensor, fake), text
    fake.chip.answer = b"\x02\x8c\x01\x5f\xee"
    assert measured(sensor, fake) == (35.1, 65.2)


def test_a_dht22_is_never_read_twice_at_once():
    fake = DhtBoard()
    sensor = humid_one(fake)
    dht22.board = fake
    try:
        sensor.start()
        assert "not answered in time" in failure(sensor.read)
        assert "has not ended" in failure(sensor.start)
        fake.threads.pop()()
        assert measured(sensor, fake) == (35.1, 65.2)
    finally:
        dht22.board = board


class Input:
    levels = []

    def __init__(self, pin, pull):
        assert (pin, pull) == (4, "up")

    def level(self):
        return Input.levels.pop(0)


class InputBoard:
    Input = Input


def contact_of(*levels, **keys):
    Input.levels = list(levels)
    return with_board(contact, InputBoard, lambda: create(spec("contact", pin=4, **keys)))


def test_a_contact_is_true_at_its_active_level():
    for active, values in (("high", (True, False)), ("low", (False, True))):
        for level, value in zip((1, 0), values):
            assert reading(contact_of(level, level, active=active)) is value


def test_a_contact_changes_when_two_looks_agree():
    sensor = contact_of(1, 1, 0, 1, 0, 0, 0, 1, 1)
    assert [sensor.changed() for _ in range(8)] == [
        False,
        False,
        False,  # it bounces
        False,
        True,
        False,
        False,
        True,
    ]


class Own:
    temp_c = 53.2
    dbm = -61

    def chip_temperature(self):
        return self.temp_c

    def rssi(self):
        return self.dbm


def test_the_boards_own_values():
    own = Own()
    chip.board = rssi.board = own
    try:
        assert reading(create(spec("chip"))) == 53.2 and reading(create(spec("rssi"))) == -61
        own.temp_c = own.dbm = None
        assert "does not tell" in failure(reading, create(spec("chip")))
        assert "no Wi-Fi" in failure(reading, create(spec("rssi")))
    finally:
        chip.board = rssi.board = board


def test_without_the_hardware_the_driver_says_what_to_use():
    for name in ("ntc", "dht22", "contact"):
        assert "use the driver `room`" in failure(create, spec(name)), name

"""The drivers of chips on an I²C bus, on a bus that replays the data sheets' examples."""

import errno
import struct

from drivers import create, failure, reading, spec
from firmware.board import board
from firmware.sensors import bme280, bosch, i2c, sensirion


class Sht:
    """An SHT3x or SHT4x: the six bytes of its reading, after the command that asks for one."""

    def __init__(self, shot, temp=b"\xbe\xef\x92", humid=b"\x66\x66\x93"):
        self.shot = shot
        self.answer = temp + humid
        self.written = []
        self.measured = False

    def write(self, data):
        self.written.append(data)
        self.measured = data == self.shot

    def read(self, count):
        if not self.measured:
            raise OSError(errno.ENODEV)  # it does not acknowledge before it is done
        self.measured = False
        return self.answer[:count]


class Bosch:
    """A BMP280 or BME280: its registers; a measurement in forced mode fills the data."""

    # BMP280 data sheet, "Calculating pressure and temperature": its worked example.
    TRIMMING = struct.pack(
        "<HhhHhhhhhhhh",
        *(27504, 26435, -1000),
        *(36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000),
    )
    RAW_T, RAW_P, RAW_H = 519888, 415148, 0x6E00

    def __init__(self, chip_id):
        self.registers = bytearray(256)
        self.registers[0xD0] = chip_id
        self.registers[0x88 : 0x88 + 24] = self.TRIMMING
        self.registers[0xA1] = 75
        self.registers[0xE1:0xE8] = b"\x6a\x01\x00\x13\x2b\x03\x1e"
        self.settles = True
        self.lose_power()

    def lose_power(self):
        self.registers[0xF2] = self.registers[0xF4] = 0
        self.registers[0xF7:0xFF] = b"\x80\x00\x00\x80\x00\x00\x80\x00"
        self.humid = False

    def write(self, data):
        register, value = data
        self.registers[register] = value
        if register == 0xF4:
            # ctrl_hum is in force from the next write of ctrl_meas on.
            self.humid = self.registers[0xF2] & 7 == 1
            assert value == 0x25, "pressure and temperature once, in forced mode"
            self.registers[0xF3] = 0 if self.settles else 8
            raw = (self.RAW_P << 4).to_bytes(3, "big") + (self.RAW_T << 4).to_bytes(3, "big")
            humid = self.RAW_H if self.humid else 0x8000
            self.registers[0xF7:0xFF] = raw + humid.to_bytes(2, "big")


class Bus:
    """What machine.SoftI2C offers, and the chips on it by their addresses."""

    def __init__(self, chips):
        self.chips = chips
        self.held = False

    def _chip(self, address):
        if self.held:
            raise OSError(errno.ETIMEDOUT)
        if address not in self.chips:
            raise OSError(errno.ENODEV)
        return self.chips[address]

    def writeto(self, address, data):
        self._chip(address).write(bytes(data))

    def readfrom_into(self, address, buffer):
        buffer[:] = self._chip(address).read(len(buffer))

    def readfrom_mem_into(self, address, register, buffer):
        buffer[:] = self._chip(address).registers[register : register + len(buffer)]

    def scan(self):
        return sorted(self.chips)


class Board:
    def __init__(self, bus):
        self._bus = bus

    def i2c(self, sda, scl):
        assert (sda, scl) == (21, 22)
        return self._bus


def on_a_bus(driver, chips, quantities=(None,), **keys):
    """The driver's chip of entries that ask for these quantities, and its bus."""
    bus = Bus(chips)
    i2c.board = Board(bus)
    try:
        return create(*[spec(driver, quantity=name, **keys) for name in quantities]), bus
    finally:
        i2c.board = board


BOTH = ("temperature", "humidity")


def test_the_checksum_is_the_data_sheets():
    assert sensirion.crc8(b"\xbe\xef", 0) == 0x92


def test_an_sht3x_converts_as_its_data_sheet_says():
    # 0xBEEF/65535 of 175 K above -45 °C, and 0x6666/65535 of 100 %.
    chip = Sht(b"\x24\x00")
    sensor, _ = on_a_bus("sht3x", {0x44: chip}, BOTH)
    assert sensor.start() >= 15
    sensor.read()
    assert abs(sensor.value(0) - 85.523) < 0.001 and abs(sensor.value(1) - 40) < 0.001
    assert chip.written == [b"\x30\x66", b"\x24\x00"], "the heater is off, then one reading"
    assert abs(reading(sensor) - 85.523) < 0.001
    assert chip.written[2:] == [b"\x24\x00"]


def test_an_sht4x_converts_as_its_data_sheet_says():
    sensor, _ = on_a_bus("sht4x", {0x46: Sht(b"\xfd")}, BOTH, address="0x46")
    assert sensor.start() >= 9
    sensor.read()
    assert abs(sensor.value(0) - 85.523) < 0.001 and abs(sensor.value(1) - 44) < 0.001
    # Beyond the ends of the scale: 0 and 100 %.
    for word, percent in ((b"\x00\x00\x81", 0.0), (b"\xff\xff\xac", 100.0)):
        sensor, _ = on_a_bus("sht4x", {0x44: Sht(b"\xfd", humid=word)}, ("humidity",))
        assert reading(sensor) == percent


def test_every_wrong_bit_of_an_sht_is_found():
    for driver, shot in (("sht3x", b"\x24\x00"), ("sht4x", b"\xfd")):
        chip = Sht(shot)
        sensor, _ = on_a_bus(driver, {0x44: chip}, BOTH)
        right = chip.answer
        for bit in range(48):
            wrong = bytearray(right)
            wrong[bit // 8] ^= 1 << bit % 8
            chip.answer = bytes(wrong)
            assert "misread: CRC error" in failure(reading, sensor), bit
        chip.answer = bytes(6)  # SDA is held low
        assert "CRC error" in failure(reading, sensor)
        chip.answer = right
        assert reading(sensor) > 85


def test_a_bmp280_compensates_as_in_its_data_sheets_example():
    sensor, _ = on_a_bus("bmp280", {0x76: Bosch(0x58)}, ("temperature", "pressure"))
    assert sensor.start() >= 7
    sensor.read()
    assert sensor.value(0) == 25.08
    assert abs(sensor.value(1) - 1006.5327) < 0.001
    assert bosch.fine(519888, 27504, 26435, -1000) == 128422
    trimming = struct.unpack("<HhhHhhhhhhhh", Bosch.TRIMMING)
    assert abs(bosch.pressure(415148, 128422, *trimming[3:]) / 256 - 100653.27) < 0.05


def test_a_bme280_measures_three_in_one_reading():
    chip = Bosch(0x60)
    sensor, _ = on_a_bus("bme280", {0x76: chip}, ("temperature", "humidity", "pressure"))
    assert reading(sensor) == 25.08
    assert abs(sensor.value(2) - 1006.5327) < 0.001
    assert 0 < sensor.value(1) < 100
    assert abs(sensor.value(1) - by_floats(Bosch.RAW_H, 128422)) < 0.1


def by_floats(raw, t_fine):
    """The humidity by the data sheet's other formula, "Compensation formulas in double"."""
    h1, h2, h3, h4, h5, h6 = bme280.trimming(75, b"\x6a\x01\x00\x13\x2b\x03\x1e")
    assert (h1, h2, h3, h4, h5, h6) == (75, 362, 0, 315, 50, 30)
    v = t_fine - 76800.0
    v = (raw - (h4 * 64.0 + h5 / 16384.0 * v)) * (
        h2 / 65536.0 * (1.0 + h6 / 67108864.0 * v * (1.0 + h3 / 67108864.0 * v))
    )
    return v * (1.0 - h1 * v / 524288.0)


def test_a_humidity_beyond_the_scale_ends_at_its_ends():
    trimming = bme280.trimming(75, b"\x6a\x01\x00\x13\x2b\x03\x1e")
    assert bme280.humidity_1024(0, 128422, *trimming) == 0
    assert bme280.humidity_1024(0xFFFF, 128422, *trimming) == 102400


def test_the_chip_id_tells_what_it_is():
    sensor, _ = on_a_bus("bme280", {0x76: Bosch(0x58)})
    assert failure(sensor.start) == "the bme280 at 0x76 is a BMP280: name the driver bmp280"
    sensor, _ = on_a_bus("bmp280", {0x76: Bosch(0x60)})
    assert "is a BME280: name the driver bme280" in failure(sensor.start)
    sensor, _ = on_a_bus("bmp280", {0x76: Bosch(0)})
    assert "chip id 0x00" in failure(sensor.start)


def test_what_lost_its_power_is_no_reading_and_is_made_ready_again():
    chip = Bosch(0x60)
    sensor, _ = on_a_bus("bme280", {0x76: chip}, BOTH)
    reading(sensor)
    sensor.start()
    chip.lose_power()
    assert "has measured nothing" in failure(sensor.read)
    assert reading(sensor) == 25.08 and sensor.value(1) < 100


def test_a_power_loss_between_two_readings_is_no_humidity():
    chip = Bosch(0x60)
    sensor, _ = on_a_bus("bme280", {0x76: chip}, BOTH)
    humidity = reading(sensor, 1)
    chip.lose_power()
    assert reading(sensor) == 25.08
    assert "no humidity" in failure(sensor.value, 1)
    assert reading(sensor, 1) == humidity


def test_a_measurement_that_does_not_end_is_told():
    chip = Bosch(0x58)
    chip.settles = False
    sensor, _ = on_a_bus("bmp280", {0x76: chip})
    assert "not done in time" in failure(reading, sensor)
    chip.settles = True
    assert reading(sensor) == 25.08


def test_a_chip_that_is_absent_is_told_with_those_that_answer():
    for driver in ("sht3x", "sht4x", "bmp280", "bme280"):
        sensor, bus = on_a_bus(driver, {})
        text = failure(sensor.start)
        assert "does not answer (nothing does); check its wires" in text, text
        bus.chips[0x45] = Sht(b"")
        assert "(0x45 does)" in failure(sensor.start)


def test_a_bus_that_is_held_is_told_apart():
    sensor, bus = on_a_bus("sht3x", {0x44: Sht(b"\x24\x00")})
    bus.held = True
    assert "SCL is held low" in failure(sensor.start)
    bus.held = False
    assert reading(sensor) > 85


def test_without_the_hardware_the_driver_says_what_to_use():
    for driver in ("sht3x", "sht4x", "bmp280", "bme280"):
        assert "no I²C bus; use the driver `room`" in failure(create, spec(driver)), driver

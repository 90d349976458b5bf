"""The driver `ds18x20`, on a bus made of bytes."""

import asyncio
import random
import sys

from drivers import create, failure, spec
from firmware.board import board
from firmware.sensors import ds18x20

ROM_A = bytearray(b"\x28\xff\x64\x1e\x82\x16\x04\x3c")
ROM_B = bytearray(b"\x28\xff\x64\x1e\x82\x16\x05\x0b")


def crc8(data):
    """Maxim's CRC: x^8 + x^5 + x^4 + 1, as in the data sheet's "CRC generation"."""
    crc = 0
    for byte in data:
        for _ in range(8):
            mix = (crc ^ byte) & 1
            crc >>= 1
            if mix:
                crc ^= 0x8C
            byte >>= 1
    return crc


class Thermometer:
    """A DS18B20's memory: the scratchpad changes 750 ms after the command to convert."""

    def __init__(self, temp_c):
        self.temp_c = temp_c
        self.conversions = 0
        self.show(85.0)

    def show(self, temp_c):
        raw = int(temp_c * 16) & 0xFFFF
        pad = bytes([raw & 0xFF, raw >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])
        self.pad = pad + bytes([crc8(pad)])

    def convert(self):
        self.conversions += 1
        self.show(self.temp_c)


class Bus:
    """What the frozen onewire.OneWire offers, with thermometers on it by their ROM code."""

    def __init__(self, devices):
        self.devices = devices
        self.shorted = False
        self.noise = 0

    def reset(self, required=False):
        self.selected = None
        if not self.devices and required:
            raise Exception("OneWireError")
        return bool(self.devices)

    def select_rom(self, rom):
        self.selected = self.devices.get(bytes(rom))

    def writebyte(self, byte):
        self.command = byte
        if byte == 0x44 and self.selected:
            self.selected.convert()

    def readinto(self, buffer):
        if self.shorted:
            pad = bytes(9)
        elif self.selected and self.command == 0xBE:
            pad = self.selected.pad
        else:
            pad = b"\xff" * 9  # nobody pulls the bus down
        for i in range(9):
            buffer[i] = pad[i]
        buffer[1] ^= self.noise

    def crc8(self, data):
        return crc8(data)

    def scan(self):
        return [bytearray(rom) for rom in self.devices]


class Chip:
    """The frozen module's DS18X20, as far as the driver uses it."""

    def __init__(self, bus):
        self.ow = bus
        self.buf = bytearray(9)

    def scan(self):
        return [rom for rom in self.ow.scan() if rom[0] in (0x10, 0x22, 0x28)]

    def read_temp(self, rom):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(0xBE)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        raw = self.buf[1] << 8 | self.buf[0]
        if raw & 0x8000:
            raw -= 0x10000
        return raw / 16


class Module:
    DS18X20 = Chip


class Board:
    def __init__(self, bus):
        self._bus = bus

    def onewire(self, pin):
        return self._bus


def on_a_bus(devices, **keys):
    bus = Bus({bytes(rom): device for rom, device in devices.items()})
    sys.modules["ds18x20"] = Module
    ds18x20.board = Board(bus)
    try:
        return create(spec("ds18x20", pin=4, **keys)), bus
    finally:
        ds18x20.board = board
        del sys.modules["ds18x20"]


def reading(sensor):
    """A reading without the wait, which one test is enough for."""
    assert sensor.start() == 750
    return sensor.value()


def test_a_temperature_is_read():
    for temp_c in (21.5, 0.0625, -10.125, 0.0, 125.0, -55.0):
        sensor, _ = on_a_bus({bytes(ROM_A): Thermometer(temp_c)})
        assert reading(sensor) == temp_c


async def test_the_loop_goes_on_during_a_conversion():
    sensor, _ = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep_ms(50)
            ticks += 1

    task = asyncio.create_task(tick())
    await asyncio.sleep_ms(sensor.start())
    assert sensor.value() == 21.5
    task.cancel()
    assert ticks >= 8, ticks


def test_a_crc_error_is_no_reading():
    sensor, bus = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    bus.noise = 0x10
    assert "was misread: CRC error" in failure(reading, sensor)
    bus.noise = 0
    assert reading(sensor) == 21.5


def test_a_shorted_bus_is_no_zero_degrees():
    sensor, bus = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    assert reading(sensor) == 21.5
    bus.shorted = True
    assert "only zeros" in failure(reading, sensor)


def test_the_power_on_value_is_no_reading():
    thermometer = Thermometer(21.5)
    sensor, _ = on_a_bus({bytes(ROM_A): thermometer})
    sensor.start()
    thermometer.show(85.0)  # it lost its power, and what it had converted
    assert "has just lost its power" in failure(sensor.value)


def test_a_sensor_that_is_plugged_in_later_is_found():
    sensor, bus = on_a_bus({})
    assert failure(sensor.start) == "the sensor on pin 4 does not answer; check its wires"
    bus.devices[bytes(ROM_A)] = Thermometer(21.5)
    assert reading(sensor) == 21.5


def test_a_sensor_that_is_pulled_out_is_told_and_another_one_found():
    sensor, bus = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    sensor.start()
    del bus.devices[bytes(ROM_A)]
    assert "check its wires" in failure(sensor.value)
    bus.devices[bytes(ROM_B)] = Thermometer(19.0)
    assert reading(sensor) == 19.0


def test_one_of_two_on_a_bus_must_be_named():
    devices = {bytes(ROM_A): Thermometer(21.5), bytes(ROM_B): Thermometer(5.0)}
    sensor, _ = on_a_bus(devices)
    text = failure(sensor.start)
    assert "28ff641e8216043c" in text and "28ff641e8216050b" in text and "`rom`" in text
    for rom, temp_c in (("28ff641e8216043c", 21.5), ("28FF641E8216050B", 5.0)):
        sensor, _ = on_a_bus(devices, rom=rom)
        assert reading(sensor) == temp_c
    assert [device.conversions for device in devices.values()] == [1, 1]


def test_an_address_that_is_none_is_refused():
    for rom in ("28ff641e8216043x", "0x0x0x0x0x0x0x0x", " 1 1 1 1 1 1 1 1"):
        assert "16 hexadecimal digits" in failure(create, spec("ds18x20", pin=4, rom=rom)), rom


def test_without_the_hardware_the_driver_says_what_to_use():
    text = failure(create, spec("ds18x20", pin=4))
    assert text.startswith("the sensor on pin 4 cannot be used: the unix port has no 1-Wire"), text


def test_no_noise_on_the_bus_gets_out_as_another_error():
    sensor, bus = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    random.seed(3)
    for _ in range(300):
        bus.noise = random.getrandbits(8)
        try:
            assert reading(sensor) == 21.5 and bus.noise == 0
        except OSError:
            assert bus.noise

"""The driver `ds18x20`, on a bus made of bytes."""

import asyncio
import random
import sys

from drivers import create, failure, reading, spec
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
    """A DS18B20's memory: the scratchpad changes when a conversion's time is over."""

    def __init__(self, temp_c, parasite=False):
        self.temp_c = temp_c
        self.parasite = parasite
        self.conversions = 0
        self.configuration = 0x7F
        self.show(85.0)

    def show(self, temp_c):
        raw = int(temp_c * 16) & 0xFFFF
        pad = bytes([raw & 0xFF, raw >> 8, 0x4B, 0x46, self.configuration, 0xFF, 0x0C, 0x10])
        self.pad = pad + bytes([crc8(pad)])

    def convert(self):
        self.conversions += 1
        # The bits below the resolution are anything (data sheet, "Temperature register format").
        noise = 0b0111 >> ((self.configuration >> 5) & 3)
        self.show((int(self.temp_c * 16) | noise) / 16)

    def configure(self, configuration):
        self.configuration = configuration
        self.show(85.0)


class Pin:
    """The pin of a bus: what it was last made to be."""

    OUT, OPEN_DRAIN, PULL_UP = "out", "open drain", "pull up"
    mode = OPEN_DRAIN

    def init(self, mode, pull=None, value=None):
        assert value == 1 if mode == Pin.OUT else pull == Pin.PULL_UP
        self.mode = mode


class Bus:
    """What the frozen onewire.OneWire offers, with thermometers on it by their ROM code."""

    def __init__(self, devices):
        self.devices = devices
        self.pin = Pin()
        self.shorted = False
        self.noise = 0

    def reset(self, required=False):
        assert self.pin.mode == Pin.OPEN_DRAIN, "the bus is used while it supplies a sensor"
        self.selected = []
        self.command = None
        if not self.devices and required:
            raise Exception("OneWireError")
        return bool(self.devices)

    def select_rom(self, rom):
        self.reset()
        device = self.devices.get(bytes(rom))
        self.selected = [device] if device else []

    def writebyte(self, byte):
        assert self.pin.mode == Pin.OPEN_DRAIN
        if byte == 0xCC:
            self.selected = list(self.devices.values())
            return
        assert self.command is None, "a second command after one reset"
        self.command = byte
        if byte == 0x44:
            for device in self.selected:
                device.convert()

    def write(self, data):
        assert self.command == 0x4E and len(data) == 3 and data[:2] == b"\x4b\x46", data
        for device in self.selected:
            device.configure(data[2])

    def readbit(self):
        assert self.command == 0xB4
        return int(not any(device.parasite for device in self.selected))

    def readinto(self, buffer):
        if self.shorted:
            pad = bytes(9)
        elif self.selected and self.command == 0xBE:
            pad = self.selected[0].pad
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

    def _scratch(self, rom, command):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(command)

    def read_scratch(self, rom):
        self._scratch(rom, 0xBE)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        return self.buf

    def write_scratch(self, rom, data):
        self._scratch(rom, 0x4E)
        self.ow.write(data)

    def read_temp(self, rom):
        self.read_scratch(rom)
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


def on_a_bus(devices, *entries, **keys):
    """A chip of entries with these keys, or of one, and its bus."""
    bus = Bus({bytes(rom): device for rom, device in devices.items()})
    sys.modules["ds18x20"] = Module
    ds18x20.board = Board(bus)
    try:
        specs = [spec("ds18x20", **entry) for entry in entries or (keys,)]
        return create(*specs), bus
    finally:
        ds18x20.board = board
        del sys.modules["ds18x20"]


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
    sensor.read()
    assert sensor.value(0) == 21.5
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
    sensor.start()
    sensor.read()
    bus.shorted = True
    assert "only zeros" in failure(sensor.value, 0)


def test_the_power_on_value_is_no_reading():
    thermometer = Thermometer(21.5)
    sensor, _ = on_a_bus({bytes(ROM_A): thermometer})
    sensor.start()
    thermometer.show(85.0)  # it lost its power, and what it had converted
    assert "has just lost its power" in failure(sensor.value, 0)


def test_a_sensor_that_is_plugged_in_later_is_found():
    sensor, bus = on_a_bus({})
    assert failure(sensor.start) == "the sensor on pin 4 does not answer; check its wires"
    bus.devices[bytes(ROM_A)] = Thermometer(21.5)
    assert reading(sensor) == 21.5


def test_a_sensor_that_is_pulled_out_is_told_and_another_one_found():
    sensor, bus = on_a_bus({bytes(ROM_A): Thermometer(21.5)})
    sensor.start()
    del bus.devices[bytes(ROM_A)]
    assert "check its wires" in failure(sensor.value, 0)
    bus.devices[bytes(ROM_B)] = Thermometer(19.0)
    assert reading(sensor) == 19.0


def test_one_of_two_on_a_bus_must_be_named():
    devices = {bytes(ROM_A): Thermometer(21.5), bytes(ROM_B): Thermometer(5.0)}
    sensor, _ = on_a_bus(devices)
    text = failure(reading, sensor)
    assert "28ff641e8216043c" in text and "28ff641e8216050b" in text and "`rom`" in text
    for rom, temp_c in (("28ff641e8216043c", 21.5), ("28FF641E8216050B", 5.0)):
        sensor, _ = on_a_bus(devices, rom=rom)
        assert reading(sensor) == temp_c


def test_all_on_a_wire_convert_at_once_by_address_or_by_place():
    devices = {bytes(ROM_B): Thermometer(5.0), bytes(ROM_A): Thermometer(21.5)}
    for entries in (
        ({"rom": "28ff641e8216043c"}, {"rom": "28ff641e8216050b"}),
        ({"nth": 1}, {"nth": 2}),
    ):
        before = devices[bytes(ROM_A)].conversions
        sensor, _ = on_a_bus(devices, *entries)
        assert reading(sensor) == 21.5 and sensor.value(1) == 5.0
        assert devices[bytes(ROM_A)].conversions == before + 1


def test_one_that_is_missing_does_not_concern_the_others_on_its_wire():
    devices = {bytes(ROM_A): Thermometer(21.5)}
    for lost, text in (
        ({"rom": "28ff641e8216050b"}, "does not answer: 28ff641e8216050b"),
        ({"nth": 2}, "is to be number 2 of 1"),
    ):
        sensor, bus = on_a_bus(devices, {"nth": 1}, lost)
        assert reading(sensor) == 21.5
        assert text in failure(sensor.value, 1)
        bus.devices[bytes(ROM_B)] = Thermometer(5.0)
        assert reading(sensor, 1) == 5.0 and sensor.value(0) == 21.5


def test_a_lower_resolution_is_set_and_is_quicker():
    for bits, wait_ms, temp_c in (
        (9, 93, 21.5),
        (10, 187, 21.5),
        (11, 375, 21.625),
        (12, 750, 21.6875),
    ):
        thermometer = Thermometer(21.6875)
        sensor, _ = on_a_bus({bytes(ROM_A): thermometer}, resolution=bits)
        assert sensor.start() >= wait_ms
        sensor.read()
        assert sensor.value(0) == temp_c, (bits, sensor.value(0))
        assert thermometer.configuration == (bits - 9) << 5 | 0x1F


def test_parasite_power_gets_the_pin_as_its_supply_and_the_bus_is_left_alone():
    devices = {bytes(ROM_A): Thermometer(21.5, parasite=True), bytes(ROM_B): Thermometer(5.0)}
    sensor, bus = on_a_bus(devices, {"nth": 1}, {"nth": 2})
    for _ in range(2):
        sensor.start()
        assert bus.pin.mode == Pin.OUT
        sensor.read()
        assert bus.pin.mode == Pin.OPEN_DRAIN
        assert sensor.value(0) == 21.5 and sensor.value(1) == 5.0


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

"""The sensors: the registry and every driver, the DS18B20's on a bus made of bytes."""

import asyncio
import gc
import random
import sys
import time

from firmware import sensors
from firmware.board import board, unix
from firmware.sensors import DRIVERS, SensorError, create, ds18x20, room


def spec(name, **keys):
    """An entry of `sensors` as the configuration hands it over, every key filled in."""
    entry = {"prop": "p", "driver": name, "every_s": 5, "decimals": 2}
    for key, _, _, _, default, _ in sensors.driver(name).KEYS:
        entry[key] = default
    entry.update(keys)
    return entry


def failure(call, *arguments):
    try:
        call(*arguments)
    except SensorError as error:
        return str(error)
    raise AssertionError("it did not fail")


def write(text):
    with open("counter.txt", "w") as file:
        file.write(text)


def content():
    with open("counter.txt") as file:
        return file.read()


def test_every_driver_says_what_it_measures_and_has_a_class():
    for name in DRIVERS:
        module = sensors.driver(name)
        assert module.MEASURES and issubclass(module.Driver, sensors.Sensor), name
        assert module.RANGE is None or module.RANGE[0] < module.RANGE[1], name
        for row in module.KEYS:
            assert len(row) == 6, row


async def test_read_is_start_a_wait_and_value():
    class Slow(sensors.Sensor):
        def start(self):
            self.began = time.ticks_ms()
            return 30

        def value(self):
            return time.ticks_diff(time.ticks_ms(), self.began)

    assert 30 <= await Slow().read() < 300


# counter


async def test_a_counter_counts_from_zero_and_writes_each_down_first():
    counter = create(spec("counter"))
    for number in range(3):
        assert await counter.read() == number
        assert content().split("\n")[number] == str(number)
    assert content() == "0\n1\n2\n"


def test_a_counter_goes_on_after_a_restart():
    first = create(spec("counter"))
    taken = [first.value() for _ in range(120)]
    taken += [create(spec("counter")).value() for _ in range(3)]
    assert taken == list(range(123))
    assert content() == "".join(["%d\n" % number for number in range(123)])


def test_a_torn_line_is_completed_by_the_reading_that_it_began():
    for torn in ("", "1", "12", "123"):
        write("121\n122\n" + torn)
        counter = create(spec("counter"))
        assert [counter.value(), counter.value()] == [123, 124], torn
        assert content() == "121\n122\n123\n124\n", torn


def test_a_torn_first_line_is_completed():
    write("0")
    assert create(spec("counter")).value() == 0
    assert content() == "0\n"


def test_an_empty_file_begins_at_zero():
    write("")
    assert create(spec("counter")).value() == 0


def test_digits_are_added_where_they_must_be():
    write("97\n98\n")
    counter = create(spec("counter"))
    assert [counter.value() for _ in range(904)] == list(range(99, 1003))
    assert content().endswith("\n999\n1000\n1001\n1002\n")


def test_the_file_of_somebody_else_is_left_alone():
    for text in ("hello\n", "hello", "1\n2\nx", "1\n2\n7", "\n\n"):
        write(text)
        assert failure(create, spec("counter")).endswith("is not a counter's file; move it")
        assert content() == text


def test_a_counter_without_a_place_to_write_says_so():
    assert failure(create, spec("counter", file="none/x")).startswith("cannot use none/x: ")


def test_a_long_file_is_not_read_whole():
    with open("counter.txt", "w") as file:
        for start in range(0, 300000, 1000):
            file.write("".join(["%d\n" % n for n in range(start, start + 1000)]))
    gc.collect()
    before = gc.mem_alloc()
    counter = create(spec("counter"))
    assert gc.mem_alloc() - before < 20000
    assert counter.value() == 300000


def test_a_counters_reading_allocates_nothing():
    counter = create(spec("counter"))
    counter.value()
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        wait_ms = counter.start()
        number = counter.value()
        used = gc.mem_alloc() - before
    finally:
        gc.enable()
    assert (used, wait_ms, number) == (0, 0, 1)


# room


class Clock:
    """Stands for the uptime module."""

    def __init__(self):
        self.now_ms = 0

    def ms(self):
        return self.now_ms


def simulated(**keys):
    """A room in a test's own time, and that time."""
    unix.outputs.clear()
    room.uptime = Clock()
    return create(spec("room", **keys)), room.uptime


def pass_time(sensor, clock, seconds, step_s=5):
    for _ in range(0, seconds, step_s):
        clock.now_ms += 1000 * step_s
        value = sensor.value()
    return value


def test_a_room_begins_as_it_is_told():
    sensor, _ = simulated(start=17.5)
    assert sensor.value() == 17.5


def test_an_unheated_room_cools_down_to_the_outside():
    sensor, clock = simulated(start=18, outside=5, tau_s=1000, speed=1)
    # After one time constant 1/e of the difference is left: 5 + 13/e.
    assert abs(pass_time(sensor, clock, 1000) - 9.782) < 0.01
    assert abs(pass_time(sensor, clock, 20000) - 5) < 0.01


def test_a_heated_room_warms_up():
    sensor, clock = simulated(start=18, outside=5, heater=25, tau_s=1000, speed=1)
    relay = unix.Output(26, "low")
    relay.set(True)
    assert abs(pass_time(sensor, clock, 20000) - 30) < 0.01
    relay.set(False)
    assert pass_time(sensor, clock, 100) < 29


def test_any_relay_that_is_on_warms_the_room():
    sensor, clock = simulated()
    unix.Output(26, "high")
    unix.Output(27, "high").set(True)
    assert pass_time(sensor, clock, 60) > 18


def test_the_step_does_not_matter():
    results = []
    for step_s in (1, 7, 700):
        sensor, clock = simulated(tau_s=1000, speed=1)
        results.append(pass_time(sensor, clock, 700, step_s))
    assert max(results) - min(results) < 0.001, results


def test_a_demonstration_moves_visibly():
    sensor, clock = simulated()
    unix.Output(26, "high").set(True)
    assert pass_time(sensor, clock, 20) - 18 > 1


def test_a_room_stays_within_its_range():
    lowest, highest = room.RANGE
    keys = {row[0]: row[2] for row in room.KEYS}
    for key in ("start", "outside"):
        assert keys[key][0] >= lowest and keys[key][1] <= highest, key
    assert keys["outside"][1] + keys["heater"][1] <= highest


def test_a_room_needs_the_simulated_board():
    room.board = object()
    try:
        assert "unix port" in failure(create, spec("room"))
    finally:
        room.board = board


# ds18x20

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
    began = time.ticks_ms()
    assert await sensor.read() == 21.5
    assert time.ticks_diff(time.ticks_ms(), began) >= 750
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
        except SensorError:
            assert bus.noise

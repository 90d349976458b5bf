"""The board: the simulated one, and the ESP32's code on stand-ins for its hardware."""

import asyncio
import os
import sys
import time

import fake_esp32
from fake_esp32 import WLAN, Machine, Pin
from logs import logged

fake_esp32.install()

from firmware.board import board, esp32, unix  # noqa: E402 needs the stand-ins

HOME = {"ssid": "home", "password": "p1"}
SHED = {"ssid": "shed", "password": "p2"}
ATTIC = {"ssid": "attic", "password": "p3"}


def wifi(networks, air, join_ms=60, connect_ms=1000):
    WLAN.air = air
    WLAN.scan_ms, WLAN.scan_error, WLAN.stuck, WLAN.error = 0, None, 0, None
    made = esp32.Wifi(networks, join_ms, connect_ms, 2)
    WLAN.last.history.clear()
    return made


def names(thing):
    """What a module or a class has for others, without what it has imported."""
    imported = ("Log", "UNIX_EPOCH_S", "const")
    return sorted(
        [
            name
            for name in dir(thing)
            if not name.startswith("_")
            and name not in imported
            and type(getattr(thing, name)) is not type(sys)
            and name not in ("machine", "network", "esp32")  # stand-ins of modules
        ]
    )


async def failure(made):
    try:
        await made.connect()
    except OSError as error:
        return str(error)
    raise AssertionError("it connected")


def test_the_platform_decides_which_board_it_is():
    assert board is (esp32 if sys.platform == "esp32" else unix)


def test_both_boards_have_the_same_names():
    assert names(unix) == names(esp32), (names(unix), names(esp32))
    for name in ("Analog", "Input", "Output", "Retained", "Wifi"):
        assert names(getattr(unix, name)) == names(getattr(esp32, name)), name


def test_a_retained_number_outlives_a_restart_and_not_a_power_cut():
    for one in (unix, esp32):
        assert one.Retained().get() == 0
        one.Retained().set(1234567)
        retained = one.Retained()
        assert retained.get() == 1234567
        retained.set(7)
        assert one.Retained().get() == 7
        assert one.Retained(1).get() == 0
        other = one.Retained(1)
        other.set(3)
        retained.set(8)
        other.set(4)
        assert (one.Retained(0).get(), one.Retained(1).get()) == (8, 4)
    for garbage in (b"", b"CT", bytes(range(40)), b"\xff" * 2048):
        fake_esp32.RTC.kept = garbage
        assert esp32.Retained().get() == 0, garbage
        esp32.Retained().set(3)
        assert esp32.Retained().get() == 3, garbage


# The simulated board


def test_unix_output_is_off_at_first_and_seen_by_its_pin():
    for active in ("high", "low"):
        output = unix.Output(26, active)
        assert output.on is False and unix.outputs[26] is output
        output.set(True)
        assert output.on is True
        output.set(False)
        assert output.on is False


def test_unix_restart_ends_the_program_and_tells_the_next_one_why():
    assert unix.reset_cause() == "power-on"
    try:
        unix.restart("memory")
    except SystemExit as end:
        assert end.args == (75,)  # EX_TEMPFAIL, as tools/device.py expects it
    else:
        raise AssertionError("it went on")
    assert unix._take_reason() == "memory"
    assert unix._take_reason() is None, "told once"
    with open("restarted", "w") as file:
        file.write("anything")
    assert unix._take_reason() is None


def test_unix_watchdog_tells_of_a_late_feeding():
    dog = unix.watchdog(20)
    assert logged(dog.feed) == []
    time.sleep_ms(30)
    (line,) = logged(dog.feed)
    assert "E unix: the watchdog was not fed for " in line, line
    assert logged(dog.feed) == []


def test_unix_has_no_memory_of_its_own_beside_the_heap():
    assert unix.memory() is None


async def test_unix_wifi_is_there_already():
    made = unix.Wifi([])
    await made.connect()
    assert made.connected() is True and made.rssi() is None


def test_unix_has_no_onewire_and_says_what_to_use():
    try:
        unix.onewire(4)
    except OSError as error:
        assert "use the driver `room`" in str(error)
    else:
        raise AssertionError("there is one")


# The ESP32's


def test_a_relay_never_feels_on_while_its_pin_becomes_an_output():
    for active, off in (("high", 0), ("low", 1)):
        Pin.driven.clear()
        output = esp32.Output(26, active)
        assert Pin.driven[26] == [off] and output.on is False
        output.set(True)
        output.set(False)
        assert Pin.driven[26] == [off, 1 - off, off] and output.on is False


def test_reset_causes_have_names():
    for cause, name in (
        (Machine.PWRON_RESET, "power-on"),
        (Machine.HARD_RESET, "hard"),
        (Machine.WDT_RESET, "watchdog"),
        (Machine.DEEPSLEEP_RESET, "deep-sleep"),
        (Machine.SOFT_RESET, "soft"),
        (99, "unknown"),
    ):
        Machine.cause = cause
        assert esp32.reset_cause() == name


def test_restart_watchdog_and_bus_are_the_machines():
    resets = Machine.resets
    esp32.restart("command")
    assert Machine.resets == resets + 1
    dog = esp32.watchdog(8000)
    dog.feed()
    assert (dog.timeout, dog.fed) == (8000, 1)
    assert isinstance(esp32.onewire(4).pin, Pin)


def test_the_reason_of_a_restart_is_told_once_and_only_after_a_restart():
    esp32.Retained().set(5)
    esp32.restart("memory")
    Machine.cause = Machine.HARD_RESET
    esp32._reason = esp32._take_reason()
    assert esp32.reset_cause() == "memory"
    assert "memory" in esp32.COUNTER_SURVIVES
    assert esp32.Retained().get() == 5, "what else is retained stays"
    Machine.cause = Machine.WDT_RESET
    assert esp32.reset_cause() == "watchdog"
    Machine.cause = Machine.HARD_RESET
    esp32._reason = esp32._take_reason()
    assert esp32.reset_cause() == "hard"
    for garbage in (b"", b"CTh2", b"CTh2\0\0\0\0\xff"):
        fake_esp32.RTC.kept = garbage
        esp32._reason = esp32._take_reason()
        assert esp32.reset_cause() == "hard", garbage


def test_both_numbers_outlive_every_restart():
    esp32.Retained(1).set(2)
    retained = esp32.Retained()
    for why in ("failure", "safe-mode"):
        retained.set(6)
        esp32.restart(why)
        Machine.cause = Machine.HARD_RESET
        esp32._reason = esp32._take_reason()
        assert esp32.reset_cause() == why
        assert (esp32.Retained().get(), esp32.Retained(1).get()) == (6, 2)


def test_the_rtc_is_set_in_utc():
    esp32.set_time(1795398917275)
    year, month, day, weekday, hour, minute, second, microsecond = fake_esp32.RTC.set
    assert (year, month, day, hour, minute, second) == (2026, 11, 23, 1, 55, 17)
    assert (weekday, microsecond) == (0, 275000)


def test_memory_is_the_sum_of_the_free_and_the_largest_block_of_all_regions():
    fake_esp32.Esp32.regions = [(10000, 4000, 3000, 100), (90000, 70000, 38912, 60000)]
    assert esp32.memory() == (74000, 38912)


def test_the_chip_is_told_and_whether_its_psram_takes_pins():
    class Os:
        @staticmethod
        def uname():
            return ("esp32", "esp32", "1.24.0", "v1.24.0", machine)

    own = (300000, 100000, 38912, 60000)
    esp32.os = Os
    try:
        for machine, psram, expected in (
            ("Generic ESP32 module with ESP32", 0, ("ESP32", False)),
            ("Generic ESP32 module with ESP32", 4 << 20, ("ESP32", True)),
            ("Generic ESP32S3 module with ESP32S3", 0, ("ESP32S3", False)),
            ("Generic ESP32S3 module with ESP32S3", 2 << 20, ("ESP32S3", False)),
            ("ESP32S3 with Octal-SPIRAM with ESP32S3", 8 << 20, ("ESP32S3", True)),
            ("ESP32C3 module with ESP32C3", 0, ("ESP32C3", False)),
        ):
            fake_esp32.Esp32.regions = [own, (psram, psram, psram, psram)]
            assert esp32.chip() == expected, machine
    finally:
        esp32.os = os


def test_the_radio_is_on_before_anything_else_needs_memory():
    WLAN.error = None
    esp32.Wifi([HOME])
    assert WLAN.last.history == ["on"]
    esp32.Wifi([])
    assert WLAN.last.history == [], "nobody asked for one"


async def test_a_radio_without_memory_costs_neither_the_start_nor_a_second_try():
    WLAN.error = "Wifi Unknown Error 0x0101"
    made = []
    try:
        (line,) = logged(lambda: made.append(esp32.Wifi([HOME])))
        assert "E wifi: the radio did not start" in line and "0x0101" in line, line
        assert made[0].connected() is False and made[0].rssi() is None
        assert made[0].broken, "only a restart of the device makes another one"
        WLAN.error = None
        for _ in range(2):
            last = WLAN.last
            try:
                await made[0].connect()
            except RuntimeError as error:
                assert "the radio did not start" in str(error)
            else:
                raise AssertionError("it connected")
            assert WLAN.last is last, "a second WLAN() may panic"
    finally:
        WLAN.error = None


async def test_a_driver_that_raises_without_a_name_costs_no_more_than_a_network():
    """RuntimeError at each step, the same each time: it is told, and the next attempt is clean."""

    class Broken:
        def __init__(self, wlan, *broken):
            self.wlan = wlan
            self.broken = broken

        def __getattr__(self, name):
            if name in self.broken:
                return self.fail
            return getattr(self.wlan, name)

        def fail(self, *arguments, **more):
            raise RuntimeError("Wifi Unknown Error 0x3001")

    for broken, air in (
        (("connect",), {"home": ("p1", -50, 0)}),
        (("scan",), {"home": ("p1", -50, 0)}),
        (("active",), {}),
        (("scan", "connect", "status"), {}),
    ):
        made = wifi([HOME, SHED], air, join_ms=6)
        assert made.broken is False
        made._wlan = Broken(made._wlan, *broken)
        if broken == ("scan",):
            await made.connect()
            assert made.connected()
            continue
        for _ in range(2):
            try:
                await made.connect()
                raise AssertionError("it connected")
            except RuntimeError as error:
                assert broken == ("active",) and "0x3001" in str(error)
            except OSError as error:
                assert "home: " in str(error), error
        assert made.rssi() is None
        made.disconnect()


async def test_it_joins_its_network():
    made = wifi([HOME], {"home": ("p1", -50, 3)})
    assert made.connected() is False and made.rssi() is None
    await made.connect()
    assert made.connected() is True and made.rssi() == -50
    assert WLAN.last.history == ["off", "on", "scan", "home"]


async def test_it_does_nothing_when_it_is_connected():
    made = wifi([HOME], {"home": ("p1", -50, 0)})
    await made.connect()
    WLAN.last.history.clear()
    await made.connect()
    assert WLAN.last.history == []


async def test_disconnect_makes_the_next_connect_begin_from_nothing():
    made = wifi([HOME], {"home": ("p1", -50, 0)})
    await made.connect()
    made.disconnect()
    assert made.connected() is False
    await made.connect()
    once = ["off", "on", "scan", "home"]
    assert WLAN.last.history == once + ["off"] + once


async def test_the_strongest_network_in_sight_is_first_and_hidden_ones_are_last():
    air = {"shed": ("x", -70, 0), "home": ("x", -50, 0), "attic": ("x", None, 0)}
    made = wifi([ATTIC, SHED, HOME], air, join_ms=6)
    await failure(made)
    joins = [step for step in WLAN.last.history if step not in ("on", "off", "scan")]
    assert joins == ["home", "shed", "attic"], joins


async def test_networks_out_of_sight_keep_the_order_of_the_configuration():
    networks = [{"ssid": "n%d" % i, "password": ""} for i in range(8)]
    made = wifi(networks, {}, join_ms=2)
    await failure(made)
    joins = [step for step in WLAN.last.history if step.startswith("n")]
    assert joins == ["n%d" % i for i in range(8)], joins


async def test_a_hidden_network_is_joined():
    made = wifi([SHED, ATTIC], {"attic": ("p3", None, 1)}, join_ms=10)
    await made.connect()
    assert WLAN.last.ssid == "attic"


async def test_a_scan_that_fails_costs_only_the_order():
    made = wifi([SHED, HOME], {"home": ("p1", -50, 0)}, join_ms=6)
    WLAN.scan_error = "scan failed"
    await made.connect()
    assert WLAN.last.ssid == "home"


async def test_the_loop_goes_on_during_a_scan():
    made = wifi([SHED, HOME], {"home": ("p1", -50, 1)})
    WLAN.scan_ms = 300
    longest = 0

    async def regulate():
        nonlocal longest
        last = time.ticks_ms()
        while True:
            await asyncio.sleep_ms(2)
            now = time.ticks_ms()
            longest = max(longest, time.ticks_diff(now, last))
            last = now

    task = asyncio.create_task(regulate())
    await asyncio.sleep_ms(5)
    await made.connect()
    task.cancel()
    assert "scan" in WLAN.last.history
    assert longest < 150, longest


async def test_a_driver_in_a_wrong_state_is_switched_off_and_on():
    made = wifi([HOME], {"home": ("p1", -50, 1)})
    WLAN.stuck = 1
    await made.connect()
    assert WLAN.last.history == ["off", "on", "scan", "off", "on", "home"]


async def test_a_driver_that_stays_in_a_wrong_state_is_told():
    made = wifi([HOME], {"home": ("p1", -50, 1)})
    WLAN.stuck = 9
    assert await failure(made) == "no Wi-Fi: home: Wifi Internal State Error"


async def test_failures_are_told_for_each_network_and_without_its_password():
    made = wifi([HOME, SHED, ATTIC], {"home": ("other", -50, 0), "shed": ("p2", -60, 9999)})
    text = await failure(made)
    assert text == (
        "no Wi-Fi: home: refused; is the password right?; "
        "shed: no answer; is the password right?; attic: not found"
    ), text


async def test_all_attempts_share_one_deadline():
    networks = [{"ssid": "n%d" % i, "password": ""} for i in range(8)]
    made = wifi(networks, {}, join_ms=50, connect_ms=120)
    began = time.ticks_ms()
    await failure(made)
    assert time.ticks_diff(time.ticks_ms(), began) < 400


async def test_a_failed_attempt_can_be_repeated():
    made = wifi([HOME], {}, join_ms=6)
    await failure(made)
    WLAN.air = {"home": ("p1", -50, 1)}
    await made.connect()
    assert made.connected()


async def test_without_networks_it_says_where_to_name_one():
    assert "name one under `wifi`" in await failure(wifi([], {}))


# What sensors stand on


def test_an_i2c_bus_in_software_has_any_pins():
    assert esp32.i2c(21, 22).pins == (22, 21)


def test_an_analog_pin_is_read_in_calibrated_microvolts():
    fake_esp32.ADC.microvolts[34] = 1234567
    assert esp32.Analog(34).microvolts() == 1234567
    try:
        esp32.Analog(4)
    except ValueError:
        return
    raise AssertionError("pin 4 is not analog while the radio is on")


def test_an_input_has_the_pull_that_it_is_told():
    for pull, pin in (("up", 4), ("down", 4), ("none", 34)):
        Pin.levels[pin] = 1
        assert esp32.Input(pin, pull).level() == 1
    try:
        esp32.Input(34, "up")
    except ValueError:
        return
    raise AssertionError("pin 34 has no resistor")


def test_the_chips_temperature_is_celsius_or_none():
    fake_esp32.Esp32.fahrenheit = 131
    assert abs(esp32.chip_temperature() - 55) < 0.001
    fake_esp32.Esp32.fahrenheit = 128  # what every chip without a sensor says
    assert esp32.chip_temperature() is None


def test_a_dht22_is_the_frozen_modules():
    assert esp32.dht22(4).pin == 4


def test_what_waits_runs_aside():
    done = []
    esp32.aside(lambda: done.append(1))
    time.sleep_ms(100)
    assert done == [1]


async def test_the_signal_is_that_of_the_radio():
    made = wifi([HOME], {"home": ("p1", -61, 0)})
    assert esp32.rssi() is None
    await made.connect()
    assert esp32.rssi() == -61


def test_a_mac_is_the_boards_own_and_stays():
    assert esp32.mac() == "24:0a:c4:00:01:fe"
    first = unix.mac()
    assert unix.mac() == first and len(first) == 17 and not int(first[:2], 16) & 1
    os.remove("mac")
    assert unix.mac() != first
    with open("mac", "w") as file:
        file.write("24:0A:C4:00:01:FF\n")
    assert unix.mac() == "24:0a:c4:00:01:ff"

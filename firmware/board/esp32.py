"""An ESP32: what unix.py promises of a board, kept by MicroPython's `machine` and `network`."""

import _thread
import os
import struct
import time

import esp32
import machine
import network
from micropython import const

from firmware.board import wifi
from firmware.times.clock import UNIX_EPOCH_S

_I2C_HZ = const(100000)
_I2C_STRETCH_US = const(2000)  # how long a chip may hold the clock; none here does
_NO_SENSOR_F = const(128)
_FEED_MS = const(5000)  # between two feedings of the watchdog at the prompt
_WATCHDOG_MS = const(30000)  # of one that ran before a soft reset

_PSRAM = const(1 << 20)  # bytes: more than any chip's own RAM, less than any PSRAM
_OCTAL = const(3 << 20)  # the same of an ESP32-S3's PSRAM of 8 lines; one of 4 lines has 2 MiB

_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "soft",
}

# Why the firmware restarts itself; the RTC's memory holds the place in this list.
_REASONS = ("failure", "memory", "command", "config", "safe-mode", "update")


def reset_cause() -> str:
    # What `restart` left tells its machine.reset from a reset button. A crash leaves nothing.
    cause = _CAUSES.get(machine.reset_cause(), "unknown")
    return (_reason if cause == "hard" else None) or cause


# The RTC goes on counting over these; it begins at 2000-01-01 when the power comes.
COUNTER_SURVIVES = ("watchdog", "soft", "deep-sleep") + _REASONS

outputs = None
_radio: "Wifi | None" = None  # the one that was made last
_dog: "machine.WDT | None" = None  # once it runs
_feeder: "machine.Timer | None" = None  # feeds it while somebody is at the prompt
_feedings = 0  # that are left to it


def mac() -> str:
    return ":".join(["%02x" % byte for byte in machine.unique_id()])


def counter_ms() -> int:
    return time.time_ns() // 1000000


def memory() -> tuple:
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    return sum([region[1] for region in regions]), max([region[2] for region in regions])


# The RTC's memory: a mark, because it holds anything after power-on; a number; why the firmware
# restarted itself, counted from 1, or 0; and another number.
_SIZE = const(13)
_MARK = b"CTh3"
_APART = const(5)  # one number and the other


def _kept() -> bytearray:
    kept = bytearray(machine.RTC().memory()[:_SIZE])
    if kept[:4] == _MARK and len(kept) == _SIZE:
        return kept
    kept = bytearray(_SIZE)
    kept[:4] = _MARK
    return kept


def _take_reason():
    """Why the firmware restarted itself; told once."""
    kept = _kept()
    place = kept[8]
    kept[8] = 0
    machine.RTC().memory(kept)
    return _REASONS[place - 1] if 0 < place <= len(_REASONS) else None


_reason = _take_reason()


_all = bytearray(_SIZE)  # for each of them, as each writes the whole of it


class Retained:
    def __init__(self, place: int = 0):
        _all[:] = _kept()
        self._rtc = machine.RTC()
        self._at = 4 + _APART * place

    def get(self) -> int:
        return struct.unpack_from("<I", _all, self._at)[0]

    def set(self, number: int) -> None:
        struct.pack_into("<I", _all, self._at, number)
        self._rtc.memory(_all)


def restart(why: str) -> None:
    kept = _kept()
    kept[8] = _REASONS.index(why) + 1
    machine.RTC().memory(kept)
    machine.reset()


def set_time(utc_ms: int) -> None:
    # Its own `gmtime` turns this back into what it counts from, 1970 or 2000.
    seconds = utc_ms // 1000 - UNIX_EPOCH_S
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    microseconds = utc_ms % 1000 * 1000
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, microseconds))


def watchdog(timeout_ms: int) -> machine.WDT:
    global _dog
    if _feeder:
        _feeder.deinit()
    _dog = machine.WDT(timeout=timeout_ms)
    return _dog


def at_prompt(most_ms: int) -> bool:
    global _feeder, _feedings
    # It goes on over a soft reset, which leaves no trace of it here.
    if _dog is None and machine.reset_cause() == machine.SOFT_RESET:
        watchdog(_WATCHDOG_MS)
    if _dog:
        _feedings = most_ms // _FEED_MS
        _feeder = machine.Timer(0)
        _feeder.init(period=_FEED_MS, mode=machine.Timer.PERIODIC, callback=_feed)
        _feed(_feeder)
    return True


def _feed(timer):
    global _feedings
    _feedings -= 1
    if _feedings < 0:
        timer.deinit()
    else:
        _dog.feed()


def networks() -> "list | None":
    if _radio and _radio.broken:
        raise OSError(wifi.NO_RADIO)  # a second WLAN() may panic
    try:
        wlan = network.WLAN(network.STA_IF)
        wlan.active(False)  # it does not look while it joins
        wlan.active(True)
        seen = wlan.scan()
    except (OSError, RuntimeError) as error:
        raise OSError("cannot look for Wi-Fi networks: %s" % error)
    weakness: dict = {}
    for ssid, _, _, dbm, *_ in seen:
        try:
            name = str(ssid, "utf-8")
        except UnicodeError:
            continue
        if name:  # a hidden one has none
            weakness[name] = min(-dbm, weakness.get(name, -dbm))
    return [(name, -weak) for weak, name in sorted([(w, n) for n, w in weakness.items()])]


def name_servers() -> list:
    # MicroPython tells the first one that DHCP gave and no other. A router mostly is one, too.
    _, _, router, server = network.WLAN(network.STA_IF).ifconfig()
    servers = [] if server == "0.0.0.0" else [server]
    return servers if router in (server, "0.0.0.0") else servers + [router]


def chip() -> tuple:
    name = os.uname()[4].rsplit(" ", 1)[-1]  # "Generic ESP32 module with ESP32"
    # PSRAM is a region of memory larger than any of the chip's own.
    least = _OCTAL if name == "ESP32S3" else _PSRAM
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    return name, any(region[0] >= least for region in regions)


def partition():
    return esp32.Partition


def onewire(pin: int):
    import onewire  # frozen in

    return onewire.OneWire(machine.Pin(pin))


def i2c(sda: int, scl: int):
    # In software: the hardware's driver holds the loop for seconds where a wire is cut off.
    return machine.SoftI2C(
        machine.Pin(scl), machine.Pin(sda), freq=_I2C_HZ, timeout=_I2C_STRETCH_US
    )


def dht22(pin: int):
    import dht  # frozen in

    return dht.DHT22(machine.Pin(pin))


def aside(call) -> None:
    _thread.start_new_thread(call, ())


class Analog:
    def __init__(self, pin: int):
        self._adc = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB)

    def microvolts(self) -> int:
        return self._adc.read_uv()  # by the calibration that the chip was made with


class Input:
    def __init__(self, pin: int, pull: str):
        pulls = {"up": machine.Pin.PULL_UP, "down": machine.Pin.PULL_DOWN, "none": None}
        self._pin = machine.Pin(pin, machine.Pin.IN, pulls[pull])

    def level(self) -> int:
        return self._pin.value()


def chip_temperature() -> "float | None":
    if hasattr(esp32, "mcu_temperature"):
        return esp32.mcu_temperature()  # S2, S3, C3 and later
    fahrenheit = esp32.raw_temperature()
    # 53.3 °C is what a chip without a calibrated sensor always says.
    return None if fahrenheit == _NO_SENSOR_F else (fahrenheit - 32) / 1.8


def rssi() -> "int | None":
    return _radio.rssi() if _radio else None


class Output:
    """A relay's pin, which is off from the moment it is made."""

    def __init__(self, pin: int, active: str):
        self.on = False
        self._on_level = int(active == "high")
        # With `value` the driver sets the level before it makes the pin an output. The other way
        # round, a relay that is active low would click at every start.
        self._pin = machine.Pin(pin, machine.Pin.OUT, value=1 - self._on_level)

    def set(self, on: bool) -> None:
        self._pin.value(self._on_level if on else 1 - self._on_level)
        self.on = on


class Wifi(wifi.Station):
    def __init__(
        self,
        networks: list,
        join_ms: int = 15000,  # for one network: association, keys and DHCP take up to 10 s
        connect_ms: int = 60000,  # for all of them
        poll_ms: int = 100,
        radio: "dict | None" = None,
        device_id: str = "",
    ):
        global _radio
        _radio = self
        times = join_ms, connect_ms, poll_ms
        super().__init__(network, _thread.start_new_thread, networks, times, radio, device_id)

"""An ESP32: what unix.py promises of a board, kept by MicroPython's `machine` and `network`."""

import _thread
import asyncio
import struct
import time

import esp32
import machine
import network
from micropython import const

from firmware.base.log import Log
from firmware.times.clock import UNIX_EPOCH_S

_log = Log("esp32")

_I2C_HZ = const(100000)
_I2C_STRETCH_US = const(2000)  # how long a chip may hold the clock; none here does
_NO_SENSOR_F = const(128)
_FEED_MS = const(5000)  # between two feedings of the watchdog at the prompt
_WATCHDOG_MS = const(30000)  # of one that ran before a soft reset
_SCAN_MS = const(10000)  # the driver's own limit for all channels is below 5 s
_NO_RADIO = "the radio did not start; if it lacks memory, use an image that runs from flash"

_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "soft",
}

# Why the firmware restarts itself; the RTC's memory holds the place in this list.
_REASONS = ("failure", "memory", "command", "config")


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


def counter_ms() -> int:
    return time.time_ns() // 1000000


def memory() -> tuple:
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    return sum([region[1] for region in regions]), max([region[2] for region in regions])


# The RTC's memory: a mark, because it holds anything after power-on; a number; and why the
# firmware restarted itself, counted from 1, or 0.
_SIZE = const(9)
_MARK = b"CTh2"


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


class Retained:
    def __init__(self):
        self._rtc = machine.RTC()
        self._kept = _kept()

    def get(self) -> int:
        return struct.unpack_from("<I", self._kept, 4)[0]

    def set(self, number: int) -> None:
        struct.pack_into("<I", self._kept, 4, number)
        self._rtc.memory(self._kept)


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
    if _radio and _radio._wlan is None:
        raise OSError(_NO_RADIO)  # a second WLAN() may panic
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
    server = network.WLAN(network.STA_IF).ifconfig()[3]  # from DHCP
    return [] if server == "0.0.0.0" else [server]


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


class Wifi:
    """The station interface. Only switching the radio holds the loop; a scan, which takes the
    driver seconds, has a thread of its own.
    """

    def __init__(
        self,
        networks: list,
        join_ms: int = 15000,  # for one network: association, keys and DHCP take up to 10 s
        connect_ms: int = 60000,  # for all of them
        poll_ms: int = 100,
    ):
        global _radio
        _radio = self
        self._networks = networks
        self._join_ms = join_ms
        self._connect_ms = connect_ms
        self._poll_ms = poll_ms
        self._wlan = None
        self.ssid = None
        try:
            self._wlan = network.WLAN(network.STA_IF)
            if networks:
                self._wlan.active(True)
        except (OSError, RuntimeError) as error:
            # RuntimeError is the driver's for all that it has no name for, such as 0x0101: no
            # memory. A second WLAN() in the same run may panic.
            _log.error("%s: %s", _NO_RADIO, error)

    def connected(self) -> bool:
        return self._wlan is not None and self._wlan.isconnected()

    def disconnect(self) -> None:
        self._wlan.active(False)

    def rssi(self) -> "int | None":
        try:
            return self._wlan.status("rssi") if self._wlan else None
        except OSError:  # not associated
            return None

    async def connect(self) -> None:
        if self._wlan is None:
            # No OSError: trying again is no remedy, but the supervisor's restart may be one.
            raise RuntimeError(_NO_RADIO)
        if self.connected():
            return
        if not self._networks:
            raise OSError("no Wi-Fi network is known: name one under `wifi` in config.json")
        began = time.ticks_ms()
        self._radio_anew()
        failures = []
        for ssid, password in await self._strongest_first():
            left_ms = self._connect_ms - time.ticks_diff(time.ticks_ms(), began)
            if left_ms <= 0:
                break
            failure = await self._join(ssid, password, min(left_ms, self._join_ms))
            if failure is None:
                self.ssid = ssid
                _log.info("joined %s, %s dBm", ssid, self.rssi())
                return
            failures.append("%s: %s" % (ssid, failure))
        raise OSError("no Wi-Fi: " + "; ".join(failures))

    def _radio_anew(self):
        """Ends whatever the driver is doing, its own attempts to reconnect included. It is the
        remedy for a connection that only looks alive, and for "Wifi Internal State Error".
        """
        self._wlan.active(False)
        self._wlan.active(True)

    async def _strongest_first(self):
        """(ssid, password) of each network: those in sight by their signal, then the others, which
        may be hidden, or the scan may have missed them.
        """
        signals = await self._scan() if len(self._networks) > 1 else {}
        order = []
        for i, known in enumerate(self._networks):
            order.append((-signals.get(known["ssid"].encode(), -1000), i))
        # The index is in it because sort is not stable here.
        order.sort()
        return [(self._networks[i]["ssid"], self._networks[i]["password"]) for _, i in order]

    async def _scan(self):
        """The signal in dBm of each network in sight, by its name in bytes."""
        results = []
        _thread.start_new_thread(_scan_aside, (self._wlan, results))
        began = time.ticks_ms()
        while not results and time.ticks_diff(time.ticks_ms(), began) < _SCAN_MS:
            await asyncio.sleep_ms(self._poll_ms)
        signals = {}
        for seen in results[0] if results else ():
            ssid, dbm = seen[0], seen[3]
            signals[ssid] = max(dbm, signals.get(ssid, dbm))
        return signals

    async def _join(self, ssid, password, within_ms):
        """None when joined, or words for what went wrong."""
        wlan = self._wlan
        began = time.ticks_ms()
        try:
            try:
                wlan.connect(ssid, password)
            except OSError:
                self._radio_anew()
                wlan.connect(ssid, password)
        except OSError as error:
            return str(error)
        while not wlan.isconnected():
            if time.ticks_diff(time.ticks_ms(), began) >= within_ms:
                failure = _in_words(wlan.status())
                # Otherwise the driver would go on trying this one while the next is asked for.
                self._radio_anew()
                return failure
            await asyncio.sleep_ms(self._poll_ms)
        return None


def _scan_aside(wlan, results):
    """Runs in a thread: the driver releases the interpreter while it listens."""
    try:
        results.append(wlan.scan())
    except OSError as error:
        _log.warning("cannot scan for Wi-Fi networks: %s", error)
        results.append(())


def _in_words(status):
    if status == network.STAT_NO_AP_FOUND:
        return "not found"
    if status == network.STAT_WRONG_PASSWORD:
        return "refused; is the password right?"
    return "no answer; is the password right?"

"""An ESP32: what unix.py promises of a board, kept by MicroPython's `machine` and `network`."""

import _thread
import asyncio
import struct
import time

import machine
import network
from micropython import const

from firmware.base.log import Log
from firmware.times.clock import UNIX_EPOCH_S

_log = Log("board")

_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "soft",
}


def unique_id() -> bytes:
    return machine.unique_id()


# Why the firmware restarts itself; the RTC's memory holds the place in this list.
REASONS = ("failure", "memory", "command", "config")


def reset_cause() -> str:
    # machine.reset is told from a reset button by what `restart` left; a crash in between is
    # neither, and leaves none.
    cause = _CAUSES.get(machine.reset_cause(), "unknown")
    return (_reason if cause == "hard" else None) or cause


# The RTC counts on over these; it begins at 2000-01-01 when the power comes.
COUNTER_SURVIVES = ("watchdog", "soft", "deep-sleep") + REASONS


def counter_ms() -> int:
    return time.time_ns() // 1000000


# The RTC's memory: a mark, since it is anything after power-on, a number, and why the firmware
# restarted itself, counted from 1, or 0.
_SIZE = const(9)
_MARK = b"CTh2"


def _memory() -> bytearray:
    memory = bytearray(machine.RTC().memory()[:_SIZE])
    if memory[:4] == _MARK and len(memory) == _SIZE:
        return memory
    memory = bytearray(_SIZE)
    memory[:4] = _MARK
    return memory


def _take_reason():
    """Why the firmware restarted itself, told once."""
    memory = _memory()
    place = memory[8]
    memory[8] = 0
    machine.RTC().memory(memory)
    return REASONS[place - 1] if 0 < place <= len(REASONS) else None


_reason = _take_reason()


class Retained:
    def __init__(self):
        self._rtc = machine.RTC()
        self._memory = _memory()

    def get(self) -> int:
        return struct.unpack_from("<I", self._memory, 4)[0]

    def set(self, number: int) -> None:
        struct.pack_into("<I", self._memory, 4, number)
        self._rtc.memory(self._memory)


def restart(why: str) -> None:
    memory = _memory()
    memory[8] = REASONS.index(why) + 1
    machine.RTC().memory(memory)
    machine.reset()


def set_time(utc_ms: int) -> None:
    # Its own `gmtime` turns this back into what it counts from, 1970 or 2000.
    seconds = utc_ms // 1000 - UNIX_EPOCH_S
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    microseconds = utc_ms % 1000 * 1000
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, microseconds))


def watchdog(timeout_ms: int) -> machine.WDT:
    return machine.WDT(timeout=timeout_ms)


def name_servers() -> list:
    server = network.WLAN(network.STA_IF).ifconfig()[3]  # from DHCP
    return [] if server == "0.0.0.0" else [server]


def onewire(pin: int):
    import onewire  # frozen in

    return onewire.OneWire(machine.Pin(pin))


class Output:
    """A relay's pin; off from the moment it is made."""

    def __init__(self, pin: int, active: str):
        self.on = False
        self._on_level = int(active == "high")
        # With `value` the driver sets the level first and makes the pin an output then. The other
        # way round a relay that is active low would click at every start.
        self._pin = machine.Pin(pin, machine.Pin.OUT, value=1 - self._on_level)

    def set(self, on: bool) -> None:
        self._pin.value(self._on_level if on else 1 - self._on_level)
        self.on = on


class Wifi:
    """The station interface, joined to whichever of the networks can be had.

    Nothing here waits in the driver but the switching of the radio, which holds the loop while it
    starts or stops. A scan, which takes the driver seconds, has a thread of its own.
    """

    JOIN_MS = 15000  # for one network: association, keys and DHCP take up to ten seconds
    CONNECT_MS = 60000  # for all of them
    SCAN_MS = 10000  # the driver's own limit for all channels is below five seconds
    POLL_MS = 100

    def __init__(self, networks: list):
        self._networks = networks
        self._wlan = network.WLAN(network.STA_IF)

    def connected(self) -> bool:
        return self._wlan.isconnected()

    def disconnect(self) -> None:
        self._wlan.active(False)

    def rssi(self) -> "int | None":
        try:
            return self._wlan.status("rssi")
        except OSError:  # not associated
            return None

    async def connect(self) -> None:
        if self.connected():
            return
        if not self._networks:
            raise OSError("no Wi-Fi network is known: name one under `wifi` in config.json")
        began = time.ticks_ms()
        self._radio_anew()
        failures = []
        for ssid, password in await self._strongest_first():
            left_ms = self.CONNECT_MS - time.ticks_diff(time.ticks_ms(), began)
            if left_ms <= 0:
                break
            failure = await self._join(ssid, password, min(left_ms, self.JOIN_MS))
            if failure is None:
                _log.info("joined %s, %s dBm", ssid, self.rssi())
                return
            failures.append("%s: %s" % (ssid, failure))
        raise OSError("no Wi-Fi: " + "; ".join(failures))

    def _radio_anew(self):
        """Ends whatever the driver is doing, its own attempts to reconnect included.

        Off and on is the one remedy for all: for a connection that only looks alive, and for
        "Wifi Internal State Error".
        """
        self._wlan.active(False)
        self._wlan.active(True)

    async def _strongest_first(self):
        """(ssid, password) of each network: those in sight by their signal, then the others.

        A network that was not seen may be a hidden one, or the scan may have missed it.
        """
        if len(self._networks) == 1:
            signals = {}
        else:
            signals = await self._scan()
        order = []
        for i, known in enumerate(self._networks):
            order.append((-signals.get(known["ssid"].encode(), -1000), i))
        # By the index as well: sort is not stable here.
        order.sort()
        return [(self._networks[i]["ssid"], self._networks[i]["password"]) for _, i in order]

    async def _scan(self):
        """The signal in dBm of each network in sight, by its name in bytes."""
        results = []
        _thread.start_new_thread(_scan_aside, (self._wlan, results))
        began = time.ticks_ms()
        while not results and time.ticks_diff(time.ticks_ms(), began) < self.SCAN_MS:
            await asyncio.sleep_ms(self.POLL_MS)
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
                # Or the driver would go on trying this one while the next is asked for.
                self._radio_anew()
                return failure
            await asyncio.sleep_ms(self.POLL_MS)
        return None


def _scan_aside(wlan, results):
    """Runs in a thread: the driver gives the interpreter free while it listens."""
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

"""The parts of an ESP32 that no computer has, as strict as the real ones.

`install()` puts stand-ins for `machine`, `network`, `esp32` and `onewire` into sys.modules. They
refuse what the real ones refuse, and record what a relay would feel.
"""

import sys
import time


class Pin:
    """A pin whose latch is 0 at power-on, as an ESP32's; `driven` holds what a relay felt."""

    IN = 1
    OUT = 3
    PULL_UP, PULL_DOWN = 2, 1
    driven = {}
    levels = {}  # of the inputs, from outside

    def __init__(self, pin, mode=-1, pull=-1, value=None):
        if pull not in (-1, None) and pin in (34, 35, 36, 39):
            raise ValueError("pins 34~39 do not have pull-up or pull-down circuitry")
        self.pin = pin
        self._driven = Pin.driven.setdefault(pin, [])
        self._latch = 0
        self._mode = mode
        if value is not None:
            self._latch = value  # the real one does this before it sets the mode
        if mode == Pin.OUT:
            self._driven.append(self._latch)

    def value(self, level=None):
        if level is None:
            return Pin.levels[self.pin]
        self._latch = level
        if self._mode == Pin.OUT:
            self._driven.append(level)
        return None


class WDT:
    """There is one, and nothing stops it: `bites` counts how often it would have reset the board,
    while `Timer.pass_s` lets time pass.
    """

    bites = 0
    running = None  # the one that was made last

    def __init__(self, timeout):
        self.timeout = timeout
        self.fed = 0
        self._hungry_ms = 0
        WDT.running = self

    def feed(self):
        self.fed += 1
        self._hungry_ms = 0

    def pass_ms(self, ms):
        self._hungry_ms += ms
        if self._hungry_ms > self.timeout:
            self._hungry_ms = 0
            WDT.bites += 1


class Timer:
    """A hardware timer; the same number is the same timer."""

    PERIODIC = 1
    _armed = {}  # by number: (period, callback, ms that are over, the Timer)

    def __init__(self, number):
        if not 0 <= number <= 1:
            raise ValueError("invalid Timer number")  # an ESP32-C3 has two
        self._number = number

    def init(self, *, period, mode, callback):
        assert mode == Timer.PERIODIC
        Timer._armed[self._number] = [period, callback, 0, self]

    def deinit(self):
        Timer._armed.pop(self._number, None)

    @staticmethod
    def pass_s(seconds):
        """So much time passes for all timers and the watchdog."""
        for _ in range(seconds):
            for armed in list(Timer._armed.values()):
                armed[2] += 1000
                if armed[2] >= armed[0]:
                    armed[2] = 0
                    armed[1](armed[3])
            if WDT.running:
                WDT.running.pass_ms(1000)


class RTC:
    """Its memory outlives a restart, and holds anything, or nothing, after power-on."""

    kept = b""

    def memory(self, data=None):
        if data is None:
            return RTC.kept
        assert len(data) <= 2048, "the RTC's memory is small"
        RTC.kept = bytes(data)
        return None

    def datetime(self, fields):
        assert len(fields) == 8
        RTC.set = fields


class ADC:
    ATTN_11DB = 3
    microvolts = {}  # at each pin

    def __init__(self, pin, atten=0):
        if not 32 <= pin.pin <= 39:
            raise ValueError("invalid pin")
        assert atten == ADC.ATTN_11DB, "what is over 1.1 V is read as 1.1 V"
        self._pin = pin.pin

    def read_uv(self):
        return ADC.microvolts[self._pin]


class SoftI2C:
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        assert timeout <= 10000, "a wire that is held low would hold the loop"
        self.pins = scl.pin, sda.pin


class Machine:
    Pin = Pin
    ADC = ADC
    SoftI2C = SoftI2C
    WDT = WDT
    Timer = Timer
    RTC = RTC
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
    cause = 1
    resets = 0

    @staticmethod
    def unique_id():
        return b"\x24\x0a\xc4\x00\x01\xfe"

    @staticmethod
    def reset_cause():
        return Machine.cause

    @staticmethod
    def reset():
        Machine.resets += 1


class WLAN:
    """A station interface and the air around it: `air` is {ssid: (password, dBm, polls)}, or with
    {bssid: dBm} as a fourth where there are several access points of that name.

    polls: how often isconnected must be asked before it says yes; dBm None: a hidden network.
    """

    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    air = {}
    deaf = ()  # the access points that answer nobody
    refuses = False  # does the driver refuse every setting?
    scan_ms = 0
    scan_error = None
    stuck = 0  # how many times connect raises although nothing is under way
    error = None  # what the driver says instead of making the radio
    last = None  # the one that was made last

    def __init__(self, interface):
        if interface != Network.STA_IF:
            raise ValueError("invalid WLAN interface identifier")
        if WLAN.error:
            raise RuntimeError(WLAN.error)
        self.history = []
        self.on = False
        self.settings = {}
        self._idle()
        WLAN.last = self

    def _idle(self):
        self.ssid = self.bssid = None
        self.polls = 0
        self.joined = False

    def active(self, on):
        self.history.append("on" if on else "off")
        if on != self.on:
            self._idle()
        self.on = on
        self.settings = {}
        self.country = Network.code

    def config(self, **settings):
        if WLAN.refuses or not self.on:
            raise RuntimeError("Wifi Unknown Error 0x3002")
        self.settings.update(settings)

    def connect(self, ssid, password, *, bssid=None):
        if bssid is not None and len(bssid) != 6:
            raise ValueError
        if not self.on or (self.ssid is not None and not self.joined) or WLAN.stuck:
            WLAN.stuck = max(0, WLAN.stuck - 1)
            raise OSError("Wifi Internal State Error")
        self.history.append(ssid)
        self._idle()
        self.ssid = ssid
        self.password = password
        self.bssid = bssid

    def scan(self):
        if not self.on:
            raise OSError("STA must be active")
        if self.ssid is not None and not self.joined:
            raise OSError("STA is connecting, scan are not allowed!")
        self.history.append("scan")
        time.sleep_ms(WLAN.scan_ms)
        if WLAN.scan_error:
            raise OSError(WLAN.scan_error)
        found = [(b"neighbour", b"bssid.", 1, -40, 3, False)]
        for ssid in WLAN.air:
            for bssid, dbm in _points(ssid).items():
                if dbm is not None:
                    found.append((ssid.encode(), bssid, 6, dbm, 3, False))
        return found

    def isconnected(self):
        if self.ssid in WLAN.air:
            password, polls = WLAN.air[self.ssid][0], WLAN.air[self.ssid][2]
            self.polls += 1
            there = self.bssid is None or self.bssid in _points(self.ssid)
            good = there and self.bssid not in WLAN.deaf and self.password == password
            self.joined = good and self.polls > polls
        return self.joined

    def status(self, what=None):
        if what == "rssi":
            if not self.joined:
                raise OSError("Wifi Not Connected")
            heard = _points(self.ssid)
            return heard.get(self.bssid, min(heard.values()))
        if self.ssid not in WLAN.air:
            return Network.STAT_NO_AP_FOUND
        if WLAN.air[self.ssid][0] != self.password:
            return Network.STAT_WRONG_PASSWORD
        return Network.STAT_CONNECTING


def _points(ssid):
    """{bssid: dBm} of a network."""
    entry = WLAN.air[ssid]
    return entry[3] if len(entry) > 3 else {b"bssid.": entry[1]}


class Network:
    STA_IF = 0
    name = "mpy-esp32"
    code = "XX"

    @staticmethod
    def hostname(name):
        if len(name) > 32 or WLAN.refuses:
            raise ValueError
        Network.name = name

    @staticmethod
    def country(code):
        if len(code) != 2 or WLAN.refuses:
            raise ValueError
        Network.code = code

    STAT_CONNECTING, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 1001, 201, 202
    WLAN = WLAN


class Esp32:
    HEAP_DATA = 4
    regions = []  # (size, free, largest free block, least free ever) of each

    @staticmethod
    def idf_heap_info(capabilities):
        if capabilities != Esp32.HEAP_DATA:
            raise ValueError
        return Esp32.regions

    fahrenheit = 128

    @staticmethod
    def raw_temperature():
        return Esp32.fahrenheit


class DhtModule:
    class DHT22:
        def __init__(self, pin):
            self.pin = pin.pin


class OneWireModule:
    class OneWire:
        def __init__(self, pin):
            if not isinstance(pin, Pin):
                raise TypeError("expected a Pin")
            self.pin = pin


def install():
    sys.modules["machine"] = Machine
    sys.modules["network"] = Network
    sys.modules["esp32"] = Esp32
    sys.modules["onewire"] = OneWireModule
    sys.modules["dht"] = DhtModule

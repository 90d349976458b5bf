"""A simulated board, for MicroPython's unix port: what each name of a board promises.

The computer is connected already, so there is no Wi-Fi to join. A relay is an entry of `outputs`,
where the `room` driver finds the heat that it simulates.
"""

import os
import struct
import sys

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log

_log = Log("unix")

# Why the firmware restarts itself: a task that keeps dying, a lack of memory, a command, another
# configuration, the end of safe mode, another version.
_REASONS = ("failure", "memory", "command", "config", "safe-mode", "update")
_RESTART = const(75)  # sysexits.h: EX_TEMPFAIL
_REASON = "restarted"  # a file


def _take_reason():
    """Why the firmware restarted itself; told once."""
    try:
        with open(_REASON) as file:
            reason = file.read()
        os.remove(_REASON)
    except OSError:
        return None
    return reason if reason in _REASONS else None


_reason = _take_reason()

# The simulated hardware's side of the relays: every Output made so far, by its pin. None on a real
# board.
outputs = {}

_SIMULATED = "use the driver `room` or `counter` here"


def reset_cause() -> str:
    """Why the board started: power-on, watchdog, soft, deep-sleep, hard or unknown.

    Where the firmware asked for the restart, it is the reason that it gave to `restart`.
    """
    return _reason or "power-on"


# The causes of a start over which `counter_ms` goes on counting; a process has none.
COUNTER_SURVIVES = ()


def mac() -> str:
    """The board's MAC, such as 01:23:45:67:89:ab, which no other board has.

    Here it is in the file `mac` in the device's folder, which is made where there is none.
    """
    try:
        with open("mac") as file:
            return file.read().strip().lower()
    except OSError:
        pass
    six = bytearray(os.urandom(6))
    six[0] = six[0] & 0xFC | 2  # nobody's own: locally administered, for one station
    made = ":".join(["%02x" % byte for byte in six])
    with open("mac", "w") as file:
        file.write(made)
    return made


def counter_ms() -> int:
    """Milliseconds on the board's own counter, which some restarts do not set back."""
    return uptime.ms()


def memory() -> "tuple | None":
    """(free, largest block), in bytes, of the memory outside of MicroPython's heap that the radio
    and TLS need. None where that is the operating system's.
    """
    return None


class Retained:
    """A number that outlives a restart, as the RTC's RAM does; it is 0 after a power cut.

    Here it is a file, which outlives the process but is not synced to the disk.
    """

    def __init__(self, place: int = 0):
        """There are two of them: at place 0, and at place 1."""
        self._at = 4 * place
        self._word = bytearray(4)
        try:
            self._file = open("retained", "r+b")  # noqa: SIM115 kept for life
            self._file.seek(self._at)
            self._file.readinto(self._word)
        except OSError:
            self._file = open("retained", "w+b")  # noqa: SIM115

    def get(self) -> int:
        return struct.unpack("<I", self._word)[0]

    def set(self, number: int) -> None:
        """Allocates nothing."""
        struct.pack_into("<I", self._word, 0, number)
        self._file.seek(self._at)
        self._file.write(self._word)


def restart(why: str) -> None:
    """Starts the board anew; does not return. `why`, one of _REASONS, is the next reset cause.

    Here the program ends with an exit code that asks whoever started it, as `csipio device`, to
    start it again.
    """
    try:
        with open(_REASON, "w") as file:
            file.write(why)
    except OSError:
        pass  # a full disk: it starts anew all the same
    sys.exit(_RESTART)


def set_time(utc_ms: int) -> None:
    """Sets the system's clock, by which TLS judges certificates. A computer sets its own."""


def watchdog(timeout_ms: int):
    """Starts the watchdog, which nothing stops but a restart."""
    return _Watchdog(timeout_ms)


def at_prompt(most_ms: int) -> bool:
    """Somebody is going to be at the prompt: the watchdog, if it runs, is fed from a timer until
    `watchdog` is called again, but no longer than that. Returns whether there is a prompt.

    Here there is none where the program was given with -c, as `csipio device` does; and no
    watchdog that bites.
    """
    return "-c" not in sys.argv


class _Watchdog:
    """Restarts the board once `feed` has not been called for `timeout_ms` milliseconds. A process
    cannot be cut short from inside, so here a feed that comes too late is an error in the log.
    """

    def __init__(self, timeout_ms: int):
        self._timeout_ms = timeout_ms
        self._fed_ms = uptime.ms()

    def feed(self) -> None:
        now_ms = uptime.ms()
        late_ms = now_ms - self._fed_ms
        self._fed_ms = now_ms
        if late_ms > self._timeout_ms:
            _log.error("the watchdog was not fed for %d ms: a board would have restarted", late_ms)


class Output:
    """A pin that switches a relay; off from the moment it is made, without a glitch.

    active: the level, "high" or "low", that switches the relay on.
    """

    def __init__(self, pin: int, active: str):
        self.on = False
        outputs[pin] = self

    def set(self, on: bool) -> None:
        self.on = on


def networks() -> "list | None":
    """(name, signal in dBm) of each Wi-Fi network in sight, the strongest first; None where the
    network is the computer's. Takes seconds, in which the loop stands. Raises OSError, with words.
    """
    return None


class Wifi:
    """ssid: the name of the network that it joined last; None for none."""

    broken = False  # whether there is no radio, and none before the device is restarted

    def __init__(self, networks: list, radio: "dict | None" = None, device_id: str = ""):
        """Makes the radio, which needs much memory in large blocks: to be done early.

        `networks`: a list of {"ssid": …, "password": …}. `radio`: the section `network`. A radio
        that cannot be made is logged, and each `connect` fails: the heating goes on without it.
        """
        self.ssid = None

    async def connect(self) -> None:
        """Joins one of the networks; returns at once when joined. Raises OSError, with words; or
        RuntimeError where the radio is broken.
        """

    def connected(self) -> bool:
        """Whether the board has an address; may stay True for minutes after a network died."""
        return True

    def better(self) -> bool:
        """Whether another access point is heard so much better that `connect` would join it, which
        it does from then on. Asked often, this finds out now and then, and takes no time.
        """
        return False

    def disconnect(self) -> None:
        """Leaves the network, so that the next `connect` begins from nothing."""

    def rssi(self) -> "int | None":
        """The signal's strength in dBm, or None where there is none."""
        return None


def name_servers(path: "str | None" = None) -> list:
    """The IPv4 addresses of the network's name servers, the preferred one first; maybe none.

    They stand in `resolv.conf` in the device's folder, where a laboratory may put one, or else in
    the computer's. A port may follow: `nameserver 127.0.0.1:5353`.
    """
    servers = []
    for name in (path,) if path else ("resolv.conf", "/etc/resolv.conf"):
        try:
            with open(name) as file:
                for line in file:
                    words = line.split()
                    # An IPv6 address has two colons or more.
                    if len(words) > 1 and words[0] == "nameserver" and words[1].count(":") < 2:
                        servers.append(words[1])
        except OSError:
            continue
        break
    return servers


def chip() -> tuple:
    """(its name, whether PSRAM takes pins of it); see pins.py. Here it is an ESP32, so that a
    configuration is checked as on a board.
    """
    return "ESP32", False


def partition():
    """MicroPython's class esp32.Partition. Raises OSError, with words, where there is none."""
    raise OSError("the unix port has no slots for applications")


def onewire(pin: int):
    """The 1-Wire bus on a pin. Raises OSError, with words, where there is none."""
    raise OSError("the unix port has no 1-Wire bus; " + _SIMULATED)


def i2c(sda: int, scl: int):
    """The I²C bus on these pins, as machine.I2C is. Raises OSError, with words."""
    raise OSError("the unix port has no I²C bus; " + _SIMULATED)


def dht22(pin: int):
    """The frozen module's dht.DHT22 on a pin. Raises OSError, with words."""
    raise OSError("the unix port has no pins; " + _SIMULATED)


def aside(call) -> None:
    """Calls it in a thread, for what waits where the loop must not."""
    call()


class Analog:
    """A pin whose voltage is read. Raises OSError, with words, or ValueError for no such pin."""

    def __init__(self, pin: int):
        raise OSError("the unix port has no pins; " + _SIMULATED)

    def microvolts(self) -> int:
        return 0


class Input:
    """A pin whose level is read. `pull`: up, down or none. It raises what Analog does."""

    def __init__(self, pin: int, pull: str):
        raise OSError("the unix port has no pins; " + _SIMULATED)

    def level(self) -> int:
        return 0


def chip_temperature() -> "float | None":
    """Inside the chip, °C; None where it does not tell."""
    return None


def rssi() -> "int | None":
    """The Wi-Fi's signal, dBm; None where none is joined."""
    return None

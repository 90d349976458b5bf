"""A simulated board, for MicroPython's unix port: what each name of a board promises.

The computer is connected already, so there is no Wi-Fi to join; a relay is an entry of `outputs`,
where the `room` driver finds the heat that it has to simulate.
"""

import hashlib
import os
import struct
import sys

from firmware.base import uptime
from firmware.base.log import Log

_log = Log("board")

# Why the firmware restarts itself: a task that keeps dying, a lack of memory, a command, another
# configuration.
REASONS = ("failure", "memory", "command", "config")
RESTART = 75  # sysexits.h: EX_TEMPFAIL
_REASON = "restarted"  # a file


def _take_reason():
    """Why the firmware restarted itself, told once."""
    try:
        with open(_REASON) as file:
            reason = file.read()
        os.remove(_REASON)
    except OSError:
        return None
    return reason if reason in REASONS else None


_reason = _take_reason()

# Every output made so far, by its pin: the simulated hardware's side of the relays.
outputs = {}


def unique_id() -> bytes:
    """Six bytes that tell this device from every other one, the same after each start.

    A simulated device is its directory, so they are made from the directory's path.
    """
    return hashlib.sha256(os.getcwd().encode()).digest()[:6]


def reset_cause() -> str:
    """Why the board started: power-on, watchdog, soft, deep-sleep, hard or unknown.

    Or, where the firmware itself asked for it, the reason that it gave to `restart`.
    """
    return _reason or "power-on"


# The causes of a start over which `counter_ms` has counted on: none, for a process.
COUNTER_SURVIVES = ()


def counter_ms() -> int:
    """Milliseconds on the board's own counter, which some restarts do not set back."""
    return uptime.ms()


class Retained:
    """A number that outlives a restart, as RAM of the RTC does; 0 where the power was cut.

    Here it is a file, which outlives the process but is not synced to the disk.
    """

    def __init__(self, path: str = "retained"):
        self._word = bytearray(4)
        try:
            self._file = open(path, "r+b")  # noqa: SIM115 kept for life
            self._file.readinto(self._word)
        except OSError:
            self._file = open(path, "w+b")  # noqa: SIM115

    def get(self) -> int:
        return struct.unpack("<I", self._word)[0]

    def set(self, number: int) -> None:
        """Allocates nothing."""
        struct.pack_into("<I", self._word, 0, number)
        self._file.seek(0)
        self._file.write(self._word)


def restart(why: str) -> None:
    """Starts the board anew; does not return. `why`: one of REASONS, the next reset cause.

    Here the program ends with an exit code for whoever started it: `csipio device` starts it again
    in the same process.
    """
    try:
        with open(_REASON, "w") as file:
            file.write(why)
    except OSError:
        pass  # a full disk: it starts anew all the same
    sys.exit(RESTART)


def set_time(utc_ms: int) -> None:
    """Sets the system's clock, by which TLS judges certificates. A computer sets its own."""


def watchdog(timeout_ms: int) -> "Watchdog":
    """Starts the watchdog, which nothing stops but a restart."""
    return Watchdog(timeout_ms)


class Watchdog:
    """Restarts the board once `feed` has not been called for `timeout_ms` milliseconds.

    A process cannot be cut short from inside, so here a feeding that comes too late is an error
    in the log: a board would have restarted.
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
        self._active = active
        outputs[pin] = self

    def set(self, on: bool) -> None:
        self.on = on

    @property
    def level(self) -> int:
        """The simulated pin's voltage: 1 is high, 0 is low."""
        return int(self.on == (self._active == "high"))


class Wifi:
    """The way to the network. networks: a list of {"ssid": …, "password": …}."""

    def __init__(self, networks: list):
        self._networks = networks

    async def connect(self) -> None:
        """Joins one of the networks; returns at once when joined. Raises OSError, with words."""

    def connected(self) -> bool:
        """Whether the board has an address; may stay True for minutes after a network died."""
        return True

    def disconnect(self) -> None:
        """Leaves the network, so that the next `connect` begins from nothing."""

    def rssi(self) -> "int | None":
        """The signal's strength in dBm, or None where there is none."""
        return None


def name_servers(path: "str | None" = None) -> list:
    """The IPv4 addresses of the network's name servers, the one to prefer first; maybe none.

    They stand in `resolv.conf` in the device's folder, where a laboratory may put one, or else in
    the computer's. The port may be given, too: `nameserver 127.0.0.1:5353`.
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


def onewire(pin: int):
    """The 1-Wire bus on a pin. Raises OSError, with words, where there is none."""
    raise OSError("the unix port has no 1-Wire bus; use the driver `room` or `counter` here")

"""A simulated thermostat: `csipio device` as a child process on a running platform stand-in."""

import json
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from tools import device
from tools.console import Console

_TROUBLE = re.compile(r" *\d+\.\d{3} [WE] ")

_END_S = 5.0  # for the end that an interrupt asks for


def config(info: dict) -> dict:
    """A config.json for the device of a stand-in (`info` is its line of JSON).

    A room 120 times as fast as a real one, regulated with no minimum times, reported every 1 to
    2 s, over TLS alone; HTTPS takes over after 3 s. The CA is to be in certs/ca.pem.
    """
    return {
        "device": info["device"],
        "mqtt": {"url": f"mqtts://{info['host']}:{info['mqtts']}", "grace_s": 3},
        "https": {"url": info["api"]},
        "tls": {"ca": "certs/ca.pem"},
        "time": {"ntp": []},
        "feed": {"max_age_s": 1},
        "sensors": [
            {"prop": "temperature", "driver": "room", "every_s": 1, "start": 20, "speed": 120}
        ],
        "thermostat": {
            "sensor": "temperature",
            "relay": {"pin": 26},
            "min_on_s": 0,
            "min_off_s": 0,
        },
        "health": {"every_s": 5},
    }


class Device:
    """The firmware in a child process: `with Device(folder, info) as running:`.

    `folder` is made if need be, with its config.json and the stand-in's CA; the log of the device
    goes to `log`, a file beside it. The process has ended when the `with` is left.
    """

    def __init__(
        self, folder: Path, info: dict, heap: str | None = None, settings: dict | None = None
    ):
        """`heap`: such as "256K"; `settings`: another config.json than that of `config`.

        Builds the firmware. Raises tools.ToolError.
        """
        self.folder = folder
        self.log = folder.with_name(folder.name + ".log")
        self._command = device.command(heap)
        self._settings = config(info) if settings is None else settings
        self._ca = Path(info["ca"])
        self._lock = threading.Lock()
        self._seen = 0  # bytes of the log that `news` has looked at

    def __enter__(self) -> "Device":
        (self.folder / "certs").mkdir(parents=True, exist_ok=True)
        shutil.copy(self._ca, self.folder / "certs" / "ca.pem")
        (self.folder / "config.json").write_text(json.dumps(self._settings, indent=1) + "\n")
        self._log = self.log.open("ab")
        self._power_on()
        return self

    def pull_the_power(self) -> None:
        """SIGKILL, and a new start. It is `ended` at no time that another thread sees."""
        with self._lock:
            self._console.send_signal(signal.SIGKILL)
            self._console.wait()
            self._power_on()

    def _power_on(self) -> None:
        argv, environ = self._command
        self._console = Console(argv, environ, self.folder, device.places(), self._log.fileno())

    def __exit__(self, *exception: object) -> None:
        """Interrupt it as Ctrl-C does; kill it if it stays."""
        self._console.interrupt()
        try:
            self._console.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._console.send_signal(signal.SIGKILL)
            self._console.wait()
        self._log.close()

    @property
    def pid(self) -> int:
        """Of its present process."""
        return self._console.pid

    @property
    def ended(self) -> int | None:
        """None while it runs, else how it ended: its exit code, or minus a signal's number."""
        with self._lock:
            return self._console.poll()

    def tail(self, lines: int) -> list[str]:
        """The last lines of its log."""
        return self.log.read_text(errors="replace").splitlines()[-lines:]

    def troubles(self) -> list[str]:
        """The warnings and errors that its log has got since the last call."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._seen += len(whole) + len(newline)
        lines = whole.decode(errors="replace").splitlines()
        return [line.strip() for line in lines if _TROUBLE.match(line)]

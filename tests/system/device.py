"""`csipio device` in a test: its folder, its configuration, its log."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

import tools.device
from tools import ROOT

# Long enough for a loaded machine; what is waited for usually takes a fraction of it.
PATIENCE_S = 30


def wait(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S):
    """Return the first true answer of `condition`, asked ten times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


class Device:
    """A simulated thermostat. `config` is written to its config.json at each start."""

    def __init__(self, folder: Path, info: dict):
        self.folder = folder
        (folder / "certs").mkdir(parents=True)
        shutil.copy(info["ca"], folder / "certs/ca.pem")
        self.config = {
            "device": info["device"],
            "mqtt": {"url": f"mqtts://localhost:{info['mqtts']}"},
            "https": {"url": info["api"]},
            "time": {"ntp": []},
            "feed": {"max_age_s": 0.5, "per_minute": 600},
            "sensors": [{"prop": "temperature", "driver": "room", "every_s": 0.5, "speed": 1}],
            "thermostat": {
                "sensor": "temperature",
                "relay": {"pin": 26},
                "min_on_s": 0,
                "min_off_s": 0,
            },
            "health": {"every_s": 1},
        }
        self.log: list[str] = []
        self._process: subprocess.Popen | None = None

    def count(self, every_s: float = 0.1, prop: str = "counter") -> None:
        """Add a sensor each of whose readings is known, from its file."""
        self.config["sensors"].append(
            {
                "prop": prop,
                "driver": "counter",
                "file": f"{prop}.txt",
                "every_s": every_s,
                "decimals": 0,
            }
        )

    def counted(self, prop: str = "counter") -> list[int]:
        """Every reading that the counter ever gave."""
        path = self.folder / f"{prop}.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def start(self, heap: str | None = None) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.config))
        self.start_as_it_is(heap)

    def start_broken(
        self, code: str, heap: str | None = None, origin: tools.device.Origin = "sources"
    ) -> None:
        """Start after some Python that breaks a part of the firmware, until its next restart."""
        (self.folder / "config.json").write_text(json.dumps(self.config))
        options = {"heap": heap, "origin": origin, "first": code}
        run = f"device.run(Path({str(self.folder)!r}), **{options!r})"
        begin = "from pathlib import Path; from tools import device; "
        self._start([sys.executable, "-c", begin + run], ROOT)

    def start_as_it_is(self, heap: str | None = None) -> None:
        """Start with whatever config.json holds."""
        command = [sys.executable, "-m", "tools", "device", str(self.folder)]
        if heap:
            command += ["--heap", heap]
        self._start(command, ROOT)

    def _start(self, command: list[str], folder: Path, environment: dict | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()

    def _collect(self, process) -> None:
        for line in process.stdout:
            self.log.append(line.rstrip("\n"))
        process.stdout.close()

    def wait_log(self, pattern: str, seconds: float = PATIENCE_S) -> str:
        """Wait for a line of the log in which the regular expression is found; return it."""
        try:
            return wait(
                lambda: next((line for line in self.log if re.search(pattern, line)), None),
                f"the log's line {pattern!r}",
                seconds,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; the log is\n" + "\n".join(self.log)) from None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def interrupt(self) -> int:
        """Stop it as Ctrl-C at the REPL would; return its exit code."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(PATIENCE_S)
        time.sleep(0.1)  # for the rest of the log
        return code

    def kill(self) -> None:
        """Cut its power. `csipio device` ends with the interpreter; on Linux also the reverse."""
        for child in psutil.Process(self._process.pid).children():
            child.kill()
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def stop(self) -> None:
        if self.running:
            self.kill()

"""`csipio run`: what a newcomer sees, and that nothing is left of it."""

import json
import os
import queue
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tools.live import Columns, Tally

WITHIN_S = 40  # a machine that runs the rest of the suite beside it


class Run:
    """`csipio run` in a subprocess, with a temporary folder and a process group of its own."""

    def __init__(self, temporary, *arguments):
        self.temporary = temporary
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools", "run", *arguments],
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.seen = ""
        self._lines = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def until(self, pattern):
        """The match of the first further line that has `pattern`; fails at the output's end."""
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            self.seen += line
            if not line:
                break
            if match := re.search(pattern, line):
                return match
        pytest.fail(f"no line with {pattern!r} in:\n{self.seen}")

    def columns(self, **wanted):
        """Wait for a line whose columns are as wanted; return all of its columns by name."""
        names = ["running", "points", "temperature", "setpoint", "relay", "transport", "waiting"]
        while True:
            text = self.until(r"^ +\d\d:\d\d:\d\d .*").group()
            cells = dict(zip(names, text.replace(" °C", "").split(), strict=True))
            if all(cells[name] == value for name, value in wanted.items()):
                return cells

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, end):
        """Ask it to end with `end`; its exit code, when all of it has gone."""
        children = self.children()
        end()
        code = self.process.wait(WITHIN_S)
        assert psutil.wait_procs(children, timeout=0)[1] == []
        assert list(self.temporary.iterdir()) == []
        self._reader.join(WITHIN_S)
        while line := self._lines.get(timeout=1):
            self.seen += line
        return code


@pytest.fixture
def started(tmp_path):
    runs = []

    def start(*arguments):
        runs.append(Run(tmp_path, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()


def command(run, pattern):
    """Run a command of the banner as a newcomer would, pasted into a shell."""
    text = re.search(rf"^ +({pattern}.*)$", run.seen, re.MULTILINE).group(1)
    done = subprocess.run(text, shell=True, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_points_arrive_and_the_banners_commands_work(started):
    run = started()
    run.until("Ctrl-C ends it all")
    assert int(run.columns(transport="mqtt")["points"]) > 0
    assert '"accepted": 1' in command(run, "curl .*setpoint")
    run.columns(setpoint="23.0", relay="on")
    command(run, r"sed .*\[\"mqtt\"\]")
    run.until(r"! device: .* W uplink: MQTT: ")
    run.columns(transport="https")
    command(run, r"sed .*\[\],")
    run.columns(transport="mqtt")
    assert run.end(lambda: run.process.send_signal(signal.SIGINT)) == 0
    assert re.search(r"Ended after \d+ s: \d+ points .*over https, .*over mqtt", run.seen)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_all_of_it_as_from_a_terminal_leaves_nothing(started, name):
    run = started()
    run.columns(transport="mqtt")
    assert len(run.children()) == 1
    assert run.end(lambda: os.killpg(run.process.pid, getattr(signal, name))) == 0
    assert "Traceback" not in run.seen
    assert "Ended after" in run.seen


def test_a_device_that_dies_is_told_of(started):
    run = started()
    run.columns(transport="mqtt")
    assert run.end(lambda: run.children()[0].kill()) == 1
    assert "The device has ended by itself (-9). The end of its log:" in run.seen
    assert "mqtt_client: connected to localhost" in run.seen.split("by itself")[1]


def test_a_pipe_that_is_closed_ends_it(tmp_path):
    text = f"TMPDIR={shlex.quote(str(tmp_path))} {sys.executable} -m tools run | head -1"
    subprocess.run(text, shell=True, check=True, capture_output=True, timeout=WITHIN_S)
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_on_the_port_that_was_asked_for_or_the_next_free_one(started):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = started("--port", str(port), "--no-browser")
        shown = int(run.until(r"Page +http://127\.0\.0\.1:(\d+)").group(1))
        assert port < shown < port + 50


def test_a_fleet_reports_and_leaves_nothing(started):
    run = started("--devices", "3", "--no-browser")
    api = run.until(r"API +(\S+)").group(1)
    assert api.startswith("https://localhost:")
    run.columns(transport="mqtt")
    assert len([c for c in run.children() if "micropython" in c.name()]) == 3


def write(prop, t_ms, value, transport="mqtt", key="device", received_ms=1000):
    return {
        "received_ms": received_ms,
        "transport": transport,
        "key": key,
        "device": "d",
        "prop": prop,
        "t_ms": t_ms,
        "value": value,
    }


def test_the_tally_goes_by_the_points_own_times():
    tally = Tally()
    tally.add([write("temperature", 20, 21.5), write("temperature", 10, 18, "https")])
    tally.add([write("setpoint", 30, 23, "https", key="client", received_ms=90_000)])
    assert (tally.received, tally.journal_rows) == (2, 3)
    assert tally.by_transport == {"mqtt": 1, "https": 1}
    assert (tally.value("temperature"), tally.value("setpoint")) == (21.5, 23)
    # A client's write says nothing of the device's way to the platform.
    assert tally.transport(8_999) == "https"
    assert tally.transport(9_000) == "none"


def test_the_header_comes_back():
    columns = Columns()
    lines = [line for n in range(41) for line in columns.lines(n, Tally(), 0)]
    assert len(lines) == 41 + 3
    assert [n for n, line in enumerate(lines) if "setpoint" in line] == [0, 21, 42]
    assert lines[1].split() == ["00:00:00", "0", "-", "-", "-", "none", "-"]


def test_a_device_with_a_fleets_key_alone_reports_within_20_s(started):
    run = started("--provision")
    folder = run.until(r"device's folder +(.+)").group(1)
    begun = time.monotonic()
    run.columns(transport="mqtt")
    assert time.monotonic() - begun < 20
    cells = run.columns()
    assert int(cells["points"]) > 0
    with open(f"{folder}/config.json") as file:
        assert list(json.load(file)["device"]) == ["provision"]

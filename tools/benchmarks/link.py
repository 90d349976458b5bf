"""How fast the link is: what an outage left, a command to the relay and its answer, a start.

The firmware runs as `csipio device` does, on the stand-in, over TLS on this machine. Beside it
stands what a competent user of umqtt.simple writes: a feed of dicts and json.dumps, published and
waited for, in a loop.
"""

import contextlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.benchmarks import BenchmarkError, Job, Row
from tools.client import Client
from tools.platform.thread import PlatformThread
from tools.simulated import Device, config

_PATIENCE_S = 60
_COUNTERS = 20
_FEED = 100  # points
# No more than are kept on flash, and so answered, without a pause.
_COMMANDS = 8
_LIMITS = {"rateLimit": 100000, "maxNrOfDpPerFeed": _FEED}


def rows(job: Job) -> list[Row]:
    """The drain, the command and the start."""
    return [*_drain(job), *_command(job), *_start(job)]


def _drain(job: Job) -> list[Row]:
    """Readings that an outage has left on flash, delivered as fast as they go."""
    job.note("draining what an outage has left")
    with _platform(job, "drain") as platform:
        names = [f"c{n}" for n in range(_COUNTERS)]
        declared = {name: {"type": "number"} for name in names}
        platform.control(lambda tree: tree["properties"].update(declared))
        settings = _settings(platform.info)
        settings["feed"] |= {"max_age_s": 60, "max_points": _FEED, "format": "compact"}
        settings["health"] = {"every_s": 0}
        settings["sensors"] += [
            {"prop": name, "driver": "counter", "file": name, "every_s": 0.1, "decimals": 0}
            for name in names
        ]
        folder = job.folder / "drained"
        platform.stop_mqtt()
        platform.stop_https()
        with Device(folder, platform.info, settings=settings):
            time.sleep(3 if job.quick else 30)
        taken = {name: (folder / name).read_text().count("\n") for name in names}
        platform.start_mqtt()
        platform.start_https()
        # Only what waits is delivered: no new reading comes meanwhile.
        settings["sensors"] = [sensor | {"every_s": 3600} for sensor in settings["sensors"]]
        with Device(folder, platform.info, settings=settings) as device:
            _wait(lambda: "carries the feeds" in device.log.read_text(), "MQTT")
            began = time.monotonic()

            def all_there() -> bool:
                there = Counter(prop for prop, _, _ in platform.points())
                return all(there[name] >= taken[name] for name in names)

            _wait(all_there, "the drain", 0.1)
            took_s = time.monotonic() - began
        points = sum(taken.values())
        told = job.folder / "platform.json"
        told.write_text(json.dumps(platform.info))
        loop = job.inside("drain", told, points, _FEED)
    ours_us = 1e6 * took_s / points
    return [
        Row(
            f"time to drain a point of flash, MQTT over TLS, of {points}",
            ours_us,
            "µs",
            f"umqtt.simple in a loop, from RAM: {loop['us']:.0f} µs",
            67,
            timing=True,
        )
    ]


def _command(job: Job) -> list[Row]:
    """From a client's write to the relay, by the relay's own reading, and to the answer."""
    job.note("commands")
    with _platform(job, "command") as platform:
        info = platform.info
        settings = _settings(info)
        settings["feed"] |= {"max_age_s": 10}
        settings["health"] = {"every_s": 0}
        key = info["client"]
        client = Client(info["api"], key["key_id"], key["key_secret"], Path(info["ca"]))
        with Device(job.folder / "commanded", info, settings=settings) as device:
            _wait(lambda: "listening for commands" in device.log.read_text(), "MQTT")
            time.sleep(1)
            for n in range(_COMMANDS):
                seen = len(platform.writes())
                client.write(info["device"]["id"], "setpoint", 30 if n % 2 else 10)
                _wait(
                    lambda seen=seen: _of(platform.writes(seen), "setpoint", "device"), "an answer"
                )
                time.sleep(0.3)
            _wait(lambda: len(platform.points("relay")) >= _COMMANDS, "the relay's report")
        writes = platform.writes()
    asked = _of(writes, "setpoint", "client")
    relay = [write["t_ms"] for write in writes if write["prop"] == "relay"]
    switched = [min(ms - at for ms in relay if ms >= at) for at in asked[1:]]
    answers = [
        min(ms - at for ms in _of(writes, "setpoint", "device") if ms >= at) for at in asked
    ]
    return [
        _timing("command to relay, median", statistics.median(switched), 5),
        _timing("command to relay, longest", max(switched), 50),
        _timing("command to answer, median", statistics.median(answers), 50),
    ]


def _of(writes: list[dict], prop: str, key: str) -> list[int]:
    """When the stand-in got what that key wrote of a property, ms."""
    return [
        write["received_ms"] for write in writes if write["key"] == key and write["prop"] == prop
    ]


def _start(job: Job) -> list[Row]:
    """From the start of the interpreter to the first reading on the platform."""
    job.note("starts")
    took = []
    for n in range(1 if job.quick else 5):
        with _platform(job, f"start{n}") as platform:
            settings = _settings(platform.info)
            settings["feed"] |= {"max_age_s": 0.1}
            began = time.monotonic()
            with Device(job.folder / f"started{n}", platform.info, settings=settings):
                _wait(lambda p=platform: p.points("temperature"), "the first point", 0.005)
                took.append(time.monotonic() - began)
    return [_timing("start to first point, TLS", 1000 * statistics.median(took), 250)]


def _timing(name: str, ms: float, budget: float) -> Row:
    return Row(name, ms, "ms", "", budget, timing=True)


@contextlib.contextmanager
def _platform(job: Job, name: str) -> Iterator[PlatformThread]:
    """A stand-in that takes as much as comes."""
    with PlatformThread(job.folder / name) as platform:
        platform.control(lambda tree: tree["limits"].update(_LIMITS))
        yield platform


def _settings(info: dict) -> dict:
    settings = config(info)
    settings["feed"]["per_minute"] = 6000
    return settings


def _wait(condition: Callable[[], object], what: str, every_s: float = 0.02) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise BenchmarkError(f"{what}: not within {_PATIENCE_S} s")
        time.sleep(every_s)

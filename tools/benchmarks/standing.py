"""What the subjects of the link share: a stand-in that takes all that comes, and patience."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tools.benchmarks import BenchmarkError, Job
from tools.faults.far import Far
from tools.faults.proxy import Loop, Proxy
from tools.platform.control import new_device
from tools.platform.thread import PlatformThread
from tools.simulated import config

_PATIENCE_S = 90
_LIMITS = {"rateLimit": 100000, "maxNrOfDpPerFeed": 100}


@contextlib.contextmanager
def platform(job: Job, name: str, counters: Iterable[str] = ()) -> Iterator[PlatformThread]:
    """A stand-in in a folder of this name, that has these properties, too."""
    with PlatformThread(job.folder / name) as running:
        declared = {counter: {"type": "number"} for counter in counters}

        def change(tree: dict) -> None:
            tree["limits"].update(_LIMITS)
            tree["properties"].update(declared)

        running.control(change)
        yield running


@contextlib.contextmanager
def proxies(info: dict) -> Iterator[tuple[dict, list[Proxy]]]:
    """A proxy before the broker and one before the API, and the line of JSON that leads there."""
    host = info["host"]
    with (
        Loop() as loop,
        Proxy(loop, (host, info["mqtts"], None)) as broker,
        Proxy(loop, (host, info["https"], None)) as api,
    ):
        there = {"mqtts": broker.port, "api": f"https://{host}:{api.port}/v3"}
        yield info | there, [broker, api]


@contextlib.contextmanager
def away(info: dict, round_trip_ms: int) -> Iterator[dict]:
    """The stand-in's line of JSON, for whoever is so far away from it."""
    if not round_trip_ms:
        yield info
        return
    with proxies(info) as (there, both):
        for proxy in both:
            proxy.inject(Far(round_trip_ms / 1000))
        yield there


def fleet(platform: PlatformThread, name: str, size: int, info: dict) -> list[dict]:
    """So many devices more: each one's line of JSON, which says `who` it is."""
    devices = [new_device(f"{name} {n}") for n in range(size)]
    platform.control(lambda tree: tree["devices"].extend(devices))
    return [
        info
        | {"who": device["name"]}
        | {"device": {key: device[key] for key in ("id", "key_id", "key_secret")}}
        for device in devices
    ]


def told(job: Job, info: dict) -> Path:
    """A file with it: MicroPython takes no argument of more than 255 bytes."""
    path = job.folder / f"{info['device']['id']}.json"
    path.write_text(json.dumps(info))
    return path


def leave(running: PlatformThread) -> None:
    """Take broker and API down."""
    running.stop_mqtt()
    running.stop_https()


def come_back(running: PlatformThread) -> None:
    """Bring both back. Where somebody has taken a port, the stand-in itself tries again."""
    for start in (running.start_mqtt, running.start_https):
        with contextlib.suppress(OSError):
            start()


def settings(info: dict) -> dict:
    """A config.json with the highest rate of feeds that the firmware takes: 1000 a second."""
    found = config(info)
    found["feed"]["per_minute"] = 60000
    return found


def counter(name: str, every_s: float) -> dict:
    """A sensor each of whose readings is known, from its file."""
    file = {"driver": "counter", "file": name, "decimals": 0}
    return {"prop": name, "every_s": every_s, **file}


def wait(condition: Callable[[], object], what: str, every_s: float = 0.02) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise BenchmarkError(f"{what}: not within {_PATIENCE_S} s")
        time.sleep(every_s)

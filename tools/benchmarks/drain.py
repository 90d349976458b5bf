"""How fast is delivered what an outage has left, to a platform that is near, or far away.

The firmware has its readings on flash; the others, each as a competent user writes it
(`inside/peers.py`), have theirs in RAM. The stand-in says how fast: points a second between the
first one's arrival and the last one's. All run against one stand-in in turns, and the median is
told. What lies between is a proxy that delays, and limits no rate (`tools/faults/far.py`).
"""

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tools import ROOT, vendor
from tools.benchmarks import BenchmarkError, Job, Row, standing
from tools.platform.thread import PlatformThread
from tools.simulated import Device

_PROPERTIES = [f"c{n}" for n in range(20)]
_EVERY_S = 0.1
_POINTS = 10000
_FEED = 100  # points

_RUNS = 5
_GOALS = {  # points a second
    ("mqtt", 0): 15000,
    ("mqtt", 50): 6000,
    ("mqtt", 200): 2000,
    ("https", 0): 5000,
    ("https", 50): 900,
}
# By transport: name, way (inside/peers.WAYS), whether only near, and how many points suffice.
_PEERS = {
    "mqtt": [
        ("umqtt.simple", "simple", False, 2000),
        ("umqtt.simple with TCP_NODELAY", "at_once", False, 2000),
        ("umqtt.robust", "robust", True, 2000),
        ("chumicro-mqtt", "chumicro", False, 10000),
    ],
    "https": [("requests, which verifies no certificate", "requests", False, 1000)],
}


def rows(job: Job) -> list[Row]:
    """A row for each transport and distance, and one for the stand-in by itself."""
    if not job.quick and not vendor.PEERS.exists():
        raise BenchmarkError("the peers are not there: `make bench` fetches them, once")
    with standing.platform(job, "drain", _PROPERTIES) as platform:
        full, kept = _outage(job, platform)
        found = [_alone(job, platform)]
        for transport, round_trip_ms in _GOALS:
            job.note(f"draining over {transport}, {round_trip_ms} ms away")
            with standing.away(platform.info, round_trip_ms) as info:
                found.append(_row(job, platform, info, (transport, round_trip_ms), full, kept))
    return found


def _outage(job: Job, platform: PlatformThread) -> tuple[Path, int]:
    """A device's folder after an outage, and how many readings it has kept."""
    job.note("an outage, for the drains")
    folder = job.folder / "full"
    wanted = _FEED * 6 if job.quick else _POINTS
    standing.leave(platform)
    with Device(folder, platform.info, settings=_settings(platform.info, _EVERY_S)):
        standing.wait(lambda: _taken(folder) >= wanted, "the outage", 0.2)
    standing.come_back(platform)
    return folder, _taken(folder)


def _taken(folder: Path) -> int:
    files = [folder / name for name in _PROPERTIES]
    return sum(path.read_bytes().count(b"\n") for path in files if path.exists())


def _settings(info: dict, every_s: float) -> dict:
    settings = standing.settings(info)
    settings["feed"] |= {"max_age_s": 60, "max_points": _FEED, "format": "compact"}
    settings["health"] = {"every_s": 0}
    settings["sensors"] += [standing.counter(name, every_s) for name in _PROPERTIES]
    return settings


def _row(
    job: Job,
    platform: PlatformThread,
    info: dict,
    case: tuple[str, int],
    full: Path,
    kept: int,
) -> Row:
    """Ours and theirs in turns."""
    transport, round_trip_ms = case
    peers = [
        (name, way, points)
        for name, way, near, points in _PEERS[transport]
        if not (near and round_trip_ms) and not job.quick
    ]
    ours, theirs = [], {name: [] for name, _, _ in peers}
    for _ in range(1 if job.quick else _RUNS):
        ours.append(_drained(job, platform, info, transport, full, kept))
        for name, way, points in peers:
            told = standing.told(job, info)
            seen = platform.written()
            job.inside("drain", told, way, points, _FEED)
            theirs[name].append(_rate(platform, seen, transport))
    return Row(
        f"draining {transport.upper()} over TLS, {round_trip_ms} ms round trip",
        statistics.median(ours),
        "points/s",
        "",
        _GOALS[case],
        timing=True,
        least=True,
        peers={name: statistics.median(rates) for name, rates in theirs.items()},
    )


def _drained(
    job: Job, platform: PlatformThread, info: dict, transport: str, full: Path, kept: int
) -> float:
    """Points a second of the device that comes back."""
    folder = job.folder / "drained"
    shutil.copytree(full, folder)
    # Only what waits is delivered: no new reading comes meanwhile.
    settings = _settings(info, 3600)
    settings["mqtt"]["grace_s"] = 0
    if transport == "https":
        platform.stop_mqtt()
    seen = platform.written()
    try:
        with Device(folder, info, settings=settings):
            standing.wait(
                lambda: platform.written() - seen >= kept and _delivered(platform, seen) >= kept,
                "the drain",
                0.1,
            )
    finally:
        standing.come_back(platform)
        shutil.rmtree(folder)
    return _rate(platform, seen, transport)


def _delivered(platform: PlatformThread, seen: int) -> int:
    """How many readings have come since row `seen` of the journal."""
    rows = platform.writes(seen)
    return len({(row["prop"], row["value"]) for row in rows if row["prop"] in _PROPERTIES})


def _rate(platform: PlatformThread, seen: int, transport: str) -> float:
    """Points a second after the first feed's, since row `seen` of the journal."""
    arrived = [
        row["received_ms"]
        for row in platform.writes(seen)
        if row["prop"] in _PROPERTIES and row["transport"] == transport
    ]
    first, last = min(arrived), max(arrived)
    return 1000 * sum(ms > first for ms in arrived) / max(last - first, 1)


def _alone(job: Job, platform: PlatformThread) -> Row:
    """What the stand-in takes at the most."""
    job.note("the stand-in alone")
    told = standing.told(job, platform.info)
    rates = []
    for _ in range(1 if job.quick else _RUNS):
        seen = platform.written()
        command = [sys.executable, "-m", "tools.benchmarks.writer", told, str(_POINTS), str(_FEED)]
        if subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).returncode:
            raise BenchmarkError("the plain writer failed")
        rates.append(_rate(platform, seen, "mqtt"))
    return Row(
        "most that the stand-in takes, MQTT over TLS",
        statistics.median(rates),
        "points/s",
        "a writer in CPython, its packets made beforehand: no drain can be faster",
    )

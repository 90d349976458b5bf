"""How much of a processor the firmware takes: with nothing to do but a reading a second, and with
as many sensors as it may have, at ten readings a second each.

It runs as `csipio device` does, on the stand-in, over TLS. Beside it stands what a competent user
of umqtt.simple writes: a loop that publishes a feed of dicts and json.dumps after each round of
readings. The CPU is what the kernel counts of a process, its own and the system's for it; only
Linux tells that so exactly.
"""

import time
from pathlib import Path

from tools.benchmarks import Job, Row, standing
from tools.simulated import Device

_SETTLED_S = 3
_MOST = 24  # sensors


def rows(job: Job) -> list[Row]:
    """CPU at rest, and of a point."""
    if not Path("/proc/self/schedstat").exists():
        return []
    rest, _, loop, _ = _spent(job, "at rest", 1, 1000)
    ms, points, loop_ms, loop_points = _spent(job, "at work", _MOST, 100)
    ours_us, loop_us = 1000 * ms / points, 1000 * loop_ms / loop_points
    against = "umqtt.simple in a loop"
    return [
        _timing("CPU in a second, of a reading", rest, "ms", f"{against}: {loop:.2f} ms", 1),
        _timing(
            f"CPU of a point, of {_MOST} sensors at 10/s",
            ours_us,
            "µs",
            f"{against}: {loop_us:.0f} µs",
            40,
        ),
    ]


def _spent(job: Job, name: str, sensors: int, every_ms: int) -> tuple[float, float, float, float]:
    """CPU in ms, and points, of a second each: the firmware's, and the loop's."""
    job.note(f"CPU {name}")
    seconds = 5 if job.quick else 30
    names = [f"c{n}" for n in range(sensors)]
    with standing.platform(job, name, names) as platform:
        settings = standing.settings(platform.info)
        settings["feed"] = {"per_minute": settings["feed"]["per_minute"]}
        settings["health"] = {"every_s": 300}
        settings["thermostat"] = None
        settings["sensors"] = [standing.counter(prop, every_ms / 1000) for prop in names]
        folder = job.folder / f"device {name}"
        with Device(folder, platform.info, settings=settings) as device:
            line = "listening for commands"
            standing.wait(lambda: line in device.log.read_text(), line, 0.1)
            time.sleep(_SETTLED_S)

            def now() -> tuple[float, float, int]:
                spent_ns = int(Path(f"/proc/{device.pid}/schedstat").read_text().split()[0])
                taken = sum((folder / prop).read_text().count("\n") for prop in names)
                return time.monotonic(), spent_ns / 1e6, taken

            before = now()
            time.sleep(seconds)
            took_s, spent_ms, points = (b - a for a, b in zip(before, now(), strict=True))
        told = standing.told(job, platform.info)
        loop = job.inside("cpu", told, sensors, every_ms, seconds)
    return spent_ms / took_s, points / took_s, loop["ms"], loop["points"] / seconds


def _timing(name: str, measured: float, unit: str, against: str, budget: float) -> Row:
    return Row(name, measured, unit, against, budget, timing=True)

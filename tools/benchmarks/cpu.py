"""How much of a processor the firmware takes: with nothing to do but a reading a second, and with
as many sensors as it may have, at ten readings a second each.

It runs as `csipio device` does, on the stand-in, over TLS. Beside it stands what a competent user
of umqtt.simple writes: a loop that publishes a feed of dicts and json.dumps after each round of
readings. The CPU is what the kernel counts of a process, its own and the system's for it; only
Linux tells that so exactly. What else runs on the machine makes it more, by caches that are cold
and a clock that is slower, and never less: of several windows of time the least counts.
"""

import time
from pathlib import Path

from tools.benchmarks import Job, Row, standing
from tools.simulated import Device

_SETTLED_S = 3
_MOST = 24  # sensors
# Seconds of a window, and how many. At rest a feed goes every 11 s, and each window has one.
_AT_REST = (11.5, 4)
_AT_WORK = (5, 8)


def rows(job: Job) -> list[Row]:
    """CPU at rest, and of a point."""
    if not Path("/proc/self/schedstat").exists():
        return []
    rest, loop = _spent(job, "at rest", 1, 1000, _AT_REST)
    rest_ms, loop_ms = (min(ms for ms, _ in windows) for windows in (rest, loop))
    ours, loop = _spent(job, "at work", _MOST, 100, _AT_WORK)
    ours_us, loop_us = (min(1000 * ms / n for ms, n in windows) for windows in (ours, loop))
    against = "umqtt.simple in a loop"
    return [
        _timing("CPU in a second, of a reading", rest_ms, "ms", f"{against}: {loop_ms:.2f} ms", 1),
        _timing(
            f"CPU of a point, of {_MOST} sensors at 10/s",
            ours_us,
            "µs",
            f"{against}: {loop_us:.0f} µs",
            40,
        ),
    ]


def _spent(
    job: Job, name: str, sensors: int, every_ms: int, windows: tuple[float, int]
) -> tuple[list, list]:
    """Of each window, (ms of CPU, points) of a second: the firmware's, and the loop's."""
    job.note(f"CPU {name}")
    seconds, count = (5, 1) if job.quick else windows
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

            ours = []
            before = now()
            for _ in range(count):
                time.sleep(seconds)
                after = now()
                took_s, spent_ms, points = (b - a for a, b in zip(before, after, strict=True))
                ours.append((spent_ms / took_s, points / took_s))
                before = after
        told = standing.told(job, platform.info)
        loop = job.inside("cpu", told, sensors, every_ms, round(1000 * seconds), count)
    return ours, loop["windows"]


def _timing(name: str, measured: float, unit: str, against: str, budget: float) -> Row:
    return Row(name, measured, unit, against, budget, timing=True)

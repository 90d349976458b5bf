"""What an outage costs: readings that a power cut takes, those that come late or are not taken,
and the time until all is well again.

The firmware runs with its default settings, but for a feed a second, beside a thermometer as one
writes it with umqtt.robust or chumicro-mqtt (`inside/live.py`): ten readings and a feed a second.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from tools.benchmarks import BenchmarkError, Job, Row, standing
from tools.faults.far import Stalled
from tools.faults.faults import Refuse
from tools.platform.thread import PlatformThread
from tools.simulated import Device

_EVERY_S = 0.1
_CUT_S = 10  # without platform, and then the power cut
_STALL_S = 10
_AWAY_S = 6
_GAP_S = 12  # without broker: HTTPS takes over meanwhile
_SETTLED_S = 2
_SPREAD_S = 2  # of starts, so that nobody's tries are in step
_OURS = "the firmware"
_PEERS = {"umqtt.robust": "robust", "chumicro-mqtt": "chumicro"}  # as inside/live.py has them

_LEFT_GOAL = 30  # readings
_STALL_GOAL = 2000  # ms
_HEALED_GOAL = 3000
_GAP_GOAL = 10


def rows(job: Job) -> list[Row]:
    """Readings lost, and three times."""
    return [_lost(job), _stalled(job), _healed(job), _gap(job)]


def _lost(job: Job) -> Row:
    """SIGKILL after a while without platform; the device comes back to one that is there."""
    job.note("a power cut in an outage")
    names = ["c0", "c1", "c2"]
    with standing.platform(job, "lost", names) as platform:
        settings = standing.settings(platform.info)
        del settings["feed"]
        settings["sensors"] += [standing.counter(name, _EVERY_S) for name in names]
        folder = job.folder / "cut"
        with Device(folder, platform.info, settings=settings) as device:
            none = dict.fromkeys(names, 0)
            standing.wait(lambda: _arrived(platform, names, none), "the first readings")
            before = _taken(folder, names)
            standing.leave(platform)
            time.sleep(2 if job.quick else _CUT_S)
            device.pull_the_power()
            taken = _taken(folder, names)
            standing.come_back(platform)
            standing.wait(lambda: _arrived(platform, names, taken), "the readings after the cut")
            # The newest go first.
            left = folder / "journal"
            standing.wait(lambda: not [*left.glob("*.seg")], "the readings that are on flash")
            time.sleep(_SETTLED_S)
        points = {(name, value) for name, _, value in platform.points() if name in names}
    numbers = [(name, n) for name in names for n in range(taken[name])]
    lost = sum(number not in points for number in numbers)
    kept_in_ram = sum(taken.values()) - sum(before.values())
    return Row(
        f"readings lost by a power cut after {_CUT_S} s of outage",
        lost,
        "readings",
        f"of {kept_in_ram} taken meanwhile",
        _LEFT_GOAL,
        timing=True,
        peers={"a loop that keeps them in RAM": kept_in_ram},
    )


def _taken(folder: Path, names: list[str]) -> dict[str, int]:
    return {name: (folder / name).read_bytes().count(b"\n") for name in names}


def _arrived(platform: PlatformThread, names: list[str], beyond: dict[str, int]) -> bool:
    newest = {name: value for name, _, value in platform.points()}
    return all(newest.get(name, 0) > beyond[name] for name in names)


def _stalled(job: Job) -> Row:
    """A network on which nothing passes for a while: no connection ends of that."""
    job.note("a stall of the network")
    names = _names(job)
    with (
        standing.platform(job, "stalled", ["c0"]) as platform,
        standing.proxies(platform.info) as (info, proxies),
    ):
        fleets = {name: standing.fleet(platform, name, 3, info) for name in names}
        everybody = [device for fleet in fleets.values() for device in fleet]
        running = [run for name in names for run in _run(job, name, fleets[name], "stalled")]
        with _all(running):
            _all_report(platform, everybody, 0)
            time.sleep(_SETTLED_S)
            for proxy in proxies:
                proxy.inject(Stalled())
            time.sleep(2 if job.quick else _STALL_S)
            end_ms = _now_ms()
            for proxy in proxies:
                proxy.heal()
            _all_report(platform, everybody, end_ms)
            time.sleep(_SETTLED_S)
        rows = [row for row in platform.writes() if row["t_ms"] <= end_ms and row["prop"] == "c0"]
    late = {
        name: median(_latest(rows, device) - end_ms for device in fleet)
        for name, fleet in fleets.items()
    }
    taken = [
        f"{name} {median(_during(rows, device, end_ms) for device in fleet):.0f}"
        for name, fleet in fleets.items()
    ]
    return Row(
        f"all readings in, after a stall of {_STALL_S} s",
        late.pop(_OURS),
        "ms",
        f"readings taken meanwhile: {', '.join(taken)}",
        _STALL_GOAL,
        timing=True,
        peers=late,
    )


def _latest(rows: list[dict], info: dict) -> int:
    """When the last of them came."""
    return max(row["received_ms"] for row in rows if row["device"] == info["device"]["id"])


def _during(rows: list[dict], info: dict, end_ms: int) -> int:
    begin_ms = end_ms - 1000 * _STALL_S
    times = [row["t_ms"] for row in rows if row["device"] == info["device"]["id"]]
    return len({t_ms for t_ms in times if t_ms > begin_ms})


def _healed(job: Job) -> Row:
    """The broker is away, and comes back: until each of ten devices reports again.

    HTTPS, which would carry the readings meanwhile, is kept out of it.
    """
    worst = {}
    for name in _names(job):
        job.note(f"a broker that was away: {name}")
        with standing.platform(job, f"healed-{name}", ["c0"]) as platform:
            devices = standing.fleet(platform, name, 2 if job.quick else 10, platform.info)
            with _all(_run(job, name, devices, "healed", 60), _SPREAD_S / len(devices)):
                _all_report(platform, devices, 0)
                platform.stop_mqtt()
                time.sleep(1 if job.quick else _AWAY_S)
                back_ms, seen = _now_ms(), platform.written()
                standing.come_back(platform)
                _all_report(platform, devices, back_ms)
                writes = platform.writes(seen)
        first = {}
        for row in writes:
            first.setdefault(row["device"], row["received_ms"])
        worst[name] = max(first.values()) - back_ms
    return Row(
        f"reporting again after {_AWAY_S} s without broker, worst of 10",
        worst.pop(_OURS),
        "ms",
        "",
        _HEALED_GOAL,
        timing=True,
        peers=worst,
    )


def _gap(job: Job) -> Row:
    """For a while the broker refuses connections, and then nobody answers there: the longest time
    in it from one reading to the next, of three devices the least, as what else the machine does
    only adds to it.
    """
    seconds = 2 if job.quick else _GAP_S
    kinds = {"refused": lambda: Refuse(seconds), "never answered": Stalled}
    widest = {}
    for name in _names(job):
        job.note(f"sampling without broker: {name}")
        with (
            standing.platform(job, f"gap-{name}", ["c0"]) as platform,
            standing.proxies(platform.info) as (info, (broker, _)),
        ):
            devices = standing.fleet(platform, name, 1 if job.quick else 3, info)
            with _all(_run(job, name, devices, "gap"), _SPREAD_S / len(devices)):
                _all_report(platform, devices, 0)
                for kind, fault in kinds.items():
                    begin_ms = _now_ms()
                    broker.inject(fault())
                    broker.cut()
                    time.sleep(seconds)
                    end_ms = _now_ms()
                    broker.heal()
                    _all_report(platform, devices, end_ms)
                    time.sleep(_SETTLED_S)
                    rows = platform.writes()
                    gaps = [_widest(rows, device, begin_ms, end_ms) for device in devices]
                    widest[name, kind] = min(gaps) - 1000 * _EVERY_S
    told = [
        f"{kind}: " + ", ".join(f"{name} {widest[name, kind]:.0f}" for name in _names(job))
        for kind in kinds
    ]
    worst = {name: max(widest[name, kind] for kind in kinds) for name in _names(job)}
    return Row(
        "widest gap in sampling beside the period, broker away",
        worst.pop(_OURS),
        "ms",
        "; ".join(told),
        _GAP_GOAL,
        timing=True,
        peers=worst,
    )


def _widest(rows: list[dict], info: dict, begin_ms: int, end_ms: int) -> int:
    """From a reading of that time, or the last one before it, to the next one or its end."""
    device = info["device"]["id"]
    times = sorted(row["t_ms"] for row in rows if row["device"] == device and row["prop"] == "c0")
    return max(
        min(then_ms, end_ms) - t_ms
        for t_ms, then_ms in itertools.pairwise(times)
        if t_ms < end_ms and then_ms > begin_ms
    )


def _names(job: Job) -> list[str]:
    return [_OURS] if job.quick else [_OURS, *_PEERS]


def _run(
    job: Job, name: str, infos: list[dict], folder: str, grace_s: int = 10
) -> list[AbstractContextManager]:
    """For each line of JSON a device of the firmware, or a thermometer of a peer."""
    if name != _OURS:
        return [job.running("live", standing.told(job, info), _PEERS[name]) for info in infos]
    devices = []
    for n, info in enumerate(infos):
        settings = standing.settings(info)
        settings["mqtt"]["grace_s"] = grace_s
        settings["sensors"].append(standing.counter("c0", _EVERY_S))
        devices.append(Device(job.folder / f"{folder}-{n}", info, settings=settings))
    return devices


@contextlib.contextmanager
def _all(running: list[AbstractContextManager], every_s: float = 0) -> Iterator[None]:
    """Start one after the other, stop all."""
    with contextlib.ExitStack() as stack:
        for one in running:
            stack.enter_context(one)
            time.sleep(every_s)
        yield


def _all_report(platform: PlatformThread, infos: list[dict], after_ms: int) -> None:
    """Wait for a reading of each that was taken after that."""
    missing = {info["device"]["id"]: info["who"] for info in infos}
    seen = platform.written()

    def heard() -> bool:
        nonlocal seen
        for row in platform.writes(seen):
            seen += 1
            if row["prop"] == "c0" and row["t_ms"] > after_ms:
                missing.pop(row["device"], None)
        return not missing

    try:
        standing.wait(heard, "a reading of each device", 0.1)
    except BenchmarkError as error:
        raise BenchmarkError(f"{error}: none of {', '.join(missing.values())}") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

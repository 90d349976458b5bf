"""How fast the link is: a command to the relay and its answer, a start.

The firmware runs as `csipio device` does, on the stand-in, over TLS on this machine.
"""

import statistics
import time
from pathlib import Path

from tools.benchmarks import Job, Row, standing
from tools.client import Client
from tools.platform.thread import PlatformThread
from tools.simulated import Device

# No more than are kept on flash, and so answered, without a pause.
_COMMANDS = 8
_START_GOALS = {0: 250, 50: 600}  # ms, by the round trip, ms
_PEERS = {  # inside/peers.WAYS
    "umqtt.simple": "simple",
    "umqtt.simple with TCP_NODELAY": "at_once",
    "chumicro-mqtt": "chumicro",
}


def rows(job: Job) -> list[Row]:
    """The command, and the start, near and far."""
    return [*_command(job), *(_start(job, round_trip_ms) for round_trip_ms in _START_GOALS)]


def _command(job: Job) -> list[Row]:
    """From a client's write to the relay, by the relay's own reading, and to the answer."""
    job.note("commands")
    with standing.platform(job, "command") as platform:
        info = platform.info
        settings = standing.settings(info)
        settings["feed"] |= {"max_age_s": 10}
        settings["health"] = {"every_s": 0}
        key = info["client"]
        client = Client(info["api"], key["key_id"], key["key_secret"], Path(info["ca"]))
        with Device(job.folder / "commanded", info, settings=settings) as device:
            standing.wait(lambda: "listening for commands" in device.log.read_text(), "MQTT")
            time.sleep(1)
            for n in range(_COMMANDS):
                seen = len(platform.writes())
                client.write(info["device"]["id"], "setpoint", 30 if n % 2 else 10)
                standing.wait(
                    lambda seen=seen: _of(platform.writes(seen), "setpoint", "device"), "an answer"
                )
                time.sleep(0.3)
            standing.wait(lambda: len(platform.points("relay")) >= _COMMANDS, "the relay's report")
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


def _start(job: Job, round_trip_ms: int) -> Row:
    """From the start of the interpreter until the first reading is acknowledged.

    That is when it was stored, and half a round trip.
    """
    job.note(f"starts, {round_trip_ms} ms away")
    ours, theirs = [], {name: [] for name in ([] if job.quick else _PEERS)}
    with (
        standing.platform(job, f"start{round_trip_ms}", ["c0"]) as platform,
        standing.away(platform.info, round_trip_ms) as info,
    ):
        told = standing.told(job, info)
        settings = standing.settings(info)
        settings["feed"] |= {"max_age_s": 0.1}
        for n in range(1 if job.quick else 5):
            began_ms, seen = _now_ms(), platform.written()
            folder = job.folder / f"started{round_trip_ms}-{n}"
            with Device(folder, info, settings=settings):
                standing.wait(
                    lambda seen=seen: _first(platform, seen, "temperature"), "the first point"
                )
            ours.append(_first(platform, seen, "temperature") - began_ms)
            for name, times in theirs.items():
                began_ms, seen = _now_ms(), platform.written()
                job.inside("drain", told, _PEERS[name], 1, 1)
                times.append(_first(platform, seen, "c0") - began_ms)
    return Row(
        f"start to first point acknowledged, TLS, {round_trip_ms} ms round trip",
        statistics.median(ours) + round_trip_ms / 2,
        "ms",
        "",
        _START_GOALS[round_trip_ms],
        timing=True,
        peers={
            name: statistics.median(times) + round_trip_ms / 2 for name, times in theirs.items()
        },
    )


def _first(platform: PlatformThread, seen: int, prop: str) -> int | None:
    """When the first point of the property came, after row `seen` of the journal."""
    rows = platform.writes(seen)
    return next((row["received_ms"] for row in rows if row["prop"] == prop), None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _timing(name: str, ms: float, budget: float) -> Row:
    return Row(name, ms, "ms", "", budget, timing=True)

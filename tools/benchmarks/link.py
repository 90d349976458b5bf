"""How fast the link is: a command to the relay and its answer, a start.

The firmware runs as `csipio device` does, on the stand-in, over TLS on this machine.
"""

import statistics
import time
from pathlib import Path

from tools.benchmarks import Job, Row, standing
from tools.client import Client
from tools.simulated import Device

# No more than are kept on flash, and so answered, without a pause.
_COMMANDS = 8


def rows(job: Job) -> list[Row]:
    """The command and the start."""
    return [*_command(job), *_start(job)]


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


def _start(job: Job) -> list[Row]:
    """From the start of the interpreter to the first reading on the platform."""
    job.note("starts")
    took = []
    for n in range(1 if job.quick else 5):
        with standing.platform(job, f"start{n}") as platform:
            settings = standing.settings(platform.info)
            settings["feed"] |= {"max_age_s": 0.1}
            began = time.monotonic()
            with Device(job.folder / f"started{n}", platform.info, settings=settings):
                standing.wait(lambda p=platform: p.points("temperature"), "the first point", 0.005)
                took.append(time.monotonic() - began)
    return [_timing("start to first point, TLS", 1000 * statistics.median(took), 250)]


def _timing(name: str, ms: float, budget: float) -> Row:
    return Row(name, ms, "ms", "", budget, timing=True)

"""How long the event loop, and with it the regulation, stands still while TLS connects."""

import json

from tools.benchmarks import Job, Row
from tools.platform.thread import PlatformThread


def rows(job: Job) -> list[Row]:
    """The longest pause of several connections to the stand-in's broker."""
    job.note("pauses of the event loop while TLS connects")
    with PlatformThread(job.folder / "broker") as platform:
        # Not as an argument: MicroPython takes none of more than 255 bytes.
        info = job.folder / "platform.json"
        info.write_text(json.dumps(platform.info))
        found = job.inside("pause", info, 3 if job.quick else 20)
    ours, umqtt = max(found["ours"]), max(found["umqtt"])
    return [
        Row(
            "longest pause of the event loop, TLS connecting",
            ours,
            "ms",
            "",
            50,
            timing=True,
            peers={"umqtt.simple's own connect": umqtt},
        )
    ]

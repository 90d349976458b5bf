"""The smallest heap in which the whole firmware reports to the stand-in, over TLS both ways.

mbedTLS's own buffers are not in it: the unix port takes them from the system, as an ESP32 does.
"""

import time

from tools.benchmarks import Job, Row, smallest
from tools.platform.thread import PlatformThread
from tools.simulated import Device, config

_LEAST_KIB = 64
_MOST_KIB = 512
_STEP_KIB = 8
_BUDGET_KIB = 160  # in a ROMFS image each unit of what is rare leaves its name and its path

_POINTS = 30  # temperatures, at ten a second, that have to come each way
_WITHIN_S = 15
_POLL_S = 0.1


def rows(job: Job) -> list[Row]:
    """The smallest heap; in a quick run, only whether the budget's own is enough."""
    with PlatformThread(job.folder / "platform") as platform:
        platform.control(lambda tree: tree["limits"].update(rateLimit=6000))

        def suffices(kib: int) -> bool:
            job.note(f"does a heap of {kib} KiB suffice?")
            return _reports(job, platform, kib)

        least = _BUDGET_KIB if job.quick else _LEAST_KIB
        most = _BUDGET_KIB if job.quick else _MOST_KIB
        found = smallest(least, most, _STEP_KIB, suffices)
    against = f"TLS's own buffers are outside it; steps of {_STEP_KIB} KiB"
    if found is None:
        found, against = most + _STEP_KIB, f"it does not even run in {most} KiB"
    elif job.quick:
        against = "only the budget itself was tried"
    name = "heap of the whole firmware, MQTT and HTTPS over TLS"
    return [Row(name, found, "KiB", against, _BUDGET_KIB)]


def _reports(job: Job, platform: PlatformThread, kib: int) -> bool:
    """Whether a device with this heap reports over MQTT and, the broker gone, over HTTPS."""
    settings = config(platform.info)
    settings["mqtt"]["grace_s"] = 0
    settings["feed"] = {"max_age_s": 0.5, "per_minute": 600}
    settings["sensors"][0]["every_s"] = 0.1
    with Device(job.folder / f"heap-{kib}", platform.info, f"{kib}K", settings) as device:
        if not _arrive(platform, device, "mqtt"):
            return False
        platform.stop_mqtt()
        try:
            return _arrive(platform, device, "https")
        finally:
            platform.start_mqtt()


def _arrive(platform: PlatformThread, device: Device, transport: str) -> bool:
    """Wait for points over the transport; False when memory ran out meanwhile, or none came."""
    seen = len(platform.writes())
    end = time.monotonic() + _WITHIN_S
    arrived = 0
    while time.monotonic() < end:
        if device.ended is not None or "MemoryError" in device.log.read_text(errors="replace"):
            return False
        rows = platform.writes(seen)
        seen += len(rows)
        arrived += sum(r["prop"] == "temperature" and r["transport"] == transport for r in rows)
        if arrived >= _POINTS:
            return True
        time.sleep(_POLL_S)
    return False

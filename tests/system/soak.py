"""An hour of everything at once: ten readings a second, outages, power cuts, commands.

    make soak                      an hour
    make soak SOAK="--minutes 5"   less

It ends with a comparison of what the platform has with every reading that was taken, and with the
free heap over the run, which has to be flat. Not a test of CI: it is a test of patience.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import Progress

from tests.platform.clients import Curl
from tests.system.device import Device, wait
from tools.platform.thread import PlatformThread

OUTAGES = ([], [], ["mqtt"], ["mqtt", "https"])
STEP_S = 5
CUT_CHANCE = 0.02
SPILL_AFTER_S = 5
PERIOD_S = 0.1
# Heap that a run of this length may differ by without being a leak: what is in flight, fragments.
NOISE_BYTES = 8192


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        PlatformThread(Path(folder) / "platform") as platform,
    ):
        device = Device(Path(folder) / "device", platform.info)
        try:
            return soak(device, platform, arguments.minutes, random.Random(arguments.seed))
        finally:
            device.stop()


def soak(device, platform, minutes, chance) -> int:
    device.config["buffer"] = {"spill_after_s": SPILL_AFTER_S}
    device.config["feed"] = {"max_age_s": 2, "per_minute": 300}
    device.config["mqtt"]["grace_s"] = 3
    device.config["health"]["every_s"] = 10
    platform.control(lambda tree: tree["limits"].update(rateLimit=600))
    device.count(PERIOD_S)
    api = Curl(platform.info)
    device.start(heap="256K")
    cuts = []
    end = time.monotonic() + 60 * minutes
    with Progress() as progress:
        task = progress.add_task("Soaking", total=60 * minutes)
        while time.monotonic() < end:
            time.sleep(STEP_S)
            progress.advance(task, STEP_S)
            down = chance.choice(OUTAGES)
            platform.control(lambda tree, down=down: tree.update(down=down))
            if "https" not in down:
                setpoint = chance.randrange(10, 30)
                api.post("/data/devices/{id}", {"setpoint": setpoint}, key="client")
            if not device.running:
                print("the device ended by itself:", *device.log[-20:], sep="\n  ")
                return 1
            if chance.random() < CUT_CHANCE:
                device.kill()
                cuts.append(device.counted()[-1])
                device.start(heap="256K")
    platform.control(lambda tree: tree.update(down=[]))
    return verdict(device, platform, cuts)


def verdict(device, platform, cuts) -> int:
    last = device.counted()[-1]
    window = (SPILL_AFTER_S + 1) / PERIOD_S

    def missing():
        gone = set(range(last)) - {value for _, _, value in platform.points("counter")}
        return [n for n in sorted(gone) if not any(cut - window <= n <= cut for cut in cuts)]

    try:
        wait(lambda: not missing(), "all readings", 600)
    except AssertionError:
        print(f"lost: {missing()}")
        return 1
    device.interrupt()
    free = [value for _, _, value in platform.points("freeheap")]
    quarter = max(1, len(free) // 4)
    first, final = min(free[:quarter]), min(free[-quarter:])
    print(f"{last + 1} readings, {len(cuts)} power cuts, none lost that may not be")
    print(f"free heap, lowest: {first} bytes in the first quarter, {final} in the last")
    died = [line for line in device.log if " died: " in line]
    print(*died, sep="\n")
    return int(bool(died) or final < first - NOISE_BYTES)


if __name__ == "__main__":
    sys.exit(main())

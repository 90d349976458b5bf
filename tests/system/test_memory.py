"""The whole firmware in the heap that it may have: both ways over TLS, an outage that spills, two
hundred commands, a configuration that is kept and one that is given up.
"""

import pytest

from tests.system.device import wait
from tests.system.test_commands import by_device, latest
from tests.system.test_door import heard, verdicts, write

COMMANDS = 200
# Of the unix port, whose words have 64 bits: all of this passes in 136 KiB, and not in 132. Some
# is to spare.
HEAP = "146K"

# Some seconds after the start the whole heap is taken, in pieces of 2 KiB and less, and of the
# larger ones every second one is given back: no piece above 2 KiB is free from then on.
IN_PIECES = """
import asyncio
taken = []
real = asyncio.run
async def take():
    await asyncio.sleep(3)
    for size in (2016, 480, 96):
        try:
            while True:
                taken.append(bytearray(size))
        except MemoryError:
            pass
        if size == 2016:
            pieces = len(taken)
    for n in range(0, pieces, 2):
        taken[n] = None
    print("the heap is in pieces, %d of them free" % (pieces // 2))
def run(main):
    async def both():
        asyncio.create_task(take())
        return await main
    try:
        return real(both())
    finally:
        taken.clear()
asyncio.run = run
"""


@pytest.mark.timeout(300)
def test_everything_runs_in_the_heap_that_it_may_have(device, platform):
    prepare(device, platform)
    device.start(HEAP)
    go_through(device, platform)


@pytest.mark.timeout(300)
def test_nothing_above_two_kib_is_asked_of_the_heap_after_the_start(device, platform):
    prepare(device, platform)
    # Room enough: half of what is free is taken.
    device.start_broken(IN_PIECES, "256K", "romfs")
    device.wait_log("the heap is in pieces, [1-9][0-9]+ of them free")
    go_through(device, platform)


def prepare(device, platform):
    """A counter, whose readings show that none was lost; and what makes it spill soon."""
    device.count(0.2)
    # So many readings as RAM holds by default where health is not reported every second.
    device.config["buffer"] = {"spill_after_s": 1, "ram_points": 384}
    device.config["mqtt"]["grace_s"] = 1
    device.config["config"] = {"confirm_s": 30}
    device.config["thermostat"]["schedule"] = ["daily 03:00 home"]
    platform.control(lambda tree: tree["limits"].update(rateLimit=6000))


def go_through(device, platform):
    """All of it."""
    device.wait_log("listening for commands")

    for n in range(COMMANDS):
        write(platform, {"setpoint": 10 + n / 20})
    wait(
        lambda: by_device(platform, "setpoint")[-1] == 10 + (COMMANDS - 1) / 20, "the last answer"
    )

    platform.stop_mqtt()
    wait(lambda: latest(platform, "transport") == "https", "HTTPS")
    platform.stop_https()
    wait(lambda: list((device.folder / "journal").glob("*.seg")), "readings on flash")
    so_far = len(device.counted())
    wait(lambda: len(device.counted()) > so_far + 20, "an outage")
    platform.start_mqtt()
    platform.start_https()
    wait(lambda: so_far + 20 in values(platform), "what was read in the outage", 90)
    wait(lambda: latest(platform, "transport") == "mqtt", "MQTT", 90)

    write(platform, {"config": {"feed": {"max_age_s": 1}}})
    device.wait_log("the configuration is kept", 90)
    write(platform, {"config": {"mqtt": {"url": "mqtts://localhost:1"}}})
    wait(lambda: "not reached over mqtt" in verdicts(platform)[-1]["reason"], "the roll-back", 120)
    assert heard(platform, "config")["reason"] == ""

    last = device.counted()[-1]
    # The newest go first; those that the last restart left on flash come after them.
    every = set(range(last + 1))
    wait(lambda: every <= set(values(platform)), "every reading", 90)
    assert values(platform) == list(range(len(values(platform))))
    short = [line for line in device.log if "memory" in line and " E " in line]
    assert not short, "\n".join(device.log)


def values(platform):
    return sorted(value for _, _, value in platform.points("counter"))

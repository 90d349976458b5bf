"""The whole firmware in the heap that it may have: both ways over TLS, an outage that spills, two
hundred commands, a configuration that is kept and one that is given up.
"""

import pytest

from tests.system.device import wait
from tests.system.test_commands import by_device, latest
from tests.system.test_door import heard, verdicts, write

COMMANDS = 200


@pytest.mark.timeout(300)
def test_everything_runs_in_the_heap_that_it_may_have(device, platform):
    everything(device, platform, "112K")


def everything(device, platform, heap):
    """Go through all of it; the readings of a counter show that none was lost."""
    device.count(0.2)
    device.config["buffer"] = {"spill_after_s": 1}
    device.config["mqtt"]["grace_s"] = 1
    device.config["config"] = {"confirm_s": 30}
    device.config["thermostat"]["schedule"] = ["daily 03:00 home"]
    platform.control(lambda tree: tree["limits"].update(rateLimit=6000))
    device.start(heap)
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
    wait(lambda: last in values(platform), "the newest reading", 90)
    assert values(platform) == list(range(len(values(platform))))
    short = [line for line in device.log if "memory" in line and " E " in line]
    assert not short, "\n".join(device.log)


def values(platform):
    return sorted(value for _, _, value in platform.points("counter"))

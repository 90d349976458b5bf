"""What heats without a set point by hand: frost protection, the failsafe, a boost and its end."""

import json
import time
import zlib

from tests.system.device import wait
from tests.system.test_commands import by_device, latest


def switched(platform):
    """(ms, relay) of each time that the relay was switched."""
    points = []
    for _, t, on in platform.points("relay"):
        if not points or points[-1][1] != on:
            points.append((t, on))
    return points


def test_it_is_kept_from_freezing_in_mode_off(device, platform):
    device.config["sensors"][0].update(start=4, outside=0, speed=600)
    device.config["thermostat"].update(mode="off", setpoint=30)
    device.start()
    wait(lambda: len(switched(platform)) >= 5, "the relay on and off and on and off", 60)
    assert [on for _, on in switched(platform)][:5] == [False, True, False, True, False]
    assert by_device(platform, "mode") == ["off"]
    # From 5.25 to 5.75 °C, as far as the simulated room gets in a second or a few.
    assert max(value for _, _, value in platform.points("temperature")) < 20


def test_without_a_sensor_it_heats_for_a_part_of_the_time(device, platform):
    device.config["sensors"][0].update(start=20)
    device.config["thermostat"].update(
        setpoint=10, stale_after_s=5, failsafe={"on_s": 56, "every_s": 60}
    )
    device.start_broken("""
import firmware.sensors.room
value = firmware.sensors.room.Driver.value
count = 0
def fail(self):
    global count
    count += 1
    if count > 4:
        raise OSError("broken for a test")
    return value(self)
firmware.sensors.room.Driver.value = fail
""")
    wait(lambda: latest(platform, "fault") == "no reading", "the fault")
    wait(lambda: latest(platform, "relay") is True, "the relay on")
    fault_ms = next(t for _, t, value in platform.points("fault") if value == "no reading")
    (_, before), (at_ms, _) = switched(platform)
    assert before is False
    # It is off first. The regulation looks once a second.
    assert at_ms - fault_ms >= 3000


# Makes an hour pass at once, for all of the firmware, when the file `hour` is there.
HOUR = """
import os
from firmware.base import uptime
ms = uptime.ms
ahead_ms = 0
def later():
    global ahead_ms
    if not ahead_ms and "hour" in os.listdir():
        ahead_ms = 3600000
    return ms() + ahead_ms
uptime.ms = later
"""


def test_a_boost_ends_by_itself_also_after_a_restart(device, platform):
    device.config["thermostat"]["boost_s"] = 3600
    began_ms = int(1000 * (time.time() - 600))
    values = {
        "preset": ["boost", began_ms],
        "setpoint": [24, began_ms],
        "before": [["away", 16, 30], began_ms],
    }
    body = b'{"values": ' + json.dumps(values).encode()
    (device.folder / "settings.json").write_bytes(body + b', "crc32": %d}' % zlib.crc32(body))
    device.start_broken(HOUR)
    wait(lambda: [on for _, on in switched(platform)] == [False, True], "the relay on")
    assert by_device(platform, "preset") == ["boost"]
    (device.folder / "hour").touch()
    wait(lambda: by_device(platform, "preset") == ["boost", "away"], "the boost's end")
    assert by_device(platform, "setpoint") == [24, 16]
    wait(lambda: [on for _, on in switched(platform)] == [False, True, False], "the relay off")
    ended_ms = next(t for _, t, value in platform.points("preset") if value == "away")
    assert ended_ms // 1000 >= began_ms // 1000 + 3600

"""What the platform, or a broker, would drop without a word; and what goes at the device."""

import json

import pytest

from tests.system.device import wait
from tests.system.mosquitto import Mosquitto
from tests.system.test_commands import latest
from tests.system.test_power_cuts import take_down

VALUES = 8


@pytest.mark.timeout(240)
def test_no_minute_holds_more_than_the_platform_takes(device, platform):
    device.config["feed"] = {"max_age_s": 0.5}
    device.config["health"]["every_s"] = 0
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.count(0.5)
    names = [f"value{n}" for n in range(VALUES)]
    for name in names:
        device.count(2, name)
        device.config["sensors"][-1]["send"] = "value"
    declared = {name: {"type": "number"} for name in names}
    platform.control(lambda tree: tree["properties"].update(declared))
    device.start()
    wait(lambda: len(device.counted()) > 150, "a minute and a quarter", 120)
    last = device.counted()[-1]
    # Those that had to wait long come from flash, behind newer ones.
    every = set(range(last + 1))
    wait(lambda: there(platform, "counter") >= every, "every reading")
    # Over MQTT a feed above a limit would be acknowledged, and lost.
    assert not [line for line in platform.log() if "feeds per minute" in line], platform.log()
    # Some of the others went by themselves, some in feeds, and none was lost.
    for name in names:
        counted = device.counted(name)
        wait(lambda n=name, c=counted: there(platform, n) >= set(c), f"{counted[-1]} of {name}")


def there(platform, prop):
    return {write["value"] for write in platform.writes() if write["prop"] == prop}


@pytest.mark.parametrize("end", ["kill", "interrupt"])
def test_all_that_went_without_a_network_is_told_after_the_restart(device, platform, end):
    device.config["buffer"] = {"ram_points": 64, "flash_kib": 0}
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"] = {"every_s": 2, "properties": ["dropped", "lost"]}
    device.count(0.1)
    take_down(platform, ["mqtt", "https"])
    device.start()
    device.wait_log("W queue: full: readings are dropped .buffer.when_full: oldest.")
    wait(lambda: len(device.counted()) > 200, "two hundred readings")
    getattr(device, end)()
    gone = len(device.counted())
    assert there(platform, "counter") == set()
    take_down(platform, [])
    device.start()
    lost = wait(lambda: latest(platform, "lost"), "what is lost")
    # With some reports of the device itself, and what it said of its state.
    assert gone <= lost <= gone + 40
    assert latest(platform, "dropped") == 0


@pytest.fixture
def narrow(tmp_path, platform):
    """A broker that closes at a packet of more than 2,000 bytes."""
    folder = tmp_path / "mosquitto"
    with Mosquitto(folder, platform.info["device"], "max_packet_size 2000\n") as running:
        yield running


@pytest.mark.timeout(200)
def test_feeds_fit_a_broker_that_closes_at_large_ones(device, narrow):
    device.config["mqtt"] = {"url": f"mqtts://localhost:{narrow.port}"}
    device.config["https"] = {"url": "https://localhost:1/v3"}
    (device.folder / "certs/ca.pem").write_text(narrow.ca.read_text())
    (device.folder / "limits.json").write_text(json.dumps([600, 100]))
    device.count(0.1)
    device.start()
    wait(lambda: narrow.points("counter"), "the first reading")
    narrow.stop()
    before = len(device.counted())
    wait(lambda: len(device.counted()) > before + 200, "an outage")
    narrow.start()
    last = device.counted()[-1]
    wait(lambda: set(range(last + 1)) <= counted(narrow), "all of them", 90)
    closed = [line for line in device.log if "the broker closes at feeds of" in line]
    assert closed
    # And it stays so.
    until = last + 200
    wait(lambda: until in counted(narrow), "later ones")
    assert [line for line in device.log if "the broker closes at feeds of" in line] == closed


def counted(broker):
    return {value for _, value in broker.points("counter")}

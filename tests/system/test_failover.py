"""From one way to the other and back: nothing is lost, nothing flaps."""

import asyncio
import time
from itertools import groupby

import pytest

from tests.system.device import wait
from tools.faults.faults import Fault
from tools.faults.proxy import Loop, Proxy


class Hold(Fault):
    """Nothing passes until its end; then all does, in order, as what TCP sends again."""

    lasts = False

    def __init__(self):
        super().__init__("hold")
        self._end = asyncio.Event()

    async def end(self) -> None:
        self._end.set()

    async def passing(self, link, way: str, unit: bytes) -> None:
        await self._end.wait()
        await link.send(way, unit)


def counted_values(platform):
    return [value for _, _, value in platform.points("counter")]


def ways(platform):
    """The transports, each time that another one carried the feeds."""
    return [way for way, _ in groupby(write["transport"] for write in platform.writes())]


@pytest.mark.timeout(180)
def test_a_broker_that_flaps_does_not_keep_https_waiting(device, platform):
    """Each short session has the feeds at once; between two of them HTTPS goes on at once."""
    device.config["mqtt"]["grace_s"] = 2
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"]["every_s"] = 0
    device.count()
    device.start()
    device.wait_log("mqtt_client: carries the feeds")
    wait(lambda: platform.writes(), "feeds over MQTT")
    # Few enough for the back-off to stay below a minute.
    for _ in range(6):
        platform.stop_mqtt()
        time.sleep(1)
        platform.start_mqtt()
        time.sleep(1)
    device.wait_log("HTTPS carries the feeds")
    wait(lambda: ways(platform)[1:2] == ["https"], "feeds over HTTPS")
    wait(lambda: ways(platform)[-1] == "mqtt", "feeds over MQTT again", 120)
    last = device.counted()[-1]
    wait(lambda: last in counted_values(platform), "everything")
    states = [line.partition("state: ")[2].partition(":")[0] for line in device.log]
    states = [state for state in states if state]
    assert "waiting" not in states[states.index("https") :], states
    values = counted_values(platform)
    assert values == list(range(len(values)))


@pytest.mark.timeout(240)
def test_a_feed_that_is_too_large_for_the_api_is_halved(device, platform):
    device.config["mqtt"]["grace_s"] = 0
    device.config["https"]["poll_s"] = 3600
    device.config["feed"] = {"max_age_s": 3, "per_minute": 600}
    device.config["health"]["every_s"] = 0
    device.count()
    platform.stop_mqtt()
    device.start()
    # It asks for the limits before each try, and here they are lowered between two.
    device.wait_log(r"MQTT: the connection was refused.*next try in [1-9]\d+ s", 180)
    platform.control(lambda tree: tree["limits"].update(rateLimit=6000, maxNrOfDpPerFeed=4))
    device.wait_log(r"https_api: a feed of [0-9]+ points was too large \(413\)")
    wait(lambda: len(counted_values(platform)) > 30, "the points of feeds that were too large")
    values = counted_values(platform)
    assert values == list(range(len(values)))


@pytest.mark.parametrize(("grace_s", "stall_s", "sessions"), [(25, 13, 1), (5, 18, 2)])
def test_the_end_of_a_stall_brings_the_newest_reading_at_once(
    device, platform, grace_s, stall_s, sessions
):
    """Whether the session outlives it or not: the reading does not wait for a feed's age."""
    device.config["feed"] = {"max_age_s": 10, "per_minute": 60}
    device.config["mqtt"]["grace_s"] = grace_s
    device.config["health"]["every_s"] = 0
    device.count(0.5)
    broker = ("127.0.0.1", platform.info["mqtts"], None)
    with Loop() as loop, Proxy(loop, broker) as proxy:
        device.config["mqtt"]["url"] = f"mqtts://localhost:{proxy.port}"
        device.start()
        # The next feed is due ten seconds after one: during the stall, and readings come after it.
        for _ in range(2):
            seen = len(counted_values(platform))
            wait(lambda n=seen: len(counted_values(platform)) > n, "a feed")
        stall = Hold()
        proxy.inject(stall)
        time.sleep(stall_s)
        last = device.counted()[-1]
        loop.wait(stall.end())
        proxy.heal()
        wait(lambda: last in counted_values(platform), "the newest reading", 4)
        wait(lambda: sum("connected to" in line for line in device.log) == sessions, "a session")


def test_what_was_read_before_a_restart_arrives_after_it(device, platform):
    """Ctrl-C puts what is waiting on flash."""
    platform.stop_mqtt()
    platform.stop_https()
    device.count()
    device.start()
    wait(lambda: len(device.counted()) > 20, "twenty readings")
    assert device.interrupt() == 0
    before = device.counted()
    platform.start_mqtt()
    platform.start_https()
    device.start()
    # Those of this run may come first.
    both = set(range(len(before) + 5))
    wait(lambda: both <= set(counted_values(platform)), "readings of both runs")


@pytest.mark.timeout(240)
def test_the_newest_readings_arrive_before_the_backlog(device, platform):
    device.config["buffer"] = {"spill_after_s": 1}
    device.config["feed"] = {"max_age_s": 1, "max_points": 10, "per_minute": 120}
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"]["every_s"] = 0
    device.count()
    platform.control(lambda tree: tree["limits"].update(rateLimit=120))
    platform.stop_mqtt()
    platform.stop_https()
    device.start()
    wait(lambda: len(device.counted()) > 150, "a backlog")
    platform.start_mqtt()
    platform.start_https()
    back = device.counted()[-1]

    def arrived():
        return [write["value"] for write in platform.writes() if write["prop"] == "counter"]

    # The newest are in the second feed, if all that there was had just gone to flash.
    wait(lambda: len(arrived()) > 20, "three feeds", 100)
    assert max(arrived()[:21]) > back, "read since then"
    now = device.counted()[-1]
    wait(lambda: 0 in counted_values(platform), "the backlog")
    wait(lambda: set(range(now)) <= set(counted_values(platform)), "all of it", 60)

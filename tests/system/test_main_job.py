"""The whole path: every reading arrives once, whatever happens to the broker."""

import time
from datetime import datetime
from itertools import pairwise

import pytest

from tests.system.device import wait

RUN_S = 60
OUTAGE_S = 20
PERIOD_MS = 100
TOLERANCE_MS = 20


def run_with_outage(device, stop_broker, start_broker):
    """A minute of readings, ten a second; the broker is gone for a third of it, in the middle."""
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["feed"] = {}
    device.config["health"] = {"every_s": 0}
    device.count(PERIOD_MS / 1000)
    device.start(heap="256K")
    device.wait_log("mqtt_client: connected")
    begun = time.monotonic()
    time.sleep((RUN_S - OUTAGE_S) / 2)
    stop_broker()
    time.sleep(OUTAGE_S)
    start_broker()
    # What takes over again, and when, is the device's matter; the run goes on meanwhile.
    time.sleep(max(0, RUN_S - (time.monotonic() - begun)))


def delivered(device, points):
    """Wait until the readings taken by now are all there; check them; return them."""
    last = device.counted()[-1]

    def missing():
        """The newest come first after an outage."""
        return {*range(last + 1)} - {value for _, value in points()}

    try:
        wait(lambda: not missing(), f"all readings up to {last}", 60)
    except AssertionError as error:
        raise AssertionError(f"{error}; missing: {sorted(missing())}") from None
    device.interrupt()
    times_and_values = points()
    values = [value for _, value in times_and_values]
    assert values == list(range(values[-1] + 1)), "each reading once, in order"
    assert values[-1] >= last > 10 * (RUN_S - 5)
    steps = [later - earlier for (earlier, _), (later, _) in pairwise(times_and_values)]
    wrong = [(i, ms) for i, ms in enumerate(steps) if abs(ms - PERIOD_MS) > TOLERANCE_MS]
    # Other tests run meanwhile: now and then the machine lets the device wait.
    assert len(wrong) <= len(steps) // 50, f"times are a period apart, but {wrong}"


@pytest.mark.timeout(200)
def test_every_reading_arrives_once_over_both_transports(device, platform):
    run_with_outage(device, platform.stop_mqtt, platform.start_mqtt)
    # The back-off of an outage of 20 s is up to 32 s, and MQTT has to hold for 10 s after it.
    wait(lambda: platform.writes()[-1]["transport"] == "mqtt", "feeds over MQTT again", 90)
    delivered(device, lambda: [(t, value) for _, t, value in platform.points("counter")])
    transports = [write["transport"] for write in platform.writes()]
    assert {"mqtt", "https"} == set(transports)
    assert transports[0] == transports[-1] == "mqtt", "MQTT came back"


@pytest.mark.timeout(200)
def test_every_reading_arrives_once_through_mosquitto_and_the_api(device, platform, mosquitto):
    device.config["mqtt"] = {"url": f"mqtts://localhost:{mosquitto.port}"}
    with (device.folder / "certs/ca.pem").open("a") as bundle:
        bundle.write(mosquitto.ca.read_text())
    run_with_outage(device, mosquitto.stop, mosquitto.start)

    def points():
        """What came over both ways; a time and value twice are one point, as on the platform."""
        over_mqtt = [(milliseconds(t), value) for t, value in mosquitto.points("counter")]
        over_https = [(t, value) for _, t, value in platform.points("counter")]
        assert over_https or not mosquitto.feeds or device.running
        return sorted({*over_mqtt, *over_https})

    delivered(device, points)
    assert platform.points("counter"), "HTTPS was used"
    assert mosquitto.points("counter"), "MQTT was used"


def milliseconds(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)

"""The device's time: from an SNTP server, as long as nothing that is known contradicts it."""

import json
import socket
import struct
import threading
import time
from datetime import datetime

import pytest

from tests.platform.clients import Curl
from tests.system.device import wait

ERA_S = 2208988800  # from 1900, where NTP's time begins, to 1970
AHEAD_S = 3 * 86400 + 0.25


class TimeServer:
    """Answers as RFC 4330 says, with a clock that is days ahead, and only after `open` is set.

    `ahead_s`: how far it is ahead, answer by answer; the last one stays.
    """

    def __init__(self):
        self.ahead_s = [AHEAD_S]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.open = threading.Event()
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                request, client = self._socket.recvfrom(100)
            except OSError:
                return
            self.asked += 1
            if self.open.is_set():
                ahead_s = self.ahead_s.pop(0) if len(self.ahead_s) > 1 else self.ahead_s[0]
                now = stamp(time.time() + ahead_s)
                head = struct.pack("!BBbb3I", 0x24, 2, 6, -20, 0, 0, 0x7F000001)
                self._socket.sendto(head + now + request[40:48] + now + now, client)

    def close(self):
        self._socket.close()


def stamp(seconds):
    whole = int(seconds)
    return struct.pack("!II", whole + ERA_S & 0xFFFFFFFF, int((seconds - whole) * 2**32))


@pytest.fixture
def server():
    server = TimeServer()
    yield server
    server.close()


@pytest.mark.timeout(180)
def test_readings_are_dated_by_the_time_server_also_those_before_its_answer(
    device, platform, server
):
    device.config["time"] = {"ntp": [f"127.0.0.1:{server.port}"]}
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"]["every_s"] = 0  # or there would be so much that some goes to flash
    device.count()
    begun = time.time()
    device.start()
    wait(lambda: server.asked and len(device.counted()) > 20, "readings without a time")
    assert not platform.writes()
    device.wait_log("W timekeeper: the answer of the time server 127.0.0.1 took longer than 5 s")
    server.open.set()

    def arrived():
        return {value for _, _, value in platform.points("counter")}

    # After so long some of them may be on flash, and come later than the newest.
    wait(lambda: arrived() >= set(range(20)), "readings with a time", 60)
    points = sorted(platform.points("counter"), key=lambda point: point[1])
    assert [value for _, _, value in points][:20] == list(range(20))
    first_s = points[0][1] / 1000 - AHEAD_S
    assert begun <= first_s <= begun + 5, "the first reading was taken when the device started"


@pytest.mark.timeout(180)
def test_where_no_time_server_answers_the_platforms_own_date_serves(device, platform):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        device.config["time"] = {"ntp": [f"127.0.0.1:{free.getsockname()[1]}"]}
    device.config["health"]["every_s"] = 0
    device.count()
    begun = time.time()
    device.start()
    device.wait_log("W timekeeper: the time server 127.0.0.1 does not answer")
    device.wait_log("W http_date: taken from the Date of https://.*, for which nobody vouches")

    def first_s():
        return next((t / 1000 for _, t, value in platform.points("counter") if value == 0), None)

    # A Date is to the second.
    assert begun - 1.5 <= wait(first_s, "the first reading, with its time") <= begun + 6.5


@pytest.mark.timeout(180)
def test_the_schedule_pauses_until_the_time_is_known(device, platform, server):
    device.config["time"] = {"ntp": [f"127.0.0.1:{server.port}"]}
    device.config["sensors"][0]["start"] = 20
    device.config["thermostat"].update(setpoint=26, schedule=["daily 00:00 sleep"])
    device.start()
    wait(lambda: server.asked, "a question for the time")
    device.wait_log("relay on")
    server.open.set()
    device.wait_log("relay off: 2", 60)  # with 18 °C wanted
    wait(lambda: platform.latest("preset"), "what is in force")
    assert platform.latest("preset")[1] == "sleep"


def of_now(times, begun):
    """Whether these, in ms since 1970, are of the time since `begun`, a Date's second apart."""
    return all(begun - 2 <= t / 1000 <= time.time() + 2 for t in times)


def kept(device):
    """The times that are on flash."""
    values = json.loads((device.folder / "settings.json").read_text())["values"]
    return [value[-1] for value in values.values() if value[-1]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "ahead_s",
    [
        [10 * 365 * 86400, 0],  # an era, once
        [500 * 86400, 0],
        [10 * 365 * 86400],  # as long as it runs
        [2 * 3600],
    ],
)
def test_readings_and_commands_are_right_whatever_a_time_server_says(
    device, platform, server, ahead_s
):
    server.ahead_s = ahead_s
    server.open.set()
    device.config["time"] = {"ntp": [f"127.0.0.1:{server.port}"]}
    device.config["buffer"] = {"spill_after_s": 1}
    device.config["health"]["every_s"] = 3600
    device.count()
    begun = time.time()
    device.start()
    device.wait_log("listening for commands")
    wait(lambda: len(platform.points("counter")) > 20, "readings")
    wait(lambda: platform.latest("setpoint"), "what the platform did not have")
    client = Curl(platform.info)
    client.post("/data/devices/{id}", {"setpoint": 25.5}, key="client")
    wait(lambda: platform.latest("setpoint")[1] == 25.5, "the answer")
    device.kill()
    assert of_now(kept(device), begun)
    # What is written while it is away is found, and obeyed, by this run and the next one.
    for setpoint in (22.5, 19.5):
        time.sleep(2)  # by a Date the time is right to a second
        client.post("/data/devices/{id}", {"setpoint": setpoint}, key="client")
        device.start()
        device.wait_log(f"setpoint: {setpoint} is now in force")
        last = device.counted()[-1]
        wait(lambda last=last: platform.points("counter")[-1][2] > last, "later readings")
        device.kill()
    assert of_now([t for _, t, _ in platform.points("counter")], begun)
    told = [write["t_ms"] for write in platform.writes() if write["key"] == "device"]
    assert of_now(told, begun)


@pytest.mark.timeout(300)
def test_a_run_with_a_wrong_clock_leaves_nothing_behind(device, platform, mosquitto, server):
    """Nobody could know: there was only one server, and the API was not reached."""
    server.ahead_s = [2 * 3600]
    server.open.set()
    api = device.config["https"]["url"]
    device.config["time"] = {"ntp": [f"127.0.0.1:{server.port}"]}
    device.config["mqtt"] = {"url": f"mqtt://localhost:{mosquitto.plain}"}
    device.config["https"] = {"url": "https://localhost:1/v3"}
    device.config["buffer"] = {"spill_after_s": 1}
    device.count()
    device.start()
    device.wait_log("listening for commands")
    wait(lambda: len(mosquitto.points("counter")) > 20, "readings, of an hour that is wrong")
    mosquitto.command("setpoint", b"25.5")
    wait(lambda: 25.5 in [value for _, value in mosquitto.points("setpoint")], "the answer")
    mosquitto.stop()
    wait(lambda: list((device.folder / "journal").glob("*.seg")), "readings on flash", 60)
    device.kill()
    assert max(kept(device)) / 1000 > time.time() + 7000
    mosquitto.start()
    # The router has the right time now; the command was written while the device was away.
    server.ahead_s = [0]
    Curl(platform.info).post("/data/devices/{id}", {"setpoint": 19.5}, key="client")
    device.config["https"]["url"] = api
    begun = time.time()
    first = device.counted()[-1] + 1
    device.start()
    wait(lambda: count(device, "setpoint: 19.5 is now in force"), "the command")
    wait(lambda: mosquitto.points("counter")[-1][1] > first + 20, "its readings")
    found = [(iso_s(t), value) for t, value in mosquitto.points("counter") if value >= first]
    assert of_now([1000 * t for t, _ in found], begun)
    device.kill()
    assert of_now(kept(device), begun - 60)


def iso_s(text):
    return datetime.fromisoformat(text).timestamp()


def count(device, words):
    return len([line for line in device.log if words in line])

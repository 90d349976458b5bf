"""The device's time, from an SNTP server and nowhere else."""

import socket
import struct
import threading
import time

import pytest

from tests.system.device import wait

ERA_S = 2208988800  # from 1900, where NTP's time begins, to 1970
AHEAD_S = 3 * 86400 + 0.25


class TimeServer:
    """Answers as RFC 4330 says, with a clock that is days ahead, and only after `open` is set."""

    def __init__(self):
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
                now = stamp(time.time() + AHEAD_S)
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

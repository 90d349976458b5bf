"""Values that are sent by themselves: none is lost where their acknowledgement never comes."""

import socketserver
import threading

import pytest

from tests.system.device import wait


class Silent(socketserver.BaseRequestHandler):
    """A broker that accepts sessions and subscriptions, and acknowledges nothing else."""

    def handle(self):
        while True:
            head = self._read(2)
            if not head:
                return
            size = head[1] & 0x7F
            if head[1] & 0x80:
                size |= self._read(1)[0] << 7
            body = self._read(size)
            if head[0] == 0x10:
                self.request.sendall(b"\x20\x02\x00\x00")
            elif head[0] == 0x82:
                self.request.sendall(b"\x90\x03" + body[:2] + b"\x01")
            elif head[0] >> 4 == 3:
                self.server.heard += 1

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data


@pytest.fixture
def silent():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        server.heard = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def in_flight(device, platform, silent):
    """Start a device that sends its counter by itself; it has some on their way when this ends."""
    platform.control(lambda tree: tree["limits"].update(rateLimit=600))
    device.count(every_s=0.5)
    device.config["sensors"][-1]["send"] = "value"
    device.config["health"]["every_s"] = 0
    url = device.config["mqtt"]["url"]
    device.config["mqtt"]["url"] = f"mqtt://127.0.0.1:{silent.server_address[1]}"
    device.start()
    wait(lambda: silent.heard >= 4, "values on their way")
    device.config["mqtt"]["url"] = url


def delivered(platform):
    return {write["value"] for write in platform.writes() if write["prop"] == "counter"}


def test_those_on_their_way_at_an_interrupt_are_kept(device, platform, silent):
    in_flight(device, platform, silent)
    assert device.interrupt() == 0
    counted = device.counted()
    device.start()
    wait(lambda: delivered(platform) >= set(counted), "every reading")
    assert "are lost" not in "\n".join(device.log)


def test_those_on_their_way_at_a_power_cut_are_counted(device, platform, silent):
    in_flight(device, platform, silent)
    device.kill()
    counted = set(device.counted())
    device.log.clear()
    device.start()
    line = device.wait_log("that were only in RAM are lost")
    later = wait(lambda: [n for n in device.counted() if n not in counted], "a new reading")
    wait(lambda: delivered(platform) >= set(later[:1]), "a new reading at the platform")
    lost = counted - delivered(platform)
    assert lost and int(line.split(" W intake: ")[1].split()[0]) >= len(lost)

"""Parts of the firmware that fail from inside, each broken by a few lines that run before it."""

import json

from tests.system.device import wait
from tests.system.test_commands import latest


def test_a_link_that_keeps_dying_costs_neither_readings_nor_heat(device, platform):
    device.config["sensors"][0].update(start=20.9, speed=600)
    device.count()
    device.start_broken("""
import firmware.link.uplink
async def run(self):
    raise OSError("broken for a test")
firmware.link.uplink.Uplink.run = run
""")
    device.wait_log("link died: OSError: broken for a test")
    wait(lambda: len([x for x in device.log if "link died" in x]) > 1, "another life of the link")
    device.wait_log("relay on")
    device.wait_log("relay off")
    wait(lambda: len(device.counted()) > 80, "readings")
    assert device.interrupt() == 0
    device.start()
    taken = len(device.counted())
    wait(lambda: all_there(platform) >= taken, "the readings of the first run")


def all_there(platform):
    """How many readings have arrived, or 0 while one of them is missing."""
    values = [value for _, _, value in platform.points("counter")]
    return len(values) if values == list(range(len(values))) else 0


def test_out_of_memory_in_the_link_spills_and_is_over_with_the_next_link(device, platform):
    device.count()
    device.start_broken("""
from firmware.link.mqtt_client import MqttClient
real = MqttClient.serve
async def serve(self):
    MqttClient.serve = real
    bytearray(1 << 29)
MqttClient.serve = serve
""")
    device.wait_log("link: out of memory; the readings in RAM went to flash")
    wait(lambda: latest(platform, "restarts") == 1, "the count of restarts")
    wait(lambda: all_there(platform) > 50, "every reading")


def test_a_start_that_fails_is_tried_again(device, platform):
    device.start_broken("""
import firmware.app
def fail(self, *arguments):
    raise ValueError("invalid pin")
firmware.app.App.__init__ = fail
""")
    device.wait_log("ValueError: invalid pin; restarting in 10 s")
    device.wait_log("started by failure")
    wait(lambda: latest(platform, "resetcause") == "failure", "the cause of the restart")


def test_only_the_health_that_is_asked_for_is_reported(device, platform):
    device.config["health"]["properties"] = ["looppause", "relaycycles"]
    device.start()
    wait(lambda: len(platform.points("looppause")) > 2, "reports")
    assert latest(platform, "relaycycles") in (0, 1)
    assert not platform.points("uptime") and not platform.points("freeheap")


def test_the_loop_is_never_held_for_long(device, platform):
    """A gross bound, since this machine may be busy: the figure itself is the bench's."""
    device.start()
    wait(lambda: latest(platform, "looppause") is not None, "the longest pause")
    device.log.clear()
    wait(lambda: len(platform.points("looppause")) > 5, "further pauses")
    assert all(0 <= value < 1000 for _, _, value in platform.points("looppause"))


def test_a_radio_that_does_not_start_costs_no_heat_and_is_tried_again(device, platform):
    device.start_broken("""
from firmware.board import board
from firmware.supervision import parts
real = board.Wifi.__init__
attempts = []
def fail(self, networks, **more):
    attempts.append(networks)
    if len(attempts) < 3:
        raise RuntimeError("Wifi Unknown Error 0x0101")
    real(self, networks, **more)
board.Wifi.__init__ = fail
""")
    device.wait_log("E parts: the radio failed.*Wifi Unknown Error 0x0101")
    device.wait_log("relay on")
    assert not any("state:" in line for line in device.log), "there is no link yet"
    device.wait_log("listening for commands", 60)
    wait(lambda: platform.points("temperature"), "the readings of the whole run")
    assert not any("restarting" in line or "died" in line for line in device.log)


def test_a_radio_that_always_fails_to_connect_costs_no_heat(device):
    device.start_broken("""
from firmware.board import board
board.Wifi.connected = lambda self: False
async def connect(self):
    raise RuntimeError("Wifi Unknown Error 0x3001")
board.Wifi.connect = connect
""")
    device.wait_log("relay on")
    wait(lambda: sum("0x3001" in line for line in device.log) > 2, "further attempts", 60)
    assert not any("restarting" in line or "died" in line for line in device.log)


def test_one_that_cannot_be_put_in_force_leaves_the_last_good_one(device, platform):
    device.start()
    device.wait_log("relay on")
    assert device.interrupt() == 0
    good = (device.folder / "config.good.json").read_bytes()
    device.config["thermostat"]["relay"]["pin"] = 27
    device.log.clear()
    device.start_broken("""
from firmware.board import board
real = board.Output.__init__
def fail(self, pin, active):
    if pin == 27:
        raise ValueError("pin can only be input")
    real(self, pin, active)
board.Output.__init__ = fail
""")
    device.wait_log("config.json: cannot be put in force: ValueError: pin can only be input")
    device.wait_log("running on the last good configuration")
    device.wait_log("relay on")
    device.wait_log("listening for commands")
    assert device.interrupt() == 0
    assert (device.folder / "config.good.json").read_bytes() == good


def test_a_pin_that_is_no_output_leaves_the_last_good_one_in_force(device):
    device.start()
    device.wait_log("relay on")
    assert device.interrupt() == 0
    device.config["thermostat"]["relay"]["pin"] = 34
    device.log.clear()
    device.start()
    device.wait_log("thermostat.relay.pin: expected an output of the ESP32, one of .*, got 34")
    device.wait_log("relay on")
    good = json.loads((device.folder / "config.good.json").read_text())
    assert good["thermostat"]["relay"]["pin"] == 26

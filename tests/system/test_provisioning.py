"""A device with a fleet's key alone, as a process of its own, and a platform with faults."""

import json
import re
import ssl
import time

import paho.mqtt.client as paho
import pytest

from tests.system.device import wait
from tools.platform import control

MAC = "24:0a:c4:00:01:fe"
CLIENT = "_???_csipio240ac40001fe"


@pytest.fixture
def board(platform, device):
    """The device; the stand-in's fleet knows it by its MAC."""
    (device.folder / "mac").write_text(MAC)

    def make(tree):
        fleet = control.fleet_of(tree, "house")
        fleet["boards"].append({"mac": MAC, "device": "thermostat"})

    platform.control(make)
    (fleet,) = platform.fleets
    key = {name: fleet[name] for name in ("key_id", "key_secret")}
    device.config["device"] = {"provision": key}
    yield device
    secrets = [key["key_secret"], platform.info["device"]["key_secret"]]
    assert not [line for line in device.log if any(secret in line for secret in secrets)]


def fleets(platform, **changes):
    platform.control(lambda tree: tree["fleets"][0].update(changes))


def values(platform, prop="counter"):
    return [value for _, _, value in platform.points(prop)]


def test_it_reports_what_it_measured_before_it_was_anybody(platform, board):
    fleets(platform, delay_s=4)
    board.count(0.2)
    board.start(heap="172K")
    board.wait_log("this device is _dev_")
    before = len(board.counted())
    assert before > 5, "it measures and heats meanwhile"
    wait(lambda: len(values(platform)) > before, "the readings")
    assert values(platform)[:before] == list(range(before))
    writes = [write for write in platform.writes() if write["key"] == "device"]
    assert {write["device"] for write in writes} == {platform.info["device"]["id"]}
    assert board.interrupt() == 0
    assert not (board.folder / "identity.json").exists(), "it is in memory alone"
    board.start()
    wait(lambda: sum("this device is _dev_" in line for line in board.log) == 2, "it asks again")


def test_heat_does_not_wait_for_an_identity(platform, board):
    fleets(platform, fault="refuse")
    board.config["health"]["every_s"] = 0
    board.start()
    board.wait_log(r"provisioning: the broker refused the fleet's key.* next try in 6\d s")
    time.sleep(2)
    assert board.running
    assert platform.writes() == []
    # The API is not asked either: it would refuse.
    assert not [line for line in board.log if "HTTPS" in line]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fault", ["silent", "close", "deaf", "strange"])
def test_no_answer_or_a_strange_one_is_waited_out(platform, board, fault):
    fleets(platform, fault=fault)
    board.start()
    board.wait_log(r"uplink: provisioning: .* next try in 12\d s", 60)
    assert platform.writes() == []
    assert board.running


def test_an_open_connection_after_the_answer_is_closed(platform, board):
    fleets(platform, fault="open")
    board.start()
    board.wait_log("mqtt_client: connected")
    wait(lambda: platform.writes(), "a report")


def test_an_identity_that_is_kept_survives_a_power_cut_and_needs_no_fleet(platform, board):
    board.config["device"]["provision"]["store"] = True
    board.start()
    board.wait_log("listening for commands")
    board.kill()
    fleets(platform, fault="refuse")
    known = json.loads((board.folder / "identity.json").read_text())
    assert known["id"] == platform.info["device"]["id"]
    count = len(platform.writes())
    board.start()
    wait(lambda: len(platform.writes()) > count, "reports")
    assert board.interrupt() == 0
    # With another fleet's key it is nobody.
    board.config["device"]["provision"]["key_id"] = "_key_other"
    board.start()
    board.wait_log("the broker refused the fleet's key")
    assert not (board.folder / "identity.json").exists()


@pytest.mark.timeout(200)
def test_a_configuration_that_comes_along_is_tried_once_and_kept(platform, board):
    part = {"feed": {"max_age_s": 0.7}, "config": {"confirm_s": 30}}
    boards = [{"mac": MAC, "device": "thermostat", "config": part}]
    fleets(platform, boards=boards)
    board.start()
    board.wait_log("restarting: command")
    board.wait_log("the configuration is kept", 60)
    assert json.loads((board.folder / "config.json").read_text())["feed"]["max_age_s"] == 0.7
    told = [w["value"] for w in platform.writes() if w["prop"] == "lastcommand"]
    assert told[0]["property"] == "config" and told[0]["ok"], told
    assert board.interrupt() == 0
    starts = sum("app: firmware" in line for line in board.log)
    assert starts == 2, "it has restarted once"


@pytest.mark.timeout(200)
def test_a_configuration_that_fails_its_trial_does_not_come_back(platform, board):
    part = {"https": {"url": "https://localhost:1/v3"}, "config": {"confirm_s": 30}}
    fleets(platform, boards=[{"mac": MAC, "device": "thermostat", "config": part}])
    board.start()
    board.wait_log("back to the configuration before", 90)
    wait(
        lambda: sum("this device is _dev_" in line for line in board.log) == 3,
        "the third start",
        40,
    )
    wait(
        lambda: any(
            w["prop"] == "lastcommand" and not w["value"]["ok"] for w in platform.writes()
        ),
        "why it failed",
    )
    time.sleep(5)
    assert sum("app: firmware" in line for line in board.log) == 3, "and no fourth"


def test_mosquitto_takes_the_packets_as_they_are(platform, board, mosquitto):
    """Its part of the platform is played by a client that hears the request."""
    device = platform.info["device"]
    board.config["mqtt"] = {"url": f"mqtts://localhost:{mosquitto.port}"}
    # mosquitto knows one key.
    board.config["device"]["provision"] |= {
        name: device[name] for name in ("key_id", "key_secret")
    }
    with (board.folder / "certs/ca.pem").open("a") as bundle:
        bundle.write(mosquitto.ca.read_text())
    answer = {"deviceId": device["id"], "apiKeyId": device["key_id"]}
    answer["apiSecret"] = device["key_secret"]
    asked = []

    def hear(client, _data, message):
        asked.append(message.payload)
        client.publish(f"csipio/provisions/{CLIENT}", json.dumps(answer), 1)

    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.username_pw_set("tester", "tester")
    client.tls_set(str(mosquitto.ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.on_message = hear
    client.connect("localhost", mosquitto.port)
    client.subscribe("csipio/provisions", 1)
    client.loop_start()
    try:
        board.start()
        board.wait_log("listening for commands")
        assert asked == [b'{"mac": "%s", "configProperty": "config"}' % MAC.encode()]
        wait(lambda: mosquitto.points("temperature"), "a reading")
    finally:
        client.loop_stop()
        client.disconnect()
    assert re.search(r"this device is _dev_\d+", "\n".join(board.log))

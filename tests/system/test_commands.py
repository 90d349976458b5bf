"""Commands from the platform, on their way to the relay, and the answer back."""

import json
import random

import pytest

from tests.platform.clients import Curl
from tests.system.device import wait


def latest(platform, prop):
    return (platform.latest(prop) or (0, None))[1]


def test_a_setpoint_written_by_a_client_switches_the_relay(device, platform):
    device.config["thermostat"]["setpoint"] = 10
    # The health report repeats the setpoint; after the first one only an answer writes it.
    device.config["health"]["every_s"] = 3600
    device.start()
    wait(lambda: latest(platform, "relay") is False, "the relay off at 18 °C with 10 wanted")
    wait(lambda: latest(platform, "setpoint") == 10, "the first report")
    device.wait_log("listening for commands")

    written = Curl(platform.info).post("/data/devices/{id}", {"setpoint": 25.5}, key="client")
    assert written.body == {"accepted": 1, "rejected": 0}

    wait(lambda: latest(platform, "relay") is True, "the relay on")
    device.wait_log("command setpoint: 25.5 is now in force")
    wait(lambda: by_device(platform, "setpoint") == [10, 25.5], "the value in force, written back")


def by_device(platform, prop):
    """Every value of the property that the device itself wrote."""
    return [w["value"] for w in platform.writes() if (w["prop"], w["key"]) == (prop, "device")]


def test_bad_commands_are_refused_and_the_session_stays(device, platform, mosquitto):
    device.config["mqtt"] = {"url": f"mqtts://localhost:{mosquitto.port}"}
    (device.folder / "certs/ca.pem").write_text(mosquitto.ca.read_text())
    device.start()
    device.wait_log("listening for commands")

    mosquitto.command("setpoint", b'{"not": closed')
    device.wait_log("command setpoint refused: .* which is not JSON")
    mosquitto.command("setpoint", b"99")
    device.wait_log("command setpoint refused: expected 5 to 35 °C, got 99")
    mosquitto.command("door", b"true")
    device.wait_log("command door refused: this device takes no such command")
    mosquitto.command("setpoint", b"1" * 3000)
    device.wait_log("command setpoint refused: .* 3000 bytes")
    mosquitto.command("setpoint", b"x" * 1_000_000)
    mosquitto.command("mode", json.dumps("off").encode())
    device.wait_log('command mode: "off" is now in force')
    # The refused and the accepted are answered with what is in force; each by one connection.
    wait(lambda: "off" in [value for _, value in mosquitto.points("mode")], "the mode's answer")
    assert len([line for line in device.log if "mqtt_client: connected" in line]) == 1
    assert 21 in [value for _, value in mosquitto.points("setpoint")]
    refusals = [value for _, value in mosquitto.points("lastcommand") if not value["ok"]]
    assert refusals[1]["property"] == "setpoint"
    assert refusals[1]["reason"] == "expected 5 to 35 °C, got 99"
    assert refusals[2]["property"] == "door"


@pytest.mark.timeout(200)
def test_a_thousand_malformed_commands_do_not_end_the_session(device, mosquitto):
    device.config["mqtt"] = {"url": f"mqtts://localhost:{mosquitto.port}"}
    (device.folder / "certs/ca.pem").write_text(mosquitto.ca.read_text())
    device.count()
    device.start()
    device.wait_log("listening for commands")
    names = ["setpoint", "mode", "preset", "schedule", "hold_until", "config", "restart", "door"]
    random.seed(1000)
    for n in range(1000):
        mosquitto.command(names[n % len(names)], malformed())
    mosquitto.command("setpoint", b"17.5")
    device.wait_log("command setpoint: 17.5 is now in force", 90)
    wait(lambda: 17.5 in [value for _, value in mosquitto.points("setpoint")], "its answer")
    assert len([line for line in device.log if " refused: " in line]) == 1000
    assert len([line for line in device.log if " in force" in line]) == 1
    assert len([line for line in device.log if "mqtt_client: connected" in line]) == 1
    # Answers that come too fast are put together, so the readings keep their place.
    last = device.counted()[-1]
    wait(lambda: counters(mosquitto)[-1:] >= [last], "the readings")
    values = counters(mosquitto)
    assert values == list(range(len(values)))


def test_what_the_broker_has_retained_is_not_obeyed_again_and_again(device, platform, mosquitto):
    device.config["mqtt"] = {"url": f"mqtts://localhost:{mosquitto.port}"}
    (device.folder / "certs/ca.pem").write_text(mosquitto.ca.read_text())
    mosquitto.command("restart", b"true", retain=True)
    mosquitto.command("setpoint", b"16", retain=True)
    device.start()
    device.wait_log("listening for commands")
    mosquitto.command("setpoint", b"23")
    wait(lambda: 23 in [value for _, value in mosquitto.points("setpoint")], "its answer")
    for session in (2, 3):
        device.kill()
        device.start()
        wait(
            lambda session=session: count(device, "'restart' is passed over") == session,
            "what is retained",
        )
    wait(lambda: count(device, "'setpoint' is passed over") == 3, "the set point of long ago")
    assert mosquitto.points("setpoint")[-1][1] == 23
    assert count(device, "in force") == 1
    assert count(device, "I app: firmware") == 3, "it has not restarted itself"


def count(device, words):
    return len([line for line in device.log if words in line])


def counters(mosquitto):
    return [value for _, value in mosquitto.points("counter")]


def malformed():
    """What no command of this device takes."""
    kind = random.randrange(6)
    if kind == 0:
        return random.randbytes(random.randrange(40))
    if kind == 1:
        return b"[" * random.randrange(1, 3000)
    if kind == 2:
        return json.dumps({"a": [random.random()] * random.randrange(50)}).encode()
    if kind == 3:
        return b'"' + b"x" * random.randrange(3000)
    if kind == 4:
        return random.choice([b"1e999", b"-40", b"NaN", b"", b"tru", b"{}}", b'"maybe"', b"[5]"])
    return b'{"thermostat": {"sensor": ' + b"9" * random.randrange(1, 1500) + b"}}"


def test_an_edit_of_the_configuration_holds_where_nobody_has_set_anything(device, platform):
    device.start()
    wait(lambda: latest(platform, "setpoint") == 21, "what the platform did not have")
    wait(lambda: latest(platform, "report_every") == 0.5, "the last of it")
    assert device.interrupt() == 0
    device.config["thermostat"].update(setpoint=26, mode="off")
    device.config["feed"]["max_age_s"] = 1
    device.start()
    wait(lambda: latest(platform, "setpoint") == 26, "what is in force now")
    wait(lambda: latest(platform, "mode") == "off", "the mode")
    wait(lambda: latest(platform, "report_every") == 1, "and how often it reports")

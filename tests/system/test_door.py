"""The door against the platform: commands that were missed, refusals, restarts, configurations."""

import json
import time

import pytest

from tests.platform.clients import Curl
from tests.system.device import wait
from tests.system.test_commands import by_device, latest


def write(platform, values):
    """A client's write; the platform takes it."""
    answer = Curl(platform.info).post("/data/devices/{id}", values, key="client")
    assert answer.body == {"accepted": len(values), "rejected": 0}, answer.body


def verdicts(platform):
    return by_device(platform, "lastcommand")


def heard(platform, prop, ok=True):
    """Wait for what is said of a command."""
    return wait(
        lambda: next(
            (v for v in verdicts(platform) if v["property"] == prop and v["ok"] is ok), None
        ),
        f"the verdict on {prop}",
    )


def test_commands_written_while_it_was_off_are_recovered_and_answered(device, platform):
    device.config["thermostat"]["setpoint"] = 10
    device.start(heap="256K")
    wait(lambda: latest(platform, "setpoint") == 10, "the value that the platform did not have")
    device.wait_log("listening for commands")
    write(platform, {"setpoint": 11})
    wait(lambda: by_device(platform, "setpoint") == [10, 11], "a live command")
    assert device.interrupt() == 0
    entries = [{"days": "daily", "at": "00:00", "preset": "sleep"}]
    write(platform, {"setpoint": 12, "mode": "off"})
    write(platform, {"schedule": {"entries": entries}})
    write(platform, {"mode": "heat", "hold_until": "2099-01-01T00:00:00Z"})
    write(platform, {"setpoint": 26.5, "restart": True, "identify": 9})

    device.start(heap="256K")
    device.wait_log("command setpoint: 26.5 is now in force")
    wait(lambda: latest(platform, "relay") is True, "the relay on at 18 °C with 26.5 wanted")
    heard(platform, "schedule")
    device.wait_log("mqtt_client: connected")
    time.sleep(3)
    assert by_device(platform, "setpoint") == [10, 11, 26.5], "each once"
    assert by_device(platform, "schedule")[-1] == {"entries": entries}
    assert by_device(platform, "hold_until")[-1] == "2099-01-01T00:00:00.000Z"
    assert latest(platform, "mode") == "heat"
    # What was to be done at once, and was not, is not done late.
    assert not any("restarting" in line for line in device.log)
    assert not any("asked to show itself" in line for line in device.log)


def test_a_command_written_while_mqtt_is_down_takes_effect(device, platform):
    device.config["thermostat"]["setpoint"] = 10
    device.config["mqtt"]["grace_s"] = 1
    device.config["https"]["poll_s"] = 10
    device.start()
    device.wait_log("listening for commands")
    wait(lambda: latest(platform, "relay") is False, "the relay off")
    platform.stop_mqtt()
    write(platform, {"setpoint": 26.5})
    device.wait_log("command setpoint: 26.5 is now in force", 60)
    wait(lambda: latest(platform, "relay") is True, "the relay on")
    wait(lambda: heard(platform, "setpoint"), "the answer, over HTTPS")
    platform.start_mqtt()
    wait(lambda: latest(platform, "transport") == "mqtt", "MQTT again", 60)
    assert [line for line in device.log if "command setpoint" in line][1:] == [], "it is one"
    assert by_device(platform, "setpoint") == [10, 26.5]


def test_what_was_set_survives_a_restart_without_network(device, platform):
    device.config["thermostat"]["setpoint"] = 10
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"setpoint": 26.5})
    wait(lambda: latest(platform, "relay") is True, "the relay on")
    wait(lambda: (device.folder / "settings.json").exists(), "what survives")
    device.kill()
    platform.stop_mqtt()
    platform.stop_https()
    begun = len(device.log)
    device.start()
    wait(lambda: any("relay on" in line for line in device.log[begun:]), "the relay on again")


def test_a_refusal_says_why_and_what_is_in_force(device, platform):
    device.start()
    device.wait_log("listening for commands")
    # The platform allows it, this device has no cooler.
    write(platform, {"mode": "cool"})
    refusal = heard(platform, "mode", ok=False)
    assert refusal["reason"] == 'expected "off" or "heat", got "cool"'
    wait(lambda: latest(platform, "mode") == "heat", "what is in force")
    write(platform, {"schedule": {"entries": [{"days": "sun", "at": "9:00", "preset": "home"}]}})
    refusal = heard(platform, "schedule", ok=False)
    assert refusal["reason"].startswith("schedule[0].at: expected a time from")
    write(platform, {"preset": "away"})
    wait(lambda: latest(platform, "setpoint") == 16, "the preset's set point")
    assert heard(platform, "preset")["reason"] == ""


def test_restart_comes_once(device, platform):
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"restart": True})
    device.wait_log("restarting: command")
    wait(
        lambda: sum("client: connected" in line for line in device.log) == 2,
        "the device back",
    )
    wait(lambda: latest(platform, "restart") is False, "the answer")
    assert heard(platform, "restart")
    time.sleep(3)
    assert sum("restarting" in line for line in device.log) == 1


def test_a_configuration_that_works_is_kept_and_shows_no_secret(device, platform):
    secret = "ein-geheimnis-7"
    device.start(heap="256K")
    device.wait_log("listening for commands")
    part = {
        "health": {"every_s": 2},
        "wifi": [{"ssid": "home", "password": secret}],
        "thermostat": {"setpoint": 24},
    }
    write(platform, {"config": part})
    device.wait_log("the configuration is kept")
    config = json.loads((device.folder / "config.json").read_text())
    assert config == {**device.config, **part, "thermostat": config["thermostat"]}
    assert config["thermostat"] == {**device.config["thermostat"], "setpoint": 24}
    assert not list(device.folder.glob("config.old*")) and not list(device.folder.glob("trial*"))
    wait(lambda: len(verdicts(platform)) == 2, "what is said of it")
    assert [verdict["ok"] for verdict in verdicts(platform)] == [True, True]
    wait(lambda: latest(platform, "setpoint") == 24, "what it says is in force")
    hidden = [{"ssid": "home", "password": "(hidden)"}]
    wait(lambda: latest(platform, "config").get("wifi") == hidden, "the part, as it may be shown")
    assert secret not in json.dumps(by_device(platform, "config"))
    assert not any(secret in line for line in device.log)
    assert sum("restarting" in line for line in device.log) == 1


@pytest.mark.parametrize("short", [False, True])
def test_a_wrong_configuration_is_refused_by_name(device, platform, short):
    if short:
        device.start_short_of_memory()
    else:
        device.start()
    device.wait_log("listening for commands")
    before = (device.folder / "config.json").read_text()
    write(platform, {"config": {"mqtt": {"ulr": "mqtts://elsewhere", "keepalive_s": 20}}})
    refusal = heard(platform, "config", ok=False)
    assert refusal["reason"].startswith("mqtt.ulr: unknown key; expected one of url,")
    wait(lambda: latest(platform, "config") == {}, "the answer")
    assert [verdict["ok"] for verdict in verdicts(platform)] == [False]
    assert (device.folder / "config.json").read_text() == before
    time.sleep(2)
    # Where memory is short, it takes a restart to check it.
    assert sum("restarting" in line for line in device.log) == short


@pytest.mark.timeout(200)
def test_a_wrong_broker_address_heals_itself(device, platform):
    device.config["config"] = {"confirm_s": 30}
    device.config["mqtt"]["grace_s"] = 1
    device.start(heap="256K")
    device.wait_log("listening for commands")
    write(platform, {"config": {"mqtt": {"url": "mqtts://localhost:1"}}})
    device.wait_log("restarting: command")
    wait(lambda: latest(platform, "transport") == "https", "HTTPS, as the broker is not there")
    device.wait_log("restarting: config", 60)
    wait(
        lambda: sum("client: connected" in line for line in device.log) == 2,
        "the broker again",
    )
    refusal = heard(platform, "config", ok=False)
    assert refusal["reason"] == "the platform was not reached over mqtt with it in time"
    wait(lambda: latest(platform, "config") == {}, "nothing of it is in force")
    assert json.loads((device.folder / "config.json").read_text()) == device.config
    time.sleep(3)
    assert sum("restarting" in line for line in device.log) == 2, "it is not tried again"

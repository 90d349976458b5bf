"""Configurations from afar: what has to work before one is kept, and what stays if it does not."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.device import wait
from tests.system.test_commands import by_device, latest
from tests.system.test_door import heard, verdicts, write


def again(device, pattern, times=2):
    """Wait for a line of the log that comes once more in the next run."""
    wait(lambda: sum(pattern in line for line in device.log) >= times, pattern)


def tried(device):
    """How often the device was started with what is on trial."""
    path = device.folder / "trial.json"
    return json.loads(path.read_text()).get("boots") if path.exists() else None


def test_what_fails_does_not_become_the_last_good_one(device, platform):
    """The last good configuration is in force, since the file has a wrong value; a part mends that
    value, and has a wrong address.
    """
    device.start()
    device.wait_log("listening for commands")
    assert device.interrupt() == 0
    device.config["thermostat"]["setpoint"] = 99
    device.start()
    again(device, "listening for commands")
    write(
        platform,
        {"config": {"thermostat": {"setpoint": 21}, "mqtt": {"url": "mqtts://localhost:1"}}},
    )
    device.wait_log("restarting: command")
    for boots in (1, 2, 3):
        wait(lambda boots=boots: tried(device) == boots, f"start {boots} of the trial")
        again(device, "MQTT: the connection was refused", boots)
        device.kill()
        device.start_as_it_is()
    again(device, "listening for commands", 3)
    refusal = heard(platform, "config", ok=False)
    assert refusal["reason"] == "the device did not keep running with it"
    assert json.loads((device.folder / "config.json").read_text()) == device.config
    good = json.loads((device.folder / "config.good.json").read_text())
    assert good["mqtt"] == device.config["mqtt"] and "setpoint" not in good["thermostat"]


def test_one_is_kept_where_only_https_gets_through(device, platform):
    device.config["mqtt"]["grace_s"] = 1
    platform.stop_mqtt()
    device.start()
    wait(lambda: latest(platform, "transport") == "https", "HTTPS")
    part = {"health": {"every_s": 2}, "time": {"ntp": [], "zone": "CET-1"}}
    write(platform, {"config": part})
    device.wait_log("the configuration is kept", 60)
    wait(lambda: len(verdicts(platform)) == 2, "what is said of it", 60)
    assert [verdict["ok"] for verdict in verdicts(platform)] == [True, True]
    for name in ("config.json", "config.good.json"):
        kept = json.loads((device.folder / name).read_text())
        assert {section: kept[section] for section in part} == part, name


@pytest.mark.timeout(180)
def test_one_that_costs_https_is_given_up(device, platform):
    """MQTT goes on: it is plain, and asks for no certificate."""
    device.config["config"] = {"confirm_s": 30}
    device.config["mqtt"]["url"] = f"mqtt://localhost:{platform.info['mqtt']}"
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"config": {"tls": {"ca": "certs/none.pem"}}})
    device.wait_log("restarting: command")
    again(device, "listening for commands")
    write(platform, {"config": {"health": {"every_s": 2}}})
    refusal = heard(platform, "config", ok=False)
    assert refusal["reason"] == (
        "another configuration is on trial; wait until it is kept or given up"
    )
    device.wait_log("restarting: config", 60)
    wait(lambda: len(verdicts(platform)) == 3, "what is said of it")
    assert verdicts(platform)[-1]["reason"] == (
        "the platform was not reached over https with it in time"
    )
    assert json.loads((device.folder / "config.json").read_text()) == device.config


class Stranger(BaseHTTPRequestHandler):
    """A server that has never heard of any of this, and finds nothing wrong with it."""

    def do_GET(self):
        if "Content-Length" in self.headers:
            self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"error":"unknown host"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.mark.timeout(200)
def test_a_server_that_knows_nothing_of_the_device_is_not_the_platform(device, platform):
    device.config["mqtt"]["grace_s"] = 1
    device.config["config"] = {"confirm_s": 30}
    platform.stop_mqtt()
    device.start()
    wait(lambda: latest(platform, "transport") == "https", "HTTPS")
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        wrong = f"http://127.0.0.1:{stranger.server_port}/v3"
        write(platform, {"config": {"https": {"url": wrong}}})
        device.wait_log("the API's answer is no receipt", 90)
        device.wait_log("restarting: config", 90)
        stranger.shutdown()
    refusal = heard(platform, "config", ok=False)
    assert refusal["reason"] == "the platform was not reached over https with it in time"
    assert json.loads((device.folder / "config.json").read_text()) == device.config


def test_the_preset_in_force_is_what_the_configuration_says_of_it(device, platform):
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"preset": "away"})
    wait(lambda: latest(platform, "setpoint") == 16, "the preset's set point")
    write(platform, {"config": {"thermostat": {"presets": {"away": {"setpoint": 26}}}}})
    device.wait_log("the configuration is kept")
    wait(lambda: latest(platform, "setpoint") == 26, "what it says of it")
    assert latest(platform, "preset") == "away"
    device.wait_log("relay on")
    # And it stays so.
    assert device.interrupt() == 0
    device.start_as_it_is()
    again(device, "listening for commands", 3)
    assert by_device(platform, "setpoint")[-1] == 26
    write(platform, {"setpoint": 25})
    wait(lambda: by_device(platform, "preset")[-1] == "manual", "a set point by hand")

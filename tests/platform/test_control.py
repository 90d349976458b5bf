"""The control file, obeyed while the platform runs, and listeners that go down and come back."""

import json
import logging
import socket

import pytest

from tests.platform.clients import Mqtt, eventually
from tools.platform.control import Control, ControlError, write

DEVICE = "/data/devices/_this_"


@pytest.fixture
def path(tmp_path, platform):
    return tmp_path / "platform/control.json"


def edit(path, change):
    """What an editor or another process does: no word to the platform."""
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def listening(port):
    try:
        socket.create_connection(("localhost", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_properties_can_be_added_while_it_runs(platform, api, path):
    assert api.post(DEVICE, {"co2": 400}).body == {"accepted": 0, "rejected": 1}
    edit(path, lambda tree: tree["properties"].update(co2={"type": "number", "max": 5000}))
    assert api.post(DEVICE, {"co2": 400}).body == {"accepted": 1, "rejected": 0}
    assert platform.latest("co2")[1] == 400


def test_bad_file_leaves_the_last_good_one_in_force(api, path, caplog):
    good = path.read_text()
    path.write_text(good[:100])
    with caplog.at_level(logging.ERROR):
        assert api.post(DEVICE, {"counter": 1}).status == 200
    assert "control.json: expected JSON" in caplog.text
    edit_to = json.loads(good)
    edit_to["limits"]["rateLimit"] = 1
    path.write_text(json.dumps(edit_to))
    assert api.post(DEVICE, {"counter": 1}).status == 429


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("limits"), "limits: expected to be there"),
        (lambda t: t.update(fault=1), "fault: expected no such key"),
        (lambda t: t["limits"].update(rateLimit=0), "limits.rateLimit: expected a whole number"),
        (lambda t: t["device"].update(id="x"), "device.id: expected _dev_ and 18 to 21 digits"),
        (lambda t: t["device"].update(status="off"), "device.status: expected one of debug"),
        (lambda t: t["device"].update(key_secret=""), "device.key_secret: expected a string"),
        (
            lambda t: t["client"].update(key_id=t["device"]["key_id"]),
            "device.key_id: expected",
        ),
        (lambda t: t["device"].update(name="_this_"), "device.name: expected a name without /"),
        (lambda t: t.update(devices={}), "devices: expected a list"),
        (lambda t: t.update(devices=[{}]), "devices[0].id: expected to be there"),
        (
            lambda t: t.update(devices=[t["device"]]),
            "devices[0].key_id: expected another",
        ),
        (
            lambda t: t.update(retained={"nosuch": 1}),
            "retained.nosuch: expected the name",
        ),
        (lambda t: t.update(down=["ws"]), "down: expected a list of mqtt, https"),
        (lambda t: t["properties"].update(A={"type": "number"}), "properties.A: expected a name"),
        (lambda t: t["properties"].update(a={"type": "int"}), "properties.a.type: expected one"),
        (lambda t: t["properties"].update(a={"type": "enum"}), "properties.a.values: expected"),
        (lambda t: t["properties"]["mode"].update(min=1), "properties.mode.min: expected no such"),
        (lambda t: t["properties"]["rssi"].update(min="1"), "properties.rssi.min: expected a num"),
        (lambda t: t["properties"]["rssi"].update(access="open"), "properties.rssi.access: exp"),
    ],
)
def test_wrong_key_is_named_without_its_secret(tmp_path, change, message):
    first = Control(tmp_path)
    tree = json.loads(first.path.read_text())
    secret = tree["client"]["key_secret"]
    change(tree)
    first.path.write_text(json.dumps(tree))
    with pytest.raises(ControlError) as failure:
        Control(tmp_path)
    assert f"control.json: {message}" in str(failure.value)
    assert secret not in str(failure.value)


def test_what_is_written_is_read_back_and_private(tmp_path):
    made = Control(tmp_path)
    tree = json.loads(made.path.read_text())
    write(made.path, tree)
    assert json.loads(made.path.read_text()) == tree
    assert made.path.stat().st_mode & 0o077 == 0
    again = Control(tmp_path)
    assert (again.device, again.client, again.limits) == (made.device, made.client, made.limits)
    assert again.properties == made.properties


def test_mqtt_down_and_up_on_the_same_ports_by_another_process(platform, info, path):
    with Mqtt(info) as device:
        edit(path, lambda tree: tree.update(down=["mqtt"]))
        assert device.gone.wait(5)
    eventually(lambda: not any(listening(info[name]) for name in ("mqtt", "mqtts", "ws")))
    assert listening(info["https"])
    assert not platform.connected
    edit(path, lambda tree: tree.update(down=[]))
    eventually(lambda: all(listening(info[name]) for name in ("mqtt", "mqtts", "ws")))
    with Mqtt(info, "ws") as device:
        device.publish(device.out + "properties/counter", "1")
    assert len(platform.points()) == 1


def test_https_down_and_up_on_the_same_port_by_another_process(info, api, path):
    """Connections that have not finished their TLS handshake, nor begun it, are cut too."""
    with socket.create_connection(("localhost", info["https"]), timeout=5) as idle:
        edit(path, lambda tree: tree.update(down=["https"]))
        assert idle.recv(1) == b""
    assert not listening(info["https"])
    with pytest.raises(ConnectionError):
        api.get(DEVICE)
    with Mqtt(info) as device:
        assert device.answer == "Success"
    edit(path, lambda tree: tree.update(down=[]))
    eventually(lambda: listening(info["https"]))
    assert api.get(DEVICE).status == 200


def test_down_and_up_by_calls_again_and_again(platform, info, api):
    for transport in ("tcp", "tls", "ws"):
        with Mqtt(info, transport) as device:
            platform.stop_mqtt()
            assert device.gone.wait(5)
            assert not listening(info["mqtt"])
            platform.stop_https()
            assert not listening(info["https"])
            platform.start_https()
            platform.start_mqtt()
        with Mqtt(info, transport) as device:
            device.publish(device.out + "properties/counter", "1")
        assert api.get(DEVICE).status == 200
    assert len(platform.points()) == 3


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"key_secret": "another"}])
def test_connected_device_is_put_out_when_disabled_or_given_another_key(info, path, change):
    with Mqtt(info) as device:
        edit(path, lambda tree: tree["device"].update(change))
        assert device.gone.wait(5)
    with Mqtt(info) as device:
        assert device.answer in ("Not authorized", "Bad user name or password")

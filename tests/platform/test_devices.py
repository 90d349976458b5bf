"""Several devices, each with a name, a key, a log and a rate of its own."""

import pytest

from tests.platform.clients import Mqtt, eventually, feed

T = "2017-05-01T14:00:57.467Z"
OTHER = {
    "id": "_dev_571692235317590466",
    "name": "cellar",
    "key_id": "_key_2",
    "key_secret": "another",
    "profile": "thermostat",
    "status": "debug",
}
KEY = "_key_2:another"


@pytest.fixture
def other(platform, info):
    """What a client needs to be the second device."""
    platform.control(lambda tree: tree["devices"].append(OTHER))
    return {**info, "device": {name: OTHER[name] for name in ("id", "key_id", "key_secret")}}


def test_a_devices_name_stands_for_its_id_in_a_path(platform, api):
    point = feed({"t": T, "v": 21})
    assert api.post("/data/devices/thermostat/properties/setpoint", point).status == 200
    assert api.get("/data/devices/thermostat", "client").body == {"setpoint": 21}
    state = api.get("/data/devices/thermostat/state").body
    assert state["header"]["name"] == "thermostat"
    assert api.get("/data/devices/attic").status == 404
    platform.control(lambda tree: tree["device"].update(name="attic"))
    assert api.get("/data/devices/attic").body == {"setpoint": 21}
    assert api.get("/data/devices/thermostat").status == 404


def test_a_control_file_without_names_and_devices_is_one_of_a_thermostat(platform, api):
    def older(tree):
        del tree["device"]["name"], tree["devices"], tree["retained"]

    platform.control(older)
    assert api.get("/data/devices/thermostat").status == 200


def test_devices_do_not_see_each_other(platform, api, info, other):
    with Mqtt(info) as first, Mqtt(other) as second:
        assert (first.answer, second.answer) == ("Success", "Success")
        first.publish(first.out + "properties/counter", "1")
        second.publish(second.out + "properties/counter", "2")
        second.publish(first.out + "properties/counter", "3")
        assert second.subscribe(first.into + "properties/#") == 128
        first.subscribe(first.into + "properties/#")
        second.subscribe(second.into + "properties/#")
        api.post("/data/devices/cellar", {"setpoint": 20}, "client")
        eventually(lambda: second.messages)
        assert first.messages == []
    assert api.get("/data/devices/thermostat", "client").body == {"counter": 1}
    assert api.get("/data/devices/cellar", "client").body == {"counter": 2, "setpoint": 20}
    assert api.get("/data/devices/_this_", KEY).body == {"counter": 2, "setpoint": 20}
    assert api.get("/data/devices/thermostat", KEY).status == 404
    assert [value for _, _, value in platform.points()] == [1]


def test_a_key_is_for_its_own_client_id(info, other):
    with Mqtt(info, client_id=OTHER["id"]) as stranger:
        assert stranger.answer == "Not authorized"
    with Mqtt(other) as device:
        assert device.answer == "Success"


def test_each_device_has_its_own_rate(platform, api, other):
    platform.control(lambda tree: tree["limits"].update(rateLimit=1))
    assert api.post("/data/devices/_this_", {"counter": 1}).status == 200
    assert api.post("/data/devices/_this_", {"counter": 1}).status == 429
    assert api.post("/data/devices/_this_", {"counter": 1}, KEY).status == 200


def test_the_log_says_why_a_point_was_rejected(platform, api, other):
    api.post("/data/devices/_this_", {"nosuch": 1, "temperature": "warm"})
    api.post("/data/devices/_this_", {"temperature": 200}, KEY)
    lines = api.get("/data/devices/thermostat/log", "client").body["log"]
    assert [line["text"] for line in lines] == [
        "https: nosuch rejected: unknown property",
        "https: temperature rejected: expected a number, got a string",
    ]
    assert all(line["time"].endswith("Z") for line in lines)
    (line,) = api.get("/data/devices/_this_/log", KEY).body["log"]
    assert "200 is above 125" in line["text"]
    assert api.get("/data/devices/cellar/log").status == 404


def test_one_that_is_removed_is_put_out_and_the_others_stay(platform, info, other):
    with Mqtt(info) as first, Mqtt(other) as second:
        platform.control(lambda tree: tree["devices"].clear())
        assert second.gone.wait(5)
        first.publish(first.out + "properties/counter", "1")
        assert not first.gone.is_set()


def test_one_that_is_disabled_is_put_out_though_a_request_read_the_file_first(
    platform, api, info, tmp_path
):
    path = tmp_path / "platform/control.json"
    for _ in range(5):
        path.write_text(path.read_text().replace('"disabled"', '"debug"'))
        with Mqtt(info) as device:
            path.write_text(path.read_text().replace('"debug"', '"disabled"'))
            api.get("/data/devices/_this_")
            assert device.gone.wait(5)


def test_what_is_refused_says_why(platform, api, info, other, caplog):
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    with Mqtt(info) as device:
        assert device.answer == "Not authorized"
    assert "the device is disabled" in caplog.text
    answer = api.post("/data/devices/_this_", {"counter": 1})
    assert (answer.status, answer.body["message"]) == (403, "the device is disabled")
    with Mqtt(other, client_id=info["device"]["id"]):
        assert f"the key is that of {OTHER['id']}" in caplog.text
    with Mqtt(info, key=info["client"]):
        assert "a client's key is for HTTPS only" in caplog.text
    with Mqtt(info, secret="wrong"):
        assert "wrong key id or secret" in caplog.text

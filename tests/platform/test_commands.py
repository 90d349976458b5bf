"""What becomes of a write by a client: a command to the device, or nothing."""

import subprocess

from tests.platform.clients import Mqtt, eventually, feed
from tests.platform.test_mqtt import T, needs_mosquitto

DEVICE = "/data/devices/{id}"


def values(device):
    """What the device was sent, as (name, raw payload)."""
    return [
        (topic.removeprefix(device.into + "properties/"), raw) for topic, raw in device.messages
    ]


def test_command_carries_the_raw_value(platform, info, api):
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        api.post(DEVICE, {"setpoint": 21.5, "mode": "heat"}, "client")
        api.post(DEVICE + "/properties", feed({"v": 19, "prop": "setpoint"}, t=T), "client")
        api.post(DEVICE + "/properties/mode", feed({"v": "off"}), "client")
        eventually(lambda: len(device.messages) == 4)
    sent = [("setpoint", b"21.5"), ("mode", b'"heat"'), ("setpoint", b"19"), ("mode", b'"off"')]
    assert values(device) == sent
    assert {w["key"] for w in platform.writes()} == {"client"}


def test_only_the_subscribed_property_is_sent_at_the_subscriptions_qos(info, api):
    with Mqtt(info) as device:
        device.client.on_message = lambda _c, _u, m: device.messages.append((m.topic, m.qos))
        device.subscribe(device.into + "properties/setpoint", qos=0)
        api.post(DEVICE, {"mode": "heat", "setpoint": 21}, "client")
        eventually(lambda: device.messages)
        device.subscribe(device.into + "properties/mode", qos=1)
        api.post(DEVICE, {"mode": "off"}, "client")
        eventually(lambda: len(device.messages) == 2)
    assert values(device) == [("setpoint", 0), ("mode", 1)]


def test_what_is_not_a_command_is_not_sent(platform, info, api):
    """Own writes, refused values, and properties that are not public or never published."""

    def change(tree):
        tree["properties"]["quiet"] = {"type": "number", "access": "public", "publish": "never"}

    platform.control(change)
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        device.publish(device.out + "properties/setpoint", "18")
        api.post(DEVICE, {"setpoint": 18.5})
        api.post(DEVICE, {"setpoint": 99, "mode": "hot", "temperature": 20, "quiet": 1}, "client")
        api.post(DEVICE, {"setpoint": 22}, "client")
        eventually(lambda: device.messages)
        assert values(device) == [("setpoint", b"22")]
    assert [w["value"] for w in platform.writes()] == [18, 18.5, 1, 22]


def test_publish_changed_sends_changes_only(platform, info, api):
    platform.control(lambda tree: tree["properties"]["setpoint"].update(publish="changed"))
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        for value in (20, 20, 21, 21, 20):
            api.post(DEVICE, {"setpoint": value}, "client")
        eventually(lambda: len(device.messages) >= 3)
        assert [raw for _, raw in values(device)] == [b"20", b"21", b"20"]


def test_command_to_an_absent_device_is_lost_but_its_value_is_kept(platform, info, api):
    """Even for a client that asked the broker to keep its session."""
    with Mqtt(info, clean_session=False) as device:
        device.subscribe(device.into + "properties/#")
    eventually(lambda: not platform.connected)
    assert api.post(DEVICE, {"setpoint": 23}, "client").body == {"accepted": 1, "rejected": 0}
    with Mqtt(info, clean_session=False) as device:
        api.post(DEVICE, {"setpoint": 24}, "client")  # nor is the subscription kept
        device.subscribe(device.into + "properties/#")
        api.post(DEVICE, {"mode": "heat"}, "client")
        eventually(lambda: device.messages)
        assert values(device) == [("mode", b'"heat"')]
    assert api.get("/data/devices/_this_").body == {"setpoint": 24, "mode": "heat"}


@needs_mosquitto
def test_mosquitto_sub_receives_a_command(info, api, plenty):
    device = info["device"]
    topic = f"csipio/data/in/devices/{device['id']}/properties/#"
    command = ["mosquitto_sub", "-h", "localhost", "-p", str(info["mqtts"]), "-q", "1"]
    command += ["--cafile", info["ca"], "-i", device["id"], "-u", device["key_id"]]
    command += ["-P", device["key_secret"], "-t", topic, "-C", "1", "-W", "10", "-F", "%t %p"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
        while subscriber.poll() is None:  # until it is subscribed, commands are lost
            api.post(DEVICE, {"setpoint": 21}, "client")
        out = subscriber.stdout.read()
    assert (subscriber.returncode, out) == (0, f"{topic[:-1]}setpoint 21\n")

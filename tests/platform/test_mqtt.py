"""The broker: who may connect, what may be said where, and what an acknowledgement means."""

import json
import math
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import time

import paho.mqtt.client as paho
import pytest
import trustme

from tests.platform.clients import Mqtt, eventually, feed

T = "2017-05-01T14:00:57.467Z"
T_MS = 1493647257467
needs_mosquitto = pytest.mark.skipif(
    not (shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub")),
    reason="mosquitto-clients is not installed",
)


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
def test_feed_is_stored_with_its_own_time_over_every_listener(platform, info, transport):
    with Mqtt(info, transport) as device:
        points = [
            {"t": T, "v": 15.45, "prop": "temperature"},
            {"t": T, "v": 4, "prop": "humidity"},
        ]
        device.publish(device.out + "json", feed(*points))
    assert platform.points() == [("humidity", T_MS, 4), ("temperature", T_MS, 15.45)]
    assert {(w["transport"], w["key"]) for w in platform.writes()} == {("mqtt", "device")}


def test_certificate_of_another_authority_is_refused_by_the_client(info, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    stranger = Mqtt(info, "tls", ca=tmp_path / "other.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.client.connect("localhost", info["mqtts"])
    with Mqtt(info, "tls") as device:
        assert device.answer == "Success"


@needs_mosquitto
def test_mosquitto_pub_over_verified_tls(platform, info):
    device = info["device"]
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(info["mqtts"]), "-q", "1"]
    command += ["--cafile", info["ca"], "-i", device["id"], "-u", device["key_id"]]
    command += ["-P", device["key_secret"], "-t", f"csipio/data/out/devices/{device['id']}/json"]
    subprocess.run([*command, "-m", feed({"t": T, "v": 7, "prop": "counter"})], check=True)
    assert platform.points("counter") == [("counter", T_MS, 7)]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"secret": "wrong"}, "Bad user name or password"),
        ({"key": {"key_id": "_key_1", "key_secret": "s"}}, "Bad user name or password"),
        ({"client_id": "_dev_571692235317590466"}, "Not authorized"),
        ({"protocol": paho.MQTTv31}, None),  # its protocol's name is another: closed
    ],
    ids=["secret", "key", "client id", "MQTT 3.1"],
)
def test_connection_is_refused(info, options, answer):
    with Mqtt(info, **options) as client:
        assert client.answer == answer
        assert client.gone.wait(5)


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
def test_another_version_of_mqtt_is_told_so_at_once(info, transport):
    start = time.monotonic()
    with Mqtt(info, transport, protocol=paho.MQTTv5) as client:
        assert client.answer == "Unsupported protocol version"
        assert client.gone.wait(5)
    assert time.monotonic() - start < 5  # a CONNECT that does not come is waited for for 10 s


@pytest.mark.parametrize("level", [3, 5, 6, 131])
def test_another_protocol_level_gets_return_code_1(info, level):
    packet = bytearray(_connect_packet(info, 60))
    packet[8] = level
    with socket.create_connection(("localhost", info["mqtt"]), timeout=5) as connection:
        connection.sendall(packet)
        assert _rest(connection) == bytes((0x20, 2, 0, 1))


def test_a_connect_that_comes_byte_by_byte_is_one(info):
    with socket.create_connection(("localhost", info["mqtt"]), timeout=5) as connection:
        for byte in _connect_packet(info, 60):
            connection.sendall(bytes((byte,)))
            time.sleep(0.001)
        connection.sendall(bytes((0xC0, 0)))
        received = b""
        while len(received) < 6:
            received += connection.recv(16)
        assert received == bytes((0x20, 2, 0, 0, 0xD0, 0))


def test_retained_commands_come_with_each_subscription_and_live_ones_without_the_flag(
    platform, info, api
):
    platform.control(lambda tree: tree.update(retained={"setpoint": 16}))

    def received(device):
        return [(m.topic.rpartition("/")[2], m.payload, m.retain) for m in device.whole]

    for _ in range(2):
        with Mqtt(info) as device:
            device.publish(device.out + "properties/counter", "1")
            assert received(device) == []
            device.subscribe(device.into + "properties/#")
            eventually(lambda: device.messages)
            api.post("/data/devices/{id}", {"setpoint": 23}, "client")
            eventually(lambda: len(device.messages) == 2)
            assert received(device) == [("setpoint", b"16", 1), ("setpoint", b"23", 0)]
            device.subscribe(device.into + "properties/setpoint", qos=0)
            eventually(lambda: len(device.messages) == 3)
            assert received(device)[2] == ("setpoint", b"16", 1)
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/mode")
        platform.control(lambda tree: tree.update(retained={"mode": "off"}))
        eventually(lambda: device.messages)
        assert received(device) == [("mode", b'"off"', 0)]
        platform.control(lambda tree: tree.update(retained={}))
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        api.post("/data/devices/{id}", {"setpoint": 20}, "client")
        eventually(lambda: device.messages)
        assert received(device) == [("setpoint", b"20", 0)]


def test_a_retain_flag_in_what_a_device_publishes_changes_nothing(platform, info):
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        mid = device.client.publish(device.out + "properties/counter", "1", 1, retain=True).mid
        other = device.client.publish(device.into + "properties/mode", '"off"', 1, retain=True).mid
        eventually(lambda: {mid, other} <= device.acked)
        assert device.messages == []
    with Mqtt(info) as device:
        device.subscribe(device.into + "properties/#")
        device.publish(device.out + "properties/counter", "2")
        assert device.messages == []
    assert [value for _, _, value in platform.points()] == [1, 2]


def test_client_key_and_disabled_device_may_not_connect(platform, info):
    with Mqtt(info, key=info["client"]) as client:
        assert client.answer == "Not authorized"
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    with Mqtt(info) as device:
        assert device.answer == "Not authorized"


def test_wrong_secret_does_not_disturb_the_connected_device(platform, info):
    with Mqtt(info) as device:
        with Mqtt(info, secret="wrong") as stranger:
            assert stranger.gone.wait(5)
        device.publish(device.out + "properties/counter", "1")
        assert not device.gone.is_set()
    assert [value for _, _, value in platform.points("counter")] == [1]


@pytest.mark.parametrize("clean_session", [True, False])
def test_second_connection_of_the_device_ends_the_first(platform, info, api, clean_session):
    with Mqtt(info, clean_session=clean_session) as first:
        first.subscribe(first.into + "properties/#")
        with Mqtt(info, clean_session=clean_session) as second:
            assert first.gone.wait(5)
            second.subscribe(second.into + "properties/#")
            api.post("/data/devices/{id}", {"setpoint": 20}, "client")
            eventually(lambda: second.messages)
            assert platform.connected
    eventually(lambda: not platform.connected)
    assert first.messages == []


def test_publish_to_a_topic_that_is_not_the_devices_is_dropped_and_logged(platform, info):
    with Mqtt(info) as device:
        other = device.out.replace(info["device"]["id"], "_dev_571692235317590466")
        good = feed({"t": T, "v": 1, "prop": "counter"})
        for topic in (other + "json", device.into + "properties/setpoint", "a", device.out + "x"):
            device.publish(topic, good)
        assert platform.points() == []
        assert len(platform.log()) == 4
        assert all("publish dropped" in line for line in platform.log())
        device.publish(device.out + "json", good)
    assert platform.points() == [("counter", T_MS, 1)]


def test_subscriptions_outside_the_devices_own_topics_are_refused(info):
    with Mqtt(info) as device:
        other = device.into.replace(info["device"]["id"], "_dev_571692235317590466")
        for topic_filter in ("#", "csipio/#", "csipio/data/in/devices/+/#", other + "#"):
            assert device.subscribe(topic_filter) == 128
        assert device.subscribe(device.out + "#") == 128
        assert device.subscribe(device.into + "properties/#") == 1
        assert device.subscribe(device.into + "properties/setpoint", qos=0) == 0


def test_raw_value_gets_the_servers_time(platform, info):
    before = time.time_ns() // 1_000_000
    with Mqtt(info) as device:
        device.publish(device.out + "properties/temperature", "45")
        device.publish(device.out + "properties/firmware", '"1.0 °C"'.encode())
        device.publish(device.out + "properties/lastcommand", '{"config":{"volume":34}}')
    after = time.time_ns() // 1_000_000
    stored = platform.points()
    assert {(prop, json.dumps(value)) for prop, _, value in stored} == {
        ("temperature", "45"),
        ("firmware", '"1.0 \\u00b0C"'),
        ("lastcommand", '{"config": {"volume": 34}}'),
    }
    assert all(before <= t_ms <= after for _, t_ms, _ in stored)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("json", ""),
        ("json", "not JSON"),
        ("json", b"\xff\xfe"),
        ("json", "[1, 2]"),
        ("json", '{"dps": 5}'),
        ("json", '{"dps": [{"v": NaN, "prop": "counter"}]}'),
        ("json", "[" * 100_000),
        ("json", '{"t": "yesterday", "dps": [{"v": 1, "prop": "counter"}]}'),
        ("json", "1" * 900_000),
        ("properties/temperature", "Operational"),
        ("properties/Temperature", "20"),
        ("properties/", "20"),
        ("methods/reboot", '{"dps":[{"method":"m","value":6}]}'),
    ],
    ids=range(13),
)
def test_malformed_publish_is_acknowledged_dropped_and_logged(platform, info, topic, payload):
    with Mqtt(info) as device:
        device.publish(device.out + topic, payload)
        assert platform.points() == []
        assert len(platform.log()) == 1
        device.publish(device.out + "properties/counter", "1")
    assert len(platform.points()) == 1


def test_points_that_are_rejected_say_why_in_the_log_while_the_status_is_debug(platform, info):
    bad = [
        {"t": T, "v": 1, "prop": "nosuch"},
        {"t": T, "v": "warm", "prop": "temperature"},
        {"t": T, "v": 126, "prop": "temperature"},
        {"t": T, "v": math.inf, "prop": "temperature"},
    ]
    good = {"t": T, "v": 125, "prop": "temperature"}
    with Mqtt(info) as device:
        device.publish(device.out + "json", feed(*bad, good).replace("Infinity", "1e400"))
        assert platform.points() == [("temperature", T_MS, 125)]
        log = platform.log()
        assert [line.split(": ")[2] for line in log] == [
            "unknown property",
            "expected a number, got a string",
            "outside the boundaries",
            "expected a number, got one that is too large",
        ]
        platform.control(lambda tree: tree["device"].update(status="active"))
        device.publish(device.out + "json", feed(*bad[:3]))
    assert platform.log() == log


@pytest.mark.parametrize("qos", [0, 2])
def test_other_qualities_of_service_are_stored_too(platform, info, qos):
    with Mqtt(info) as device:
        for n in range(5):
            device.publish(
                device.out + "json", feed({"tt": n, "v": n, "prop": "counter"}, t=T), qos
            )
        eventually(lambda: len(platform.writes()) == 5)
    assert platform.points() == [("counter", T_MS + n, n) for n in range(5)]


def test_rate_limit_and_points_limit_drop_feeds_and_say_so(platform, info):
    platform.control(lambda tree: tree["limits"].update(rateLimit=3, maxNrOfDpPerFeed=2))
    points = [{"t": T, "v": n, "prop": "counter"} for n in range(3)]
    with Mqtt(info) as device:
        device.publish(device.out + "json", feed(*points))
        for _ in range(3):
            device.publish(device.out + "json", feed(*points[:2]))
    assert len(platform.writes()) == 2 * 2
    assert "more than 2" in platform.log()[0]
    assert "more than 3 feeds per minute" in platform.log()[1]
    assert len(platform.log()) == 2


# -- what an acknowledgement means


def test_every_acknowledged_point_is_committed(platform, info, plenty, tmp_path):
    """At the n-th PUBACK another connection to the database sees n points."""
    database = sqlite3.connect(tmp_path / "platform/platform.sqlite", check_same_thread=False)
    found = []

    def on_publish(*_):
        found.append(database.execute("SELECT count(*) FROM points").fetchone()[0])

    with Mqtt(info) as device:
        device.client.on_publish = on_publish
        for n in range(300):
            device.send(device.out + "json", feed({"tt": n, "v": n}, t=T, prop="counter"))
        eventually(lambda: len(found) == 300)
    database.close()
    assert [n for n, count in enumerate(found, 1) if count < n] == []


def test_no_acknowledgement_while_the_database_cannot_be_written(platform, info, tmp_path):
    lock = sqlite3.connect(tmp_path / "platform/platform.sqlite", isolation_level=None)
    body = feed({"t": T, "v": 1, "prop": "counter"})
    with Mqtt(info) as device:
        lock.execute("BEGIN IMMEDIATE")
        mid = device.send(device.out + "json", body)
        assert device.gone.wait(10)
        assert mid not in device.acked
        lock.execute("ROLLBACK")
    lock.close()
    assert platform.points() == []
    with Mqtt(info) as device:
        device.publish(device.out + "json", body)
    assert platform.points() == [("counter", T_MS, 1)]


def test_a_long_session_whose_packet_ids_wrap(platform, info, plenty):
    with Mqtt(info) as device:
        device.client._last_mid = 65_000
        for n in range(1500):
            device.send(device.out + "json", feed({"tt": n, "v": n}, t=T, prop="counter"))
        eventually(lambda: len(device.acked) == 1500, 30)
    assert [value for _, _, value in platform.points("counter")] == list(range(1500))


# -- what no client library does


def _connect_packet(info, keep_alive_s):
    def text(value):
        return struct.pack("!H", len(value)) + value.encode()

    device = info["device"]
    body = text("MQTT") + bytes((4, 0b11000010)) + struct.pack("!H", keep_alive_s)
    body += text(device["id"]) + text(device["key_id"]) + text(device["key_secret"])
    return bytes((0x10, len(body))) + body


def _rest(connection):
    """What comes until the other side closes; fails on a timeout."""
    received = b""
    try:
        while chunk := connection.recv(4096):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def test_silence_beyond_the_keep_alive_ends_the_connection(platform, info):
    with socket.create_connection(("localhost", info["mqtt"]), timeout=10) as connection:
        start = time.monotonic()
        connection.sendall(_connect_packet(info, keep_alive_s=1))
        assert _rest(connection) == bytes((0x20, 2, 0, 0))
        assert 1.4 < time.monotonic() - start < 5
    eventually(lambda: not platform.connected)


@pytest.mark.parametrize(
    "packet",
    [
        bytes((0x30, 0xFF, 0xFF, 0xFF, 0x7F)),  # a PUBLISH of 256 MB
        bytes((0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01)),  # a length of five bytes
        bytes((0x32, 7)) + b"\x00\x01#" + b"\x00\x01" + b"{}",  # a wildcard in the topic
        bytes((0xF0, 0)),  # a reserved type
        bytes((0x20, 2, 0, 0)),  # what only a broker says
    ],
    ids=["huge", "length", "wildcard", "reserved", "CONNACK"],
)
def test_protocol_error_ends_the_connection(platform, info, packet):
    with socket.create_connection(("localhost", info["mqtt"]), timeout=10) as connection:
        connection.sendall(_connect_packet(info, 60) + packet)
        assert _rest(connection) == bytes((0x20, 2, 0, 0))
    eventually(lambda: not platform.connected)
    with Mqtt(info) as device:
        device.publish(device.out + "properties/counter", "1")
    assert len(platform.points()) == 1


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"\x30\x02\x00\x00", b"\x10\x01"])
def test_stranger_who_sends_no_connect_is_shown_out(info, start):
    with socket.create_connection(("localhost", info["mqtt"]), timeout=10) as connection:
        connection.sendall(start)
        connection.shutdown(socket.SHUT_WR)
        assert _rest(connection) == b""


def test_half_received_publish_over_websocket_is_not_made_up(platform, info):
    """The connection ends inside a packet: nothing of it may be stored."""
    with Mqtt(info, "ws") as device:
        device.publish(device.out + "properties/counter", "1")
        topic = (device.out + "properties/counter").encode()
        start = bytes((0x32, len(topic) + 24)) + struct.pack("!H", len(topic)) + topic
        device.client._sock.send(start + b"\x00\x09" + b"2" * 5)
        device.client._sock.close()
    eventually(lambda: not platform.connected)
    assert [value for _, _, value in platform.points()] == [1]

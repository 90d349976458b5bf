"""Faults of MQTT: packets cut short, twice, for nothing, malformed, too large."""

import threading

import pytest

from tests.faults.rig import Rig, together
from tools.faults import units
from tools.faults.faults import LEFT, STAYS, STRUCK, Away, Cut, Rewrite
from tools.faults.units import CONNACK, DOWN, PUBACK, PUBLISH, SUBACK, UP, pid, puback

FAMILY = "MQTT packets"


# -- Cut inside every packet type at every byte


def cut(tmp_path, name, order, faults, during=None, every_s=None, **config):
    """A device whose API is away, so that all it does is connect to the broker, and very often."""
    with Rig(tmp_path / name, "MQTT packets cut", order, haste=20) as rig:
        # Feeds of a few points: as many bytes to cut at.
        feed = {"format": "compact", "max_points": 3, "max_age_s": 0.3, "per_minute": 6000}
        rig.device.config["feed"] = feed
        rig.device.config["health"]["every_s"] = 2
        for section, values in config.items():
            rig.device.config[section].update(values)
        for sensor in rig.device.config["sensors"]:
            sensor["every_s"] = (every_s or {}).get(sensor["prop"], sensor["every_s"])
        rig.start()
        rig.api.inject(Away())
        for fault in faults:
            rig.measure(fault, rig.broker, during and (lambda f=fault: during(rig, f)))
        rig.finish()
    return rig


def command_again_and_again(rig, fault):
    """The broker keeps no command for a device that is away, so it gets one when it is back."""

    def send():
        while not fault.done:
            rig.mosquitto.command("setpoint", b"10.5")
            threading.Event().wait(0.05)

    threading.Thread(target=send, daemon=True).start()


@pytest.mark.timeout(300)
def test_packets_that_open_a_session_cut_at_every_byte(tmp_path):
    connect = [[Cut(f"CONNECT, part {n + 1} of 3", UP, units.CONNECT, n, 3)] for n in range(3)]
    rest = [
        Cut("CONNACK", DOWN, CONNACK),
        Cut("SUBACK", DOWN, SUBACK),
        Cut("PUBACK in", DOWN, PUBACK),
    ]
    subscribe = [Cut("SUBSCRIBE", UP, units.SUBSCRIBE)]
    lives = [*connect, rest, subscribe]
    together(
        *(
            lambda n=n, faults=faults: cut(tmp_path, f"life-{n}", n * 5, faults)
            for n, faults in enumerate(lives)
        )
    )


@pytest.mark.timeout(300)
def test_messages_cut_at_every_byte(tmp_path):
    parts = 3

    def out(n):
        fault = Cut(f"PUBLISH out, part {n + 1} of {parts}", UP, PUBLISH, n, parts)
        return cut(tmp_path, f"out-{n}", 30 + n, [fault])

    def into():
        faults = [Cut("PUBLISH in", DOWN, PUBLISH), Cut("PUBACK out", UP, PUBACK)]
        return cut(tmp_path, "in", 40, faults, command_again_and_again)

    together(into, *(lambda n=n: out(n) for n in range(parts)))


@pytest.mark.timeout(300)
def test_pings_cut_and_unanswered(tmp_path):
    """Feeds are so rare here that the keep-alive is needed."""

    def life(number, faults):
        config = {"mqtt": {"keepalive_s": 5}, "health": {"every_s": 4}}
        config["feed"] = {"max_age_s": 9, "max_points": 100}
        rare = {"temperature": 10, "counter": 0.5}
        return cut(tmp_path, str(number), 50 + 5 * number, faults, every_s=rare, **config)

    together(
        lambda: life(0, [Cut("PINGREQ", UP, units.PINGREQ)]),
        lambda: life(1, [Cut("PINGRESP", DOWN, units.PINGRESP)]),
        lambda: life(
            2,
            [
                Rewrite("PINGRESP twice", DOWN, units.PINGRESP, lambda p: [p, p], until=STAYS),
                Rewrite("no PINGRESP", DOWN, units.PINGRESP, lambda p: []),
            ],
        ),
    )


# -- Packets that are not what they should be


def acknowledgements():
    return [
        Rewrite("PUBACK twice", DOWN, PUBACK, lambda p: [p, p], 3, STAYS),
        Rewrite("PUBACK for nothing sent", DOWN, PUBACK, lambda p: [puback(0xBEEF), p], 3, STAYS),
        Rewrite("PUBACK with another's id", DOWN, PUBACK, lambda p: [puback(pid(p) ^ 0x4000)]),
        Rewrite("no PUBACK", DOWN, PUBACK, lambda p: []),
        Rewrite("PUBACK of packet 0", DOWN, PUBACK, lambda p: [puback(0), p], 3, STRUCK),
        Rewrite("SUBACK twice", DOWN, SUBACK, lambda p: [p, p], 1, STRUCK, anew=True),
        Rewrite("SUBACK refuses", DOWN, SUBACK, lambda p: [p[:-1] + b"\x80"], anew=True),
        Rewrite("no SUBACK", DOWN, SUBACK, lambda p: [], anew=True),
    ]


def openings():
    def connack(name, packet, until=LEFT):
        return Rewrite(name, DOWN, CONNACK, lambda p: packet, 1, until, anew=True)

    return [
        connack("CONNACK with a session present", [b"\x20\x02\x01\x00"], STAYS),
        connack("CONNACK: not available", [b"\x20\x02\x00\x03"]),
        connack("CONNACK: not authorized", [b"\x20\x02\x00\x05"]),
        connack("CONNACK twice", [b"\x20\x02\x00\x00"] * 2, STRUCK),
        connack("CONNACK of 100 bytes", [b"\x20\x64" + bytes(100)]),
        connack("PUBACK instead of CONNACK", [puback(1)]),
        connack("no CONNACK", []),
        connack("HTTP instead of CONNACK", [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        connack("garbage instead of CONNACK", [b"\xff" * 64]),
        connack("zeros instead of CONNACK", [bytes(64)]),
    ]


def _between(name, packet, until=LEFT, times=1):
    """This packet comes before an acknowledgement, in the middle of a session."""
    return Rewrite(name, DOWN, PUBACK, lambda p: [packet, p], times, until, most=times)


def malformed():
    return [
        _between("garbage", b"\xff" * 64),
        _between("zeros", bytes(64)),
        _between("a length of five bytes", b"\x40\xff\xff\xff\xff\x7f"),
        _between("PUBACK of no bytes", b"\x40\x00"),
        _between("PUBREC", b"\x50\x02\x00\x01"),
        _between("CONNECT from the broker", b"\x10\x02\x00\x00"),
        _between("DISCONNECT from the broker", b"\xe0\x00"),
        _between("PINGRESP that nobody asked for", b"\xd0\x00", STAYS, 3),
        _between("SUBACK that nobody asked for", b"\x90\x03\xbe\xef\x01", STRUCK, 3),
    ]


def messages(commands):
    topic = commands + b"setpoint"
    qos_2 = bytes([PUBLISH << 4 | 4]) + units.publish(topic, b"11", 7)[1:]
    qos_3 = bytes([PUBLISH << 4 | 6]) + units.publish(topic, b"11", 7)[1:]
    return [
        _between("PUBLISH with QoS 2", qos_2),
        _between("PUBLISH with QoS 3", qos_3),
        _between("PUBLISH whose topic is longer than it", b"\x30\x04\x00\xff\x61\x61"),
        _between("PUBLISH of no bytes", b"\x30\x00"),
        _between("PUBLISH for somebody else", units.publish(b"a/b", b"11"), STAYS),
        _between("PUBLISH without a topic", units.publish(b"", b"11"), STAYS),
        _between("PUBLISH of 100 KB, QoS 0", units.publish(topic, b"x" * 100_000), STAYS),
        _between("PUBLISH of 100 KB, QoS 1", units.publish(topic, b"x" * 100_000, 7), STAYS),
        _between("PUBLISH of 1 MB", units.publish(topic, b"x" * 1_000_000), STAYS),
        _between("a flood of 500 commands", units.publish(topic, b"11") * 500, STAYS),
        _between("PUBLISH of 256 MB announced", b"\x30\xff\xff\xff\x7f" + bytes(1000)),
        _between("PUBACK of 256 MB announced", b"\x40\xff\xff\xff\x7f" + bytes(1000)),
    ]


@pytest.mark.timeout(300)
def test_packets_that_are_wrong(tmp_path):
    def life(number, faults):
        with Rig(tmp_path / str(number), FAMILY, 20 * number) as rig:
            rig.start()
            commands = f"csipio/data/in/devices/{rig.device.config['device']['id']}/properties/"
            for fault in faults(commands.encode()) if faults is messages else faults():
                rig.measure(fault, rig.broker)
            rig.finish()
        return rig

    kinds = (acknowledgements, openings, malformed, messages)
    together(*(lambda n=n, faults=faults: life(n, faults) for n, faults in enumerate(kinds)))

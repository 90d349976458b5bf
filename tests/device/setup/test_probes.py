"""What setup.check() tries: every step with its peer right, and with something wrong of each kind.

The check runs an event loop of its own, in which the peers of a test are tasks.
"""

import json

import dns_packets
import fake_esp32
from fake_esp32 import WLAN, Pin
from peers import HOST, Peer, UdpPeer, descriptors, refusing
from settings import DEVICE
from time_servers import T0, name
from time_servers import server as time_server
from world import Api, Broker, Shorter

fake_esp32.install()

from firmware.board import esp32  # noqa: E402 needs the stand-ins
from firmware.setup import probes  # noqa: E402
from firmware.setup import prompt as setup  # noqa: E402
from typed import Board, Person, quick_wifi  # noqa: E402

HEAP = "2M"


class Lab:
    """A platform without TLS, which accepts everybody."""

    def __init__(self):
        self.broker = Broker()
        self.api = Api()
        self.broker.start()
        self.api.start()

    def given(self, **sections):
        """A config.json that leads there."""
        found = {
            "device": DEVICE,
            "mqtt": {"url": "mqtt://%s:%d" % (HOST, self.broker.port)},
            "https": {"url": "http://%s:%d/v3" % (HOST, self.api.port)},
            "time": {"ntp": []},
        }
        found.update(sections)
        return found


def results(given, relays=False, at=None):
    """(whether all was well, the lines of the check)."""
    with Person(at=at) as person:
        return probes.run(given, relays), person.results()


def wrong(given, at=None):
    """The lines of what is wrong; the check must have noticed it."""
    well, lines = results(given, at=at)
    assert not well, lines
    return [line for line in lines if line.startswith("wrong")]


def asking(name_server):
    return Board(name_servers=lambda: [name(name_server)])


def test_where_all_is_well_every_step_is_a_line_and_nothing_stays_open():
    before = descriptors()
    lab = Lab()
    room = {"prop": "temperature", "driver": "room", "start": 21.4}
    thermostat = {"sensor": "temperature", "relay": {"pin": 26}}
    well, lines = results(lab.given(sensors=[room], thermostat=thermostat))
    assert well
    assert lines[0] == "ok  Wi-Fi: none here; the computer's network is used"
    assert lines[1].startswith("ok  time: 20") and lines[1].endswith("by the system's clock")
    assert lines[2:] == [
        "ok  broker: %s:%d answers" % (HOST, lab.broker.port),
        "ok  credentials: good for the broker",
        "ok  API: http://%s:%d/v3 answers" % (HOST, lab.api.port),
        "ok  credentials: good for the API",
        "ok  temperature: 21.40 °C",
        "--  relay: pin 26 was not tried; setup.check(relays=True) does",
    ], lines
    (connect,) = lab.broker.connects
    assert b"_dev_1" in connect and b"_key_1" in connect
    assert lab.broker.subscriptions == [] and lab.broker.feeds == [], "it only looks"
    lab.broker.stop()
    lab.api.stop()
    assert descriptors() <= before + 4, "the peers' own ends"


def test_a_broker_that_is_not_there_or_none_or_refuses_is_told():
    lab = Lab()
    port, reserved = refusing()
    (line,) = wrong(lab.given(mqtt={"url": "mqtt://%s:%d" % (HOST, port)}))
    assert line.startswith("wrong  broker: %s:%d: the connection was refused" % (HOST, port)), line
    reserved.close()

    lab = Lab()
    at_api = {"url": "mqtt://%s:%d" % (HOST, lab.api.port)}
    with Shorter("CONNACK_MS", 300):
        (line,) = wrong(lab.given(mqtt=at_api))
    assert line.startswith("wrong  broker: "), line

    for code, words in (
        (4, "the broker refused device.key_id and device.key_secret; copy the device's id"),
        (5, "the broker refused this device; is it disabled, or is the key not that of device.id"),
    ):
        lab = Lab()
        lab.broker.code = code
        (line,) = wrong(lab.given())
        assert line.startswith("wrong  credentials: " + words), line

    lab = Lab()
    lab.broker.code = 3
    (line,) = wrong(lab.given())
    assert line.endswith("the broker is not available"), line

    lab = Lab()
    lab.broker.code = None
    with Shorter("CONNACK_MS", 200):
        (line,) = wrong(lab.given())
    assert "the broker's answer to CONNECT took longer than" in line, line


def test_an_api_that_refuses_the_key_is_told_from_one_that_is_none():
    for status, refusal in (
        (401, "the API refused device.key_id and device.key_secret"),
        (403, "the API refused this device (403); is it disabled, or the key another's?"),
    ):
        for code, words in (
            (4, "copy the device's id, key id and secret anew; is it enabled on the platform?"),
            (0, "the broker accepts them: is it a proxy or firewall before the API that refuses?"),
        ):
            lab = Lab()
            lab.broker.code = code
            lab.api.state = (status, b"", b"{}")
            line = wrong(lab.given())[-1]
            assert line.startswith("wrong  credentials: " + refusal), line
            assert line.endswith(words), line
    for state, words in (
        ((404, b"", b"{}"), "wrong  API: http://127.0.0.1:"),
        ((200, b"", b"<html>"), "wrong  API: http://127.0.0.1:"),
        ((503, b"", b""), "wrong  API: http://127.0.0.1:"),
    ):
        lab = Lab()
        lab.api.state = state
        (line,) = wrong(lab.given())
        assert line.startswith(words), line

    lab = Lab()
    (line,) = wrong(lab.given(https={"url": "http://%s:%d/v3" % (HOST, lab.broker.port)}))
    assert line.startswith("wrong  API: "), line


def test_a_tls_that_is_none_and_a_ca_file_that_is_not_there_are_told_as_tls():
    lab = Lab()
    (line, other) = wrong(
        lab.given(
            mqtt={"url": "mqtts://%s:%d" % (HOST, lab.broker.port)},
            https={"url": "https://%s:%d/v3" % (HOST, lab.api.port)},
        )
    )
    for found in (line, other):
        assert found.startswith("wrong  TLS: tls.ca: certs/ca.pem cannot be read"), found
        assert found.endswith("put the CA there"), found
    lab = Lab()
    lines = wrong(
        lab.given(mqtt={"url": "mqtts://%s:%d" % (HOST, lab.api.port)}, tls={"verify": False})
    )
    assert lines[0].startswith("wrong  TLS: "), lines


def test_too_little_memory_for_tls_is_told_with_what_helps():
    lab = Lab()

    def short(self, *_):
        raise MemoryError("short")

    kept = probes.MqttClient.open
    probes.MqttClient.open = short
    try:
        (line,) = wrong(lab.given(mqtt={"url": "mqtts://%s:1" % HOST}))
    finally:
        probes.MqttClient.open = kept
    assert line.startswith("wrong  TLS: too little memory for TLS; restart the board"), line


def test_a_name_that_does_not_exist_and_a_server_that_is_silent_are_told():
    for answer, words in (
        (
            dns_packets.answers_with(dns_packets.ANSWERED | 3),
            "the name mqtt.csip.io does not exist",
        ),
        (dns_packets.silent, "the name mqtt.csip.io cannot be resolved: no answer"),
    ):
        lab = Lab()
        peer = UdpPeer(answer)
        at = asking(peer)
        (line,) = wrong(lab.given(mqtt={"url": "mqtt://mqtt.csip.io"}), at)
        assert line.startswith("wrong  name: " + words), line
        assert line.endswith("is the URL right, and does the network reach the Internet?"), line
    lab = Lab()
    peer = UdpPeer(dns_packets.says(HOST))
    at = asking(peer)
    url = "mqtt://mqtt.csip.io:%d" % lab.broker.port
    assert "ok  name: mqtt.csip.io is 127.0.0.1" in results(lab.given(mqtt={"url": url}), at=at)[1]


def test_the_time_comes_from_a_server_and_sets_the_clock():
    lab = Lab()
    peer = time_server()
    set_to = []
    at = Board(set_time=set_to.append)
    well, lines = results(lab.given(time={"ntp": [name(peer)]}), at=at)
    assert well and lines[1] == "ok  time: 2026-11-22T10:40:00.000Z, from 127.0.0.1", lines
    assert 0 <= set_to[0] - T0 < 2000


def test_without_a_time_server_the_date_of_the_api_is_taken_and_it_is_told():
    lab = Lab()
    lab.api.state = (200, b"", b'{"header":{"ingestion":{"rateLimit":60}}}')
    silent = UdpPeer(lambda data: ())
    set_to = []

    async def dated(conn):
        await conn.read_until(b"\r\n\r\n")
        await conn.write(
            b"HTTP/1.1 404 x\r\nDate: Sun, 22 Nov 2026 10:40:00 GMT\r\nContent-Length: 0\r\n\r\n"
        )

    other = Peer(dated)
    with Shorter("SNTP_MS", 200):
        given = lab.given(time={"ntp": [name(silent)]})
        given["https"]["url"] = "http://%s:%d/v3" % (HOST, other.port)
        lines = wrong(given, Board(set_time=set_to.append))
    assert lines[0].startswith("wrong  time: the answer of 127.0.0.1 took longer"), lines
    assert lines[0].endswith("let UDP port 123 through, or name another server in time.ntp")
    assert len(set_to) == 1 and 0 <= set_to[0] - T0 < 4000, set_to


def at_radio(air, scan_error=None):
    WLAN.air, WLAN.scan_error, WLAN.scan_ms, WLAN.stuck, WLAN.error = air, scan_error, 0, 0, None
    return Board(networks=esp32.networks, Wifi=quick_wifi)


def test_a_wifi_is_joined_anew_and_its_signal_told():
    lab = Lab()
    at = at_radio({"home": ("p", -61, 0)})
    well, lines = results(lab.given(wifi=[{"ssid": "home", "password": "p"}]), at=at)
    assert well and lines[0] == "ok  Wi-Fi: home, -61 dBm", lines
    # The one that is joined is no proof of what the draft says now.
    (line,) = wrong(Lab().given(wifi=[{"ssid": "home", "password": "secret7"}]), at)
    assert line.startswith("wrong  Wi-Fi: home: refused; is the password right?"), line
    assert "secret7" not in line


def test_a_wifi_that_is_not_found_is_told_with_what_is_in_sight_and_no_step_waits_for_it():
    at = at_radio({"attic": ("p", -70, 0)})
    well, lines = results(Lab().given(wifi=[{"ssid": "home", "password": "p"}]), at=at)
    assert not well
    assert lines == [
        "wrong  Wi-Fi: home: not found; in sight: neighbour -40 dBm, attic -70 dBm",
        "--  time, names, TLS, broker, API, credentials: not without Wi-Fi",
        "--  sensors: none is configured",
    ], lines
    (line,) = wrong(Lab().given(), at)
    assert line == 'wrong  Wi-Fi: no network is named: setup.set("wifi[0].ssid", "its name")'
    (line,) = wrong(Lab().given(), at_radio({}, "scan failed"))
    assert line == "wrong  Wi-Fi: cannot look for Wi-Fi networks: scan failed", line


def test_each_sensor_has_its_reading_or_its_error():
    specs = [
        {"prop": "temperature", "driver": "room", "start": 20, "offset": 1.5, "decimals": 1},
        {"prop": "wall", "driver": "ds18x20", "pin": 4},
        {"prop": "air", "driver": "sht3x"},
        {"prop": "damp", "driver": "sht3x", "quantity": "humidity"},
        {"prop": "window", "driver": "contact", "pin": 5},
    ]
    Pin.levels[5] = 1
    at = Board(Input=esp32.Input)
    _, lines = results(Lab().given(sensors=specs), at=at)
    assert "ok  temperature: 21.5 °C" in lines, lines
    assert "ok  window: true" in lines, lines
    for prop, words in (
        ("wall", "the sensor on pin 4 cannot be used: the unix port has no 1-Wire bus"),
        ("air", "the sht3x at 0x44 cannot be used: the unix port has no I²C bus"),
        ("damp", "the sht3x at 0x44 cannot be used"),
    ):
        assert any(line.startswith("wrong  %s: %s" % (prop, words)) for line in lines), lines


def test_a_reading_that_no_such_sensor_can_give_is_told():
    import firmware.sensors.room as room

    kept = room.MEASURES
    room.MEASURES = (("temperature", "°C", 30, 140),)
    try:
        spec = {"prop": "temperature", "driver": "room", "start": 20}
        (line,) = wrong(Lab().given(sensors=[spec]))
    finally:
        room.MEASURES = kept
    assert line == "wrong  temperature: 20.00 °C is more than a room can measure; check its wires"


THERMOSTAT = {
    "sensor": "temperature",
    "relay": {"pin": 26},
    "stage2": {"pin": 27, "active": "low"},
}
ROOM = {"prop": "temperature", "driver": "room"}


class Switched:
    """A board's Output that notes what it was told; the first `on` may end with an exception."""

    notes = []
    error = None

    def __init__(self, pin, active):
        self._pin = pin

    def set(self, on):
        Switched.notes.append((self._pin, on))
        if on and Switched.error:
            raise Switched.error


def test_the_relays_are_switched_only_when_asked_each_for_a_second():
    Switched.notes, Switched.error = [], None
    at = Board(Output=Switched)
    given = Lab().given(sensors=[ROOM], thermostat=THERMOSTAT)
    results(given, at=at)
    assert Switched.notes == []
    with Person(at=at) as person:
        assert probes.run(Lab().given(sensors=[ROOM], thermostat=THERMOSTAT), True)
    assert "ok  relay: pin 26 was on for a second; did it click?" in person.lines
    assert "ok  stage2: pin 27 was on for a second; did it click?" in person.lines
    first = [note for note in Switched.notes if note[0] == 26]
    assert first[0] == (26, True) and first[-1] == (26, False)
    assert Switched.notes.index((27, True)) > Switched.notes.index((26, False)), "one at a time"


def test_ctrl_c_leaves_every_relay_off_also_when_pressed_twice():
    class Twice(Switched):
        """Ctrl-C comes again while the first one is being dealt with."""

        def set(self, on):
            Switched.notes.append((self._pin, on))
            if len(Switched.notes) < 3:
                raise KeyboardInterrupt

    for output in (Switched, Twice):
        Switched.notes, Switched.error = [], KeyboardInterrupt()
        with Person(at=Board(Output=output)) as person:
            given = Lab().given(sensors=[ROOM], thermostat=THERMOSTAT)
            assert probes.run(given, True) is False
        assert Switched.notes[-1] == (26, False), Switched.notes
        assert len([note for note in Switched.notes if note[1]]) == 1, "no other one is tried"
        assert person.lines[-1] == "Interrupted; no relay is on."


def test_ctrl_c_in_the_middle_of_a_connection_closes_it():
    lab = Lab()
    before = descriptors()

    def interrupted(body):
        raise KeyboardInterrupt

    class Interrupting:
        append = staticmethod(interrupted)

    lab.broker.connects = Interrupting()
    with Person() as person:
        assert probes.run(lab.given(), False) is False
    assert person.lines[-1] == "Interrupted; no relay is on."
    assert descriptors() <= before + 1, "the broker's end alone is left"


def test_a_pin_that_cannot_be_an_output_is_told():
    Switched.notes, Switched.error = [], ValueError("invalid pin")
    at = Board(Output=Switched)
    given = Lab().given(sensors=[ROOM], thermostat={"sensor": "temperature", "relay": {"pin": 26}})
    _, lines = results(given, True, at)
    text = "wrong  relay: pin 26 cannot be an output (invalid pin); take another one"
    assert text in lines, lines


def test_what_keeps_it_from_being_saved_is_told_and_nothing_is_tried():
    with open("config.json", "w") as file:
        json.dump(Lab().given(feed={"per_minute": 0}), file)
    setup._draft = None
    with Person() as person:
        assert setup.check() is False
    assert person.lines == [
        "wrong  feed.per_minute: expected a whole number 1 to 60000 feeds, got 0"
    ], person.lines

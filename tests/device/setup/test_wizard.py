"""What setup.wizard() asks, what it proposes and tries, and what it leaves behind."""

import json
import os

import fake_esp32
from fake_esp32 import WLAN
from peers import HOST
from world import Api, Broker

fake_esp32.install()

from firmware.board import esp32  # noqa: E402 needs the stand-ins
from firmware.setup import prompt as setup  # noqa: E402
from typed import Board, I2c, Person, Wire, quick_wifi  # noqa: E402

HEAP = "2M"

ROM = bytearray(b"\x28\xff\x64\x1e\x8f\xdf\x38\xc1")
OTHER_ROM = bytearray(b"\x10\x01\x02\x03\x04\x05\x06\x07")
SWITCH_ROM = bytearray(b"\x12\x01\x02\x03\x04\x05\x06\x07")  # no thermometer


class Lab:
    """A platform, and a board beside it that has a radio and buses, and nobody's config.json but
    for where the platform is.
    """

    def __init__(self, air=None, onewire=(), i2c=(), **sections):
        self.broker = Broker()
        self.api = Api()
        self.broker.start()
        self.api.start()
        WLAN.air = {"attic": ("p2", -70, 0), "home": ("p1", -50, 0)} if air is None else air
        WLAN.scan_ms, WLAN.scan_error, WLAN.stuck, WLAN.error = 0, None, 0, None
        self.pins = []
        own = {"networks": esp32.networks, "Wifi": quick_wifi, "outputs": None}
        own["onewire"] = lambda pin: self.pins.append(pin) or Wire(onewire)
        own["i2c"] = lambda sda, scl: self.pins.append((sda, scl)) or I2c(i2c)
        self.board = Board(**own)
        self.given = {
            "mqtt": {"url": "mqtt://%s:%d" % (HOST, self.broker.port)},
            "https": {"url": "http://%s:%d/v3" % (HOST, self.api.port)},
            "time": {"ntp": []},
        }
        self.given.update(sections)

    def begin(self):
        for name in os.listdir():
            if name.startswith("config"):
                os.remove(name)
        with open("config.json", "w") as file:
            json.dump(self.given, file)
        setup._draft = None

    def answer(self, *answers):
        """Whoever is asked gives these, and no question is left without one."""
        self.begin()
        with Person(answers, self.board) as person:
            setup.wizard()
        assert not person.left, person.left
        return person


def saved():
    with open("config.json") as file:
        return json.load(file)


DEVICE = ("_dev_1", "_key_1", "hunter2")
WIFI = ("home", "p1")


def test_a_board_is_set_up_by_answers_and_saved():
    lab = Lab(onewire=[ROM])
    person = lab.answer(*DEVICE, "home", "p1", "", "5", "26", "low", "20.5", "CET-1")
    found = saved()
    assert found["device"] == {"id": "_dev_1", "key_id": "_key_1", "key_secret": "hunter2"}
    assert found["wifi"] == [{"ssid": "home", "password": "p1"}]
    (sensor,) = found["sensors"]
    assert sensor == {"prop": "temperature", "driver": "ds18x20", "pin": 5}
    assert found["thermostat"] == {
        "sensor": "temperature",
        "relay": {"pin": 26, "active": "low"},
        "setpoint": 20.5,
    }
    assert found["time"] == {"ntp": [], "zone": "CET-1"}
    assert person.lines[-1] == "Saved. Ctrl-D starts the thermostat with it."
    assert 5 in lab.pins


def test_what_is_required_comes_first_and_nothing_secret_is_shown():
    person = Lab(onewire=[ROM]).answer(*DEVICE, *WIFI, "", "", "26", "", "", "")
    assert person.asked[0].startswith("The device's id")
    assert person.asked[2].startswith("unseen The secret of its key")
    assert person.asked[4].startswith("unseen Its password")
    assert not any("hunter2" in line or "p1" in line for line in person.lines + person.asked)


def test_no_more_than_twelve_questions_are_asked_whatever_is_chosen():
    rest = ("26", "", "", "")
    person = Lab(i2c=[0x44, 0x45]).answer(*DEVICE, *WIFI, "sht3x", "21 22", "0x45", *rest)
    assert len(person.asked) == 12, person.asked
    assert saved()["sensors"][0]["address"] == "0x45"
    assert person.told("ok  temperature: 85.52 °C"), person.lines
    person = Lab(onewire=[ROM, OTHER_ROM]).answer(*DEVICE, *WIFI, "", "", "", *rest)
    assert len(person.asked) == 12, person.asked


def test_networks_are_proposed_by_their_strength_and_tried():
    lab = Lab(onewire=[ROM])
    person = lab.answer(*DEVICE, "home", "p1", "", "", "26", "", "", "")
    assert "  In sight: neighbour -40 dBm, home -50 dBm, attic -70 dBm" in person.lines
    assert person.asked[3] == "The Wi-Fi network [neighbour]: "
    assert "ok  Wi-Fi: home, -50 dBm" in person.lines
    assert lab.broker.connects and lab.api.requests, "and the platform is tried"


def test_a_wrong_password_of_the_wifi_is_told_and_asked_again():
    lab = Lab(onewire=[ROM])
    person = lab.answer(*DEVICE, "home", "wrong1", "", "p1", "", "", "26", "", "", "")
    assert person.told("wrong  Wi-Fi: home: refused; is the password right?")
    assert person.asked[5] == "The Wi-Fi network [home]: "
    assert person.asked[6] == "unseen Its password [as it is]: "
    assert saved()["wifi"] == [{"ssid": "home", "password": "p1"}]


def test_a_network_that_is_out_of_sight_is_kept_if_it_is_given_twice():
    lab = Lab(air={}, onewire=[ROM])
    person = lab.answer(*DEVICE, "cellar", "p", "", "", "", "", "26", "", "", "")
    assert person.told("wrong  Wi-Fi: cellar: not found; in sight: neighbour -40 dBm")
    assert saved()["wifi"] == [{"ssid": "cellar", "password": "p"}]


def test_another_network_does_not_have_the_first_ones_password():
    lab = Lab(air={"home": ("", -50, 0)}, wifi=[{"ssid": "attic", "password": "p2"}])
    person = lab.answer(*DEVICE, "home", "", "none")
    assert person.asked[4] == "unseen Its password [none]: "
    assert saved()["wifi"] == [{"ssid": "home", "password": ""}]


def test_credentials_that_are_refused_are_told_and_asked_again():
    lab = Lab(onewire=[ROM])

    class Once(list):
        """The broker refuses the first connection."""

        def append(self, body):
            lab.broker.code = 0 if len(self) else 4
            super().append(body)

    lab.broker.connects = Once()
    answers = DEVICE + WIFI + ("", "", "hunter3", "", "", "26", "", "", "")
    person = lab.answer(*answers)
    assert person.told("wrong  credentials: the broker refused device.key_id and")
    assert person.asked[5] == "The device's id, _dev_… [_dev_1]: "
    assert person.asked[7] == "unseen The secret of its key [as it is]: "
    assert saved()["device"]["key_secret"] == "hunter3"


def test_an_answer_that_cannot_be_is_told_and_asked_again():
    lab = Lab(onewire=[ROM])
    person = lab.answer(
        *("", "a b", "_dev_1", "_key_1", "hunter2", "home", "p" * 70, "p1"),
        *("dht11", "contact", "ds18x20", "pin 5", "99", "5"),
        *("5", "x", "26", "up", "high", "hot", "99", "21", "Berlin", "UTC0"),
    )
    for words in (
        "  It is needed.",
        'device.id: expected 1 to 64 characters, without / + # and spaces, got "a b"',
        "wifi[0].password: expected text of 0 to 64 characters, got (hidden)",
        "  expected one of bme280, bmp280, ",
        "  expected a thermometer; a contact measures state",
        'sensors[0].pin: expected a whole number 0 to 48, got "pin 5"',
        "sensors[0].pin: expected a whole number 0 to 48, got 99",
        "thermostat.relay.pin: expected a pin of its own, got 5, which is sensors[0]'s",
        'thermostat.relay.pin: expected a whole number 0 to 48, got "x"',
        'thermostat.relay.active: expected "high" or "low", got "up"',
        'thermostat.setpoint: expected 5 to 35 °C, got "hot"',
        "time.zone",
    ):
        assert person.told(words), (words, person.lines)


def test_thermometers_on_the_pin_given_are_listed_and_one_is_chosen():
    lab = Lab(onewire=[ROM, OTHER_ROM, SWITCH_ROM])
    person = lab.answer(*DEVICE, *WIFI, "", "13", "3", "2", "26", "", "", "")
    assert "  On this pin: 1001020304050607, 28ff641e8fdf38c1" in person.lines
    assert person.told("  expected 1 to 2, or an address")
    (sensor,) = saved()["sensors"]
    assert sensor["rom"] == "28ff641e8fdf38c1" and 13 in lab.pins


def test_i2c_chips_on_the_pins_given_are_listed_and_the_address_follows():
    lab = Lab(i2c=[0x45, 0x76])
    person = lab.answer(*DEVICE, *WIFI, "sht3x", "18", "18,19", "26", "", "", "")
    assert person.told("  expected two pins, such as 21 22")
    assert "  On these pins: 0x45, 0x76" in person.lines
    (sensor,) = saved()["sensors"]
    assert (sensor["sda"], sensor["scl"], sensor["address"]) == (18, 19, "0x45")


def test_a_sensor_that_gives_no_reading_is_asked_for_again():
    lab = Lab(i2c=[0x44])
    answers = ("", "", "sht3x", "")
    person = lab.answer(*DEVICE, *WIFI, *answers, "26", "", "", "")
    assert "  On this pin: nothing; check wires and pull-up" in person.lines
    assert person.told("wrong  temperature: the sensor on pin 4 ")
    (sensor,) = saved()["sensors"]
    assert sorted(sensor) == ["address", "driver", "prop", "scl", "sda"], "and no pin"
    assert sensor["driver"] == "sht3x"


def test_a_board_that_only_measures_has_no_thermostat():
    Lab(onewire=[ROM]).answer(*DEVICE, *WIFI, "chip", "chip", "none")
    assert saved()["thermostat"] is None


def test_what_is_there_is_proposed_and_the_rest_of_it_stays():
    lab = Lab(
        device={"id": "_dev_1", "key_id": "_key_1", "key_secret": "hunter2"},
        wifi=[{"ssid": "home", "password": "p1"}, {"ssid": "attic", "password": "p2"}],
        sensors=[
            {"prop": "signal", "driver": "rssi"},
            {"prop": "wall", "driver": "chip", "every_s": 9},
        ],
        thermostat={"sensor": "wall", "relay": {"pin": 13}, "setpoint": 19.5, "frost": None},
    )
    person = lab.answer(*([""] * 6), *([""] * 5))
    assert "_dev_1" in person.asked[0] and "[chip]" in person.asked[5]
    assert "[13]" in person.asked[-4], person.asked
    found = saved()
    assert found["wifi"] == lab.given["wifi"] and found["sensors"] == lab.given["sensors"]
    assert found["thermostat"]["frost"] is None and found["thermostat"]["setpoint"] == 19.5


def test_ctrl_c_at_any_question_leaves_everything_as_it_was():
    answers = list(DEVICE + WIFI + ("", "", "26", "high", "21", "UTC0"))
    for at in range(len(answers)):
        for end in (KeyboardInterrupt(), EOFError()):
            lab = Lab(onewire=[ROM])
            person = lab.answer(*(answers[:at] + [end]))
            assert person.lines[-1].endswith("Stopped; everything is as it was."), person.lines
            assert saved() == lab.given, at
            with Person():
                assert setup._draft.given == lab.given and not setup._draft.changed


def test_ctrl_c_during_the_trial_of_the_platform_leaves_everything_as_it_was():
    lab = Lab(onewire=[ROM])

    class Interrupting:
        def append(self, body):
            raise KeyboardInterrupt

    lab.broker.connects = Interrupting()
    person = lab.answer(*DEVICE, *WIFI)
    assert person.lines[-1].endswith("Stopped; everything is as it was.")
    assert saved() == lab.given


def test_what_is_wrong_elsewhere_is_told_and_not_saved():
    lab = Lab(onewire=[ROM], feed={"per_minute": 0})
    person = lab.answer(*DEVICE, *WIFI, "", "", "26", "", "", "")
    assert person.told("  Not tried: feed.per_minute: expected a whole number 1 to 60000")
    assert "Not saved:" in person.lines
    assert saved() == lab.given


def test_a_radio_that_cannot_look_is_told_and_the_name_is_typed():
    lab = Lab(onewire=[ROM])
    WLAN.scan_error = "scan failed"
    # The name that is given is tried all the same, and so is told once more.
    person = lab.answer(*DEVICE, *WIFI, "", "", "", "", "26", "", "", "")
    assert person.told("  cannot look for Wi-Fi networks: scan failed")
    assert person.asked[3] == "The Wi-Fi network: "


class Keys:
    """A serial line on which these keys come, one by one."""

    def __init__(self, keys):
        self._keys = list(keys)

    def read(self, n):
        assert n == 1
        return self._keys.pop(0) if self._keys else ""


def test_what_is_typed_unseen_can_be_corrected_and_ended():
    from firmware.setup import wizard

    class Sys:
        stdin = None

    shown = []
    kept = wizard.sys
    wizard.sys = Sys
    wizard.print = lambda *words, **_: shown.extend(words)
    try:
        for keys, line in (
            ("secret\r", "secret"),
            ("\nsecret\n", "secret"),
            ("sex\x7fcrey\x08t\r", "secret"),
            ("\x7f\x7fé\r", "é"),
            ("\x1b\r", ""),
            ("\r", ""),
        ):
            Sys.stdin = Keys(keys)
            assert wizard.unseen("Secret: ") == line, keys
        for keys, end in (("se\x03", KeyboardInterrupt), ("se\x04", EOFError), ("se", EOFError)):
            Sys.stdin = Keys(keys)
            try:
                wizard.unseen("Secret: ")
            except end:
                continue
            raise AssertionError(keys)
    finally:
        wizard.sys = kept
        del wizard.print
    assert set(shown) == {"Secret: (unseen) "}, "nothing of what is typed"

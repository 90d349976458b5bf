"""A board with a fleet's key at the prompt: the wizard, what is shown, and what the check does."""

import json
import os

import fake_esp32

fake_esp32.install()

from firmware.config import check  # noqa: E402 needs the stand-ins
from firmware.link import deadlines  # noqa: E402
from firmware.setup import probes  # noqa: E402
from firmware.setup import prompt as setup  # noqa: E402
from firmware.setup.draft import Draft  # noqa: E402
from peers import HOST  # noqa: E402
from provisions import CLIENT, FLEET_SECRET, Provisions  # noqa: E402
from typed import Board, Person  # noqa: E402
from world import DEVICE, Api, Shorter  # noqa: E402

HEAP = "2M"

MAC = "24:0a:c4:00:01:fe"
FLEET = {"key_id": "_key_9", "key_secret": FLEET_SECRET}

# The scripted broker speaks no TLS.
check._check_provision = lambda *_: None


class Lab:
    def __init__(self, before=("config", "identity"), **fleet):
        """before: what is removed of the tests before."""
        for name in os.listdir():
            if name.startswith(before):
                os.remove(name)
        self.broker = Provisions()
        self.api = Api()
        self.broker.start()
        self.api.start()
        self.given = {
            "device": {"provision": dict(FLEET, **fleet)},
            "mqtt": {"url": "mqtt://%s:%d" % (HOST, self.broker.port)},
            "https": {"url": "http://%s:%d/v3" % (HOST, self.api.port)},
            "time": {"ntp": []},
        }
        self.board = Board(mac=lambda: MAC)

    def check(self, provision=False):
        with Person(at=self.board) as person:
            well = probes.run(self.given, False, provision)
        assert not any(FLEET_SECRET in line or "hunter2" in line for line in person.lines)
        return well, person.results()


def test_the_check_says_what_would_be_asked_and_does_not_ask():
    lab = Lab()
    well, lines = lab.check()
    assert well, lines
    assert "ok  credentials: good for the broker" in lines
    assert (
        "--  identity: was not asked for, by mac %s; setup.check(provision=True) does" % MAC
        in lines
    )
    assert "--  API: is not tried without an identity" in lines
    assert lab.broker.sessions() == [CLIENT] and lab.broker.requests() == []
    assert lab.api.requests == []


def test_the_check_asks_when_it_is_told_to():
    lab = Lab()
    well, lines = lab.check(True)
    assert well, lines
    assert "ok  identity: " + DEVICE in lines
    assert "ok  credentials: good for the API" in lines
    assert len(lab.broker.requests()) == 1
    assert not os_has("identity.json")


def test_an_identity_that_was_stored_is_tried():
    lab = Lab(store=True)
    assert lab.check(True)[0] and os_has("identity.json")
    lab = Lab(("config",), store=True)
    well, lines = lab.check()
    assert well and "ok  credentials: good for the API" in lines, lines
    assert lab.broker.sessions() == [DEVICE.encode()]


def test_a_fleets_key_that_is_refused_is_told():
    lab = Lab()
    lab.broker.fleet_code = 4
    well, lines = lab.check(True)
    assert not well
    words = "wrong  credentials: the broker refused the fleet's key; copy its id and secret anew"
    assert words in lines
    assert lab.broker.requests() == []


def test_a_board_that_the_fleet_does_not_know_is_told():
    assert deadlines.IDENTITY_MS
    lab = Lab()
    lab.broker.answer = None
    with Shorter("IDENTITY_MS", 1000):
        well, lines = lab.check(True)
    assert not well
    (line,) = [line for line in lines if line.startswith("wrong  identity: ")]
    assert line.endswith(
        "took longer than 1 s; does the platform know mac %s in this fleet?" % MAC
    )


def os_has(name):
    return name in os.listdir()


def begin(given):
    with open("config.json", "w") as file:
        json.dump(given, file)
    setup._draft = None


def test_the_fleets_secret_is_not_shown():
    lab = Lab()
    begin(lab.given)
    with Person(at=lab.board) as person:
        setup.show()
        setup.set("device.provision.key_secret", ["hunter3"])
    assert "*     key_secret = (hidden)" in person.lines
    assert "    id = null" in person.lines, "which is not missing"
    assert not any(FLEET_SECRET in line or "hunter3" in line for line in person.lines)


def test_the_wizard_takes_a_fleets_key_in_as_many_questions():
    lab = Lab()
    del lab.given["device"]
    begin(lab.given)
    answers = ("fleet", "_key_9", FLEET_SECRET, "none")
    with Person(answers, lab.board) as person:
        setup.wizard()
    assert not person.left
    assert person.asked[0] == "The device's id, _dev_…: "
    assert person.told("answer: fleet") and person.told("know this board: mac " + MAC)
    with open("config.json") as file:
        assert json.load(file)["device"] == {"provision": FLEET}
    assert not any(FLEET_SECRET in line for line in person.lines + person.asked)


def test_the_wizard_changes_the_one_for_the_other():
    lab = Lab()
    begin(lab.given)
    draft = Draft()
    answers = ("_dev_1/", "_dev_1", "_key_1", "s", "none")
    with Person(answers, lab.board) as person:
        setup.wizard()
    assert person.asked[0] == "The device's id, _dev_… [fleet]: "
    draft = Draft().given["device"]
    assert draft == {"id": "_dev_1", "key_id": "_key_1", "key_secret": "s"}
    setup._draft = None
    with Person(("fleet", "_key_9", FLEET_SECRET, "none"), lab.board):
        setup.wizard()
    assert Draft().given["device"] == {"provision": FLEET}

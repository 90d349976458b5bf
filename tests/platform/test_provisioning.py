"""Provisioning: who has a fleet's key alone gets the identity of a device that the fleet knows."""

import json

import pytest

from tests.platform.clients import Mqtt, eventually
from tools.platform import control

CLIENT = "_???_csipio240ac40001fe"
MAC = "24:0a:c4:00:01:fe"
OWN = f"csipio/provisions/{CLIENT}"


@pytest.fixture
def fleet(platform):
    """A fleet that knows the first device by its MAC."""
    made = control.fleet_of({"fleets": []}, "house")
    made["boards"].append({"mac": MAC, "device": "thermostat", "config": {"feed": {}}})
    platform.control(lambda tree: tree.update(fleets=[made]))
    return made


def connected(info, fleet, client_id=CLIENT, **options):
    return Mqtt(info, transport="tls", key=fleet, client_id=client_id, **options)


def asked(info, fleet, **request):
    """The answer, after which the broker has closed."""
    with connected(info, fleet) as client:
        assert client.answer == "Success"
        assert client.subscribe(OWN) == 1
        client.publish("csipio/provisions", json.dumps(request))
        assert client.gone.wait(5)
        ((topic, payload),) = client.messages
        assert topic == OWN
        return json.loads(payload)


def unanswered(info, fleet, **request):
    with connected(info, fleet) as client:
        client.subscribe(OWN)
        client.publish("csipio/provisions", json.dumps(request))
        return not client.gone.wait(1.0) and not client.messages


def faulty(platform, fault):
    platform.control(lambda tree: tree["fleets"][0].update(fault=fault))


def test_a_board_that_the_fleet_knows_gets_an_identity_and_is_hung_up_on(info, fleet):
    answer = asked(info, fleet, mac=MAC, configProperty="config")
    device = info["device"]
    assert answer == {
        "deviceId": device["id"],
        "apiKeyId": device["key_id"],
        "apiSecret": device["key_secret"],
        "config": {"feed": {}},
    }
    assert "config" not in asked(info, fleet, mac=MAC.upper())
    # And it is one with which to connect.
    key = {"key_id": answer["apiKeyId"], "key_secret": answer["apiSecret"]}
    with Mqtt(info, key=key, client_id=answer["deviceId"]) as client:
        assert client.answer == "Success"


def test_who_is_not_known_gets_no_answer(platform, info, fleet):
    assert unanswered(info, fleet, mac="24:0a:c4:00:01:ff")
    assert unanswered(info, fleet, sn=MAC)
    assert unanswered(info, fleet)
    assert unanswered(info, fleet, mac=MAC, sn="1")
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    assert unanswered(info, fleet, mac=MAC)


def test_each_identifier_tells_a_board(platform, info, fleet):
    for by in control.IDENTIFIERS:
        boards = [{by: "7", "device": "thermostat"}]
        platform.control(lambda tree, boards=boards: tree["fleets"][0].update(boards=boards))
        assert asked(info, fleet, **{by: "7"})["deviceId"] == info["device"]["id"]


def test_who_has_the_fleets_key_may_do_nothing_else(info, fleet, api):
    with connected(info, fleet) as client:
        for wrong in ("csipio/provisions/#", "csipio/provisions", "#", client.into + "#"):
            assert client.subscribe(wrong) == 128
        client.publish(client.out + "properties/counter", "1")
    with connected(info, fleet, client_id=info["device"]["id"]) as client:
        assert client.answer == "Bad user name or password"
    for wrong in ("_???_", "_???_a b", "_???_" + 19 * "a"):
        with connected(info, fleet, client_id=wrong) as client:
            assert client.answer == "Not authorized", wrong
    with connected(info, fleet, secret="wrong") as client:
        assert client.answer == "Bad user name or password"
    assert api.get("/data/devices/thermostat", "client").body == {}
    assert (
        api.get("/data/devices/thermostat", f"{fleet['key_id']}:{fleet['key_secret']}").status
        == 401
    )


def test_faults(platform, info, fleet):
    faulty(platform, "refuse")
    with connected(info, fleet) as client:
        assert client.answer == "Not authorized"
    faulty(platform, "deaf")
    with connected(info, fleet) as client:
        assert client.subscribe(OWN) == 128
    faulty(platform, "silent")
    assert unanswered(info, fleet, mac=MAC)
    faulty(platform, "close")
    with connected(info, fleet) as client:
        client.subscribe(OWN)
        client.send("csipio/provisions", json.dumps({"mac": MAC}))
        assert client.gone.wait(5) and not client.messages
    faulty(platform, "open")
    with connected(info, fleet) as client:
        client.subscribe(OWN)
        client.publish("csipio/provisions", json.dumps({"mac": MAC}))
        eventually(lambda: client.messages)
        assert not client.gone.wait(1.0)
    faulty(platform, "strange")
    assert asked(info, fleet, mac=MAC)["deviceId"] == "_dev_/#"


def test_an_answer_is_late_by_as_much_as_is_asked_for(platform, info, fleet):
    platform.control(lambda tree: tree["fleets"][0].update(delay_s=0.8))
    with connected(info, fleet) as client:
        client.subscribe(OWN)
        client.publish("csipio/provisions", json.dumps({"mac": MAC}))
        assert not client.gone.wait(0.4) and not client.messages
        eventually(lambda: client.messages)


def test_the_line_of_json_tells_the_fleets_keys(platform, fleet):
    made = {name: fleet[name] for name in ("name", "key_id", "key_secret")}
    assert platform.fleets == [made]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda fleet: fleet.update(fault="x"), "fleets[0].fault: expected one of"),
        (lambda fleet: fleet.update(delay_s=-1), "fleets[0].delay_s: expected a number from 0"),
        (lambda fleet: fleet.pop("name"), "fleets[0].name: expected to be there"),
        (
            lambda fleet: fleet["boards"][0].update(device="attic"),
            "fleets[0].boards[0].device: expected the name or id of a device",
        ),
        (
            lambda fleet: fleet["boards"].append(fleet["boards"][0]),
            "fleets[0].boards[1].mac: expected one that no other board has",
        ),
        (lambda fleet: fleet["boards"][0].pop("mac"), "fleets[0].boards[0]: expected one of id"),
    ],
)
def test_a_fleet_that_makes_no_sense_changes_nothing(platform, fleet, caplog, change, words):
    platform.control(lambda tree: change(tree["fleets"][0]))
    assert words in caplog.text

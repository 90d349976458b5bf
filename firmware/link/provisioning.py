"""A device that carries no identity asks the platform for one: provisioning over MQTT.

It has a fleet's key, and what tells this board from the others, `by`: its MAC, or what the
configuration says. The device's section of the settings, `device` here, gets what the answer
gives: `id`, `key_id` and `key_secret`, which are None before. This module is loaded for a moment
(firmware/base/passing.py): at the start, to ask, and where an identity is given up.

With `store` the identity is kept in identity.json, for this fleet's key and this board alone. The
file says, too, which configuration came along last: that one is not tried again.
"""

import binascii
import io
import json
import os

from micropython import const

from firmware.base import files, json_check, kinds, uptime
from firmware.base.log import Log
from firmware.link import LinkError, deadlines
from firmware.link.failover import Outcome
from firmware.link.packets import SUBACK
from firmware.link.stream import within

_FILE = "identity.json"

_TOPIC = b"csipio/provisions"
# The documentation's `_???_` is taken literally: these five characters mark a client that has no
# id yet. Up to 18 follow: with the board's MAC no two boards have the same, in all 23.
_CLIENT = "_???_csipio%s"

_REFUSED_MS = const(60000)  # of the fleet's key, or of the connection: then it is tried again
_AGAIN_MS = const(120000)  # the same where there was no answer, or one that is none
_LARGEST = const(4096)  # bytes of an answer
_DEEPEST = const(7)  # its brackets within brackets; a configuration has six
# What it has, and what each is here.
_SHAPE = (
    ("deviceId", "id", (1, 64), "id"),
    ("apiKeyId", "key id", (1, 64), "key_id"),
    ("apiSecret", "secret", (1, 128), "key_secret"),
)

_log = Log("provisioning")


def recall(device: dict) -> None:
    """At the start: the identity that is kept on flash, if it is for this fleet and this board.
    Another one is deleted.
    """
    fleet = device["provision"]
    kept = _kept()
    known = {name: kept.get(name) for _, _, _, name in _SHAPE}
    if not kept:
        return
    if kept.get("for") != _sum(fleet):
        _write({})
    elif not fleet["store"]:
        _keep(fleet, {}, kept.get("config"))
    elif all(kinds.fits(kind, limits, known[name]) for _, kind, limits, name in _SHAPE):
        device.update(known)


def forget(device: dict) -> None:
    """The platform refuses this identity: there is none any more, nor on flash."""
    _log.warning("%s is given up: it is refused; a new one is asked for", device["id"])
    for _, _, _, name in _SHAPE:
        device[name] = None
    kept = _kept()
    if kept:
        _keep(device["provision"], {}, kept.get("config"))


def who(fleet: dict) -> dict:
    """As whom it connects, until it has an identity."""
    client = _CLIENT % fleet["mac"].replace(":", "")
    return {"id": client, "key_id": fleet["key_id"], "key_secret": fleet["key_secret"]}


def identifier(fleet: dict) -> str:
    """What tells this board from the others of its fleet."""
    return fleet["mac"] if fleet["by"] == "mac" else fleet["value"]


async def ask(device: dict, client, on_command) -> Outcome:
    """Ask once, over an MqttClient that has no session; say how it went, and how long to wait at
    least where it failed. `on_command`: the MqttClient's; it gets a configuration that comes
    along, as a command `config`.
    """
    outcome = Outcome()
    try:
        await _ask(device, client, on_command, outcome)
    except LinkError as error:
        if outcome.connected_ms is not None:
            outcome.floor_ms = _AGAIN_MS
        elif error.refused:
            outcome.floor_ms = _REFUSED_MS
            error = LinkError("the broker refused the fleet's key, device.provision", True)
        outcome.error = error
    return outcome


async def _ask(device, client, on_command, outcome):
    fleet = device["provision"]
    fleets = who(fleet)
    own = _TOPIC + b"/" + fleets["id"].encode()
    answers = []

    def heard(topic, payload):
        if topic == own and not session.retained:  # that would be of another time
            answers.append(payload)

    stream, session = await client.open(fleets, heard)
    try:
        outcome.connected_ms = uptime.ms()
        session.subscribe(own, 1)
        await session.flush()
        what = "the broker's answer to the subscription for an identity (SUBACK)"
        await within(deadlines.ANSWER_MOST_MS, what, _received(session, answers, SUBACK))
        by = fleet["by"], json.dumps(identifier(fleet))
        _log.info("asking for the identity of %s %s", *by)
        request = '{"%s": %s, "configProperty": "config"}' % by
        session.publish(_TOPIC, request.encode(), 2)
        await session.flush()
        what = "the answer to the request for an identity"
        await within(deadlines.IDENTITY_MS, what, _received(session, answers))
        answer = _checked(answers[0])
        try:
            await within(deadlines.CLOSING_MS, "the end", _received(session, ()))
        except LinkError:
            pass
    finally:
        client.leave()
        stream.close()
    _take(device, answer, on_command)


async def _received(session, answers, kind=None):
    """Take what the broker sends, until there is an answer or a packet of that kind came."""
    while not answers:
        if (await session.receive())[0] == kind:
            return


def _checked(payload) -> dict:
    """The answer's object. Raises LinkError, which repeats nothing of what may be a secret."""
    if len(payload) > _LARGEST or type(payload) is range:
        raise LinkError("the answer to the request for an identity has %d bytes" % len(payload))
    tree = None
    if 0 < json_check.depth(io.BytesIO(payload)) <= _DEEPEST:
        try:
            tree = json.loads(payload)
        except ValueError:  # no UTF-8
            pass
    flaw = None if type(tree) is dict else "an object"
    if flaw is None:
        for name, kind, limits, _ in _SHAPE:
            if not kinds.fits(kind, limits, tree.get(name)):
                flaw = "%s: %s" % (name, kinds.expected(kind, limits, ""))
        if flaw is None and not tree["deviceId"].encode().startswith(b"_dev_"):
            flaw = "deviceId: an id that begins with _dev_"
        if type(tree.get("config", {})) not in (dict, type(None)):
            flaw = "config: an object"
    if flaw:
        raise LinkError("the answer to the request for an identity is refused: expected " + flaw)
    return tree


def _take(device, answer, on_command):
    fleet = device["provision"]
    identity = {name: answer[key] for key, _, _, name in _SHAPE}
    device.update(identity)
    _log.info("this device is %s", device["id"])
    kept = _kept()
    before = kept.get("config") if kept.get("for") == _sum(fleet) else None
    if not fleet["store"]:
        identity = {}
    elif any(kept.get(name) != identity[name] for name in identity):
        _keep(fleet, identity, before)
    config = answer.get("config")
    if not config:
        return
    text = json.dumps(config).encode()
    crc = binascii.crc32(text)
    # One that failed on trial would come back at every start. And what a command has changed since
    # is newer.
    if crc != before and on_command("config", text):
        _keep(fleet, identity, crc)


def _sum(fleet) -> int:
    """It is another one for another key or board."""
    key = (fleet["key_id"], fleet["key_secret"], fleet["by"], identifier(fleet))
    return binascii.crc32("\n".join(key).encode())


def _kept() -> dict:
    """What identity.json says; {} where there is none, or none that makes sense."""
    try:
        with open(_FILE) as file:
            tree = json.load(file)
    except (OSError, ValueError):
        return {}
    return tree if type(tree) is dict else {}


def _keep(fleet, identity, config):
    """Write an identity, which may be {}, and the sum of a configuration, which may be None."""
    tree = dict(identity)
    if config is not None:
        tree["config"] = config
    if tree:
        tree["for"] = _sum(fleet)
    _write(tree)


def _write(tree):
    try:
        if tree:
            files.replace_json(_FILE, tree)
        elif files.exists(_FILE):
            os.remove(_FILE)
    except OSError as error:
        _log.error("%s cannot be written: %s", _FILE, error)

"""Provisioning: who has a fleet's key asks over MQTT for the identity of a device."""

import asyncio
import json
import logging
import re
from collections.abc import Callable

from amqtt.mqtt.connack import CONNECTION_ACCEPTED, NOT_AUTHORIZED

from .control import IDENTIFIERS, Control, is_key
from .feed import FeedError, parse_json

log = logging.getLogger(__name__)

_TOPIC = "csipio/provisions"
_ASKING = "_???_"
_CLIENT_ID = re.compile(r"_\?\?\?_\S{1,18}")
_CLOSE_AFTER_S = 0.5
_STRANGE = {"deviceId": "_dev_/#", "apiKeyId": None, "apiSecret": "not to be shown"}


def is_asking(client_id: str) -> bool:
    """Whether it is the client id of somebody who has no identity yet."""
    return client_id.startswith(_ASKING)


class Provisions:
    """What the broker asks the platform of clients that have no identity."""

    def __init__(
        self,
        control: Control,
        send: Callable[[str, bytes], None],
        hang_up: Callable[[str], None],
    ):
        """`send(topic, payload)`; `hang_up(client_id)` ends a connection."""
        self._control = control
        self._send = send
        self._hang_up = hang_up
        self._keys: dict[str, str] = {}  # with which each client came

    def admit(self, client_id: str, given: bytes) -> int | None:
        """The CONNACK return code for `given`, `id:secret`; None: it is no fleet's key."""
        fleet = next((f for f in self._control.fleets if is_key(given, f)), None)
        if fleet is None:
            return None
        if not _CLIENT_ID.fullmatch(client_id) or fleet["fault"] == "refuse":
            log.warning("refused %r: by fleet %s", client_id, fleet["name"])
            return NOT_AUTHORIZED
        self._keys[client_id] = fleet["key_id"]
        return CONNECTION_ACCEPTED

    def may_subscribe(self, client_id: str, topic_filter: str) -> bool:
        fleet = self._fleet(client_id)
        own = topic_filter == f"{_TOPIC}/{client_id}"
        return own and fleet is not None and fleet["fault"] != "deaf"

    def take(self, client_id: str, topic: str, payload: bytes) -> None:
        """A publish: a request for an identity, or nothing."""
        fleet = self._fleet(client_id)
        if fleet is None or topic != _TOPIC:
            log.warning("publish dropped: %s is not for %s", topic, client_id)
            return
        try:
            asked = parse_json(payload)
        except FeedError as error:
            log.warning("request for an identity dropped: %s", error)
            return
        asyncio.get_running_loop().call_later(
            fleet["delay_s"], self._answer, client_id, fleet, asked
        )

    def _fleet(self, client_id: str) -> dict | None:
        key = self._keys.get(client_id)
        return next((f for f in self._control.fleets if f["key_id"] == key), None)

    def _answer(self, client_id: str, fleet: dict, asked: object) -> None:
        board = device = None
        if isinstance(asked, dict) and len(asked.keys() & set(IDENTIFIERS)) == 1:
            if isinstance(asked.get("mac"), str):
                asked = asked | {"mac": asked["mac"].lower()}
            board = self._control.board(fleet, asked)
        if board is not None:
            device = self._control.find(board["device"])
        if device is None or device["status"] == "disabled":
            log.warning("no identity for %s in fleet %s", json.dumps(asked)[:120], fleet["name"])
            return
        fault = fleet["fault"]
        if fault == "close":
            self._hang_up(client_id)
        if fault in ("silent", "close"):
            return
        keys = {"deviceId": "id", "apiKeyId": "key_id", "apiSecret": "key_secret"}
        answer = {name: device[key] for name, key in keys.items()}
        if "configProperty" in asked and "config" in board:
            answer["config"] = board["config"]
        if fault == "strange":
            answer = _STRANGE
        self._send(f"{_TOPIC}/{client_id}", json.dumps(answer).encode())
        log.info("%s is %s", client_id, device["name"])
        if fault != "open":
            loop = asyncio.get_running_loop()
            loop.call_later(_CLOSE_AFTER_S, self._hang_up, client_id)

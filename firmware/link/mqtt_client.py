"""Feeds and commands over MQTT: one connection to the broker at a time, from CONNECT to its end.

Several feeds are in flight; each leaves the queue when its PUBACK is here. A broker that does not
answer in time is left, and whoever owns this client decides what comes next.

Each session is a clean one: a kept one would bring back commands that were overtaken while this
device was away. The platform's state has them all, with their times (`https_api.read_state`).
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.url import parse_url
from firmware.link import LinkError, deadlines
from firmware.link.failover import Outcome
from firmware.link.mqtt_session import PINGRESP, PUBACK, SUBACK, Session
from firmware.link.stream import within

_WINDOW = const(4)  # feeds in flight
_TICK_MS = const(50)
# An answer comes behind all that the broker sent before it. So it is late only after a silence of
# this length, or when it took as long as any answer may.
_HEARING_MS = const(2000)

_COMMANDS = b"csipio/data/in/devices/%s/properties/"
_FEEDS = b"csipio/data/out/devices/%s/json"


class MqttClient:
    """accepted_ms: the uptime when the broker last accepted a session; -1: it never did."""

    def __init__(self, settings: dict, network, queue, pace, on_command, on_step, values=None):
        """`network`: a stream.Network. `values`: SingleValues, where a sensor asks for them.

        on_command(name, payload): called with a property's name (str) and its value (bytes, or a
        range as long as a payload that is larger than mqtt.max_packet); may not raise.
        on_step(outcome, now): called at each step of a session; see Failover.watch.
        """
        device = settings["device"]
        self._network = network
        self._queue = queue
        self._pace = pace
        self._on_command = on_command
        self._on_step = on_step
        self._values = values
        self._log = Log("mqtt_client")
        scheme, self._host, self._port, self._path = parse_url(settings["mqtt"]["url"])
        self._tls = scheme in ("mqtts", "wss")
        self._upgrade = None  # makes a WebSocket of a stream
        if scheme in ("ws", "wss"):
            from firmware.link.websocket import upgrade

            self._upgrade = upgrade
        self._user = device["key_id"].encode()
        self._password = device["key_secret"].encode()
        self._id = device["id"].encode()
        self._commands = _COMMANDS % self._id
        self._feeds = _FEEDS % self._id
        self._keepalive_s = settings["mqtt"]["keepalive_s"]
        answer_ms = max(round(1000 * settings["mqtt"]["grace_s"]), deadlines.ANSWER_LEAST_MS)
        self._answer_ms = min(answer_ms, deadlines.ANSWER_MOST_MS)
        self._max_packet = settings["mqtt"]["max_packet"]
        self._waiting = {}  # packet id: (batch, when it was sent)
        self._ping_ms: int | None = None  # when an unanswered PINGREQ was sent
        self._subscription = (0, 0)  # its packet id, and when it was sent, until it is answered
        self._heard_ms = 0  # when the last packet came
        self._failure: Exception | None = None  # why the session's reader ended
        self.pid = 0  # the last packet id
        self.accepted_ms = -1

    async def serve(self) -> Outcome:
        """Connect, and serve until the session is to be left or fails; say how it went."""
        outcome = Outcome()
        try:
            await self._serve(outcome)
        except LinkError as error:
            outcome.error = error
        return outcome

    async def _serve(self, outcome):
        """Return when the session is left on purpose; LinkError says why it failed."""
        stream, session = await self._open()
        reader = None
        try:
            now = self.accepted_ms = uptime.ms()
            self._waiting.clear()
            self._ping_ms = self._failure = None
            self._subscription = (self._next_pid(), now)
            session.subscribe(self._commands + b"#", self._subscription[0])
            reader = asyncio.create_task(self._read(session, outcome))
            self._log.info("connected to %s:%d", self._host, self._port)
            carried = False
            while self._failure is None:
                now = uptime.ms()
                if self._on_step(outcome, now) and not (self._waiting or self._values):
                    return
                if outcome.carried and not carried:
                    carried = True
                    self._log.info("carries the feeds")
                self._send(session, outcome, now)
                await session.flush()
                await asyncio.sleep_ms(_TICK_MS)
            raise self._failure
        finally:
            self._queue.release()
            try:
                if reader:
                    reader.cancel()
                if self._values:
                    self._values.release()
            finally:
                stream.close()

    async def _open(self):
        stream = await self._network.connect(self._host, self._port, self._tls)
        try:
            wire = stream
            if self._upgrade:
                upgrade = self._upgrade(stream, self._host, self._port, self._path)
                ms = deadlines.UPGRADE_MS + (deadlines.TLS_MS if self._tls else 0)
                wire = await within(ms, "the upgrade to a WebSocket", upgrade)
            session = Session(wire, self._id, self._on_message, self._max_packet)
            await session.connect(self._user, self._password, self._keepalive_s)
            return stream, session
        except BaseException:
            stream.close()
            raise

    def _send(self, session, outcome, now: int):
        """Write what is due: feeds, or a sign of life. Raises LinkError if an answer is late."""
        self._check(outcome, now)
        if outcome.carried:
            if self._values:
                self._values.publish(session, self._next_pid, now)
            if len(self._waiting) < _WINDOW and self._pace.ready(now) and self._queue.due():
                batch = self._queue.take(self._pace.most_points)
                if batch:
                    pid = self._next_pid()
                    session.publish(self._feeds, batch, pid, batch.repeated)
                    self._waiting[pid] = (batch, now)
                    self._pace.sent(now)
        silent = now - session.sent_ms >= 1000 * self._keepalive_s
        if self._ping_ms is None and silent and not session.unsent:
            session.ping()
            self._ping_ms = now

    def _check(self, outcome, now: int):
        """LinkError if an answer is late: the connection is dead, whatever TCP believes."""
        answer_ms = self._answer_ms
        if now - self._heard_ms < _HEARING_MS:
            answer_ms = deadlines.ANSWER_MOST_MS
        for _, sent_ms in self._waiting.values():
            if now - sent_ms > answer_ms:
                outcome.unanswered_ms = sent_ms
                raise LinkError("the broker did not acknowledge a feed (PUBACK) in time")
        if self._values and self._values.late(now, answer_ms):
            raise LinkError("the broker did not acknowledge a value (PUBACK) in time")
        if self._ping_ms is not None and now - self._ping_ms > answer_ms:
            raise LinkError("the broker did not answer a PINGREQ in time")
        if self._subscription[0] and now - self._subscription[1] > answer_ms:
            raise LinkError("the broker did not acknowledge the subscription (SUBACK) in time")

    async def _read(self, session, outcome):
        """Task: take what the broker sends; `_failure` tells how it ended."""
        try:
            while True:
                kind, pid = await session.receive()
                now = self._heard_ms = uptime.ms()
                if kind == PUBACK:
                    outcome.acknowledged = True
                    sent = self._waiting.pop(pid, None)
                    if sent:
                        self._queue.acknowledge(sent[0])
                        self._pace.accepted()
                    elif self._values:
                        self._values.acknowledge(pid)
                elif kind == PINGRESP:
                    self._ping_ms = None
                elif kind == SUBACK and pid == self._subscription[0]:
                    self._subscription = (0, 0)
                    outcome.listening_ms = now
                    self._log.info("listening for commands")
        except Exception as error:  # raised again by `_serve`, which owns this task
            self._failure = error

    def _on_message(self, topic: bytes, payload):
        if not topic.startswith(self._commands):
            self._log.warning("refused a message for another topic, %r", topic[:80])
            return
        try:
            name = str(topic[len(self._commands) :], "utf-8")
        except UnicodeError:
            name = ""
        self._on_command(name, payload)

    def _next_pid(self) -> int:
        """1 to 65,535, round and round, but none that is in flight."""
        while True:
            self.pid = self.pid % 65535 + 1
            if self.pid not in self._waiting and not (
                self._values and self._values.holds(self.pid)
            ):
                return self.pid

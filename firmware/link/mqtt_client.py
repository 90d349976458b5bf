"""Feeds and commands over MQTT: one connection to the broker at a time, from CONNECT to its end.

Several feeds are in flight; each leaves the queue when its PUBACK is here. A broker that does not
answer in time is left, and whoever owns this decides what comes next.

Each session is a clean one: a kept one would bring back commands that were overtaken while this
device was away. The platform's state has them all, with their times (`api.read_state`).
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.url import parse_url
from firmware.link import LinkError, deadlines
from firmware.link.mqtt_session import PINGRESP, PUBACK, SUBACK, Session
from firmware.link.stream import connect, within

_WINDOW = const(4)  # feeds in flight
_TICK_MS = const(50)
# An answer comes behind all that the broker sent before it: it is late only when there was nothing
# for so long, unless it takes as long as any answer may.
_HEARING_MS = const(2000)

_COMMANDS = b"csipio/data/in/devices/%s/properties/"
_FEEDS = b"csipio/data/out/devices/%s/json"


class Broker:
    """on_command: called with a property's name (str) and the payload (bytes, or a range, as long
    as what is larger than mqtt.max_packet); may not raise.
    """

    def __init__(self, settings: dict, trust, queue, pace, on_command):
        device = settings["device"]
        self._queue = queue
        self._pace = pace
        self._on_command = on_command
        self._log = Log("mqtt")
        scheme, self._host, self._port, self._path = parse_url(settings["mqtt"]["url"])
        self._trust = trust if scheme in ("mqtts", "wss") else None
        self._upgrade = _upgrade(scheme)
        self._user = device["key_id"].encode()
        self._password = device["key_secret"].encode()
        self._id = device["id"].encode()
        self._commands = _COMMANDS % self._id
        self._feeds = _FEEDS % self._id
        self._keepalive_s = settings["mqtt"]["keepalive_s"]
        grace_ms = round(1000 * settings["mqtt"]["grace_s"])
        self._answer_ms = max(grace_ms, deadlines.ANSWER_LEAST_MS)
        self._answer_ms = min(self._answer_ms, deadlines.ANSWER_MOST_MS)
        self._max_packet = settings["mqtt"]["max_packet"]
        self._pid = 0
        self._waiting = {}  # packet id: (batch, when it was sent)
        self._ping_ms: int | None = None  # when an unanswered PINGREQ was sent
        self._subscription = (0, 0)  # its packet id, and when it was sent, until it is answered
        self._heard_ms = 0  # when the last packet came
        self._failure: Exception | None = None  # why the session's reader ended
        self.unanswered_ms: int | None = None  # when the feed was sent that ended the last session
        self.carries = False  # feeds go this way now
        self.carried = False  # they went this way in the last session
        self.connected_ms: int | None = None  # uptime at which the last session began
        self.sessions = 0
        self.accepted = False  # a session was, since somebody last reset this
        self.direct = None  # values that do not wait for a feed: a direct.Direct
        self.leave_ms = 0  # when to leave the session on purpose
        self.listening = None  # called when commands can come
        self.tick = uptime.ms  # called at each step: whoever owns this may want to see that

    async def serve(self, probation_ms: int, most_ms: int):
        """Connect and serve until that fails, which it tells by a LinkError.

        The broker has to hold the connection for `probation_ms` before it gets any feeds. After
        `most_ms` this returns as soon as nothing is in flight.
        """
        self.connected_ms = None
        self.unanswered_ms = None
        self.carried = self.answered = False
        stream, session = await self._open()
        reader = None
        try:
            now = self.connected_ms = self.tick()
            self.leave_ms = now + most_ms
            self._waiting.clear()
            self._ping_ms = None
            self._failure = None
            self._subscription = (self._next_pid(), now)
            session.subscribe(self._commands + b"#", self._subscription[0])
            reader = asyncio.create_task(self._read(session))
            self.sessions += 1
            self.accepted = True
            self._log.info("connected to %s:%d", self._host, self._port)
            while self._failure is None:
                now = self.tick()
                if now >= self.leave_ms and not self._in_flight():
                    return
                if not self.carries and now - self.connected_ms >= probation_ms:
                    self.carries = self.carried = True
                    self._log.info("carries the feeds")
                self._send(session, now)
                await session.flush()
                await asyncio.sleep_ms(_TICK_MS)
            raise self._failure
        finally:
            if reader:
                reader.cancel()
            stream.close()
            self.carries = False
            self._queue.release()
            if self.direct:
                self.direct.release()

    async def _open(self):
        stream = await connect(self._host, self._port, self._trust)
        try:
            wire = stream
            if self._upgrade:
                wire = await within(
                    deadlines.UPGRADE_MS + (deadlines.TLS_MS if self._trust else 0),
                    "the upgrade to a WebSocket",
                    self._upgrade(stream, self._host, self._port, self._path),
                )
            session = Session(wire, self._id, self._on_message, self._max_packet)
            await session.connect(self._user, self._password, self._keepalive_s)
            return stream, session
        except BaseException:
            stream.close()
            raise

    def _send(self, session, now: int):
        """Write what is due: feeds, or a sign of life. Raises LinkError if an answer is late."""
        self._check(now)
        if self.carries:
            if self.direct:
                self.direct.publish(session, self._next_pid, now)
            if len(self._waiting) < _WINDOW and self._pace.ready(now) and self._queue.due():
                batch = self._queue.take(self._pace.most_points)
                if batch:
                    pid = self._next_pid()
                    session.publish(self._feeds, batch, pid, batch.repeated)
                    self._waiting[pid] = (batch, now)
                    self._pace.sent(now)
        if (
            self._ping_ms is None
            and not session.unsent
            and now - session.sent_ms >= 1000 * self._keepalive_s
        ):
            session.ping()
            self._ping_ms = now

    def _check(self, now: int):
        """LinkError if an answer is late: the connection is dead, whatever TCP believes."""
        answer_ms = self._answer_ms
        if now - self._heard_ms < _HEARING_MS:
            answer_ms = deadlines.ANSWER_MOST_MS
        for _, sent_ms in self._waiting.values():
            if now - sent_ms > answer_ms:
                self.unanswered_ms = sent_ms
                raise LinkError("the broker did not acknowledge a feed (PUBACK) in time")
        if self.direct and self.direct.late(now, answer_ms):
            raise LinkError("the broker did not acknowledge a value (PUBACK) in time")
        if self._ping_ms is not None and now - self._ping_ms > answer_ms:
            raise LinkError("the broker did not answer a PINGREQ in time")
        if self._subscription[0] and now - self._subscription[1] > answer_ms:
            raise LinkError("the broker did not acknowledge the subscription (SUBACK) in time")

    async def _read(self, session):
        """Task: take what the broker sends; how it ends is told in `_failure`."""
        try:
            while True:
                kind, pid = await session.receive()
                self._heard_ms = uptime.ms()
                if kind == PUBACK:
                    self.answered = True
                    sent = self._waiting.pop(pid, None)
                    if sent:
                        self._queue.acknowledge(sent[0])
                        self._pace.accepted()
                    elif self.direct:
                        self.direct.acknowledge(pid)
                elif kind == PINGRESP:
                    self._ping_ms = None
                elif kind == SUBACK and pid == self._subscription[0]:
                    self._subscription = (0, 0)
                    if self.listening:
                        self.listening()
                    self._log.info("listening for commands")
        except Exception as error:  # raised again by `serve`, which owns this task
            self._failure = error

    def _on_message(self, topic: bytes, payload):
        if topic.startswith(self._commands):
            try:
                name = str(topic[len(self._commands) :], "utf-8")
            except UnicodeError:
                name = ""
            self._on_command(name, payload)
        else:
            self._log.warning("refused a message for another topic, %r", topic[:80])

    def _in_flight(self) -> bool:
        return bool(self._waiting or (self.direct and self.direct.waiting))

    def _next_pid(self) -> int:
        """1 to 65,535, round and round, but none that is in flight."""
        while True:
            self._pid = self._pid % 65535 + 1
            if self._pid not in self._waiting and not (
                self.direct and self.direct.holds(self._pid)
            ):
                return self._pid


def _upgrade(scheme: str):
    """What makes a WebSocket of a stream, for the schemes that ask for one."""
    if scheme not in ("ws", "wss"):
        return None
    from firmware.link.websocket import upgrade

    return upgrade

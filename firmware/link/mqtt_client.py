"""Feeds and commands over MQTT: one connection to the broker at a time, from CONNECT to its end.

Several feeds are in flight; each leaves the queue when its PUBACK is here. A broker that does not
answer in time is left, and whoever owns this client decides what comes next.

Each session is a clean one: a kept one would bring back commands that were overtaken while this
device was away. So would a retained message: nobody knows when it was written, and it comes back
with each session. The platform's state has them all, with their times (`https_api.read_state`).
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.pause import Pause
from firmware.base.url import parse_url
from firmware.link import LinkError, deadlines
from firmware.link.failover import Outcome
from firmware.link.mqtt_session import Session
from firmware.link.packets import PINGRESP, PUBACK, SUBACK
from firmware.link.stream import handed, within

_WINDOW = const(8)  # feeds in flight
# It looks for something to do so often while an answer is awaited, and so often while none is: a
# PUBACK and what is in a hurry end that. In between when a feed gets old enough.
_TICK_MS = const(250)
_IDLE_MS = const(1000)
_LEAST_MS = const(20)
# A sign of life goes out so long before the keep-alive is over: what holds up the loop, or the
# packets on their way, may not make the silence longer than that.
_EARLY_MS = const(1000)
# An answer comes behind all that the broker sent before it. So it is late only after a silence of
# this length, or when it took as long as any answer may.
_HEARING_MS = const(2000)
_AT_ONCE_MS = const(3000)  # a broker to which a feed is too large closes within this time
_SMALL = const(256)  # a feed that is too large for nobody: one number

_COMMANDS = b"csipio/data/in/devices/%s/properties/"
_FEEDS = b"csipio/data/out/devices/%s/json"


class MqttClient:
    """One device at one broker."""

    def __init__(
        self, settings: dict, network, queue, pace, on_command, on_step, values=None, learnt=None
    ):
        """`network`: a stream.Network. `values`: SingleValues, where a sensor asks for them.
        `learnt`: what the one before it returned as `learnt`.

        on_command(name, payload): called with a property's name (str) and its value (bytes, or a
        range as long as a payload that is larger than mqtt.max_packet), unless that is retained;
        may not raise.
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
        self._device = device  # it may get its id and key, or another one, while this runs
        self._commands = self._feeds = b""
        self._keepalive_s = settings["mqtt"]["keepalive_s"]
        answer_ms = max(round(1000 * settings["mqtt"]["grace_s"]), deadlines.ANSWER_LEAST_MS)
        self._answer_ms = min(answer_ms, deadlines.ANSWER_MOST_MS)
        self._max_packet = settings["mqtt"]["max_packet"]
        self._waiting = {}  # packet id: (batch, when it was sent)
        self._ping_ms: int | None = None  # when an unanswered PINGREQ was sent
        self._subscription = (0, 0)  # its packet id, and when it was sent, until it is answered
        self._session: Session | None = None  # the one that is open, or was
        self._heard_ms = 0  # when the last packet came
        self._failure: Exception | None = None  # why the session's reader ended
        # The last packet id; the size of the largest feed that was acknowledged; and of a larger
        # one at which the broker closed.
        self.pid, self._passed, self._suspect = learnt or (0, 0, 0)
        self._pause = Pause()

    def learnt(self) -> tuple:
        """What holds for the one after it, too."""
        return self.pid, self._passed, self._suspect

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
        stream, session = await self.open()
        self._session = session
        reader = None
        try:
            now = uptime.ms()
            self._waiting.clear()
            self._ping_ms = self._failure = None
            self._pace.hurried = True
            self._subscription = (self._next_pid(), now)
            session.subscribe(self._commands + b"#", self._subscription[0])
            reader = asyncio.create_task(handed([self._read(session, outcome), None]))
            self._log.info("connected to %s:%d", self._host, self._port)
            carried = False
            while self._failure is None:
                now = uptime.ms()
                if self._on_step(outcome, now) and not (self._waiting or self._values):
                    return
                if outcome.carried and not carried:
                    carried = True
                    self._log.info("carries the feeds")
                wait_ms = self._send(session, outcome, now)
                await session.flush()
                if wait_ms:
                    await self._pause.wait(wait_ms)
            raise self._failure
        except LinkError:
            outcome.smaller = self._too_large(uptime.ms())
            raise
        finally:
            self._queue.release()
            try:
                if reader:
                    reader.cancel()
                self.leave()
                # What is in flight may have reached the platform all the same, and as late as now.
                now = uptime.ms()
                for _, sent_ms in self._waiting.values():
                    self._pace.arrived(now, sent_ms)
                for sent_ms in self._values.sent() if self._values else ():
                    self._pace.arrived(now, sent_ms)
            finally:
                stream.close()
                if self._values:
                    self._values.release()

    def leave(self):
        """Tell the broker that the session, if there is one, ends here. Needs no event loop."""
        if self._session:
            self._session.leave()
        self._session = None

    async def open(self, who=None, on_message=None) -> tuple:
        """(stream, session) that the broker has accepted. Raises LinkError.

        `who`: as whom, `id`, `key_id` and `key_secret`; None: as this device.
        on_message(topic, payload): who hears what the broker sends then.
        """
        who = who or self._device
        client_id = who["id"].encode()
        self._commands = _COMMANDS % client_id
        self._feeds = _FEEDS % client_id
        stream = await self._network.connect(self._host, self._port, self._tls)
        try:
            wire = stream
            if self._upgrade:
                upgrade = self._upgrade(stream, self._host, self._port, self._path, self._tls)
                ms = deadlines.UPGRADE_MS + (deadlines.TLS_MS if self._tls else 0)
                wire = await within(ms, "the upgrade to a WebSocket", upgrade)
            heard = on_message or self._on_message
            session = Session(wire, client_id, heard, self._max_packet)
            self._session = session
            user, password = who["key_id"].encode(), who["key_secret"].encode()
            await session.connect(user, password, self._keepalive_s)
            return stream, session
        except BaseException:
            stream.close()
            raise

    def wake(self):
        """There is something to do."""
        self._pause.cut()

    def _send(self, session, outcome, now: int) -> int:
        """Write what is due: a feed, or a sign of life; return after how many ms there may be more
        to do, 0 for at once. Raises LinkError if an answer is late.
        """
        awaits = self._check(outcome, now)
        wait_ms = _TICK_MS if awaits else _IDLE_MS
        if outcome.carried:
            if self._values:
                self._values.publish(session, self._next_pid, now)
            if len(self._waiting) >= _WINDOW:
                pass
            elif not (self._pace.hurried or self._queue.due()):
                wait_ms = max(_LEAST_MS, min(wait_ms, self._queue.wait_ms))
            elif not self._pace.ready(now):
                wait_ms = max(1, min(wait_ms, self._pace.wait_ms(now)))
            else:
                batch = self._queue.take(self._pace.most_points)
                self._pace.sent(now, batch, self._queue.numbers[1])
                if batch:
                    wait_ms = 0
                    pid = self._next_pid()
                    session.publish(self._feeds, batch, pid, batch.repeated)
                    self._waiting[pid] = (batch, now)
        silent_ms = session.sent_ms + 1000 * self._keepalive_s - _EARLY_MS - now
        if silent_ms > 0:
            return min(wait_ms, silent_ms)
        if not session.unsent:
            session.ping()
            if self._ping_ms is None:
                self._ping_ms = now
        return wait_ms

    def _too_large(self, now: int) -> bool:
        """The session has failed. Did the broker close it at a feed that is too large for it? It
        says no more than that. True: it may have, and the next session is worth a try soon.
        """
        large = None
        for feed, sent_ms in self._waiting.values():
            if now - sent_ms <= _AT_ONCE_MS and (large is None or len(feed) > len(large)):
                large = feed
        if large is None:
            return False
        if len(large) <= self._passed:
            self._passed //= 2  # that is no proof for ever
            return False
        if self._suspect <= self._passed:
            self._suspect = len(large)  # once may be a coincidence
        else:
            self._suspect = 0
            if large.points > 1:
                self._pace.too_large(large.points)
                text = "the broker closes at feeds of %d bytes: at most %d points from now on"
                self._log.warning(text, len(large), self._pace.most_points)
            elif len(large) > _SMALL:
                self._queue.set_aside(large)
                self._pace.reset()  # the point was too large, and not the feeds
        return len(large) > _SMALL

    def _check(self, outcome, now: int) -> bool:
        """Is an answer awaited? LinkError if one is late: the connection is dead, whatever TCP
        believes.
        """
        answer_ms = self._answer_ms
        if now - self._heard_ms < _HEARING_MS:
            answer_ms = deadlines.ANSWER_MOST_MS
        for _, sent_ms in self._waiting.values():
            if now - sent_ms > answer_ms:
                outcome.unanswered_ms = sent_ms
                raise LinkError("the broker did not acknowledge a feed (PUBACK) in time")
        if self._values and any(now - ms > answer_ms for ms in self._values.sent()):
            raise LinkError("the broker did not acknowledge a value (PUBACK) in time")
        if self._ping_ms is not None and now - self._ping_ms > answer_ms:
            raise LinkError("the broker did not answer a PINGREQ in time")
        if self._subscription[0] and now - self._subscription[1] > answer_ms:
            raise LinkError("the broker did not acknowledge the subscription (SUBACK) in time")
        return bool(
            self._waiting or self._values or self._ping_ms is not None or self._subscription[0]
        )

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
                        self._pace.arrived(now, sent[1])
                        self._passed = max(self._passed, len(sent[0]))
                        self._queue.acknowledge(sent[0])
                        self._pace.accepted()
                    elif self._values:
                        sent_ms = self._values.acknowledge(pid)
                        if sent_ms is not None:
                            self._pace.arrived(now, sent_ms)
                elif kind == PINGRESP:
                    self._ping_ms = None
                elif kind == SUBACK and pid == self._subscription[0]:
                    self._subscription = (0, 0)
                    outcome.listening_ms = now
                    self._log.info("listening for commands")
                self._pause.cut()
        except Exception as error:  # raised again by `_serve`, which owns this task
            self._failure = error
            self._pause.cut()

    def _on_message(self, topic: bytes, payload):
        if not topic.startswith(self._commands):
            self._log.warning("refused a message for another topic, %r", topic[:80])
            return
        try:
            name = str(topic[len(self._commands) :], "utf-8")
        except UnicodeError:
            name = ""
        if self._session and self._session.retained:
            self._log.warning("a retained message is no command: %r is passed over", name[:80])
            return
        self._on_command(name, payload)

    def _next_pid(self) -> int:
        """1 to 65,535, round and round, but none that is in flight."""
        while True:
            self.pid = self.pid % 65535 + 1
            if self.pid not in self._waiting and not (
                self._values and self._values.holds(self.pid)
            ):
                return self.pid

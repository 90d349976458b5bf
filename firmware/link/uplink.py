"""The way to the platform: MQTT, and HTTPS while MQTT is down. One connection is open at a time.

A feed goes out, and stays in the queue until its acknowledgement is here: PUBACK or receipt.
Whatever fails on the way puts all that is in flight back, and the next way sends it again; the
points keep their milliseconds, so that this changes nothing on the platform.
"""

import asyncio

from micropython import const

from firmware import uptime
from firmware.link import LinkError
from firmware.link.http import Http
from firmware.link.mqtt import PINGRESP, PUBACK, SUBACK, Session
from firmware.link.pacing import Backoff, Pace
from firmware.link.stream import Trust, connect, within
from firmware.log import Log
from firmware.url import parse_url

# Deadlines. A handshake takes an ESP32 two to five seconds.
_CONNECT_MS = const(15000)  # DNS, TCP, TLS, CONNECT to CONNACK
_SEND_MS = const(10000)  # a whole feed into the connection
_EXCHANGE_S = const(15)  # an HTTPS request, from DNS to the last byte of the answer
_SHORTEST_ANSWER_MS = const(5000)  # PUBACK and PINGRESP, however small mqtt.grace_s is

_REFUSED_MS = const(60000)  # between two attempts with credentials that were refused
_RETRY_AFTER_MS = const(60000)  # after a 429 that does not say how long
_LONGEST_RETRY_AFTER_S = const(3600)
_WINDOW = const(4)  # feeds in flight
_TICK_MS = const(50)

_COMMANDS = b"csipio/data/in/devices/%s/properties/"
_FEEDS = b"csipio/data/out/devices/%s/json"
_JSON = {"Content-Type": "application/json"}


class Uplink:
    """Brings the queue's feeds to the platform, and the platform's commands to their door.

    on_command: called with a property's name (str) and the payload (bytes); may not raise.
    """

    def __init__(self, settings: dict, queue, clock, wifi, on_command):
        device = settings["device"]
        self._queue = queue
        self._clock = clock
        self._wifi = wifi
        self._on_command = on_command
        self._log = Log("link")
        trust = Trust(settings["tls"]["ca"], settings["tls"]["verify"])
        scheme, self._host, self._port, _ = parse_url(settings["mqtt"]["url"])
        self._mqtt_trust = trust if scheme == "mqtts" else None
        self._http = Http(trust)
        self._url = settings["https"]["url"].rstrip("/") + "/data/devices/_this_/properties"
        self._auth = (device["key_id"], device["key_secret"])
        self._id = device["id"].encode()
        self._commands = _COMMANDS % self._id
        self._feeds = _FEEDS % self._id
        self._keepalive_s = settings["mqtt"]["keepalive_s"]
        self._grace_ms = int(1000 * settings["mqtt"]["grace_s"])
        self._answer_ms = max(self._grace_ms, _SHORTEST_ANSWER_MS)
        self._pace = Pace(settings["feed"]["per_minute"])
        self._mqtt_backoff = Backoff()
        self._https_backoff = Backoff()
        self._down_since = uptime.ms()  # MQTT; None while it is up
        self._feed_points: int | None = (
            None  # how many points a feed may have; None: what the queue takes
        )
        self._pid = 0
        self._waiting = {}  # packet id: (batch, when it was sent)
        self._ping_ms: int | None = None  # when an unanswered PINGREQ was sent
        self._failure: Exception | None = None  # why the session's reader ended
        if not settings["tls"]["verify"]:
            self._log.warning("tls.verify is false: anybody can pose as the platform")
        self.transport = "none"
        self.reconnections = 0
        self.rejected = 0

    async def run(self):
        """Never returns. Cancelling it closes its connection."""
        try:
            while not self._clock.known:
                # Without it no point can be dated, and no certificate be checked.
                await asyncio.sleep_ms(_TICK_MS)
            while True:
                await self._join()
                try:
                    await self._session()
                except LinkError as error:
                    now = uptime.ms()
                    if self._down_since is None:
                        self._down_since = now
                    delay = self._mqtt_backoff.failed(now, _REFUSED_MS if error.refused else 0)
                    self._log.warning("MQTT: %s; next try in %d s", error, (delay + 999) // 1000)
                await self._bridge()
        finally:
            self._http.close()
            self.transport = "none"

    async def _join(self):
        while not self._wifi.connected():
            try:
                await self._wifi.connect()
            except OSError as error:
                self._log.warning("%s", error)
                await asyncio.sleep_ms(_TICK_MS)

    # MQTT

    async def _session(self):
        """One connection to the broker, from its beginning to its end, which is a LinkError."""
        stream, session = await within(
            _CONNECT_MS, "connecting to %s:%d" % (self._host, self._port), self._open()
        )
        reader = None
        try:
            self._waiting.clear()
            self._ping_ms = None
            self._failure = None
            session.subscribe(self._commands + b"#", self._next_pid())
            reader = asyncio.create_task(self._read(session))
            self._log.info("MQTT: connected to %s:%d", self._host, self._port)
            self._down_since = None
            self.transport = "mqtt"
            self.reconnections += 1
            while self._failure is None:
                self._send(session, uptime.ms())
                if session.unsent:
                    await within(_SEND_MS, "sending to the broker", session.flush())
                await asyncio.sleep_ms(_TICK_MS)
            raise self._failure
        finally:
            if reader:
                reader.cancel()
            stream.close()
            self._queue.release()
            self.transport = "none"

    async def _open(self):
        stream = await connect(self._host, self._port, self._mqtt_trust)
        try:
            session = Session(stream, self._id, self._on_message)
            user, password = self._auth
            await session.connect(user.encode(), password.encode(), self._keepalive_s)
            return stream, session
        except BaseException:
            stream.close()
            raise

    def _send(self, session, now: int):
        """Write what is due: a feed, or a sign of life. Raises LinkError if an answer is."""
        for _, sent_ms in self._waiting.values():
            if now - sent_ms > self._answer_ms:
                raise LinkError("the broker did not acknowledge a feed")
        if self._ping_ms is not None and now - self._ping_ms > self._answer_ms:
            raise LinkError("the broker did not answer a PINGREQ")
        if len(self._waiting) < _WINDOW and self._pace.ready(now) and self._queue.due():
            batch = self._queue.take(self._feed_points)
            if batch:
                pid = self._next_pid()
                session.publish(self._feeds, batch.data, pid)
                self._waiting[pid] = (batch, now)
                self._pace.sent(now)
        elif self._ping_ms is None and now - session.sent_ms >= 1000 * self._keepalive_s:
            session.ping()
            self._ping_ms = now

    async def _read(self, session):
        """Task: take what the broker sends; how it ends is told in `_failure`."""
        try:
            while True:
                kind, pid = await session.receive()
                if kind == PUBACK:
                    sent = self._waiting.pop(pid, None)
                    if sent:
                        self._queue.acknowledge(sent[0])
                        self._mqtt_backoff.succeeded()
                        self._pace.accepted()
                elif kind == PINGRESP:
                    self._ping_ms = None
                elif kind == SUBACK:
                    self._log.info("MQTT: listening for commands")
        except Exception as error:  # raised again by the session, which owns this task
            self._failure = error

    def _on_message(self, topic: bytes, payload: bytes):
        if topic.startswith(self._commands):
            try:
                name = str(topic[len(self._commands) :], "utf-8")
            except UnicodeError:
                name = ""
            self._on_command(name, payload)
        else:
            self._log.warning("MQTT: refused a message for another topic, %r", topic[:80])

    def _next_pid(self) -> int:
        """1 to 65,535, round and round, but none that is in flight."""
        while True:
            self._pid = self._pid % 65535 + 1
            if self._pid not in self._waiting:
                return self._pid

    # HTTPS

    async def _bridge(self):
        """Until MQTT is to be tried again; once it has been down for long enough, over HTTPS."""
        try:
            while True:
                now = uptime.ms()
                if now >= self._mqtt_backoff.at_ms:
                    return
                if (
                    now - self._down_since >= self._grace_ms
                    and now >= self._https_backoff.at_ms
                    and self._pace.ready(now)
                    and self._queue.due()
                ):
                    await self._post()
                else:
                    await asyncio.sleep_ms(_TICK_MS)
        finally:
            self._http.close()

    async def _post(self):
        batch = self._queue.take(self._feed_points)
        if not batch:
            return
        self._pace.sent(uptime.ms())
        try:
            answer = await self._http.post(
                self._url, data=batch.data, headers=_JSON, auth=self._auth, timeout=_EXCHANGE_S
            )
            self._receipt(batch, answer)
            if self.transport != "https":
                self._log.info("HTTPS: took over from MQTT")
                self.transport = "https"
            self._https_backoff.succeeded()
        except LinkError as error:
            self.transport = "none"
            now = uptime.ms()
            delay = self._https_backoff.failed(now, _REFUSED_MS if error.refused else 0)
            self._log.warning("HTTPS: %s; next try in %d s", error, (delay + 999) // 1000)
        finally:
            self._queue.release()

    def _receipt(self, batch, answer):
        """Acknowledge what the platform took. Raises LinkError where it took nothing."""
        status = answer.status_code
        if status == 200:
            accepted, rejected = _counts(answer)
            rejected = max(rejected, len(batch) - accepted)
            if rejected:
                self.rejected += rejected
                self._log.warning(
                    "HTTPS: the platform rejected %d of %d points; its log of this device says"
                    " why, while its status is debug",
                    rejected,
                    len(batch),
                )
            self._queue.acknowledge(batch)
            self._pace.accepted()
            self._feed_points = None
        elif status in (400, 413):
            self._isolate(batch, status)
        elif status == 429:
            wait_ms = _retry_after_ms(answer)
            self._pace.too_fast(uptime.ms(), wait_ms)
            self._log.warning("HTTPS: too many feeds (429); waiting %d s", wait_ms // 1000)
        elif status in (401, 403):
            raise LinkError(
                "the API refused device.key_id and device.key_secret (%d)" % status, refused=True
            )
        else:
            raise LinkError("the API answered %d" % status)

    def _isolate(self, batch, status: int):
        """The feed was refused as a whole: halve it until the point that is to blame is alone."""
        if len(batch) > 1:
            self._feed_points = len(batch) // 2
            self._log.warning(
                "HTTPS: a feed of %d points was refused (%d); trying half of it",
                len(batch),
                status,
            )
        else:
            self._queue.set_aside(batch)


def _counts(answer) -> tuple:
    """(accepted, rejected) of a receipt."""
    try:
        receipt = answer.json()
        accepted, rejected = receipt["accepted"], receipt.get("rejected", 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LinkError("the API's answer is no receipt")
    if type(accepted) is not int or type(rejected) is not int:
        raise LinkError("the API's answer is no receipt")
    return accepted, rejected


def _retry_after_ms(answer) -> int:
    """RFC 9110, section 10.2.3, in seconds; a date is taken for not knowing."""
    text = answer.headers.get("retry-after", "")
    if not text.isdigit() or len(text) > 6:
        return _RETRY_AFTER_MS
    return 1000 * min(int(text), _LONGEST_RETRY_AFTER_S)

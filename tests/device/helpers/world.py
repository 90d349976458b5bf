"""An uplink between a queue and a scripted platform: a broker and an API on real sockets.

    async with World() as world:
        world.put(1)
        await world.delivered(1)

Time can be made to pass: `world.skip(ms)` moves the uptime, so that no test waits for a minute.
"""

import asyncio
import json
import sys

import broker
from firmware.base import uptime
from firmware.config.check import check
from firmware.link import deadlines
from firmware.link.uplink import Uplink
from firmware.times.clock import Clock, system_ms
from model import make_queue, points
from peers import HOST, NETWORK, Peer, refusing, until

DEVICE = "_dev_571692235317590466"
SECRET = "hunter2"
OUT = b"csipio/data/out/devices/%s/" % DEVICE.encode()
_PATH = b"/v3/data/devices/_this_"
COMMANDS = b"csipio/data/in/devices/%s/properties/" % DEVICE.encode()


# A state with a command in it.
STATE = (
    b'{"header":{"ingestion":{"rateLimit":6000}},"properties":[{"ref":{"qname":"Room$SetPoint"},'
    b'"meta":{"name":"setpoint"},"value":{"mostRecent":21.5,"time":"2026-11-22T16:00:00.000Z"}}]}'
)

MINUTE = 60000  # in ms


def status(code, headers=b"", body=b"{}"):
    """An answer of the API to everything."""
    return lambda found: (code, headers, body)


async def nothing_more(world, ms=200):
    """Some time in which the uplink could do what it must not; there is nothing to wait for."""
    await asyncio.sleep_ms(ms)


def configured(**sections) -> dict:
    """The settings of a configuration that says who the device is, and these sections."""
    device = {"id": DEVICE, "key_id": "_key_1", "key_secret": SECRET}
    settings, problems = check(dict(sections, device=device))
    assert not problems, problems
    return settings


class Service:
    """A scripted peer on a port of its own, which goes down and comes back.

    Its class has `async def _script(conn)`.
    """

    def __init__(self):
        self._peer = None
        self.port, self._reserved = refusing()

    @property
    def open(self):
        """Connections, as far as it has noticed their ends."""
        return len(self._peer.conns) - self._peer.ended if self._peer else 0

    def start(self):
        if self._reserved:
            self._reserved.close()
            self._reserved = None
        self._peer = Peer(self._script, port=self.port)

    def stop(self):
        """End the connections, and refuse others."""
        if self._peer:
            self._peer.close()
            self._peer = None


class Broker(Service):
    """Serves one connection at a time; what it does is set by its attributes."""

    def __init__(self):
        super().__init__()
        self.code = 0  # of CONNACK; None: it does not answer
        self.present = 0  # session present, in CONNACK
        self.granted = 1  # in SUBACK; None: it does not answer
        self.acknowledges = True
        self.answers_pings = True
        self.connects = []  # bodies
        self.subscriptions = []  # bodies
        self.feeds = []  # (packet id, points)
        self.singles = []  # (the topic's end, payload) of what is no feed
        self.repeated = []  # packet ids of publishes with DUP
        self.pids = []  # of all publishes, in their order
        self.acks = []  # packet ids that the device acknowledged
        self.pings = 0
        self.goodbyes = 0
        self.conn = None

    async def send(self, data):
        await self.conn.write(data)

    async def _script(self, conn):
        self.conn = conn
        try:
            while True:
                first, body = await broker.read_packet(conn)
                await self._answer(conn, first, body)
        except (EOFError, OSError):
            pass

    async def _answer(self, conn, first, body):
        if first == 0x10:
            self.connects.append(body)
            if self.code is not None:
                await conn.write(bytes((0x20, 2, self.present, self.code)))
        elif first == 0x82:
            self.subscriptions.append(body[2:])
            if self.granted is not None:
                await conn.write(broker.suback(body[0] << 8 | body[1], self.granted))
        elif first in (0x32, 0x3A):
            topic, pid, payload = broker.read_publish(body)
            assert topic.startswith(OUT), topic
            kind = topic[len(OUT) :]
            self.pids.append(pid)
            if first & 8:
                self.repeated.append(pid)
            if kind == b"json":
                self.feeds.append((pid, points(payload)))
            else:
                self.singles.append((kind, payload))
            if self.acknowledges:
                await conn.write(broker.puback(pid))
        elif first == 0x40:
            self.acks.append(body[0] << 8 | body[1])
        elif first == 0xC0:
            self.pings += 1
            if self.answers_pings:
                await conn.write(broker.PINGRESP)
        elif first == 0xE0:
            assert not body
            self.goodbyes += 1
        else:
            raise AssertionError("packet %02x" % first)


class Api(Service):
    """Answers feeds with `answer(points)`: (status, headers, body), or None where all is well."""

    def __init__(self):
        super().__init__()
        self.answer = lambda found: None
        self.state = (200, b"", b'{"header":{"ingestion":{"rateLimit":6000}}}')
        self.requests = []  # request lines
        self.heads = []
        self.feeds = []  # points
        self.singles = []  # (the path's end, body) of what is no feed

    async def _script(self, conn):
        try:
            while True:
                await self._serve(conn)
        except (EOFError, OSError):
            pass

    async def _serve(self, conn):
        head = await conn.read_until(b"\r\n\r\n")
        self.requests.append(head.split(b"\r\n")[0])
        self.heads.append(head)
        if head.startswith(b"GET "):
            status, headers, body = self.state
        else:
            size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            path = head.split(b" ")[1]
            assert path.startswith(_PATH), path
            kind = path[len(_PATH) :]
            body = await conn.read(size)
            if kind.startswith(b"/properties"):
                found = points(_whole(body, str(kind[len(b"/properties/") :], "utf-8")))
                self.feeds.append(found)
            else:
                found = body
                self.singles.append((kind, body))
            receipt = {"accepted": len(found), "rejected": 0}
            if kind == b"":
                receipt["accepted"] = len(json.loads(body))
            elif kind.startswith(b"/methods/"):
                receipt = {"result": None}
            status, headers, body = self.answer(found) or (200, b"", json.dumps(receipt).encode())
        await conn.write(
            b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\n" % status
            + headers
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )


def _whole(feed, prop):
    """A feed with its property, which was in the path."""
    return json.dumps(dict(json.loads(feed), prop=prop)).encode() if prop else feed


class Shorter:
    """`with Shorter("CONNACK_MS", 100):` makes one of the deadlines shorter."""

    def __init__(self, name, ms):
        self._name = name
        self._ms = ms

    def __enter__(self):
        self._kept = getattr(deadlines, self._name)
        setattr(deadlines, self._name, self._ms)

    def __exit__(self, *_):
        setattr(deadlines, self._name, self._kept)


class Steady:
    """A back-off that is always as long."""

    refused = False

    def __init__(self, ms):
        self._ms = ms
        self.at_ms = 0

    def failed(self, now_ms, floor_ms=0):
        self.at_ms = now_ms + self._ms
        return self._ms

    def succeeded(self):
        self.at_ms = 0

    def restart(self, now_ms):
        pass


class Wifi:
    """Connected, unless told otherwise."""

    def __init__(self):
        self.failures = []
        self.attempts = 0
        self.left = 0
        self.moving = False  # is another access point better?

    def better(self):
        return self.moving

    def connected(self):
        return not self.failures

    def disconnect(self):
        self.left += 1
        self.failures.append(OSError("left"))

    async def connect(self):
        self.attempts += 1
        if self.moving:
            self.moving = False
            return
        raise self.failures.pop(0)


class World:
    def __init__(
        self,
        mqtt=True,
        https=True,
        grace_s=0.2,
        keepalive_s=25,
        poll_s=3600,
        known=True,
        send=None,
        method=None,
        decimals=2,
        verify=True,
        per_minute=6000,
        network=NETWORK,
        on_command=None,
        broker=None,
        provision=None,
        **queue,
    ):
        """`send`: that of the one sensor, if it is not "feed"; `on_command`: in place of keeping
        what comes in `commands`. `broker`: another one; `provision`: a fleet's key, in place of
        the device's identity. The rest is as in config.json, or goes to the queue.
        """
        self.broker = broker or Broker()
        self.api = Api()
        self.wifi = Wifi()
        self.commands = []
        self.states = []  # (name, value, ms since 1970) of each property that a state had
        self.recoveries = 0  # how often that was said to be all
        self.lines = []  # of the log
        self._start = (mqtt, https)
        self.values = []
        sensors = []
        if send:
            sensor = {"prop": "temperature", "driver": "counter", "file": "x", "every_s": 1}
            sensors.append(dict(sensor, decimals=decimals, send=send, method=method))
        self.settings = configured(
            mqtt={"url": "mqtt://%s:%d" % (HOST, self.broker.port), "grace_s": grace_s},
            https={"url": "http://%s:%d/v3" % (HOST, self.api.port), "poll_s": poll_s},
            sensors=sensors,
            tls={"verify": verify},
            feed={"per_minute": per_minute, "max_points": 10},
        )
        if provision:
            self.settings["device"].update({"id": None, "key_id": None, "key_secret": None})
            self.settings["device"]["provision"] = provision
        # No configuration may ask for the minutes of silence that some tests need.
        self.settings["mqtt"]["keepalive_s"] = keepalive_s
        self._network = network
        self._on_command = on_command or self._command
        self.clock = Clock()
        if known:
            self.know()
        queue.setdefault("max_age_ms", 0)
        self.queue = make_queue(None, decimals=decimals, clock=self.clock, **queue)

    def know(self):
        self.clock.set(system_ms(), uptime.ms())

    async def __aenter__(self):
        self._real_ms = uptime.ms
        self._ahead = 0
        uptime.ms = self._ms
        sys.modules["firmware.base.log"].print = self._print
        mqtt, https = self._start
        if mqtt:
            self.broker.start()
        if https:
            self.api.start()
        self.link = Uplink(
            self.settings,
            self._network,
            self.queue,
            self.clock,
            self.wifi,
            self._on_command,
            self._state,
            self._recovered,
        )
        self.task = asyncio.create_task(self.link.run())
        return self

    async def __aexit__(self, kind, *_):
        uptime.ms = self._real_ms
        sys.modules["firmware.base.log"].print = print
        ended = self.task.done()
        if not ended:
            await self.end()
        if not kind:
            assert not ended, "the uplink ended"
            for line in self.lines:
                assert SECRET not in line
            self.broker.stop()
            self.api.stop()

    async def end(self):
        """Cancel the uplink, and wait until it has ended."""
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass

    def _ms(self):
        return self._real_ms() + self._ahead

    def _print(self, line):
        self.lines.append(line)
        print(line)

    def told(self, words):
        """Does a line of the log say this?"""
        return any(words in line for line in self.lines)

    def _state(self, name, value, utc_ms):
        self.states.append((name, value, utc_ms))

    def _recovered(self):
        self.recoveries += 1

    def _command(self, name, payload):
        self.commands.append((name, payload))

    def skip(self, ms):
        self._ahead += ms

    def put(self, *values):
        for value in values:
            self.queue.put(0, value)
            self.values.append(value)

    def arrived(self) -> dict:
        """{ms since 1970: value} of all that the platform was sent over either way."""
        found = {}
        for feed in [feed for _, feed in self.broker.feeds] + self.api.feeds:
            for _, t, value in feed:
                # One that is sent again is the same to the millisecond.
                assert found.get(t, value) == value
                found[t] = value
        return found

    def complete(self):
        """Each value arrived, once in effect."""
        arrived = self.arrived()
        assert sorted(arrived.values()) == sorted(self.values)

    async def empty(self):
        await until(lambda: not len(self.queue), "an empty queue")

    async def empty_soon(self):
        """The same, past any back-off of HTTPS."""
        await self._past(self.link.failover.https, lambda: not len(self.queue), "an empty queue")

    async def connected(self, count=1):
        """So many sessions began, past any back-off of MQTT."""
        began = self.broker.subscriptions
        await self._past(self.link.failover.mqtt, lambda: len(began) >= count, "a session")

    async def retry_mqtt(self):
        """It failed, and is to try again now."""
        await self._retry(self.link.failover.mqtt, "a failure of MQTT")

    async def retry_https(self):
        await self._retry(self.link.failover.https, "a failure of HTTPS")

    async def _retry(self, backoff, what):
        # A failure whose delay was so short that it is over already is followed by another one.
        await until(lambda: backoff.at_ms > uptime.ms(), what)
        self.skip(backoff.at_ms - uptime.ms())

    async def _past(self, backoff, condition, what):
        def there():
            self.skip(max(0, backoff.at_ms - uptime.ms()))
            return condition()

        await until(there, what)

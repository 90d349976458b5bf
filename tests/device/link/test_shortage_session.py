"""Memory that runs out in a session over MQTT, or in an exchange over HTTPS, at every single
allocation: nothing is lost, nothing stays open, and the next session delivers it all.
"""

import asyncio
import errno
import gc
import io
import json
import select
import socket

import broker
from firmware.link import mqtt_client, pacing
from firmware.link import stream as stream_module
from firmware.link.https_api import Api
from firmware.link.mqtt_client import MqttClient
from firmware.link.stream import Network, Stream, readable
from flights import in_flight
from model import Time, make_queue, points
from peers import DATA, HOST, NETWORK, bind, descriptors
from shortage import shortages
from world import COMMANDS, configured

TIMEOUT_S = 240
HEAP = "1M"

COUNT = 12
_POLL = 3  # MP_STREAM_POLL of py/stream.h
STATE = json.dumps(
    {
        "header": {"ingestion": {"rateLimit": 6000, "maxNrOfDpPerFeed": 10}},
        "properties": [
            {"ref": {"qname": name}, "value": {"mostRecent": value, "time": at}}
            for name, value, at in (
                ("setpoint", 21.5, "2026-11-22T16:00:00.000Z"),
                ("schedule", {"entries": ["mon 06:00 home"]}, "2026-11-22T16:00:00.001Z"),
            )
        ],
    }
).encode()


class Hasty:
    """In place of asyncio: its pauses are none. To wait takes memory, too, from one poll on."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    def sleep_ms(self, _):
        return asyncio.sleep_ms(0)


HOUR_MS = 3600000  # before the uptime begins


class Pace(pacing.Pace):
    def ready(self, now):
        return True


class Socket(io.IOBase):
    """A connection whose other side answers at once, within `write`."""

    def __init__(self, platform):
        self._platform = platform
        self._received = b""
        self._answers = b""
        self.ended = False
        self.closed = False

    def write(self, view):
        self._received += bytes(view)
        while True:
            used, answer = self._platform.answer(self._received)
            if not used:
                return len(view)
            self._received = self._received[used:]
            self._answers += answer

    def readinto(self, view):
        if not self._answers:
            return 0 if self._platform.done() else None
        n = min(len(view), len(self._answers))
        view[:n] = self._answers[:n]
        self._answers = self._answers[n:]
        return n

    def ioctl(self, request, flags):
        if request != _POLL:
            return -errno.EINVAL  # it has no descriptor
        if self._answers or self._platform.done():
            return flags
        return flags & select.POLLOUT

    def close(self):
        self.closed = True


class Device:
    """A queue of readings, and a platform that takes them over connections in memory."""

    def __init__(self):
        self.queue = make_queue(Time(), max_age_ms=0)
        for n in range(COUNT):
            self.queue.put(0, n)
        self.over = False
        self.found = {}
        self.commands = []
        self.states = []
        self.sockets = []
        self.settings = configured(mqtt={"url": "mqtt://h"}, https={"url": "http://h/v3"})

    async def connect(self, host, port, tls=False):
        stream = Stream(Socket(self), host)
        self.sockets.append(stream._sock)
        return stream

    def run(self, awaitable):
        """Its result, in an event loop of its own."""

        async def main():
            try:
                return await awaitable
            finally:
                self.over = True

        self.over = False
        mqtt_client.asyncio = Hasty()
        # MicroPython's poll dies of an entry that it had no memory for.
        stream_module.readable = lambda _: asyncio.sleep_ms(0)
        try:
            return asyncio.run(main())
        except (RuntimeError, TypeError, asyncio.CancelledError) as error:
            # What MicroPython makes of a StopIteration, or asyncio.wait_for of the end of its
            # task, where there was no memory to say more.
            raise MemoryError(str(error))
        finally:
            mqtt_client.asyncio = asyncio
            stream_module.readable = readable
            asyncio.new_event_loop()

    def whole(self):
        if self.over:
            assert in_flight(self.queue) == 0
            # That of an exchange over HTTPS may still be used by the next one.
            assert all(s.closed for s in self.sockets) or type(self) is Https
        else:
            # It was asyncio itself: the device restarts.
            self.queue.release()

    def take(self, document):
        for _, t, value in points(document):
            assert self.found.setdefault(value, t) == t

    def arrived(self):
        return sorted(self.found) == list(range(COUNT)) and not len(self.queue)


class Mqtt(Device):
    def done(self):
        return not len(self.queue) and bool(self.commands)

    def answer(self, data):
        """(bytes of the first packet, its answer); 0: it is not whole."""
        if len(data) < 2:
            return 0, b""
        size = data[1] & 0x7F
        head = 2
        if data[1] & 0x80:
            size |= data[2] << 7
            head = 3
        body = data[head : head + size]
        if len(body) < size:
            return 0, b""
        answer = b""
        if data[0] == 0x10:
            answer = broker.connack()
        elif data[0] == 0x82:
            answer = broker.suback(body[0] << 8 | body[1])
            answer += broker.publish(COMMANDS + b"setpoint", b"23", 7)
        elif data[0] & 0xF0 == 0x30:
            _, pid, payload = broker.read_publish(body)
            self.take(payload)
            answer = broker.puback(pid)
        return head + size, answer

    def serve(self):
        def step(outcome, now):
            outcome.carried = True
            return False

        pace = Pace(60000, 5, -HOUR_MS)
        client = MqttClient(self.settings, self, self.queue, pace, self.command, step)
        outcome = self.run(client.serve())
        assert "closed by the other side" in str(outcome.error), outcome.error

    def command(self, name, payload):
        self.commands.append((name, payload))


class Https(Device):
    def done(self):
        return False

    def answer(self, data):
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return 0, b""
        if data.startswith(b"GET"):
            body = STATE
        else:
            size = int(data.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            if len(data) < end + size:
                return 0, b""
            feed = json.loads(data[end : end + size])
            feed["prop"] = "temperature"
            self.take(json.dumps(feed).encode())
            body = b'{"accepted": %d, "rejected": 0}' % len(feed["dps"])
            end += size
        return end, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def exchange(self):
        async def main():
            api = Api(self.settings, self, self.queue, Pace(60000, 5, -HOUR_MS))
            try:
                await api.read_state(lambda *state: self.states.append(state))
                while await api.deliver():
                    pass
            finally:
                api.close()

        self.run(main())

    def told(self):
        return self.states[-2:] == [
            ("setpoint", 21.5, 1795363200000),
            ("schedule", {"entries": ["mon 06:00 home"]}, 1795363200001),
        ]


def test_a_session_from_connect_to_its_end():
    def check(device, n):
        device.whole()
        # As with the next session. What was sent and not acknowledged is sent again.
        if not device.arrived():
            device.commands.clear()
            device.serve()
        assert device.arrived(), (n, device.found)
        # A command that did not come is found in the platform's state; none comes broken.
        assert all(c == ("setpoint", b"23") for c in device.commands), (n, device.commands)

    assert shortages(Mqtt, Mqtt.serve, check, 7, 1400) >= 60


def test_an_exchange_with_the_api():
    def check(device, n):
        device.whole()
        if n is not None:
            assert not any(type(state[1]) is range for state in device.states), n
            device.exchange()
        assert device.arrived() and device.told(), (n, device.states)

    assert shortages(Https, Https.exchange, check, 7, 1400) >= 60


def test_a_connection_with_tls():
    """A real context, of real certificates, on a port where nobody listens in the end."""
    listening = socket.socket()
    port = bind(listening, None)
    listening.listen(200)  # those that a shortage left waiting

    class Client:
        def __init__(self):
            self.network = Network(NETWORK.names, DATA + "tls/ca.der", True)

        def connect(self):
            async def main():
                stream = await self.network.connect(HOST, port, True)
                stream.close()
                conn = listening.accept()[0]
                conn.close()

            try:
                asyncio.run(main())
            finally:
                asyncio.new_event_loop()

    before = descriptors()

    def check(client, n):
        if n is not None:
            client.connect()
        assert client.network.context
        gc.collect()

    failures = shortages(Client, Client.connect, check, 1, 90)
    listening.setblocking(False)
    try:
        while True:
            listening.accept()[0].close()
    except OSError:
        pass
    assert failures >= 20, failures
    assert descriptors() == before, "every socket is closed"

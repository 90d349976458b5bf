"""umqtt.simple's known defects: each shown by umqtt used plainly, and then by a Session without.

Plain umqtt blocks for ever where an answer is missing, so its socket is a recording: all that the
broker says, and then the end of the connection. Sessions have a real socket and a scripted broker.
"""

import asyncio
import sys

import micropython
from umqtt.simple import MQTTClient

import broker
from firmware.link import mqtt_session as mqtt
from firmware.link.mqtt_session import Session
from firmware.link.packets import PINGRESP, PUBACK
from firmware.link.stream import within
from peers import HOST, NETWORK, Peer, failure, pair, until
from skip import Skip

HEAP = "2M"


class Recording:
    """A blocking socket on which the broker says `data` and closes."""

    def __init__(self, data):
        self._data = data
        self.sent = b""
        self.timeout_s = None

    def read(self, size):
        data, self._data = self._data[:size], self._data[size:]
        return data

    def write(self, data, size=None):
        data = bytes(memoryview(data))  # of a str, too
        self.sent += data if size is None else data[:size]

    def settimeout(self, seconds):
        self.timeout_s = seconds

    def setblocking(self, flag):
        self.timeout_s = None if flag else 0


class Plain:
    """An MQTTClient used as its own examples do."""

    def __init__(self, data=b"", client=MQTTClient):
        self.messages = []
        self.sock = Recording(data)
        self.client = client("_dev_1", "broker.example", keepalive=25)
        self.client.sock = self.sock
        self.client.set_callback(lambda topic, payload: self.messages.append((topic, payload)))

    def failure(self, method, *args):
        """The exception that a call ends with."""
        try:
            result = getattr(self.client, method)(*args)
        except Exception as error:
            return error
        raise AssertionError("%s succeeded with %r" % (method, result))


class Ours:
    """A Session whose broker says `data`, and then listens."""

    def __init__(self):
        self.messages = []
        self.received = []
        self.error = None

    async def open(self, data=b"", then_close=False, take=None):
        async def script(conn):
            await conn.write(data)
            if not then_close:
                await conn.gone()

        self._peer = Peer(script)
        stream = await NETWORK.connect(HOST, self._peer.port)
        self.session = Session(stream, b"_dev_1", take or self._take)
        self._task = asyncio.create_task(self._listen())
        await until(lambda: self._peer.conns, "the connection")
        return self

    def _take(self, topic, payload):
        self.messages.append((topic, payload))

    async def _listen(self):
        try:
            while True:
                self.received.append(await self.session.receive())
        except Exception as error:
            self.error = error

    async def sent(self, count):
        """The packets that the broker got, once there are so many."""
        conn = self._peer.conns[0]

        def packets():
            try:
                return broker.packets(conn.received)
            except (AssertionError, IndexError):  # one is still on its way
                return []

        await until(lambda: len(packets()) >= count, "%d packets" % count)
        return packets()


async def ours(data=b"", **kw):
    return await Ours().open(data, **kw)


# The packet id never wraps


async def test_the_packet_id_after_65535():
    plain = Plain(broker.puback(0) + broker.puback(1))
    plain.client.pid = 65535
    plain.failure("publish", b"t", b"x", False, 1)
    ids = [broker.read_publish(body)[1] for _, body in broker.packets(plain.sock.sent)]
    assert ids == [0]  # which the standard forbids, and no acknowledgement of it is recognised

    good = await ours()
    for pid in (65535, 1):
        good.session.publish(b"t", b"x", pid)
        await good.session.flush()
    found = await good.sent(2)
    assert [broker.read_publish(body)[1] for _, body in found] == [65535, 1]


# A publish that is sent again can't say so


class Apart(MQTTClient):
    """A version that writes a packet's first byte, and the length, apart."""

    def publish(self, topic, msg, retain=False, qos=0):
        self.pid += 1
        self.sock.write(bytes((0x30 | qos << 1 | retain,)))
        self.sock.write(bytes((2 + len(topic) + 2 + len(msg),)))
        self._send_str(topic)
        self.sock.write(self.pid.to_bytes(2, "big"))
        self.sock.write(msg)
        self.wait_msg()


async def test_a_publish_that_is_sent_again():
    plain = Plain()
    for _ in range(2):
        plain.failure("publish", b"t", b"x", False, 1)
    assert [first for first, _ in broker.packets(plain.sock.sent)] == [0x32, 0x32]

    for client in (MQTTClient, Apart):
        mqtt.MQTTClient = client
        try:
            good = await ours()
        finally:
            mqtt.MQTTClient = MQTTClient
        good.session.publish(b"t", b"x", 1, True)
        good.session.publish(b"t", b"x", 2)
        await good.session.flush()
        assert await good.sent(2) == [(0x3A, b"\0\1t\0\1x"), (0x32, b"\0\1t\0\2x")]


# len() of a str counts characters


async def test_characters_that_take_more_than_a_byte():
    plain = Plain()
    plain.client.publish("t", "21 °C")
    plain.client.ping()
    try:
        found = broker.packets(plain.sock.sent)
    except (AssertionError, IndexError):
        found = None
    assert found != [(0x30, broker.field(b"t") + "21 °C".encode()), (0xC0, b"")]

    good = await ours()
    good.session.publish("°".encode(), "21 °C".encode(), 1)
    good.session.ping()
    await good.session.flush()
    found = await good.sent(2)
    assert broker.read_publish(found[0][1]) == ("°".encode(), 1, "21 °C".encode())
    assert found[1] == (0xC0, b"")


async def test_a_session_takes_bytes_only():
    good = await ours()
    for topic, payload in (("t", b"x"), (b"t", "x"), (b"t", "x" * 1000)):
        try:
            good.session.publish(topic, payload, 1)
        except TypeError:
            continue
        raise AssertionError("accepted a str")


# The first byte of a packet wipes the socket's timeout


async def test_a_broker_that_falls_silent_within_a_packet():
    plain = Plain(broker.PINGRESP)
    plain.sock.settimeout(5)
    plain.client.wait_msg()
    assert plain.sock.timeout_s is None  # from here on it would wait for ever

    async def script(conn):
        await conn.write(b"\x30")
        await conn.silence()

    peer = Peer(script)
    session = Session(await NETWORK.connect(HOST, peer.port), b"_dev_1", None)
    error = await failure(within(100, "the broker", session.receive()))
    assert "the broker took longer" in str(error)


# What nobody reads stays in the stream

_CONFUSING = 0x3003  # a packet id whose bytes look like the beginning of a message of 3 bytes


async def test_an_acknowledgement_that_comes_late():
    data = broker.puback(_CONFUSING) + broker.publish(b"t", b"x")
    plain = Plain(data)
    assert plain.client.wait_msg() == 0x40
    try:
        for _ in range(3):
            plain.client.wait_msg()
    except Exception:
        pass
    assert plain.messages != [(b"t", b"x")]

    good = await ours(data)
    await until(lambda: len(good.received) == 2, "both packets")
    assert good.received[0] == (PUBACK, _CONFUSING)
    assert good.messages == [(b"t", b"x")]


async def test_an_acknowledgement_of_a_subscription_that_comes_again():
    again = b"\x90\x03\x30\x01\x01"
    data = again + broker.publish(b"t", b"x")
    plain = Plain(data)
    assert plain.client.wait_msg() == 0x90
    try:
        for _ in range(3):
            plain.client.wait_msg()
    except Exception:
        pass
    assert plain.messages != [(b"t", b"x")]

    good = await ours(data)
    await until(lambda: len(good.received) == 2, "both packets")
    assert good.messages == [(b"t", b"x")]


async def test_several_publishes_in_flight():
    """Plain umqtt cannot send the second before the first is acknowledged."""
    plain = Plain()
    plain.failure("publish", b"t", b"1", False, 1)
    assert len(broker.packets(plain.sock.sent)) == 1

    good = await ours()
    for pid in (1, 2, 3):
        good.session.publish(b"t", b"x", pid)
    await good.session.flush()
    assert len(await good.sent(3)) == 3


# Remaining length is unbounded


async def test_a_message_of_256_megabytes():
    head = b"\x32\xff\xff\xff\x7f\x00\x01t\x00\x01"
    near, far = pair()
    far.write(head)
    plain = Plain()
    plain.client.sock = near
    assert type(plain.failure("wait_msg")) is MemoryError
    near.close()
    far.close()

    good = await ours(head + bytes(10000))
    await until(lambda: good.session.skipped, "the message to be passed over")
    assert good.error is None


# EOF inside a packet


async def test_a_connection_that_ends_within_a_packet():
    whole = broker.publish(b"t", b"21.5", 1)
    for length in (1, 2, 3, 6):
        assert type(Plain(whole[:length]).failure("wait_msg")) is IndexError, length
    plain = Plain(broker.publish(b"setpoint", b"21.5")[:-3])
    plain.client.wait_msg()
    assert plain.messages == [(b"setpoint", b"2")]  # and it was obeyed

    for length in range(1, len(whole)):
        good = await ours(whole[:length], then_close=True)
        await until(lambda good=good: good.error, "the end")
        assert "closed by the other side" in str(good.error)
        assert good.messages == []


# Errors of the protocol are asserts


def without_asserts():
    """umqtt's MQTTClient, compiled as -O does."""
    module = sys.modules["umqtt.simple"]
    try:
        with open(module.__file__) as file:
            source = file.read()
    except (AttributeError, OSError):
        raise Skip("umqtt.simple has no source here")
    level = micropython.opt_level()
    micropython.opt_level(1)
    try:
        namespace = {"__name__": "umqtt.simple"}
        exec(compile(source, "simple.py", "exec"), namespace)
    finally:
        micropython.opt_level(level)
    return namespace["MQTTClient"]


async def test_errors_without_asserts():
    client = without_asserts()
    qos_2 = broker.publish(b"t", b"x", 1, qos=2)
    assert type(Plain(qos_2).failure("wait_msg")) is AssertionError
    plain = Plain(qos_2, client)
    plain.client.wait_msg()
    assert plain.messages == [(b"t", b"x")] and plain.sock.sent == b""

    ping = b"\xd0\x02\x30\x00" + broker.publish(b"t", b"x")
    plain = Plain(ping, client)
    try:
        for _ in range(2):
            plain.client.wait_msg()
    except Exception:
        pass
    assert plain.messages != [(b"t", b"x")]

    mqtt.MQTTClient = client
    try:
        for stripped in (True, False):
            if not stripped:
                mqtt.MQTTClient = MQTTClient
            good = await ours(qos_2)
            await until(lambda good=good: good.error, "the refusal")
            assert "QoS 2" in str(good.error)
            assert good.messages == []

            good = await ours(ping)
            await until(lambda good=good: len(good.received) == 2, "both packets")
            assert good.received[0] == (PINGRESP, 0)
            assert good.messages == [(b"t", b"x")]
    finally:
        mqtt.MQTTClient = MQTTClient


# A callback that raises is never acknowledged


async def test_a_callback_that_raises():
    for error in (ValueError, MemoryError):

        def fail(topic, payload, error=error):
            raise error("no")

        data = broker.publish(b"t", b"x", 7)
        plain = Plain(data)
        plain.client.set_callback(fail)
        plain.failure("wait_msg")
        assert plain.sock.sent == b""

        good = await ours(data, take=fail)
        assert (await good.sent(1))[0] == (0x40, b"\0\7")
        assert good.error is None


# A topic of more than 122 bytes: the remaining length of a SUBSCRIBE is one byte in most versions


async def test_a_subscription_as_long_as_they_get_here():
    longest = b"csipio/data/in/devices/" + b"_dev_571692235317590466123"[:26] + b"/properties/#"
    assert len(longest) <= 122
    good = await ours()
    good.session.subscribe(longest, 65535)
    await good.session.flush()
    assert await good.sent(1) == [(0x82, b"\xff\xff" + broker.field(longest) + b"\1")]


# Keep-alive is nobody's job


async def test_a_sign_of_life_is_written_when_asked_for_only():
    plain = Plain(broker.PINGRESP * 3)
    for _ in range(3):
        plain.client.check_msg()
    assert plain.sock.sent == b""  # test_uplink.py shows who sends them here

    good = await ours()
    good.session.ping()
    await good.session.flush()
    assert await good.sent(1) == [(0xC0, b"")]

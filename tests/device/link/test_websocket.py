"""WebSockets: the upgrade, every rule of a frame, and MQTT through them."""

import asyncio
import binascii
import hashlib
import random
import struct
import sys

import broker
from firmware.link import LinkError
from firmware.link.mqtt_client import MqttClient
from firmware.link.mqtt_session import PINGRESP, PUBACK, Session
from firmware.link.stream import within
from firmware.link.websocket import WebSocket, upgrade
from peers import HOST, NETWORK, PAUSE_MS, Peer, Ticks, failure, narrow
from world import Shorter, configured

HEAP = "2M"

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
TOPIC = b"csipio/data/in/devices/_dev_1/properties/setpoint"


def frame(payload=b"", opcode=BINARY, final=True, length=None) -> bytes:
    """A server's frame. `length`: bytes of the extended length, where not the shortest."""
    size = len(payload)
    if length is None:
        length = 0 if size < 126 else 2 if size < 65536 else 8
    head = bytes(((0x80 if final else 0) | opcode, {0: size, 2: 126, 8: 127}[length]))
    return head + (size.to_bytes(length, "big") if length else b"") + payload


def frames(data) -> list:
    """[(opcode, payload), ...] of what a client sent, which has to be whole masked messages."""
    found = []
    masks = []
    at = 0
    while at < len(data):
        assert data[at] & 0xF0 == 0x80, "not one whole message"
        assert data[at + 1] & 0x80, "not masked"
        opcode = data[at] & 0x0F
        size = data[at + 1] & 0x7F
        at += 2
        assert size < 127, "too long for a client with a bounded buffer"
        if size == 126:
            size = data[at] << 8 | data[at + 1]
            assert size > 125, "not the shortest form of a length"
            at += 2
        mask = data[at : at + 4]
        masked = data[at + 4 : at + 4 + size]
        assert len(masked) == size, "cut off"
        masks.append(mask)
        found.append((opcode, bytes([b ^ mask[i & 3] for i, b in enumerate(masked)])))
        at += 4 + size
    assert len(set(masks)) == len(masks), "a mask was used twice"
    return found


class Wire:
    """A Stream of given bytes, which come in pieces of any size up to `most`, and then end."""

    def __init__(self, data, most=1 << 30):
        self._data = data
        self._at = 0
        self._most = most
        self.written = b""

    async def read_into(self, view):
        n = min(len(view), self._most, len(self._data) - self._at)
        if n == 0:
            raise LinkError("the connection was closed by the other side")
        memoryview(view)[:n] = self._data[self._at : self._at + n]
        self._at += n
        return n

    async def read_exactly(self, view):
        at = 0
        while at < len(view):
            at += await self.read_into(view[at:])

    async def write(self, data):
        self.written += bytes(data)

    def close(self):
        pass


async def heard(data, most=1 << 30):
    """(bytes out of the frames, the LinkError at their end, what the client answered)"""
    wire = Wire(data, most)
    web = WebSocket(wire)
    taken = bytearray()
    chunk = memoryview(bytearray(100))
    try:
        while True:
            n = await web.read_into(chunk)
            assert n > 0
            taken.extend(chunk[:n])
    except LinkError as error:
        return bytes(taken), str(error), frames(wire.written)


async def violation(data) -> str:
    taken, error, _ = await heard(data + frame(b"never read"))
    assert error.startswith("the broker breaks the WebSocket protocol: "), error
    assert taken == b""
    return error.split(": ", 1)[1]


# The upgrade


def accept_for(head) -> bytes:
    for line in head.split(b"\r\n"):
        if line.startswith(b"Sec-WebSocket-Key: "):
            key = line[len(b"Sec-WebSocket-Key: ") :]
            digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            return binascii.b2a_base64(digest).strip()
    raise AssertionError("no key")


ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def server(then=None, answer=ANSWER, heads=None):
    """A script that makes the upgrade and goes on with `then(conn)`."""

    async def script(conn):
        head = await conn.read_until(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        await conn.write(answer % accept_for(head) if b"%s" in answer else answer)
        await (then(conn) if then else conn.gone())

    return script


async def open_to(script, path="", **kw):
    """(WebSocket, peer)"""
    peer = Peer(script, **kw)
    stream = await NETWORK.connect(HOST, peer.port)
    try:
        web = await within(2000, "the upgrade", upgrade(stream, HOST, peer.port, path))
    except LinkError:
        stream.close()
        raise
    return web, peer


def client_of(url, network=NETWORK):
    """An MqttClient that has nothing to send."""

    class Nothing:
        def release(self):
            pass

    return MqttClient(configured(mqtt={"url": url}), network, Nothing(), None, None, None)


async def refused(answer) -> str:
    return str(await failure(open_to(server(answer=answer))))


async def test_the_request_to_the_byte():
    heads = []
    web, peer = await open_to(server(heads=heads), path="/mqtt")
    web.close()
    lines = heads[0].decode().split("\r\n")
    key = lines.pop(4).split(": ")
    assert key[0] == "Sec-WebSocket-Key" and len(binascii.a2b_base64(key[1])) == 16
    assert lines == [
        "GET /mqtt HTTP/1.1",
        "Host: %s:%d" % (HOST, peer.port),
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
        "",
        "",
    ]


async def test_each_request_has_a_key_of_its_own_and_a_path():
    heads = []
    for _ in range(2):
        web, _ = await open_to(server(heads=heads))
        web.close()
    assert heads[0].startswith(b"GET / HTTP/1.1\r\n")
    assert accept_for(heads[0]) != accept_for(heads[1])


def test_the_standards_own_example():
    """RFC 6455, section 1.3"""
    head = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert accept_for(head) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_names_of_headers_in_any_case_and_order_and_others_amid_them():
    answer = (
        b"HTTP/1.1 101\r\nSERVER: x\r\nSEC-WEBSOCKET-PROTOCOL:mqtt\r\nconnection: a, UPGRADE\r\n"
        b"sec-websocket-accept:   %s  \r\nno header at all\r\nupgrade: WebSocket\r\n\r\n"
    )
    web, _ = await open_to(server(answer=answer))
    web.close()


async def test_a_frame_right_behind_the_answer_is_not_lost():
    web, _ = await open_to(server(answer=ANSWER + frame(b"early")))
    view = memoryview(bytearray(5))
    await web.read_exactly(view)
    assert bytes(view) == b"early"
    web.close()


async def test_a_refusal_is_told_in_words():
    for status, words in (
        (b"301 Moved", "redirections are not followed"),
        (b"400 Bad Request", "is mqtt.url right, with its path?"),
        (b"404 Not Found", "is mqtt.url right, with its path?"),
        (b"503 Unavailable", "is the broker behind it running?"),
        (b"200 OK", "is mqtt.url right, with its path?"),
    ):
        error = await refused(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        start = "the server refused the WebSocket (HTTP status %s); " % str(status[:3], "utf-8")
        assert error.startswith(start) and words in error, error


async def test_an_answer_that_breaks_the_rules():
    def without(line):
        return b"\r\n".join([row for row in ANSWER.split(b"\r\n") if not row.startswith(line)])

    for answer, words in (
        (without(b"Upgrade"), "did not switch"),
        (without(b"Connection"), "did not switch"),
        (ANSWER.replace(b"websocket", b"h2c"), "did not switch"),
        (ANSWER.replace(b": Upgrade", b": keep-alive"), "did not switch"),
        (without(b"Sec-WebSocket-Accept"), "Sec-WebSocket-Accept is wrong"),
        (ANSWER.replace(b"%s", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "Accept is wrong"),
        (ANSWER.replace(b"%s", b"x%s"), "Accept is wrong"),
        (without(b"Sec-WebSocket-Protocol"), "does not speak MQTT"),
        (ANSWER.replace(b"mqtt", b"mqttv3.1"), "does not speak MQTT"),
        (ANSWER.replace(b"mqtt", b"mqtt\r\nSec-WebSocket-Extensions: x"), "extension"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no WebSocket server"),
        (b"HTTP/1.1\r\n\r\n", "no WebSocket server"),
        (b"HTTP/1.1 one\r\n\r\n", "no WebSocket server"),
        (b"\r\n\r\n", "no WebSocket server"),
        (b"\xff\xfe\r\n\r\n", "no WebSocket server"),
        (b"HTTP/1.1 101 \r\n" + b"X: y\r\n" * 1000, "no WebSocket server"),
        (b"x" * 5000, "no WebSocket server"),
    ):
        error = await refused(answer)
        assert words in error, (answer[:40], error)


async def test_an_answer_that_ends_early():
    for size in range(0, len(ANSWER), 7):

        async def then(_conn):
            pass

        error = await failure(open_to(server(then, answer=ANSWER[:size].replace(b"%s", b""))))
        assert "closed" in str(error) or "reset" in str(error), error


async def test_an_answer_that_drips_is_given_up():
    async def then(conn):
        await conn.drip(b"HTTP/1.1 101 Switching Protocols\r\n" * 100, 5)

    peer = Peer(server(then, answer=b""))
    stream = await NETWORK.connect(HOST, peer.port)
    error = await failure(within(200, "the upgrade", upgrade(stream, HOST, peer.port, "")))
    assert "took longer" in str(error)
    stream.close()


async def test_an_upgrade_without_an_answer_is_named():
    async def silent(conn):
        await conn.silence()

    peer = Peer(silent)
    client = client_of("ws://%s:%d" % (HOST, peer.port))
    with Shorter("UPGRADE_MS", 100):
        error = (await within(3000, "all", client.serve())).error
    assert str(error).startswith("the upgrade to a WebSocket took longer")
    peer.close()


# Reading


async def test_frames_are_a_stream_of_bytes():
    data = frame(b"abc") + frame() + frame(b"d" * 125) + frame(b"e" * 126) + frame(b"f" * 70000)
    for most in (1, 2, 3, 77, 1 << 30):
        taken, error, answers = await heard(data, most)
        assert taken == b"abc" + b"d" * 125 + b"e" * 126 + b"f" * 70000
        assert "closed by the other side" in error and not answers


async def test_every_form_of_a_length():
    """A length that could be shorter breaks section 5.2, and is understood all the same."""
    for length in (0, 2, 8):
        taken, _, _ = await heard(frame(b"abc", length=length) + frame(b"d"))
        assert taken == b"abcd"


async def test_the_end_of_a_frame_is_not_read_past():
    web = WebSocket(Wire(frame(b"abc") + frame(b"de")))
    buffer = bytearray(9)
    assert await web.read_into(buffer) == 3 and buffer[:3] == b"abc"
    assert await web.read_into(buffer) == 2 and buffer[:2] == b"de"


async def test_fragments_with_control_frames_between_them():
    data = (
        frame(b"ab", final=False)
        + frame(b"1", PING)
        + frame(b"", 0, final=False)
        + frame(b"cd", 0, final=False)
        + frame(b"x" * 125, PONG)
        + frame(b"2" * 125, PING)
        + frame(b"e", 0)
        + frame(b"f")
    )
    for most in (1, 1 << 30):
        taken, _, answers = await heard(data, most)
        assert taken == b"abcdef"
        assert answers == [(PONG, b"1"), (PONG, b"2" * 125)]


async def test_a_ping_is_answered_with_its_payload():
    for payload in (b"", b"x", b"\0\xff" * 62):
        _, _, answers = await heard(frame(payload, PING))
        assert answers == [(PONG, payload)]


async def test_a_close_is_answered_and_told():
    for payload, status in ((b"", 1005), (b"x", 1005), (b"\x03\xe8", 1000), (b"\x03\xf0no", 1008)):
        taken, error, answers = await heard(frame(b"a") + frame(payload, CLOSE) + frame(b"b"))
        assert taken == b"a"
        assert error == "the broker closed the WebSocket (status %d)" % status
        assert answers == [(CLOSE, payload[:2])]


async def test_a_close_is_told_if_nobody_takes_the_answer():
    class Deaf(Wire):
        async def write(self, data):
            raise LinkError("the connection was reset")

    web = WebSocket(Deaf(frame(b"\x03\xe8", CLOSE)))
    error = await failure(web.read_into(bytearray(1)))
    assert "status 1000" in str(error)


async def test_what_no_server_may_send():
    assert await violation(frame(b"21.5", TEXT)) == "text is no MQTT"
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        assert await violation(frame(b"", opcode)) == "opcode %d is reserved" % opcode
    for bit in (0x10, 0x20, 0x40):
        assert await violation(frame(b"", BINARY | bit)) == "reserved bits are set"
        assert await violation(frame(b"", PING | bit)) == "reserved bits are set"
    for opcode in (BINARY, PING, CLOSE):
        masked = bytes((0x80 | opcode, 0x81)) + b"mask" + b"x"
        assert await violation(masked) == "a server's frame is masked"
    for opcode in (PING, PONG, CLOSE):
        words = "a control frame is fragmented or too long"
        assert await violation(frame(b"", opcode, final=False)) == words
        assert await violation(frame(b"x" * 126, opcode)) == words
        assert await violation(bytes((0x80 | opcode, 127)) + b"\0" * 8) == words
    wrong_place = "a message begins or goes on in the wrong place"
    assert await violation(frame(b"", 0)) == wrong_place
    assert await violation(frame(b"", 0, final=False)) == wrong_place
    assert await violation(frame(b"", final=False) + frame(b"")) == wrong_place
    assert await violation(frame(b"", final=False) + frame(b"", 0) + frame(b"", 0)) == wrong_place
    assert await violation(b"\x82\x7f" + b"\xff" * 8) == ("a length has more than 63 bits")


async def test_the_longest_frame_that_can_be_said_is_a_stream_like_any():
    taken, error, _ = await heard(b"\x82\x7f\x7f" + b"\xff" * 7 + b"abc" * 1000)
    assert taken == b"abc" * 1000 and "closed" in error


async def test_cut_at_every_byte():
    for whole in (
        frame(b"abc"),
        frame(b"x" * 126),
        frame(b"abc", length=8),
        frame(b"12", PING) + frame(b"z"),
        frame(b"\x03\xe8bye", CLOSE),
    ):
        for size in range(len(whole)):
            _, error, _ = await heard(whole[:size])
            assert "closed by the other side" in error, (whole, size, error)


async def test_four_thousand_mutated_streams():
    """Nothing but a LinkError comes out, and never more bytes than went in."""
    random.seed(6455)
    seeds = (
        frame(b"abc") + frame(b"d" * 130) + frame(b"12", PING) + frame(b"\x03\xe8", CLOSE),
        frame(b"ab", final=False) + frame(b"1", PING) + frame(b"cd", 0) + frame(b"e", length=8),
        frame(broker.publish(TOPIC, b"21", 7)) + frame(broker.PINGRESP) + frame(b"", PONG),
    )
    for i in range(4000):
        data = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(data))
            kind = random.randrange(4)
            if kind == 0:
                data[at] = random.getrandbits(8)
            elif kind == 1:
                data[at] ^= 1 << random.randrange(8)
            elif kind == 2:
                data = data[:at] + data[at + random.randint(1, 3) :] or bytearray(1)
            else:
                data = data[:at] + data[random.randrange(len(data)) :] or bytearray(1)
        taken, error, answers = await heard(bytes(data), random.choice((1, 5, 1000)))
        assert len(taken) <= len(data) and error, (i, data)
        assert all(opcode in (PONG, CLOSE) for opcode, _ in answers), (i, data)


# Writing


async def test_what_is_written_is_masked_in_short_frames():
    data = bytes([i * 7 & 0xFF for i in range(2000)])
    for size in (0, 1, 2, 3, 4, 5, 125, 126, 127, 511, 512, 513, 1024, 2000):
        wire = Wire(b"")
        await WebSocket(wire).write(memoryview(data)[:size])
        sent = frames(wire.written)
        assert b"".join([payload for _, payload in sent]) == data[:size], size
        assert all(opcode == BINARY and len(payload) <= 512 for opcode, payload in sent)
        assert len(sent) == (size + 511) // 512


async def test_a_ping_amid_a_write_mixes_no_frames():
    feed = bytes(range(256)) * 235
    received = []

    async def then(conn):
        head = await conn.read(1000)
        for i in range(5):
            await conn.write(frame(bytes((i,)), PING))
        await conn.write(frame(b"x"))
        await asyncio.sleep_ms(30)
        await conn.read_to_end()
        received.append(head + conn.received)

    web, peer = await open_to(server(then), window=4096)
    narrow(web._stream._sock)
    writing = asyncio.create_task(web.write(feed))
    assert await web.read_into(bytearray(1)) == 1
    await writing
    web.close()
    await peer.finished()
    sent = frames(received[0])
    at = 0
    for opcode, payload in sent:
        if opcode == BINARY:  # compared in pieces: so many small ones leave no room for the whole
            assert payload == feed[at : at + len(payload)]
            at += len(payload)
    assert at == len(feed)
    pongs = [payload[0] for opcode, payload in sent if opcode == PONG]
    assert pongs == [0, 1, 2, 3, 4]
    assert sent[-1][0] == BINARY, "the pongs were amid the feed"


# MQTT through it


class Framed:
    """The broker's end: MQTT's bytes out of the client's frames, for broker.read_packet."""

    def __init__(self, conn):
        self._conn = conn
        self._bytes = b""

    async def read(self, n):
        while len(self._bytes) < n:
            head = await self._conn.read(2)
            size = head[1] & 0x7F
            extended = await self._conn.read(2) if size == 126 else b""
            if extended:
                size = extended[0] << 8 | extended[1]
            ((_, payload),) = frames(head + extended + await self._conn.read(4 + size))
            self._bytes += payload
        taken, self._bytes = self._bytes[:n], self._bytes[n:]
        return taken


async def session(then, messages, **kw):
    """(Session, peer) after CONNACK."""

    async def through(conn):
        framed = Framed(conn)
        first, _ = await broker.read_packet(framed)
        assert first == 0x10
        await conn.write(frame(broker.connack()))
        await then(conn, framed)

    web, peer = await open_to(server(through), **kw)
    found = Session(web, b"_dev_1", lambda topic, payload: messages.append(bytes(payload)))
    await within(2000, "connecting", found.connect(b"_key_1", b"secret", 25))
    return found, peer


async def test_a_session_over_frames_that_ignore_the_packets_borders():
    packets = broker.publish(TOPIC, b"21.5", 9) + broker.PINGRESP + broker.puback(3)

    async def then(conn, framed):
        for i in range(len(packets)):
            await conn.write(frame(packets[i : i + 1]) + frame(b"", PONG))
        await conn.write(frame(packets + packets))
        for _ in range(3):
            assert await broker.read_packet(framed) == (0x40, b"\0\x09")
        await conn.gone()

    messages = []
    link, peer = await session(then, messages)
    for _ in range(3):
        assert await link.receive() == (0x30, 0)
        assert await link.receive() == (PINGRESP, 0)
        assert await link.receive() == (PUBACK, 3)
    assert messages == [b"21.5"] * 3
    link._stream.close()
    await peer.finished()


async def test_a_feed_of_many_frames():
    feed = bytes([i % 251 for i in range(9000)])

    async def then(conn, framed):
        first, body = await broker.read_packet(framed)
        assert first == 0x32 and broker.read_publish(body) == (b"feeds", 5, feed)
        await conn.write(frame(broker.puback(5)))
        await conn.gone()

    link, peer = await session(then, [])
    link.publish(b"feeds", memoryview(feed), 5)
    await link.flush()
    assert await link.receive() == (PUBACK, 5)
    link._stream.close()
    await peer.finished()


async def test_a_frame_of_a_megabyte_is_skipped():
    size = 1000000
    packet = broker.publish(TOPIC, b"", 8)
    remaining = len(packet) - 2 + size
    prefix = bytes((0x32, remaining & 0x7F | 0x80, remaining >> 7 & 0x7F | 0x80, remaining >> 14))
    head = prefix + packet[2:]

    async def then(conn, framed):
        await conn.write(b"\x82\x7f" + struct.pack(">Q", len(head) + size) + head)
        chunk = b"x" * 1000
        for _ in range(size // 1000):
            await conn.write(chunk)
        assert await broker.read_packet(framed) == (0x40, b"\0\x08")
        await conn.write(frame(broker.publish(TOPIC, b"22", 9)))
        await conn.gone()

    messages = []
    link, peer = await session(then, messages)
    async with Ticks() as ticks:
        assert await within(30000, "the megabyte", link.receive()) == (0x30, 0)
    assert link.skipped == 1 and messages == []
    await link.receive()
    assert messages == [b"22"]
    assert ticks.longest_ms <= PAUSE_MS
    link._stream.close()
    await peer.finished()


async def test_a_flood_of_control_frames_leaves_others_their_turn():
    async def then(conn, _framed):
        try:
            while True:
                await conn.write((frame(b"", PONG) + frame()) * 300)
        except OSError:
            pass

    link, _ = await session(then, [])
    async with Ticks() as ticks:
        error = await failure(within(500, "a packet", link.receive()))
    assert "took longer" in str(error)
    assert ticks.longest_ms <= PAUSE_MS
    link._stream.close()


# The choice of it


class Refused(LinkError):
    pass


class Asked:
    """A Network that is asked for TLS or not, and refuses."""

    async def connect(self, host, port, tls):
        self.tls = tls
        raise Refused("no")


async def test_only_its_schemes_import_it_and_wss_has_tls():
    name = "firmware.link.websocket"
    kept = sys.modules.pop(name)
    try:
        for url, imported, tls in (
            ("mqtt://h", False, False),
            ("mqtts://h", False, True),
            ("ws://h", True, False),
            ("wss://h/x", True, True),
        ):
            network = Asked()
            client = client_of(url, network)
            assert (name in sys.modules) is imported, url
            assert type((await client.serve()).error) is Refused
            assert network.tls is tls, url
    finally:
        sys.modules[name] = kept


async def test_a_refused_upgrade_leaves_no_connection():
    peer = Peer(server(answer=b"HTTP/1.1 404 Not Found\r\n\r\n"))
    outcome = await client_of("ws://%s:%d" % (HOST, peer.port)).serve()
    assert "HTTP status 404" in str(outcome.error)
    await peer.finished()

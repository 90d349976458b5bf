"""WebSockets: every rule of a frame."""

import asyncio
import random

import broker
from firmware.link import LinkError
from firmware.link.websocket import WebSocket
from peers import failure, narrow
from websockets import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    TOPIC,
    frame,
    frames,
    open_to,
    server,
)

HEAP = "2M"


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

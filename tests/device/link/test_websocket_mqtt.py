"""MQTT through a WebSocket."""

import struct

import broker
from firmware.link.mqtt_session import Session
from firmware.link.packets import PINGRESP, PUBACK
from firmware.link.stream import within
from peers import PAUSE_MS, Ticks, failure
from websockets import (
    PONG,
    TOPIC,
    frame,
    frames,
    open_to,
    server,
)

HEAP = "2M"


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

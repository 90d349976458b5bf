"""The other end of a WebSocket (RFC 6455): its frames, and its side of the upgrade."""

import binascii
import hashlib

from firmware.link import LinkError
from firmware.link.mqtt_client import MqttClient
from firmware.link.stream import within
from firmware.link.websocket import upgrade
from peers import HOST, NETWORK, Peer
from world import configured

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

"""MQTT inside a WebSocket (RFC 6455), with the face of the Stream that it is wrapped around.

The borders of frames and messages mean nothing to MQTT (3.1.1, section 6). So what is read is the
payload of one binary frame after another, straight into the reader's buffer: no frame is stored,
however long it says that it is. What is written goes out in short frames, each a whole message.
"""

import asyncio
import binascii
import hashlib
import os

from micropython import const

from firmware.link import LinkError
from firmware.link.http_head import LONGEST_LINE, question, read_head
from firmware.link.stream import Stream

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_SERVER = "WebSocket server; is mqtt.url right?"
_ACCEPT = "sec-websocket-accept"
_PROTOCOL = "sec-websocket-protocol"
_EXTENSIONS = "sec-websocket-extensions"

# Masking needs a few times this for a moment; in TLS each frame is a record, which costs 22 bytes.
_LONGEST_PAYLOAD = const(512)
_LONGEST_HEAD = const(8)  # two bytes, a length of two more, the mask
_LONGEST_CONTROL = const(125)

_CONTINUATION = const(0x0)
_TEXT = const(0x1)
_BINARY = const(0x2)
_CLOSE = const(0x8)
_PING = const(0x9)
_PONG = const(0xA)
_NO_STATUS = const(1005)  # section 7.4.1: the close frame holds none


async def upgrade(stream, host: str, port: int, path: str, tls: bool = False) -> "WebSocket":
    """Ask for a WebSocket with subprotocol `mqtt` on a new stream, which remains the caller's to
    close where this raises: a LinkError.
    """
    key = binascii.b2a_base64(os.urandom(16)).strip()
    request = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    ) % key.decode()
    await stream.write((question("GET", path, host, port, tls) + request).encode())
    accept = binascii.b2a_base64(hashlib.sha1(key + _GUID).digest()).strip().decode()
    status, headers = await _answer(stream)
    _check(status, headers, accept)
    return WebSocket(stream)


async def _answer(stream) -> tuple:
    """The head of the server's answer, and nothing of what follows it: that is a frame."""
    byte = bytearray(1)

    async def next_line():
        line = bytearray()
        while not line.endswith(b"\r\n"):
            await stream.read_into(byte)
            if len(line) < LONGEST_LINE:
                line.extend(byte)
            else:
                line[-2] = line[-1]
                line[-1] = byte[0]
        return bytes(line[:-2])

    wanted = ("upgrade", "connection", _ACCEPT, _PROTOCOL, _EXTENSIONS)
    return await read_head(next_line, wanted, _SERVER)


def _check(status: int, headers: dict, accept: str):
    """What section 4.1 asks of the server's answer; LinkError says what is amiss."""
    if status != 101:
        raise LinkError(_refusal("%03d" % status))
    options = [option.strip() for option in headers.get("connection", "").lower().split(",")]
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in options:
        raise LinkError("the server did not switch to WebSocket; is mqtt.url right?")
    if headers.get(_ACCEPT) != accept:
        raise LinkError("the server's Sec-WebSocket-Accept is wrong; does a proxy answer for it?")
    if headers.get(_PROTOCOL) != "mqtt":
        raise LinkError("the server does not speak MQTT in its WebSocket; is mqtt.url right?")
    if headers.get(_EXTENSIONS):
        raise LinkError("the server uses a WebSocket extension that was not asked for")


def _refusal(status: str) -> str:
    text = "the server refused the WebSocket (HTTP status %s); " % status
    if status.startswith("3"):
        return text + "redirections are not followed: give mqtt.url the address that they lead to"
    if status.startswith("5"):
        return text + "is the broker behind it running?"
    return text + "is mqtt.url right, with its path?"


class WebSocket(Stream):
    """Bytes in the binary frames of another stream. A LinkError ends it: its owner closes it."""

    def __init__(self, stream):
        self._stream = stream
        # Who reads answers pings, while somebody else writes: frames may not be mixed.
        self._sending = asyncio.Lock()
        self._frame = memoryview(bytearray(_LONGEST_HEAD + _LONGEST_PAYLOAD))
        self._head = memoryview(bytearray(8))
        self._control = memoryview(bytearray(_LONGEST_CONTROL))
        self._left = 0  # bytes of the current data frame that were not read yet
        self._unfinished = False  # further frames belong to the current message

    async def read_into(self, view) -> int:
        while not self._left:
            await self._next()
        if self._left < len(view):
            view = memoryview(view)[: self._left]
        n = await self._stream.read_into(view)
        self._left -= n
        return n

    async def write(self, data):
        view = memoryview(data)
        for at in range(0, len(view), _LONGEST_PAYLOAD):
            await self._send(_BINARY, view[at : at + _LONGEST_PAYLOAD])

    def write_at_once(self, data):
        if not self._sending.locked():
            self._stream.write_at_once(self._pack(_BINARY, data))

    def close(self):
        self._stream.close()

    async def _next(self):
        """Take the head of the next frame, and all of it if it is a control frame."""
        head = self._head
        await self._stream.read_exactly(head[:2])
        first, size = head[0], head[1]
        opcode, final = first & 0x0F, bool(first & 0x80)
        if first & 0x70:
            raise _violation("reserved bits are set")
        if size & 0x80:
            raise _violation("a server's frame is masked")
        if opcode in (_CLOSE, _PING, _PONG):
            if not final or size > _LONGEST_CONTROL:
                raise _violation("a control frame is fragmented or too long")
            await self._obey(opcode, size)
            return
        if opcode == _TEXT:
            raise _violation("text is no MQTT")
        if opcode not in (_CONTINUATION, _BINARY):
            raise _violation("opcode %d is reserved" % opcode)
        if (opcode == _CONTINUATION) != self._unfinished:
            raise _violation("a message begins or goes on in the wrong place")
        if size > 125:
            field = head[: 2 if size == 126 else 8]
            await self._stream.read_exactly(field)
            if size == 127 and field[0] & 0x80:
                raise _violation("a length has more than 63 bits")
            size = int.from_bytes(field, "big")
        self._unfinished = not final
        self._left = size

    async def _obey(self, opcode: int, size: int):
        """Take the payload of a control frame, and answer it. LinkError if it is a close."""
        payload = self._control[:size]
        await self._stream.read_exactly(payload)
        if opcode == _PING:
            await self._send(_PONG, payload)
        elif opcode == _CLOSE:
            try:
                await self._send(_CLOSE, payload[:2])
            except LinkError:
                pass  # it did not wait for the answer; why it closed is worth more
            status = payload[0] << 8 | payload[1] if size > 1 else _NO_STATUS
            raise LinkError("the broker closed the WebSocket (status %d)" % status)

    async def _send(self, opcode: int, payload):
        """Send one frame, which is a whole message."""
        async with self._sending:
            await self._stream.write(self._pack(opcode, payload))

    def _pack(self, opcode: int, payload):
        """The frame, masked with four bytes of its own (section 5.3), in our only buffer."""
        size = len(payload)
        frame = self._frame
        frame[0] = 0x80 | opcode
        frame[1] = 0x80 | size
        at = 2
        if size > 125:
            frame[1] = 0x80 | 126
            frame[2] = size >> 8
            frame[3] = size & 0xFF
            at = 4
        mask = os.urandom(4)
        frame[at : at + 4] = mask
        at += 4
        # One long number instead of a loop in Python over the bytes.
        number = int.from_bytes((mask * (size + 3 >> 2))[:size], "little")
        number ^= int.from_bytes(payload, "little")
        frame[at : at + size] = number.to_bytes(size, "little")
        return frame[: at + size]


def _violation(what: str) -> LinkError:
    return LinkError("the broker breaks the WebSocket protocol: " + what)

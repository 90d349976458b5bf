"""Mutated WebSockets: the bytes that MQTT gets are those in the frames, or it is closed."""

import binascii
import hashlib
import random

import fuzz
from firmware.link import LinkError
from firmware.link.http_head import LONGEST_LINE
from firmware.link.websocket import WebSocket, upgrade

HEAP = "512K"
TIMEOUT_S = 100

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PADDING = 6000  # bytes that a cut frame may be lacking, to be given them


def frame(payload=b"", opcode=BINARY, final=True, length=None) -> bytes:
    """`length`: bytes of the extended length, where not the shortest."""
    size = len(payload)
    if length is None:
        length = 2 if size > 125 else 0
    head = bytes(((0x80 if final else 0) | opcode, {0: size, 2: 126, 8: 127}[length]))
    return head + (size.to_bytes(length, "big") if length else b"") + payload


GOOD = frame(b"the good frame")
FRAMES = (
    frame(b"\x40\2\0\1"),
    frame(b"x" * 125),
    frame(b"x" * 126),
    frame(b"y" * 300),
    frame(b"short", length=2),
    frame(b"short", length=8),
    frame(),
    frame(b"a", final=False) + frame(b"b", CONTINUATION, False) + frame(b"c", CONTINUATION),
    frame(b"a", final=False) + frame(b"amid", PING) + frame(b"c", CONTINUATION),
    frame(b"", PING),
    frame(b"p" * 125, PING),
    frame(b"", PONG),
    frame(b"\x03\xe8", CLOSE),
    frame(b"", CLOSE),
)
TOKENS = (
    b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x82\x7e\xff\xff",
    b"\x82\x7f\0\0\0\0\0\0\x20\0",
    b"\x82\x7e\0\0",
    b"\x82\xff",
    b"\x89\x7e\1\0",
    b"\x89\x7d",
    b"\x02\0",
    b"\x80\0",
    b"\x81\1x",
    b"\x8a\0",
    b"\xc2\0",
)


def stream() -> bytes:
    if not random.randrange(12):
        return fuzz.noise()
    whole = b"".join([random.choice(FRAMES) for _ in range(random.randrange(1, 5))])
    return fuzz.mutated(whole, FRAMES, TOKENS)


def expected(data):
    """(payload, payloads of the answers, how it ends, bytes lacking): RFC 6455, section 5."""
    payload = bytearray()
    answers = []
    at = 0
    unfinished = False
    while at < len(data):
        if at + 2 > len(data):
            return payload, answers, "cut", 1
        opcode, final = data[at] & 15, data[at] >> 7
        size = data[at + 1]
        if data[at] & 0x70 or size > 127:
            return payload, answers, "bad", 0
        at += 2
        control = opcode in (CLOSE, PING, PONG)
        if control and (size > 125 or not final):
            return payload, answers, "bad", 0
        if not control and opcode != (CONTINUATION if unfinished else BINARY):
            return payload, answers, "bad", 0
        if size > 125:
            length = 2 if size == 126 else 8
            if at + length > len(data):
                return payload, answers, "cut", at + length - len(data)
            size = int.from_bytes(data[at : at + length], "big")
            if size >> 63:
                return payload, answers, "bad", 0
            at += length
        whole = data[at : at + min(size, len(data))]
        if not control:
            payload.extend(whole)
            unfinished = not final
        if len(whole) < size:
            return payload, answers, "cut", size - len(whole)
        at += size
        if opcode == PING:
            answers.append(whole)
        elif opcode == CLOSE:
            answers.append(whole[:2])
            return payload, answers, "close", 0
    return payload, answers, "whole", 0


def answered(data) -> list:
    """The payloads of the frames, each a whole and masked one, that the client wrote."""
    found = []
    at = 0
    while at < len(data):
        size = data[at + 1] & 0x7F
        assert data[at] in (0x80 | CLOSE, 0x80 | PONG) and data[at + 1] & 0x80 and size < 126
        mask = bytes(data[at + 2 : at + 6]) * 32
        number = int.from_bytes(mask[:size], "big")
        number ^= int.from_bytes(data[at + 6 : at + 6 + size], "big")
        found.append(number.to_bytes(size, "big"))
        at += 6 + size
    return found


async def check(data):
    _, _, _, lacking = expected(data)
    if lacking <= PADDING:
        data += bytes(lacking) + GOOD
    served = fuzz.Served(data, fuzz.pieces())
    return await follow(served, WebSocket(served), data)


async def follow(served, web, data):
    """What the WebSocket makes of `data`, which is what it is served now."""
    payload, answers, end, _ = expected(data)
    taken = bytearray()
    chunk = memoryview(bytearray(100))
    try:
        while True:
            n = await web.read_into(chunk)
            assert 0 < n <= 100
            taken.extend(chunk[:n])
    except fuzz.End:
        assert end in ("cut", "whole")
    except LinkError as error:
        assert "closed the WebSocket" in str(error) if end == "close" else end == "bad", error
    assert taken == payload
    assert answered(served.written) == answers
    return "understood" if end == "whole" else "closed"


async def test_whatever_frames_come_are_understood_or_end_the_connection():
    await fuzz.each("WebSocket", stream, check, 65536)


# The upgrade

HEADS = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    b"HTTP/1.1 101\r\nServer: nginx\r\nconnection: keep-alive, UPGRADE\r\nDate: today\r\n"
    b"sec-websocket-protocol:mqtt\r\nsec-websocket-accept:%s\r\nUPGRADE: WebSocket\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
)
HEAD_TOKENS = (
    b"\r\n",
    b"\r\n\r\n",
    b": ",
    b"%s",
    b"101",
    b"HTTP/1.1",
    b"HTTP/1.1 101\r\n",
    b"Upgrade",
    b"Sec-WebSocket-Extensions: x\r\n",
    b"Sec-WebSocket-Protocol: mqttv5\r\n",
    b"\xff\xfe",
    b"x" * 2048,
    b"\r\n" + b"a:b\r\n" * 300,
)


class Server(fuzz.Served):
    """Serves once it was asked, with the right key where the answer has its place."""

    accept = None

    async def write(self, data):
        if self.accept:
            await super().write(data)
            return
        start = data.find(b"Sec-WebSocket-Key: ") + 19
        key = data[start : data.find(b"\r", start)]
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.accept = binascii.b2a_base64(digest).strip()
        self.data = memoryview(bytes(self.data).replace(b"%s", self.accept))


def answer() -> bytes:
    data = random.choice(HEADS[:2] * 4 + HEADS) + random.choice(FRAMES)
    return fuzz.mutated(data, HEADS + FRAMES, HEAD_TOKENS)


def agreed(head, accept) -> bool:
    """Whether the answer is a server's consent (RFC 6455, section 4.1), of what is kept of it."""
    lines = [line[: LONGEST_LINE - 2] for line in head.split(b"\r\n")]
    words = lines[0].split()
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    options = [option.strip().lower() for option in headers.get(b"connection", b"").split(b",")]
    return (
        len(words) > 1
        and words[0].startswith(b"HTTP/1.")
        and words[1] == b"101"
        and headers.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in options
        and headers.get(b"sec-websocket-accept") == accept
        and headers.get(b"sec-websocket-protocol") == b"mqtt"
        and not headers.get(b"sec-websocket-extensions")
    )


async def check_upgrade(data):
    served = Server(data, fuzz.pieces())
    try:
        web = await upgrade(served, "mqtt.csip.io", 443, "/mqtt")
    except LinkError as error:
        data = bytes(served.data)
        size = data.find(b"\r\n\r\n")
        if isinstance(error, fuzz.End):
            assert size < 0
        else:
            assert size < 0 or not agreed(data[:size], served.accept), error
        return "refused"
    data = bytes(served.data)
    assert agreed(data[: data.find(b"\r\n\r\n")], served.accept)
    await follow(served, web, data[served.at :])
    return "agreed"


async def test_whatever_answers_an_upgrade_is_consent_or_refused():
    # Read by the byte, it allocates much, though little at a time: the heap is the bound.
    await fuzz.each("upgrade", answer, check_upgrade)

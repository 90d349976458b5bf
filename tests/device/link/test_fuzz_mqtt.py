"""Mutated MQTT: what a session makes of it is what the standard says, or it is closed.

Every stream is read twice: by `expected`, slow and plain, and by a Session. A good packet comes
at the end of each, and has to be understood if nothing before it was a reason to close.
"""

import gc
import random

import broker
import fuzz
from firmware.link import LinkError
from firmware.link.mqtt_session import MAX_PACKET, Session

HEAP = "512K"
TIMEOUT_S = 100

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
TOPIC = b"csipio/data/in/devices/_dev_1/properties/setpoint"
GOOD = broker.publish(b"good", b"21.5", 0x6E6E)

PACKETS = (
    broker.publish(TOPIC, b"21.5", 1),
    broker.publish(TOPIC, b"22", 65535),
    broker.publish(TOPIC, b'"off"'),
    broker.publish(TOPIC, b"", 7),
    broker.publish(b"", b""),
    broker.publish("°C/½".encode(), b"\xff\0\r\n", 9),
    broker.publish(b"t", b"x" * 110, 10),
    broker.publish(b"t", b"x" * 300, 0x3003),
    broker.packet(0x3B, broker.field(b"t") + b"\0\5x"),  # a second time, retained
    broker.puback(1),
    broker.puback(0x3003),
    broker.puback(65535),
    broker.suback(1),
    broker.suback(2, 0),
    broker.suback(3, 0x80),
    broker.PINGRESP,
    broker.PINGRESP,
)
# Lengths: the largest, one too many, longer than need be, small ones; and heads without a body.
TOKENS = (
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\x7f",
    b"\xff\x7f",
    b"\x80\x20",
    b"\x81\x20",
    b"\x82\0",
    b"\x80\x80\x80\0",
    b"\xff\xff",
    b"\x40\x82\0\0\1",
    b"\x90\x83\0\0\1\1",
    b"\x32\x80\x20\0\1t\0\1",
    b"\x32\x81\x20\0\1t\0\1",
    b"\x30\x90\x27\0\1t",
    b"\x32\xff\xff\xff\x7f\0\1t\0\1",
    b"\x34\7\0\1t\0\1xx",
    b"\x36\7\0\1t\0\1xx",
    b"\x20\2\0\0",
    b"\xe0\0",
)
PADDING = 6000  # bytes that a cut packet may be lacking, to be given them


def stream() -> bytes:
    if not random.randrange(12):
        return fuzz.noise()
    whole = b"".join([random.choice(PACKETS) for _ in range(random.randrange(1, 5))])
    return fuzz.mutated(whole, PACKETS, TOKENS)


def greeting() -> bytes:
    """A stream from its CONNACK on."""
    if not random.randrange(12):
        return fuzz.noise()
    first = random.choice((broker.connack(),) * 5 + (b"\x20\2\1\0", broker.connack(5)))
    return fuzz.mutated(first + random.choice(PACKETS), PACKETS, TOKENS)


def expected(data, greeted):
    """(packets, how it ends, bytes lacking) of a stream; `greeted`: there was a CONNACK before.

    A packet is (kind, packet id, message or None, acknowledgement or None, may it be refused).
    It ends as "whole", "cut" or "bad".
    """
    found = []
    at = 0
    while at < len(data):
        first = data[at]
        kind = first & 0xF0
        size = shift = 0
        while True:
            at += 1
            if at == len(data):
                return found, "cut", 1
            size |= (data[at] & 0x7F) << shift
            shift += 7
            if not data[at] & 0x80:
                break
            if shift == 28:
                return found, "bad", 0
        at += 1
        # The standard has nothing against a length that could be written in fewer bytes.
        odd = shift > 7 and not data[at - 1]
        lacking = at + size - len(data)
        large = size > MAX_PACKET
        if large and (kind != PUBLISH or first & 4):
            return found, "bad", 0
        body = data[at : at + size]
        if large and len(body) > 1 and (body[0] << 8 | body[1]) > size - 2 - (first & 2):
            return found, "bad", 0
        if lacking > 0:
            return found, "cut", lacking
        at += size
        pid, message, acknowledged = 0, None, None
        if not greeted:
            if kind != CONNACK or size != 2 or body[1]:
                return found, "bad", 0
            odd = odd or first & 15 or body[0] & 0xFE
            greeted = True
            found.append((kind, 0, None, None, odd))
            continue
        if kind == PUBLISH:
            if first & 4 or size < 2:
                return found, "bad", 0
            end = 2 + (body[0] << 8 | body[1])
            if first & 2:
                acknowledged = body[end : end + 2]
                start = end + 2
            else:
                start = end
            if start > size:
                return found, "bad", 0
            message = (body[2:end], body[start:])
            if large:
                message = (message[0][:256], range(size - start))
        elif kind in (PUBACK, SUBACK):
            if size < 2 or (kind == SUBACK and body[2:] == b"\x80"):
                return found, "bad", 0
            odd = odd or size != (2 if kind == PUBACK else 3)
            pid = body[0] << 8 | body[1]
        elif kind == PINGRESP:
            odd = odd or size != 0
        else:
            return found, "bad", 0
        # Reserved bits, and what only a server may write into an acknowledgement.
        odd = odd or (kind != PUBLISH and first & 15)
        odd = odd or (kind == SUBACK and body[2:3] not in (b"\0", b"\1", b"\2"))
        found.append((kind, pid, message, acknowledged, odd))
    return found, "whole", 0


async def check(data, greeted=True):
    packets, end, lacking = expected(data, greeted)
    if lacking <= PADDING:
        data += bytes(lacking) + GOOD
        packets, end, _ = expected(data, greeted)
    messages, given, acknowledgements = [], [], b""
    served = fuzz.Served(data, fuzz.pieces())
    session = Session(served, b"_dev_1", lambda *message: messages.append(message))
    if not greeted:
        try:
            await session.connect(b"_key_1", b"secret", 25)
        except LinkError as error:
            assert not packets or packets[0][4], error
            return "refused"
        assert packets and packets.pop(0)[0] == CONNACK
        served.written = bytearray()
    try:
        while True:
            got = await session.receive()
            assert packets, got
            kind, pid, message, acknowledged, _ = packets.pop(0)
            assert got == (kind, pid)
            if message:
                given.append(message)
            if acknowledged:
                acknowledgements += b"\x40\2" + acknowledged
    except fuzz.End:
        assert end == "cut" or (end == "whole" and not packets), (end, packets)
    except LinkError as error:
        assert packets[0][4] if packets else end == "bad", (error, end, packets)
    assert messages == given or str(messages) == str(given)  # no two ranges are the same
    assert served.written == acknowledgements
    return "understood" if end == "whole" and not packets else "closed"


async def check_greeting(data):
    return await check(data, False)


async def test_whatever_a_broker_sends_is_understood_or_ends_the_session():
    await fuzz.each("MQTT", stream, check, 65536)


async def test_whatever_answers_a_connect_is_understood_or_refused():
    await fuzz.each("CONNACK", greeting, check_greeting, 65536)


async def test_the_largest_message_is_copied_once():
    """A board has little more than the room for two of them, when all is running."""
    for topic, payload in ((b"t", bytes(MAX_PACKET - 5)), (b"t" * (MAX_PACKET - 5), b"x")):
        taken = []
        served = fuzz.Served(broker.publish(topic, payload, 1))
        session = Session(served, b"_dev_1", lambda *message, taken=taken: taken.append(message))
        gc.collect()
        gc.disable()
        try:
            before = gc.mem_alloc()
            await session.receive()
            allocated = gc.mem_alloc() - before
        finally:
            gc.enable()
        assert taken == [(topic, payload)]
        assert allocated < 2 * MAX_PACKET + 6144

"""MQTT packets as the standard writes them, without the firmware's or umqtt's help."""


def packet(first, body) -> bytes:
    """A packet: first byte and body."""
    size = len(body)
    head = bytes((first,))
    while True:
        head += bytes((size & 0x7F | (0x80 if size > 0x7F else 0),))
        size >>= 7
        if not size:
            return head + body


def field(data) -> bytes:
    return len(data).to_bytes(2, "big") + data


def publish(topic, payload, pid=0, qos=None) -> bytes:
    """A PUBLISH, with QoS 1 where it has a packet id."""
    if qos is None:
        qos = 1 if pid else 0
    number = pid.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, field(topic) + number + payload)


def puback(pid) -> bytes:
    return b"\x40\x02" + pid.to_bytes(2, "big")


def suback(pid, code=1) -> bytes:
    return b"\x90\x03" + pid.to_bytes(2, "big") + bytes((code,))


def connack(code=0) -> bytes:
    return b"\x20\x02\0" + bytes((code,))


PINGREQ = b"\xc0\0"
PINGRESP = b"\xd0\0"


async def read_packet(conn) -> tuple:
    """(first byte, body) of one whole packet from a Conn."""
    first = (await conn.read(1))[0]
    size = shift = 0
    while True:
        byte = (await conn.read(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
        assert shift <= 21, "a remaining length of more than four bytes"
    return first, await conn.read(size) if size else b""


def read_publish(body) -> tuple:
    """(topic, packet id, payload) of the body of a PUBLISH with QoS 1."""
    end = 2 + (body[0] << 8 | body[1])
    assert end + 2 <= len(body), body
    return body[2:end], body[end] << 8 | body[end + 1], body[end + 2 :]


def packets(data) -> list:
    """[(first byte, body), ...] of bytes that have to be whole packets."""
    found = []
    at = 0
    while at < len(data):
        first = data[at]
        size = shift = 0
        while True:
            at += 1
            size |= (data[at] & 0x7F) << shift
            shift += 7
            if not data[at] & 0x80:
                break
        at += 1
        assert at + size <= len(data), "cut off: %r" % data[at:]
        found.append((first, bytes(data[at : at + size])))
        at += size
    return found

"""What passes between a device and a server, cut into the units that a fault strikes.

A splitter is a class whose `feed(data)` gives every unit that is whole by now; a proxy makes one
for each direction of each connection. `Packets` are MQTT's, `Records` are TLS's; `Chunks` are
whatever the network brought, for faults that only count bytes.
"""

import re
import struct

UP, DOWN = "up", "down"  # to the server, to the device

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = 8, 9, 12, 13

# TLS 1.2: RFC 5246, sections 6.2.1 and 7.4; RFC 5077 for the ticket.
CHANGE_CIPHER_SPEC, HANDSHAKE = 20, 22
MESSAGES = {
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    11: "Certificate",
    12: "ServerKeyExchange",
    14: "ServerHelloDone",
    16: "ClientKeyExchange",
}


class Chunks:
    """Bytes as they come."""

    def feed(self, data: bytes) -> list[bytes]:
        return [data]


class _Whole:
    """Units of a known length. `_length()` of what is there so far: None if that can't be said."""

    def __init__(self):
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._held += data
        units = []
        while (length := self._length(self._held)) is not None and length <= len(self._held):
            units.append(self._held[:length])
            self._held = self._held[length:]
        return units


class Packets(_Whole):
    """MQTT control packets (MQTT 3.1.1, section 2.2)."""

    @staticmethod
    def _length(held: bytes) -> int | None:
        size = 0
        for at, byte in enumerate(held[1:5]):
            size |= (byte & 0x7F) << 7 * at
            if not byte & 0x80:
                return 2 + at + size
        return None


class Records(_Whole):
    """TLS records (RFC 5246, section 6.2.1)."""

    @staticmethod
    def _length(held: bytes) -> int | None:
        return 5 + struct.unpack_from("!H", held, 3)[0] if len(held) >= 5 else None


class Messages(_Whole):
    """HTTP requests or answers whose bodies have a Content-Length, or none at all."""

    @staticmethod
    def _length(held: bytes) -> int | None:
        head, end, _ = held.partition(b"\r\n\r\n")
        if not end:
            return None
        told = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return len(head) + 4 + (int(told[1]) if told else 0)


def kind(packet: bytes) -> int:
    """An MQTT packet's type."""
    return packet[0] >> 4


def pid(packet: bytes) -> int:
    """The packet id of an acknowledgement."""
    return struct.unpack_from("!H", packet, 2)[0]


def puback(number: int) -> bytes:
    return struct.pack("!BBH", PUBACK << 4, 2, number)


def publish(topic: bytes, payload: bytes, number: int = 0) -> bytes:
    """A PUBLISH, with QoS 1 if it has a packet id."""
    body = struct.pack("!H", len(topic)) + topic
    if number:
        body += struct.pack("!H", number)
    body += payload
    return bytes([PUBLISH << 4 | (2 if number else 0)]) + _remaining(len(body)) + body


def _remaining(size: int) -> bytes:
    """MQTT 3.1.1, section 2.2.3."""
    encoded = bytearray()
    while True:
        size, byte = size >> 7, size & 0x7F
        encoded.append(byte | (0x80 if size else 0))
        if not size:
            return bytes(encoded)


def message(record: bytes) -> str:
    """The name of the handshake message that a TLS record begins with.

    After ChangeCipherSpec it cannot be read: what comes then, in a handshake, is Finished. It may
    begin with any byte, but the length after that is not that of a message in this record.
    """
    if record[0] == CHANGE_CIPHER_SPEC:
        return "ChangeCipherSpec"
    if record[0] == HANDSHAKE:
        readable = 9 + int.from_bytes(record[6:9], "big") <= len(record)
        return MESSAGES.get(record[5], "Finished") if readable else "Finished"
    return "data"

"""MQTT 3.1.1 over a stream: the packets are umqtt.simple's, the input and output are ours.

umqtt believes that it has a blocking socket. It gets a `_Wire`: what it writes is collected there
and sent by us, and what it reads is one packet that has been received whole and whose size has
been checked. So it can neither block nor lose its place in the stream.
"""

import asyncio
import struct

from micropython import const
from umqtt.simple import MQTTClient

from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import LinkError, deadlines, reasons, send
from firmware.link.packets import CONNACK, PINGRESP, PUBACK, PUBLISH, SUBACK
from firmware.link.stream import within

# A command is the raw value of one property; the largest that this device understands is a part
# of its configuration. Larger packets are passed over without being stored, but for their topic.
MAX_PACKET = const(4096)
_LONGEST_TOPIC = const(256)  # of those; what is longer is nobody's

_DISCONNECT = b"\xe0\0"

# Payloads from here on are sent from where they are; smaller pieces are copied, since umqtt uses
# its packet buffer again at once, and joined: each write is a TLS record, which costs 22 bytes.
_LARGE = const(64)
_BYTES = (bytes, bytearray, memoryview)  # what is no feed
_PIECE = const(512)
_CHUNK = const(64)
_DUP = const(0x08)  # MQTT 3.1.1, section 3.3.1.1
_RETAIN = const(0x01)  # section 3.3.1.3
_CREDENTIALS = (2, 4, 5)  # table 3.1


class _AnswerWanted(Exception):
    """umqtt has written its packet and would now wait for the acknowledgement."""


class _Wire:
    """The socket that umqtt.simple sees."""

    def __init__(self):
        self.out = []
        self.flags = 0  # to be set in the next byte, which has to be a packet's first
        self._packet = None
        self._at = 0

    def write(self, data, size=-1):
        if isinstance(data, str):
            raise TypeError("umqtt counts characters of a str: bytes, please")
        if self.flags:
            data = bytes((data[0] | self.flags,)) + bytes(data[1:])
            self.flags = 0
        if len(data) >= _LARGE or type(data) not in _BYTES:
            self.out.append(data)
            return
        data = bytes(data if size < 0 else data[:size])
        if self.out and len(self.out[-1]) + len(data) <= _PIECE and type(self.out[-1]) is bytes:
            self.out[-1] += data
        else:
            self.out.append(data)

    def hand_over(self, packet):
        """Let umqtt read this one packet."""
        self._packet = packet
        self._at = 0

    def read(self, size: int) -> bytes:
        if self._packet is None:
            raise _AnswerWanted
        at = self._at
        self._at = at + size
        if self._at > len(self._packet):
            raise LinkError("the broker sent a malformed packet")
        return bytes(memoryview(self._packet)[at : self._at])

    def setblocking(self, flag):
        """umqtt calls it; there is nothing to do."""


class Session:
    """One connection to the broker, from CONNECT on. Its owner calls `receive` again and again."""

    def __init__(self, stream, client_id: bytes, on_message, max_packet: int = MAX_PACKET):
        """`on_message(topic, payload)`, both bytes, is called from `receive`. What it raises is
        logged, and the message acknowledged: it would come back for ever. `max_packet`: bytes
        after the fixed header; of what is larger a range stands for the payload, as long as it.
        """
        self._stream = stream
        self._wire = _Wire()
        self._client = MQTTClient(client_id, None)
        self._client.sock = self._wire
        self._client.set_callback(self._deliver)
        self._on_message = on_message
        self._max_packet = max_packet
        self._client_id = client_id
        self._header = bytearray(2)
        self._head = 2  # bytes of the last packet before its body; a length may have up to four
        self._sending = asyncio.Lock()
        self._cut = False  # a packet was begun, and not sent to its end
        self.sent_ms = uptime.ms()  # when something was last sent, for the keep-alive
        self.skipped = 0  # packets passed over because of their size
        self.retained = False  # the message that is being delivered was kept by the broker

    async def connect(self, user: bytes, password: bytes, keepalive_s: int):
        """Send CONNECT and wait for CONNACK. The one packet that umqtt can't write by itself."""
        body = b"\0\4MQTT\4\xc2" + struct.pack("!H", keepalive_s)
        for field in (self._client_id, user, password):
            body += struct.pack("!H", len(field)) + field
        if len(body) > 127:
            head = bytes((0x10, len(body) & 0x7F | 0x80, len(body) >> 7))
        else:
            head = bytes((0x10, len(body)))
        # The first that is sent: where there is TLS, its handshake comes before it.
        ms = deadlines.TLS_MS + deadlines.PACKET_OUT_MS
        await within(ms, "sending CONNECT", self._stream.write(head + body))
        self.sent_ms = uptime.ms()
        what = "the broker's answer to CONNECT"
        kind, packet = await within(deadlines.CONNACK_MS, what, self._packet())
        if kind != CONNACK or packet is None or len(packet) != self._head + 2:
            raise LinkError("what answers is no MQTT broker; is mqtt.url right?")
        code = packet[-1]
        if code:
            raise LinkError(reasons.connack(code), refused=code in _CREDENTIALS)

    def subscribe(self, topic: bytes, pid: int):
        """Write a SUBSCRIBE with QoS 1."""
        self._client.pid = pid - 1
        try:
            self._client.subscribe(topic, 1)
        except _AnswerWanted:
            pass

    def publish(self, topic: bytes, payload, pid: int, again: bool = False):
        """Write a PUBLISH with QoS 1. The payload, bytes or a feed, must stay until `flush` sends
        it. `again`: some of it was sent before, which MQTT calls DUP.
        """
        # umqtt would count on past 65,535, and then wait for ever for an id that can't be said.
        self._client.pid = pid - 1
        self._wire.hand_over(None)
        self._wire.flags = _DUP if again else 0
        try:
            self._client.publish(topic, payload, False, 1)
        except _AnswerWanted:
            pass

    def ping(self):
        self._client.ping()

    def leave(self):
        """Say DISCONNECT, unless that would take time or stand in the middle of a packet. Needs no
        event loop, and raises nothing: it is good manners.
        """
        if self._cut or self._sending.locked():
            return
        try:
            self._stream.write_at_once(_DISCONNECT)
        except (OSError, ValueError, MemoryError):
            pass

    @property
    def unsent(self) -> bool:
        """Is there anything for `flush` to do?"""
        return bool(self._wire.out)

    async def flush(self):
        """Send what was written. Raises LinkError if that takes too long: packets may be cut."""
        if self._wire.out or self._sending.locked():
            await within(deadlines.PACKET_OUT_MS, "sending to the broker", self._flush())

    async def _flush(self):
        # Both who publishes and who answers the broker come here; packets may not be mixed.
        async with self._sending:
            out = self._wire.out
            while out:
                if self._cut:
                    raise LinkError("a packet to the broker was cut")
                self._cut = True
                data, head = out.pop(0), b""
                if out and type(out[0]) not in _BYTES:
                    data, head = out.pop(0), data
                await send(self._stream, data, head)
                self._cut = False
                self.sent_ms = uptime.ms()

    async def receive(self) -> tuple:
        """Wait for a packet; return its type and packet id, 0 where it has none."""
        kind, packet = await self._packet()
        if packet is None:
            pass
        elif kind == PUBLISH:
            # umqtt notices it after the delivery, by an assert, which may be compiled away.
            if packet[0] & 4:
                raise LinkError("the broker sent a message with QoS 2, which was not asked for")
            self.retained = bool(packet[0] & _RETAIN)
            self._wire.hand_over(packet)
            try:
                self._client.wait_msg()
            finally:
                self._wire.hand_over(None)
            # umqtt has written the PUBACK.
            await self.flush()
        elif kind in (PUBACK, SUBACK):
            at = self._head
            if len(packet) - at < (2 if kind == PUBACK else 3):
                raise LinkError("the broker sent a malformed packet")
            if kind == SUBACK and packet[at + 2 :] == b"\x80":
                raise LinkError("the broker refused the subscription to this device's commands")
            return kind, packet[at] << 8 | packet[at + 1]
        elif kind != PINGRESP:
            raise LinkError("the broker sent a packet that nobody asked for")
        return kind, 0

    def _deliver(self, topic: bytes, payload):
        try:
            self._on_message(topic, payload)
        except Exception as error:  # whatever it is, the session and the acknowledgement go on
            Log("link").error("a message was lost: %s: %s", type(error).__name__, error)

    async def _packet(self) -> tuple:
        """Receive a whole packet: (type, all its bytes), or (type, None) if it was skipped."""
        header = memoryview(self._header)
        await self._stream.read_exactly(header)
        first = header[0]
        size = header[1] & 0x7F
        shift = 7
        prefix = bytearray(header)
        while prefix[-1] & 0x80:
            if shift > 21:
                raise LinkError("the broker sent a malformed packet")
            await self._stream.read_exactly(header[:1])
            prefix.append(header[0])
            size |= (header[0] & 0x7F) << shift
            shift += 7
        if size > self._max_packet:
            await self._skip(first, size)
            return first & 0xF0, None
        self._head = len(prefix)
        packet = bytearray(self._head + size)
        packet[: self._head] = prefix
        await self._stream.read_exactly(memoryview(packet)[self._head :])
        return first & 0xF0, packet

    async def _skip(self, first: int, size: int):
        """Read past a packet that is too large; tell of it, and acknowledge it as any other."""
        self.skipped += 1
        if first & 0xF0 != PUBLISH or first & 4:
            raise LinkError("the broker sent a malformed packet")
        number = memoryview(bytearray(2))
        await self._stream.read_exactly(number)
        length = number[0] << 8 | number[1]
        size -= 2 + length + (first & 2)  # a packet id has two bytes
        if size < 0:
            raise LinkError("the broker sent a malformed packet")
        topic = bytearray(min(length, _LONGEST_TOPIC))
        await self._stream.read_exactly(memoryview(topic))
        chunk = memoryview(bytearray(_CHUNK))
        await self._discard(chunk, length - len(topic))
        if first & 2:
            await self._stream.read_exactly(number)
            self._wire.write(b"\x40\x02" + bytes(number))
        await self._discard(chunk, size)
        self.retained = bool(first & _RETAIN)
        self._deliver(bytes(topic), range(size))
        await self.flush()

    async def _discard(self, chunk, size: int):
        while size:
            size -= await self._stream.read_into(chunk[: min(size, len(chunk))])

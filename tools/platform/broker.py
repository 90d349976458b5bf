"""An MQTT 3.1.1 broker for one device: amqtt, embedded, with the platform behind it.

amqtt 0.12.1 as it comes acknowledges a publish before anybody has seen it, never enforces the
keep-alive, goes on parsing after a protocol error, lets a client with a wrong password replace
the one that is connected, and keeps messages for sessions that are away. What is overridden
here puts each of those right, or makes it what the platform documents; everything else (packet
codec, sessions, subscriptions, delivery) is amqtt's. Because private methods of amqtt are
overridden, its version is pinned exactly.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable
from typing import Protocol

import websockets.asyncio.server
from amqtt.adapters import (
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WebSocketsWriter,
    WriterAdapter,
)
from amqtt.broker import Broker, RetainedApplicationMessage, Server
from amqtt.contexts import Action, BrokerConfig
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import (
    CONNECTION_ACCEPTED,
    UNACCEPTABLE_PROTOCOL_VERSION,
    ConnackPacket,
)
from amqtt.mqtt.constants import QOS_1, QOS_2
from amqtt.mqtt.packet import (
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    MQTTFixedHeader,
)
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.protocol.handler import ProtocolHandler
from amqtt.session import ApplicationMessage, Session
from websockets.exceptions import ConnectionClosed

from .ports import Listener

log = logging.getLogger(__name__)
# What a stranger may do to a listener is no error of the broker's; what matters is logged here.
for _name in ("amqtt", "websockets"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_CONNECT_WITHIN_S = 10
_PACKET_WITHIN_S = 60  # the platform's documented timeout
_KEEP_ALIVE_FACTOR = 1.5  # MQTT 3.1.1, 3.1.2.10
_PACKET_BYTES = 1024 * 1024
_CLOSE_WITHIN_S = 1
_CONNECT = 0x10  # the first byte of the packet
_NAME = b"\x00\x04MQTT"
_LEVEL = 4  # MQTT 3.1.1

_HANDLERS = {
    PUBACK: "handle_puback",
    PUBREC: "handle_pubrec",
    PUBREL: "handle_pubrel",
    PUBCOMP: "handle_pubcomp",
    SUBSCRIBE: "handle_subscribe",
    UNSUBSCRIBE: "handle_unsubscribe",
    PINGREQ: "handle_pingreq",
}


class Gate(Protocol):
    """What the broker asks the platform."""

    def admit(self, client_id: str, key_id: str | None, secret: str | None) -> int:
        """The CONNACK return code for these credentials; 0 admits."""

    def may_subscribe(self, client_id: str, topic_filter: str) -> bool:
        """Whether the device may subscribe to this filter."""

    def take(self, client_id: str, topic: str, payload: bytes) -> None:
        """Store what a publish carries; it is acknowledged when this has returned."""


class DeviceBroker(Broker):
    """Listens with TCP, TLS and WebSocket on three ports; one instance is started once."""

    def __init__(self, gate: Gate, ports: dict[str, int], tls: ssl.SSLContext):
        super().__init__(BrokerConfig(plugins={}))
        self.gate = gate
        self._ports = ports
        self._tls = tls
        self._listeners: dict[str, Listener] = {}

    # -- listeners and connections

    async def _start_listeners(self) -> None:
        # All are bound before one listens, so a port that is taken leaves nothing running.
        with contextlib.ExitStack() as undo:
            for name in ("mqtt", "mqtts", "ws"):
                self._listeners[name] = undo.enter_context(Listener(self._ports[name]))
            undo.pop_all()
        for name, listener in self._listeners.items():
            self.listeners_config[name] = self.listeners_config["default"]
            self._servers[name] = Server(name, await self._listen(name, listener))

    async def _listen(
        self, name: str, listener: Listener
    ) -> asyncio.Server | websockets.asyncio.server.Server:
        if name == "ws":
            return await websockets.asyncio.server.serve(
                self._websocket_connected,
                sock=listener,
                subprotocols=[websockets.Subprotocol("mqtt")],
                max_size=_PACKET_BYTES,
                close_timeout=_CLOSE_WITHIN_S,
            )
        tls = self._tls if name == "mqtts" else None

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(name, StreamReaderAdapter(reader), _StreamWriter(writer))

        return await asyncio.start_server(connected, sock=listener, ssl=tls)

    async def _websocket_connected(
        self, socket: websockets.asyncio.server.ServerConnection
    ) -> None:
        await self._serve("ws", _WebSocketReader(socket), _WebSocketWriter(socket))

    async def _serve(self, name: str, reader: ReaderAdapter, writer: WriterAdapter) -> None:
        try:
            await self._client_connected(name, reader, writer)
        except OSError as error:
            log.info("connection lost: %s", error)
        finally:
            writer.abort()

    async def shutdown(self) -> None:
        """Stop listening and cut the connections."""
        for name, listener in self._listeners.items():
            self._servers[name].instance.close()
            listener.cut()
        await super().shutdown()

    # -- sessions: never kept, and taken over only by who has the key

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, address: str, port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            handler, session = await asyncio.wait_for(
                self._begin(reader, writer), _CONNECT_WITHIN_S
            )
        except Exception as error:  # amqtt's parser raises whatever a stranger's bytes lead to
            log.info("no valid CONNECT from %s:%d: %r", address, port, error)
            raise AMQTTError(f"no valid CONNECT from {address}:{port}: {error}") from error
        code = self.gate.admit(session.client_id, session.username, session.password)
        if code != CONNECTION_ACCEPTED:
            await ConnackPacket.build(0, code).to_stream(writer)
            await writer.close()
            raise AMQTTError(f"refused {session.client_id} with return code {code}")
        # The platform keeps nothing for a device that is away, neither commands nor
        # subscriptions, whatever its CONNECT asked for; and it has one connection at a time.
        if (before := self._sessions.get(session.client_id)) is not None:
            before[1].writer.abort()
            await self._cleanup_session(session.client_id)
        session.will_flag = False  # the platform has no documented use for a last will
        session.delivered_message_queue = _Intake(self.gate, session.client_id)
        log.info("%s connected from %s:%d", session.client_id, address, port)
        return handler, session

    async def _begin(
        self, reader: ReaderAdapter, writer: WriterAdapter
    ) -> tuple[BrokerProtocolHandler, Session]:
        """Read CONNECT. One of another version is not laid out as amqtt reads it."""
        connect = await _whole_connect(reader)
        level = connect.level
        if level != _LEVEL:
            await ConnackPacket.build(0, UNACCEPTABLE_PROTOCOL_VERSION).to_stream(writer)
            await writer.close()
            raise MQTTError(f"protocol level {level}; expected {_LEVEL}, MQTT 3.1.1")
        return await _Handler.init_from_connect(connect, writer, self.plugins_manager)

    async def _authenticate(self, session: Session, listener: object) -> bool:
        return True  # _initialize_client_session has

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        return action is Action.RECEIVE or self.gate.may_subscribe(session.client_id, topic)

    async def _handle_disconnect(
        self, session: Session, handler: BrokerProtocolHandler, waiter: asyncio.Future
    ) -> None:
        await super()._handle_disconnect(session, handler, waiter)
        log.info("%s disconnected", session.client_id)

    def connected(self, client_id: str) -> bool:
        """Whether the client has a session now."""
        session = self._sessions.get(client_id, (None, None))[0]
        return session is not None and session.transitions.state == "connected"

    def disconnect(self, client_id: str) -> None:
        """End the client's connection, if it has one."""
        if client_id in self._sessions:
            self._sessions[client_id][1].writer.abort()

    def retain(self, prefix: str, messages: dict[str, bytes]) -> None:
        """These messages by topic, and no others, are retained below a prefix; new ones are sent.

        As a broker does: a subscriber gets them with the retain flag, at each subscription; who
        has subscribed already gets a new one without.
        """
        for topic in [topic for topic in self._retained_messages if topic.startswith(prefix)]:
            if topic not in messages:
                del self._retained_messages[topic]
        for topic, payload in messages.items():
            before = self._retained_messages.get(topic)
            if before is None or before.data != payload:
                self._retained_messages[topic] = RetainedApplicationMessage(
                    None, topic, payload, QOS_1
                )
                self.send(topic, payload)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish to whoever is connected and has subscribed, at its own QoS."""
        self._broadcast_queue.put_nowait({"session": None, "topic": topic, "data": payload})


class _Intake(asyncio.Queue):
    """Where amqtt puts a publish before it acknowledges it (QoS 1: PUBACK, QoS 2: PUBCOMP).

    Nothing is queued: the message is stored on the spot, so an acknowledged one is a stored one.
    """

    def __init__(self, gate: Gate, client_id: str):
        super().__init__()
        self._gate = gate
        self._client_id = client_id

    async def put(self, message: ApplicationMessage) -> None:
        self.put_nowait(message)

    def put_nowait(self, message: ApplicationMessage) -> None:
        self._gate.take(self._client_id, message.topic, bytes(message.data))


class _Handler(BrokerProtocolHandler):
    """One connection's packets, one after the other, with the keep-alive enforced."""

    async def start(self) -> None:
        # Before the reader starts: it may meet the end of the connection at once.
        self._disconnect_waiter = asyncio.Future()
        self._flows: set[asyncio.Task] = set()
        await ProtocolHandler.start(self)

    async def _reader_loop(self) -> None:
        keep_alive_s = self.session.keep_alive
        patience_s = keep_alive_s * _KEEP_ALIVE_FACTOR if keep_alive_s else None
        client_id = self.session.client_id
        self._reader_ready.set()
        try:
            while await self._next_packet(patience_s):
                pass
        except TimeoutError:
            log.warning("%s was silent beyond its keep-alive of %d s", client_id, keep_alive_s)
        except (NoDataError, OSError):
            pass  # the connection is gone, and what was half received with it
        except Exception as error:  # one connection ends, the broker does not
            log.warning("%s: connection ended: %r", client_id, error)
        finally:
            for flow in self._flows:
                flow.cancel()
            await self.handle_connection_closed()
            self._reader_stopped.set()
            if self.writer is not None:
                self.writer.abort()

    async def _next_packet(self, patience_s: float | None) -> bool:
        """Read and handle one packet; False when the client has said goodbye or hung up."""
        header = await asyncio.wait_for(MQTTFixedHeader.from_stream(self.reader), patience_s)
        if header is None:
            return False
        if header.remaining_length > _PACKET_BYTES:
            raise MQTTError(f"a packet of {header.remaining_length} bytes")
        reading = packet_class(header).from_stream(self.reader, fixed_header=header)
        packet = await asyncio.wait_for(reading, _PACKET_WITHIN_S)
        if header.packet_type == DISCONNECT:
            await self.handle_disconnect(packet)
            return False
        if header.packet_type == PUBLISH:
            handling = self.handle_publish(packet)
            if packet.qos == QOS_2:  # its flow waits for packets that are yet to be read
                self._detach(handling)
            else:
                await handling
            return True
        if header.packet_type not in _HANDLERS:
            raise MQTTError(f"a packet of type {header.packet_type}")
        await getattr(self, _HANDLERS[header.packet_type])(packet)
        return True

    def _detach(self, handling: Awaitable[None]) -> None:
        task = asyncio.ensure_future(handling)
        self._flows.add(task)
        task.add_done_callback(self._flows.discard)


class _Connect(ReaderAdapter):
    """A CONNECT that was read already, and what follows it."""

    def __init__(self, packet: bytes, level: int, rest: ReaderAdapter):
        self._packet = packet
        self._rest = rest
        self.level = level

    async def read(self, n: int = -1) -> bytes:
        if not self._packet:
            return await self._rest.read(n)
        taken, self._packet = self._packet[:n], self._packet[n:]
        return taken

    def feed_eof(self) -> None:
        self._rest.feed_eof()


async def _whole_connect(reader: ReaderAdapter) -> _Connect:
    """Raises MQTTError where something else comes."""
    packet = await reader.read(1)
    if not packet or packet[0] != _CONNECT:
        raise MQTTError("no CONNECT")
    size = shift = 0
    while shift == 0 or packet[-1] & 0x80:
        packet += await reader.read(1)
        size |= (packet[-1] & 0x7F) << shift
        shift += 7
        if shift > 28:
            raise MQTTError("a length of more than four bytes")
    if size > _PACKET_BYTES:
        raise MQTTError(f"a CONNECT of {size} bytes")
    body = await reader.read(size)
    if len(body) < size or not body.startswith(_NAME):
        raise MQTTError("no CONNECT of MQTT 3.1.1 or newer")
    return _Connect(packet + body, body[len(_NAME)], reader)


class _StreamWriter(StreamWriterAdapter):
    """amqtt's, but a peer that no longer reads cannot hold up its closing."""

    async def close(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(super().close(), _CLOSE_WITHIN_S)

    def abort(self) -> None:
        self._writer.transport.abort()


class _WebSocketWriter(WebSocketsWriter):
    """amqtt's, and a way to end the connection without the closing handshake."""

    async def drain(self) -> None:
        try:
            await super().drain()
        except ConnectionClosed as error:
            raise ConnectionResetError(str(error)) from error

    def abort(self) -> None:
        self._protocol.transport.abort()


class _WebSocketReader(ReaderAdapter):
    """A byte stream out of binary messages, whose borders mean nothing (MQTT 3.1.1, 6)."""

    def __init__(self, socket: websockets.asyncio.server.ServerConnection):
        self._socket = socket
        self._buffer = bytearray()

    async def read(self, n: int = -1) -> bytes:
        """`n` bytes, or none at the end of the connection."""
        while len(self._buffer) < n:
            try:
                message = await self._socket.recv()
            except ConnectionClosed:
                return b""
            if isinstance(message, str):
                raise MQTTError("a text message on the WebSocket")
            self._buffer += message
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    def feed_eof(self) -> None:
        """The end of the connection is seen by `read`."""

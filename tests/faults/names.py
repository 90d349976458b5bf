"""A name server whose answers are scripted (RFC 1035, UDP).

`NameServer` is for `Rig.measure` what a proxy is: a fault is put in and taken out. The faults
here are functions: from a query and the true address to the packets that are sent back.
"""

import asyncio
import struct
from collections.abc import Callable

from tools.faults.faults import STRUCK
from tools.faults.proxy import Loop

_A, _CNAME, _IN = 1, 5, 1
_POINTER = b"\xc0\x0c"  # to the name in the question


class Misnamed:
    """What happens to each question; done when it has struck so often."""

    until = STRUCK
    left = 0

    def __init__(
        self, name: str, answer: Callable[[bytes, str], list[bytes]] | None, times: int = 1
    ):
        """answer: None if the port is closed, so that the question itself is refused."""
        self.name = name
        self.answer = answer
        self.times = times
        self.met = 0

    @property
    def done(self) -> bool:
        return self.met >= self.times or self.answer is None


class NameServer:
    """Knows every name, all at one address."""

    def __init__(self, loop: Loop, address: str = "127.0.0.1"):
        self._loop = loop
        self._address = address
        self._fault: Misnamed | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0
        self.asked = 0

    def __enter__(self) -> "NameServer":
        self._loop.wait(self._open())
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.wait(self._close())

    def inject(self, fault: Misnamed) -> None:
        self._fault = fault
        if fault.answer is None:
            self._loop.wait(self._close())

    def heal(self) -> None:
        self._fault = None
        self._loop.wait(self._open())

    async def _open(self) -> None:
        if self._transport is None:
            loop = asyncio.get_running_loop()
            where = ("127.0.0.1", self.port)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(self), where)
            self.port = self._transport.get_extra_info("sockname")[1]

    async def _close(self) -> None:
        if self._transport:
            self._transport.close()
            self._transport = None

    def hear(self, query: bytes, who) -> None:
        self.asked += 1
        fault = self._fault
        if fault is None:
            self._transport.sendto(true(query, self._address), who)
            return
        fault.met += 1
        for packet in fault.answer(query, self._address):
            self._transport.sendto(packet, who)


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer):
        self._server = server

    def datagram_received(self, data: bytes, who) -> None:
        self._server.hear(data, who)


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, _IN, 60, len(data)) + data


def answer(query: bytes, records: list[bytes], flags: int = 0x8180) -> bytes:
    """The answer to a query: its own id and question, and these records."""
    head = query[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0)
    return head + query[12:] + b"".join(records)


def address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def true(query: bytes, at: str) -> bytes:
    return answer(query, [record(_POINTER, _A, address(at))])


def _another_id(packet: bytes) -> bytes:
    return bytes([packet[0] ^ 0xFF]) + packet[1:]


def faults() -> list[Misnamed]:
    def failing(code):
        return lambda query, _: [answer(query, [], 0x8180 | code)]

    alias = record(_POINTER, _CNAME, b"\x05alias\x04test\0")
    circle = record(_POINTER, _CNAME, _POINTER)
    return [
        Misnamed("DNS is silent", lambda query, at: [], 2),
        Misnamed("the name server's port is closed", None),
        Misnamed("DNS fails (SERVFAIL)", failing(2)),
        Misnamed("DNS refuses", failing(5)),
        Misnamed("DNS knows no such name", failing(3)),
        Misnamed("DNS has another address", lambda query, at: [true(query, "127.0.0.2")]),
        Misnamed("DNS has no address", lambda query, at: [answer(query, [])]),
        Misnamed(
            "DNS has an alias without an address", lambda query, at: [answer(query, [alias])]
        ),
        Misnamed("DNS has a circle of aliases", lambda query, at: [answer(query, [circle])]),
        Misnamed(
            "DNS answers to another question",
            lambda query, at: [_another_id(true(query, "127.0.0.2")), true(query, at)],
        ),
        Misnamed("DNS answers with a pointer to itself", _pointers),
        Misnamed("DNS answers with garbage", lambda query, at: [b"\xff" * 512, b"", b"\0" * 12]),
        Misnamed("DNS cuts its answer short", lambda query, at: [answer(query, [], 0x8380)]),
        Misnamed("DNS cuts its packet", lambda query, at: [true(query, at)[:-3]]),
    ]


def _pointers(query: bytes, _: str) -> list[bytes]:
    itself = struct.pack("!H", 0xC000 | len(query))
    return [answer(query, [record(itself, _A, address("127.0.0.2"))])]

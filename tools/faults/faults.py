"""The faults, each scripted: what it does depends on bytes, packets and counts, never on chance.

A fault is put into a proxy (proxy.py), which asks it at each step of each connection. It counts
how often it has struck (`met`) and how many struck connections have ended (`left`), and says
itself when it has been seen enough (`done`); only `Refuse` goes by the clock, since nobody sees
a connection that is refused.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable

from tools.faults import units
from tools.faults.units import DOWN, UP

LEFT, STRUCK, STAYS = "left", "struck", "stays"


class Fault:
    """Nothing is wrong; and what a fault may change."""

    listens = True  # does the port accept connections?
    lasts = True  # for the connections that it has struck, also after the proxy was healed
    server = None  # (host, port, TLS) of whom the proxy leads to instead of the real server

    def __init__(self, name: str, times: int = 1, until: str = LEFT):
        """times, until: it is done when it has STRUCK so often, or when so many struck connections
        have LEFT; with STAYS, when it has struck so often, and none of them may leave."""
        self.name = name
        self.times = times
        self.until = until
        self.met = 0
        self.left = 0

    @property
    def done(self) -> bool:
        return (self.left if self.until == LEFT else self.met) >= self.times

    async def begin(self, proxy) -> None:
        """What happens to the connections that are open."""

    async def end(self) -> None:
        """The proxy is healed."""

    async def opened(self, link) -> bool:
        """A device has connected; is it to be led to the server?"""
        return True

    async def passing(self, link, way: str, unit: bytes) -> None:
        """A unit (units.py) is here; send it on, or not."""
        await link.send(way, unit)

    async def ended(self, link, way: str) -> None:
        """The side that sends in this direction has said goodbye. Returning ends the link."""


class _New(Fault):
    """Strikes new connections; whatever is open ends, so that there is a new one."""

    async def begin(self, proxy) -> None:
        for link in list(proxy.links):
            link.reset()


# -- TCP


class Refuse(_New):
    """Nothing listens."""

    listens = False

    def __init__(self, lasts_s: float):
        super().__init__("refuse")
        self._lasts_s = lasts_s
        self._ends_s = None

    async def begin(self, proxy) -> None:
        await super().begin(proxy)
        self._ends_s = time.monotonic() + self._lasts_s

    @property
    def done(self) -> bool:
        return self._ends_s is not None and time.monotonic() >= self._ends_s


class Silent(_New):
    """Connections are accepted, and that is all."""

    async def opened(self, link) -> bool:
        link.strike()
        await link.swallow()
        return False


class Close(Fault):
    """Open connections are closed in good order, and new ones as soon as they are made."""

    async def begin(self, proxy) -> None:
        for link in list(proxy.links):
            link.strike()
            link.close()

    async def opened(self, link) -> bool:
        link.strike()
        return False


class Reset(Fault):
    """Open connections are reset, and new ones as soon as they are made."""

    async def begin(self, proxy) -> None:
        for link in list(proxy.links):
            link.strike()
            link.reset()

    async def opened(self, link) -> bool:
        link.strike()
        link.reset()
        return False


class Away(Reset):
    """For a server that is not part of the test: it serves nobody, but keeps its port."""

    def __init__(self):
        super().__init__("away")


class HalfOpen(Fault):
    """Packets vanish in both directions, goodbyes too; the connections stay."""

    async def begin(self, proxy) -> None:
        for link in proxy.links:
            link.strike()

    async def opened(self, link) -> bool:
        link.strike()
        await link.swallow()
        return False

    async def passing(self, link, way: str, unit: bytes) -> None:
        """Vanished."""

    async def ended(self, link, way: str) -> None:
        if way == DOWN:
            await asyncio.Event().wait()  # until the device itself gives it up


class Stall(_New):
    """After so many bytes in one direction, counted from the connection's first, none passes."""

    def __init__(self, way: str, after: int):
        super().__init__(f"stall after {after} {'byte' if after == 1 else 'bytes'} {way}")
        self._way = way
        self._after = after

    async def passing(self, link, way: str, unit: bytes) -> None:
        if way == self._way:
            room = self._after - link.memory.get("passed", 0)
            link.memory["passed"] = link.memory.get("passed", 0) + len(unit)
            if len(unit) > room and not link.struck:
                link.strike()
            unit = unit[: max(0, room)]
        await link.send(way, unit)


class Drip(_New):
    """One byte a second in one direction."""

    def __init__(self, way: str, every_s: float = 1):
        super().__init__(f"one byte a second {way}")
        self._way = way
        self._every_s = every_s

    async def opened(self, link) -> bool:
        link.strike()
        link.memory["bytes"] = asyncio.Queue()
        link.memory["tap"] = asyncio.create_task(self._drip(link))
        return True

    async def _drip(self, link) -> None:
        while True:
            byte = await link.memory["bytes"].get()
            try:
                await link.send(self._way, byte)
            except OSError:
                return
            await asyncio.sleep(self._every_s)

    async def passing(self, link, way: str, unit: bytes) -> None:
        if way != self._way:
            await link.send(way, unit)
            return
        for byte in unit:
            link.memory["bytes"].put_nowait(bytes([byte]))

    async def ended(self, link, way: str) -> None:
        link.memory["tap"].cancel()


# -- Units: MQTT packets, HTTP messages


class Cut(_New):
    """Each connection ends inside its first packet of a kind: after 0 bytes of it, after 1, ….

    `kind`: of an MQTT packet; None for any unit. `start` and `step` share the bytes out between
    devices. It is done when each byte of a packet has been the last.
    """

    def __init__(
        self, name: str, way: str, kind: int | None = None, start: int = 0, step: int = 1
    ):
        super().__init__(f"cut inside {name}")
        self._way = way
        self._kind = kind
        self._step = step
        self._at = start
        self._over = False

    @property
    def done(self) -> bool:
        return self._over

    async def passing(self, link, way: str, unit: bytes) -> None:
        wanted = way == self._way and self._kind in (None, units.kind(unit))
        if self._over or not wanted:
            await link.send(way, unit)
            return
        if self._at >= len(unit):
            self._over = True
            await link.send(way, unit)
            return
        link.strike()
        await link.send(way, unit[: self._at])
        self._at += self._step
        raise EOFError

    def __str__(self) -> str:
        return f"{self.name}, next at byte {self._at}"


class Rewrite(Fault):
    """Other packets come in the place of one. `rewrite(unit)` gives them, or None for as it is.

    At most `most` of them are struck: afterwards all is well again, even before the proxy is
    healed.
    """

    lasts = False

    def __init__(
        self,
        name: str,
        way: str,
        kind: int | None,
        rewrite: Callable[[bytes], Iterable[bytes] | None],
        times: int = 1,
        until: str = LEFT,
        most: int | None = None,
        anew: bool = False,
    ):
        """anew: the packet comes only at the beginning of a connection; so the open one ends."""
        super().__init__(name, times, until)
        self._way = way
        self._kind = kind
        self._rewrite = rewrite
        self._most = most
        self._anew = anew

    async def begin(self, proxy) -> None:
        if self._anew:
            for link in list(proxy.links):
                link.reset()

    async def passing(self, link, way: str, unit: bytes) -> None:
        wanted = way == self._way and self._kind in (None, units.kind(unit))
        instead = None
        if wanted and (self._most is None or self.met < self._most):
            instead = self._rewrite(unit)
        if instead is None:
            await link.send(way, unit)
            return
        link.strike()
        for other in instead:
            await link.send(way, other)


class Answer(Fault):
    """An HTTP server that is not the platform: requests get this answer and go nowhere.

    `answer(request)` gives pieces of it in order: bytes, or seconds to wait; and None for a
    request that is to be answered by the platform. It may never end. `close`: with the last
    piece the connection ends.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[bytes], Iterable[bytes | float] | None],
        times: int = 2,
        most: int | None = None,
        close: bool = False,
    ):
        super().__init__(name, times, STRUCK)
        self._answer = answer
        self._most = most
        self._close = close
        self.requests: list[bytes] = []

    async def passing(self, link, way: str, unit: bytes) -> None:
        pieces = None
        if way == UP and (self._most is None or self.met < self._most):
            pieces = self._answer(unit)
        if pieces is None:
            await link.send(way, unit)
            return
        link.strike()
        self.requests.append(unit)
        for piece in pieces:
            if isinstance(piece, bytes):
                await link.send(DOWN, piece)
            else:
                await asyncio.sleep(piece)
        if self._close:
            raise EOFError


# -- TLS


class Withhold(_New):
    """A TLS handshake stops before the first message of this name in this direction."""

    def __init__(self, way: str, message: str):
        whose = "client's" if way == UP else "server's"
        super().__init__(f"handshake stalls before the {whose} {message}")
        self._way = way
        self._message = message

    async def passing(self, link, way: str, unit: bytes) -> None:
        if way == self._way and not link.struck and units.message(unit) == self._message:
            link.strike()
        if not link.struck or way != self._way:
            await link.send(way, unit)


class Impostor(_New):
    """The connection leads to somebody else, on this port of this computer."""

    def __init__(self, name: str, port: int, times: int = 2):
        super().__init__(name, times)
        self.server = ("127.0.0.1", port, None)

    async def opened(self, link) -> bool:
        link.strike()
        return True


# -- HTTP's pieces


def http(status: str, body: bytes = b"", *headers: str) -> list[bytes]:
    """An answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + body]


def forever(piece: bytes, every_s: float = 0) -> Iterable[bytes | float]:
    """Endless."""
    for _ in itertools.count():
        yield piece
        yield every_s


def chunked(message: bytes, size: int) -> list[bytes]:
    """The same answer in chunks (RFC 9112, section 7.1), with an extension and a trailer."""
    head, _, body = message.partition(b"\r\n\r\n")
    lines = [
        line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")
    ]
    pieces = [b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + b"\r\n\r\n"]
    for at in range(0, len(body), size):
        part = body[at : at + size]
        pieces.append(b"%X;note=x\r\n%s\r\n" % (len(part), part))
    return [*pieces, b"0\r\nTrailer: x\r\n\r\n"]

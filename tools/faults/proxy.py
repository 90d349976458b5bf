"""A TCP proxy between the device and one server, which does to each connection what a fault says.

    device ──► Proxy ──► server           UP is to the server, DOWN is to the device

It runs in an asyncio loop in a thread of its own (`Loop`). Without a fault it forwards. A fault
(faults.py) is put in by `inject` and taken out by `heal`; what it has struck stays as it is: the
packets of a half-open connection do not come back when the network does.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine

from tools.faults.faults import Fault
from tools.faults.units import DOWN, UP, Chunks
from tools.platform import ports

_ANSWER_WITHIN_S = 20
_CHUNK = 65536
PORT_ATTEMPTS = 5


class Loop:
    """An event loop in a thread: `with Loop() as loop`, then `loop.wait(coroutine)`."""

    def __enter__(self) -> "Loop":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.wait(_cancel_the_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_WITHIN_S)


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Link:
    """One connection of the device. `fault` is what happens to it, for as long as it lives."""

    def __init__(self, proxy: "Proxy", fault: Fault, device: tuple):
        self.proxy = proxy
        self.fault = fault
        self.struck = False
        self.memory: dict = {}  # what a fault has to know of this connection
        self._readers = {UP: device[0]}
        self._writers = {DOWN: device[1]}

    async def run(self) -> None:
        try:
            if not await self.fault.opened(self):
                return
            host, port, context = self.fault.server or self.proxy.server
            name = "localhost" if context else None
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=name
            )
            self._readers[DOWN], self._writers[UP] = reader, writer
            await self.both()
        except (OSError, EOFError):
            pass
        finally:
            self.close()

    async def both(self) -> None:
        """Forward in both directions, until one has come to its end."""
        pumps = [asyncio.create_task(self._pump(way)) for way in (UP, DOWN)]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, way: str) -> None:
        split = self.proxy.split()
        while data := await self._readers[way].read(_CHUNK):
            for unit in split.feed(data):
                await self.fault.passing(self, way, unit)
        await self.fault.ended(self, way)

    async def send(self, way: str, data: bytes) -> None:
        """On to the server (UP) or to the device (DOWN)."""
        self.forward(way, data)
        await self._writers[way].drain()

    def forward(self, way: str, data: bytes) -> None:
        """The same, without waiting until it is on its way."""
        self._writers[way].write(data)

    async def swallow(self) -> None:
        """Read what the device sends, answer nothing; until the device leaves."""
        while await self._readers[UP].read(_CHUNK):
            pass

    def close(self) -> None:
        """Say goodbye to both sides (FIN)."""
        for writer in self._writers.values():
            with contextlib.suppress(OSError):
                writer.close()

    def reset(self) -> None:
        """Break off without a goodbye (RST)."""
        for writer in self._writers.values():
            with contextlib.suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def strike(self) -> None:
        """Note that the fault has happened to this connection."""
        self.fault.met += 1
        self.struck = True


class Proxy:
    """Listens on `port` of 127.0.0.1. `split`: the units (units.py) that faults are shown.

    server: (host, port, TLS context or None) of the real one. All methods are for other threads
    than the loop's.
    """

    def __init__(
        self,
        loop: Loop,
        server: tuple[str, int, ssl.SSLContext | None],
        split: Callable = Chunks,
    ):
        self._loop = loop
        self.server = server
        self.split = split
        self.port = 0
        self._none = Fault("none")
        self._fault: Fault = self._none
        self._listener: asyncio.Server | None = None
        self.links: set[Link] = set()
        self.opened = 0  # connections so far

    def __enter__(self) -> "Proxy":
        for attempt in range(PORT_ATTEMPTS):
            self.port = ports.choose({"proxy": 0})["proxy"]
            try:
                self._loop.wait(self._listen(True))
                break
            except OSError:  # somebody was faster
                if attempt == PORT_ATTEMPTS - 1:
                    raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.wait(self._stop())

    def inject(self, fault) -> None:
        """From now on, new connections, and if the fault says so those that are open, have it."""
        self._loop.wait(self._inject(fault))

    def heal(self) -> None:
        """New connections are sound again, and so are those that the fault has not struck."""
        self._loop.wait(self._heal())

    def cut(self) -> None:
        """Reset whatever is open."""
        self._loop.wait(self._cut())

    async def _cut(self) -> None:
        for link in list(self.links):
            link.reset()

    async def _inject(self, fault) -> None:
        self._fault = fault
        for link in self.links:
            link.fault, link.struck, link.memory = fault, False, {}
        await self._listen(fault.listens)
        await fault.begin(self)

    async def _heal(self) -> None:
        await self._fault.end()
        self._fault = self._none
        for link in self.links:
            if not (link.struck and link.fault.lasts):
                link.fault, link.struck = self._none, False
        await self._listen(True)

    async def _stop(self) -> None:
        await self._listen(False)
        await self._cut()

    async def _listen(self, wanted: bool) -> None:
        if wanted and self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        elif not wanted and self._listener:
            self._listener.close()
            self._listener = None

    async def _accept(self, reader, writer) -> None:
        link = Link(self, self._fault, (reader, writer))
        self.opened += 1
        self.links.add(link)
        try:
            # Cancelled at the end of the loop: asyncio's server would complain of that.
            with contextlib.suppress(asyncio.CancelledError):
                await link.run()
        finally:
            self.links.discard(link)
            if link.struck:
                link.fault.left += 1


class Somebody:
    """A server that is neither broker nor API: it only hears what it is told.

    With `context` it speaks TLS, and `heard` holds what came out of it.
    """

    def __init__(self, loop: Loop, context: ssl.SSLContext | None):
        self._loop = loop
        self._context = context
        self.heard = b""
        self.connections = 0  # with TLS: those whose handshake was done

    def __enter__(self) -> "Somebody":
        self._loop.wait(self._start())
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.wait(self._stop())

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()

    async def _accept(self, reader, writer) -> None:
        self.connections += 1
        try:
            while data := await reader.read(_CHUNK):
                self.heard += data
        except OSError:
            pass
        finally:
            writer.close()

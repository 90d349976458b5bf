"""The other end of a connection: real sockets of this process, scripted by a test.

A script is `async def script(conn)`, with a Conn; it runs once for each connection. What it raises
fails the test, in `Peer.finished()` or `Peer.close()`. Peers that a test leaves open end with its
event loop.
"""

import asyncio
import os
import socket
import struct
import sys
import time

from firmware.link import LinkError
from firmware.link.dns import Resolver
from firmware.link.stream import Network
from skip import Skip

HOST = "127.0.0.1"

# How long one task may hold up the others. The budget is 50 ms, and what is tested here takes far
# less; the rest is for a machine that is busy with something else.
PAUSE_MS = 100
_HOLES = 32  # more than there are sockets in any test
DATA = __file__.rsplit("/", 1)[0] + "/data/"

# The options of an ESP32's sockets are few, and none of them is about buffers or the end.
ESP32_SOCKETS = not hasattr(socket, "SO_LINGER")

# MicroPython has no names for these two.
_LINUX = sys.platform != "darwin"
_SO_SNDBUF = 7 if _LINUX else 0x1001
_SO_RCVBUF = 8 if _LINUX else 0x1002


# Opens connections to addresses and to localhost: there is no name server.
NETWORK = Network(Resolver(list), "", False)


def trusting(path, verify=True):
    """A Network that believes the certificate authorities of that file."""
    return Network(NETWORK.names, path, verify)


class Conn:
    """One accepted connection."""

    def __init__(self, sock):
        self.sock = sock
        self.stream = asyncio.StreamReader(sock)
        self.received = b""

    async def read(self, n) -> bytes:
        """Exactly n bytes. Nothing is waited for that is there already: a wait takes a ms."""
        data = b""
        while len(data) < n:
            found = self.stream.s.read(n - len(data))
            if found is None:
                await _readable(self.stream.s)
            elif not found:
                raise EOFError
            else:
                data += found
        return data

    async def read_until(self, end) -> bytes:
        data = b""
        while not data.endswith(end):
            data += await self.read(1)
        return data

    async def read_to_end(self) -> bytes:
        """All that comes, until the other side closes; in `received` meanwhile."""
        while True:
            data = await self.stream.read(512)
            if not data:
                return self.received
            self.received += data

    async def gone(self):
        """Wait until the other side has closed or reset the connection."""
        try:
            await self.read_to_end()
        except OSError:
            pass

    async def write(self, data):
        self.stream.write(data)
        await self.stream.drain()

    async def drip(self, data, pause_ms):
        for i in range(len(data)):
            await self.write(data[i : i + 1])
            await asyncio.sleep_ms(pause_ms)

    async def silence(self):
        """Keep the connection open, and say nothing more."""
        await asyncio.Event().wait()

    def reset(self):
        """Close with RST instead of FIN.

        With an ESP32's sockets only if something has come that was not read.
        """
        if not ESP32_SOCKETS:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        close(self.sock)


class Peer:
    """A TCP server on a free port."""

    def __init__(self, script, window=None, port=None):
        """`window`: bytes that the kernel takes in before the script reads them; see `narrow`."""
        self._script = script
        self._failure = None
        self.conns = []
        self.ended = 0
        self._sock = socket.socket()
        if window:
            narrow(self._sock, _SO_RCVBUF, window)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = bind(self._sock, port)
        self._sock.listen(5)
        self._sock.setblocking(False)
        self._task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            await _readable(self._sock)
            try:
                sock = self._sock.accept()[0]
            except OSError:  # it was reset before it was accepted
                continue
            sock.setblocking(False)
            conn = Conn(sock)
            conn.task = asyncio.create_task(self._run(conn))
            self.conns.append(conn)

    async def _run(self, conn):
        try:
            await self._script(conn)
        except Exception as error:
            sys.print_exception(error)
            self._failure = error
        self.ended += 1
        conn.close()

    async def finished(self, count=1):
        """Wait until the script has come to its end so many times."""
        await until(lambda: self.ended >= count or self._failure, "the end of the peer's script")
        self._check()

    def close(self):
        """End the connections, and refuse others from now on."""
        self._task.cancel()
        close(self._sock)
        for conn in self.conns:
            conn.task.cancel()
            conn.close()
        self._check()

    def _check(self):
        if self._failure:
            raise AssertionError("the peer's script failed: %r" % self._failure)


class UdpPeer:
    """A UDP server on a free port: `answer(data)` gives the datagrams to send back."""

    def __init__(self, answer, before_ms=0, after_ms=0):
        """Waits `before_ms`, calls `answer`, and waits `after_ms`: the two ways of a network."""
        self._answer = answer
        self._before_ms = before_ms
        self._after_ms = after_ms
        self.asked = 0
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = bind(self._sock)
        self._sock.setblocking(False)
        self._task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            await _readable(self._sock)
            data, address = self._sock.recvfrom(512)
            self.asked += 1
            await asyncio.sleep_ms(self._before_ms)
            answers = self._answer(data)
            await asyncio.sleep_ms(self._after_ms)
            for answer in answers:
                try:
                    self._sock.sendto(answer, address)
                except OSError:
                    if answer:  # an ESP32's sockets send no empty one
                        raise

    def close(self):
        self._task.cancel()
        close(self._sock)


def refusing(kind=socket.SOCK_STREAM):
    """(port, socket): a port that refuses, as long as the socket is kept."""
    sock = socket.socket(socket.AF_INET, kind)
    port = bind(sock)
    if kind == socket.SOCK_DGRAM:
        sock.close()
    return port, sock


def bind(sock, port=None) -> int:
    """Give the socket a free port, or this one. MicroPython can't ask which one 0 became."""
    for _ in range(100):
        number = port or 20000 + int.from_bytes(os.urandom(2), "little") % 12000
        try:
            sock.bind(socket.getaddrinfo(HOST, number)[0][-1])
        except OSError:
            continue
        return number
    raise AssertionError("no free port")


def narrow(sock, option=_SO_SNDBUF, size=4096):
    """Have the kernel take no more than a few KB at a time of what is written, or received.

    Raises Skip where it cannot be told to: it takes all that a test can write.
    """
    if ESP32_SOCKETS:
        raise Skip("an ESP32's sockets have no option for the size of their buffers")
    sock.setsockopt(socket.SOL_SOCKET, option, size)


def pair():
    """Two connected blocking sockets."""
    listener = socket.socket()
    port = bind(listener)
    listener.listen(1)
    near = socket.socket()
    near.connect(socket.getaddrinfo(HOST, port)[0][-1])
    far = listener.accept()[0]
    listener.close()
    return near, far


def close(sock):
    asyncio.core._io_queue.remove(sock)
    sock.close()


def _readable(sock):
    yield asyncio.core._io_queue.queue_read(sock)


async def until(condition, what, ms=5000):
    """Wait for `condition()`; fails after `ms`."""
    start = time.ticks_ms()
    while not condition():
        if time.ticks_diff(time.ticks_ms(), start) > ms:
            raise AssertionError("%s: not within %d ms" % (what, ms))
        await asyncio.sleep_ms(2)


async def failure(awaitable) -> LinkError:
    """The LinkError that it ends with."""
    try:
        result = await awaitable
    except LinkError as error:
        return error
    raise AssertionError("no LinkError, but %r" % (result,))


class Ticks:
    """A task of the same loop that measures the longest time in which it got no turn.

    async with Ticks() as ticks: …; ticks.longest_ms
    """

    async def __aenter__(self):
        self.longest_ms = 0
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep_ms(0)
        return self

    async def __aexit__(self, *_):
        await asyncio.sleep_ms(2)
        self._task.cancel()

    async def _run(self):
        last = time.ticks_ms()
        while True:
            await asyncio.sleep_ms(1)
            now = time.ticks_ms()
            self.longest_ms = max(self.longest_ms, time.ticks_diff(now, last))
            last = now


def descriptors() -> int:
    """How many files and sockets are open: it grows with each one that is left so."""
    # New ones get the lowest numbers that are free: all holes are filled by these.
    socks = [socket.socket() for _ in range(_HOLES)]
    highest = max([sock.fileno() for sock in socks])
    for sock in socks:
        sock.close()
    return highest + 1 - _HOLES

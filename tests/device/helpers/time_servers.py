"""Time servers (RFC 4330), web servers that are asked for their Date, and a clock that is
kept with pauses that a test ends.
"""

import asyncio
import ssl
import struct

from firmware.link import timekeeper
from peers import DATA, HOST, NETWORK, Peer, UdpPeer

T0 = 1795344000000  # 2026-11-22T10:40:00.000Z


_1970 = 2208988800  # in seconds since 1900


ERA = 1 << 32


def stamp(ms):
    """Milliseconds since 1970 as an NTP timestamp, rounded up."""
    seconds = ms // 1000 + _1970
    return struct.pack("!II", seconds % ERA, -(-(ms % 1000 << 32) // 1000))


def reply(request, got_ms, sent_ms, mode=4, version=4, leap=0, stratum=2, cookie=None):
    return (
        bytes((leap << 6 | version << 3 | mode, stratum, 6, 0xEC))
        + bytes(20)
        + (request[40:48] if cookie is None else cookie)
        + stamp(got_ms)
        + stamp(sent_ms)
    )


async def at_once(step):
    return await step()


class Wifi:
    """Joined, unless told otherwise."""

    joined = True

    def connected(self):
        return self.joined


def keeping(clock, servers, url="http://localhost:1/v3", told=None, wifi=None, alone=at_once):
    """The task that keeps the clock; `told` is a list of the times that it tells."""
    return asyncio.create_task(keeper(clock, servers, url, told, wifi).run(alone))


def keeper(clock, servers, url="http://localhost:1/v3", told=None, wifi=None):
    on_set = (lambda ms: None) if told is None else told.append
    return timekeeper.Timekeeper(clock, servers, NETWORK, wifi or Wifi(), url, on_set)


def within_growing(pauses, most):
    """Where nobody answered, each is drawn from 15 s to the longest of its round."""
    return len(pauses) == len(most) and all(15 <= p <= m for p, m in zip(pauses, most))


class Pauses:
    """Stands for asyncio in the module: tells how long it would sleep, and lets it once."""

    def __init__(self):
        self.asked = []
        self._next = asyncio.Event()

    async def sleep(self, seconds):
        self.asked.append(seconds)
        await self._next.wait()
        self._next.clear()

    def __getattr__(self, name):
        return getattr(asyncio, name)

    def over(self):
        self._next.set()

    def task(self, kept):
        return asyncio.create_task(kept.run(at_once))

    async def __aenter__(self):
        self._real = timekeeper.asyncio
        timekeeper.asyncio = self
        return self

    async def __aexit__(self, *_):
        timekeeper.asyncio = self._real


def server(*ms):
    """A time server; each of its answers says the next of these times, and then the last again."""
    left = list(ms or (T0,))

    def answer(data):
        now_ms = left.pop(0) if len(left) > 1 else left[0]
        return (reply(data, now_ms, now_ms),)

    return UdpPeer(answer)


def name(peer):
    return "%s:%d" % (HOST, peer.port)


class Web:
    """An HTTP server, with TLS if it has a certificate; `heads` are the requests."""

    def __init__(self, answer, certificate=None):
        self.heads = []
        self.answer = answer
        self._certificate = certificate
        self._peer = Peer(self._script)
        scheme = "https" if certificate else "http"
        self.url = "%s://localhost:%d/v3" % (scheme, self._peer.port)

    async def _script(self, conn):
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls = DATA + "tls/"
            context.load_cert_chain(tls + self._certificate + ".der", tls + "key.der")
            sock = context.wrap_socket(conn.sock, server_side=True, do_handshake_on_connect=False)
            conn.stream = asyncio.StreamReader(sock)
        self.heads.append(await conn.read_until(b"\r\n\r\n"))
        await conn.write(self.answer)
        if not self.answer:
            return
        try:
            await conn.stream.read(1)
        except OSError:
            pass


DATED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 70\r\nDate: %s\r\n\r\n"


DATE = b"Sun, 22 Nov 2026 16:00:00 GMT"


DATE_MS = 1795363200000

"""Time servers (RFC 4330), and a clock that is kept with pauses that a test ends."""

import asyncio
import struct

from firmware.link import timekeeper
from peers import (
    HOST,
    NETWORK,
    UdpPeer,
)

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
    on_set = (lambda ms: None) if told is None else told.append
    return asyncio.create_task(
        timekeeper.keep(clock, servers, NETWORK, wifi or Wifi(), url, alone, on_set)
    )


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

    async def __aenter__(self):
        self._real = timekeeper.asyncio
        timekeeper.asyncio = self
        return self

    async def __aexit__(self, *_):
        timekeeper.asyncio = self._real


def server(ms=T0):
    return UdpPeer(lambda data: (reply(data, ms, ms),))


def name(peer):
    return "%s:%d" % (HOST, peer.port)

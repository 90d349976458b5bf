"""The time from the API where there is no time server, and how it is corrected."""

import asyncio
import socket

from firmware.base import uptime
from firmware.link import http
from firmware.times.clock import Clock
from peers import (
    HOST,
    UdpPeer,
    descriptors,
    refusing,
    until,
)
from time_servers import (
    DATE,
    DATE_MS,
    DATED,
    T0,
    Pauses,
    Web,
    keeping,
    name,
    server,
    within_growing,
)
from world import Shorter


async def rounds(clock, servers, url, count, after=None, told=None):
    """Keep the clock for so many rounds; the pauses between them. `after`: called after each."""
    async with Pauses() as pauses:
        task = keeping(clock, servers, url, told)
        for n in range(1, count + 1):
            await until(lambda n=n: len(pauses.asked) == n, "the next round")
            if after:
                after(n)
            pauses.over()
        task.cancel()
        return pauses.asked


async def test_after_two_rounds_without_an_answer_the_time_is_that_of_the_api():
    port, _sock = refusing(socket.SOCK_DGRAM)
    for certificate in (None, "stranger", "expired"):
        web = Web(DATED % DATE, certificate)
        clock = Clock()
        told = []
        known = []
        pauses = await rounds(
            clock,
            ["%s:%d" % (HOST, port)] * 2,
            web.url,
            3,
            lambda n, clock=clock, known=known: known.append(clock.known),
            told,
        )
        assert known == [False, True, True]
        assert within_growing(pauses, [15, 30, 60]), "time servers are no longer asked"
        assert 0 <= clock.now() - DATE_MS <= 2000
        assert len(told) == 1 and 0 <= told[0] - DATE_MS <= 2000
        # Requests, with nothing in them that were a secret.
        assert len(web.heads) == 2
        lines = web.heads[0].split(b"\r\n")
        assert lines[0] == b"HEAD /v3 HTTP/1.1"
        assert b"Authorization" not in [line.split(b":")[0] for line in lines[1:-2]]


async def test_a_wrong_date_is_corrected_by_a_later_one():
    """As of a captive portal, until somebody has told it that it may let this device through."""
    port, _sock = refusing(socket.SOCK_DGRAM)
    portal = b"HTTP/1.1 302 Found\r\nDate: Sun, 06 Nov 2033 08:49:37 GMT\r\n\r\n"
    web = Web(portal)
    clock = Clock()
    told = []

    def after(n):
        if n == 3:
            assert clock.now() > DATE_MS + 200 * 86400000
            web.answer = DATED % DATE

    servers = ["%s:%d" % (HOST, port)]
    pauses = await rounds(clock, servers, web.url, 6, after, told)
    assert within_growing(pauses, [15, 30, 60, 120, 240, 480])
    assert 0 <= clock.now() - DATE_MS <= 2000
    assert len(web.heads) == 5
    # Of a few seconds either may be wrong, by the way that they came: the clock is left alone.
    assert len(told) == 2, told


async def test_a_date_waits_for_its_turn_and_time_servers_are_asked_meanwhile():
    """The link has its connection open for hours, and only one may be."""
    peer = UdpPeer(lambda data: ())
    web = Web(DATED % DATE)
    clock = Clock()
    turn = asyncio.Lock()
    waited = []

    async def alone(step):
        async with turn:
            return await step()

    class Hurried(Pauses):
        async def sleep(self, seconds):
            self.asked.append(seconds)

        async def wait_for(self, step, seconds):
            waited.append(seconds)
            return await asyncio.wait_for_ms(step, 100 if turn.locked() else 5000)

    with Shorter("SNTP_MS", 20):
        async with Hurried() as pauses:
            await turn.acquire()
            task = keeping(clock, [name(peer)], web.url, alone=alone)
            await until(lambda: len(waited) == 4, "four times in which it had no turn")
            assert peer.asked == 5 and not web.heads
            # Who waits for a turn does not sleep as well.
            assert within_growing(waited, [30, 60, 60, 60]) and pauses.asked[1:] == 3 * [0]
            turn.release()
            await until(lambda: clock.known, "the time")
            assert 0 <= clock.now() - DATE_MS <= 2000
            task.cancel()


async def test_a_date_that_is_only_seconds_off_leaves_the_clock_alone():
    port, _sock = refusing(socket.SOCK_DGRAM)
    for second, taken in ((b"04", False), (b"59", True)):
        web = Web(DATED % DATE)
        clock = Clock()
        told = []

        def after(n, web=web, second=second):
            if n == 2:
                web.answer = DATED % DATE.replace(b"00 GMT", second + b" GMT")

        await rounds(clock, ["%s:%d" % (HOST, port)], web.url, 3, after, told)
        assert len(web.heads) == 2
        assert len(told) == 1 + taken, (second, told)


async def test_no_memory_for_a_date_is_only_a_failed_try_once_the_time_is_known():
    """The link's own connection may be all that there is room for."""
    port, _sock = refusing(socket.SOCK_DGRAM)
    servers = ["%s:%d" % (HOST, port)]
    real = http.Http

    class Short:
        """An Http that finds no room for a connection."""

        def __init__(self, network):
            pass

        async def head(self, url, timeout):
            raise MemoryError("no")

        def close(self):
            pass

    web = Web(DATED % DATE)
    clock = Clock()

    def after(n):
        if n == 2:
            http.Http = Short

    try:
        pauses = await rounds(clock, servers, web.url, 4, after)
        assert within_growing(pauses, [15, 30, 60, 120]) and len(web.heads) == 1
        async with Pauses() as pauses:
            task = keeping(Clock(), servers, web.url)
            await until(lambda: pauses.asked, "the first round")
            pauses.over()
            try:
                await task
                raise AssertionError("it went on")
            except MemoryError:
                pass
    finally:
        http.Http = real


async def test_a_time_server_that_answers_later_corrects_it():
    port, _sock = refusing(socket.SOCK_DGRAM)
    web = Web(DATED % DATE)
    clock = Clock()
    servers = ["%s:%d" % (HOST, port)]
    peers = []

    def after(n):
        if n == 2:
            assert clock.known
            peers.append(server(DATE_MS + 7000000))
            servers[0] = name(peers[0])

        if n == 3:
            clock.sure = True  # the platform was reached
            servers[0] = "%s:%d" % (HOST, port)

    pauses = await rounds(clock, servers, web.url, 6, after)
    assert within_growing(pauses, [15, 30, 60] + 3 * [3600]) and pauses[2] == 60
    assert 7000000 <= clock.now() - DATE_MS <= 7002000
    assert len(web.heads) == 1, "what a time server says is better than any Date"


async def test_the_api_is_not_asked_while_the_time_is_known():
    port, _sock = refusing(socket.SOCK_DGRAM)
    web = Web(DATED % DATE)
    clock = Clock()
    clock.set(T0, uptime.ms())
    await rounds(clock, ["%s:%d" % (HOST, port)], web.url, 4)
    assert web.heads == []


async def test_what_is_no_time_is_not_believed():
    port, _sock = refusing(socket.SOCK_DGRAM)
    servers = ["%s:%d" % (HOST, port)]
    before = descriptors()
    for answer in (
        DATED % b"Sat, 01 Jan 2000 00:03:20 GMT",  # of one that has just been switched on itself
        DATED % b"Thu, 01 Jan 1970 00:00:00 GMT",
        DATED % b"today",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"",
    ):
        web = Web(answer)
        clock = Clock()
        told = []
        await rounds(clock, servers, web.url, 3, told=told)
        assert not clock.known and not told, answer
        assert len(web.heads) == 2, "it is asked again in each round"
        web._peer.close()
    assert descriptors() == before

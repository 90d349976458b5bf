"""The time from the network: right to the millisecond, or not at all."""

import asyncio
import socket
import ssl
import struct
import time

from firmware.base import uptime
from firmware.link import http, sntp
from firmware.link.sntp import decode, keep, query
from firmware.link.stream import within
from firmware.times.clock import Clock, system_ms
from peers import (
    DATA,
    HOST,
    Peer,
    UdpPeer,
    descriptors,
    failure,
    refusing,
    until,
)
from world import Shorter

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


class Fixed:
    """An uptime whose distance to the server's time is known."""

    def __init__(self):
        self.start = time.ticks_ms()

    def utc(self):
        return T0 + time.ticks_diff(time.ticks_ms(), self.start)


async def measured(before_ms, after_ms):
    """The error, in ms, of one query over ways of these lengths."""
    fixed = Fixed()
    peer = UdpPeer(lambda data: (reply(data, fixed.utc(), fixed.utc()),), before_ms, after_ms)
    utc_ms, at_ms = await within(2000, "it", query(HOST, peer.port, uptime.ms))
    there = fixed.utc() - uptime.ms()  # the right difference between the two
    peer.close()
    return utc_ms - at_ms - there


async def test_the_time_is_right_to_half_the_difference_of_the_two_ways():
    for before_ms, after_ms in ((0, 0), (20, 20), (0, 40), (40, 0), (10, 30)):
        # A way back that is longer makes the clock slow. A machine that is busy with something
        # else lengthens a way now and then, but not each time.
        found = []
        for _ in range(5):
            found.append(await measured(before_ms, after_ms) - (before_ms - after_ms) / 2)
            if abs(found[-1]) <= 5:
                break
        else:
            raise AssertionError((before_ms, after_ms, found))


async def test_what_the_server_needs_is_not_taken_for_a_way():
    fixed = Fixed()

    def answer(data):
        got = fixed.utc()
        time.sleep_ms(60)
        return (reply(data, got, fixed.utc()),)

    peer = UdpPeer(answer)
    utc_ms, at_ms = await within(2000, "it", query(HOST, peer.port, uptime.ms))
    assert abs(utc_ms - at_ms - (fixed.utc() - uptime.ms())) <= 15  # were it one, it would be 30


async def test_the_question_is_a_clients_and_gives_nothing_away():
    asked = []

    def answer(data):
        asked.append(data)
        return (reply(data, T0, T0),)

    peer = UdpPeer(answer)
    for _ in range(2):
        await within(2000, "it", query(HOST, peer.port, uptime.ms))
    for data in asked:
        assert len(data) == 48
        assert data[0] == 0x23  # no leap warning, version 4, client
        assert data[1:40] == bytes(39)
    assert asked[0][40:] != asked[1][40:], "anybody could answer"


async def test_nothing_but_the_answer_is_believed():
    wrong = T0 + 86400000

    def answers(data):
        good = reply(data, T0, T0)
        return (
            reply(data, wrong, wrong, cookie=b"12345678"),
            reply(data, wrong, wrong, cookie=bytes(8)),
            good[:1],
            good[:47],
            reply(data, wrong, wrong, mode=3),
            reply(data, wrong, wrong, mode=5),
            reply(data, wrong, wrong, stratum=0),  # a kiss-o'-death
            reply(data, wrong, wrong, stratum=16),
            reply(data, wrong, wrong, leap=3),  # not in step
            data,
            bytes(48),
            good,
        )

    peer = UdpPeer(answers)
    utc_ms, _ = await within(2000, "it", query(HOST, peer.port, uptime.ms))
    assert utc_ms == T0


async def test_an_empty_datagram_is_not_waited_behind():
    """After one, an ESP32's socket finds nothing any more but its end, again and again."""
    peer = UdpPeer(lambda data: (b"",))
    error = await failure(within(60000, "it", query(HOST, peer.port, uptime.ms)))
    assert "does not answer" in str(error)


def test_each_check_by_itself():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie

    def answer(**kw):
        return decode(reply(request, T0, T0, **kw), cookie)

    assert answer() == T0
    assert decode(reply(request, T0, T0) + b"authenticator", cookie) == T0
    for leap in (0, 1, 2):
        assert answer(leap=leap) == T0
    for stratum in (1, 15):
        assert answer(stratum=stratum) == T0
    for version in (1, 3, 4):
        assert answer(version=version) == T0
    assert answer(leap=3) is None
    assert answer(stratum=0) is None
    assert answer(stratum=16) is None
    for mode in (0, 1, 2, 3, 5, 6, 7):
        assert answer(mode=mode) is None, mode
    assert answer(cookie=b"abcdefgi") is None
    assert decode(b"", cookie) is None


def test_a_clock_that_was_never_set_is_not_believed():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    for years in (10, 30, 56):  # 2016, 1996, 1970
        then = T0 - years * 31556952000
        assert decode(reply(request, then, then), cookie) is None, years


def test_timestamps_that_do_not_belong_together_are_refused():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    good = reply(request, T0, T0 + 10)
    assert decode(good, cookie) == T0 + 5
    assert decode(reply(request, T0, T0 + 4999), cookie) == T0 + 2499
    assert decode(reply(request, T0 + 10, T0), cookie) is None  # sent before it was asked
    assert decode(reply(request, T0, T0 + 60000), cookie) is None
    # A zero is no time. RFC 4330 asks for the one of sending only.
    assert decode(good[:32] + bytes(8) + good[40:], cookie) == T0 + 10
    assert decode(good[:32] + bytes(7) + b"\1" + good[40:], cookie) is None
    assert decode(good[:40] + bytes(8), cookie) is None
    assert decode(good[:32] + bytes(16), cookie) is None
    then = reply(request, T0, T0 - 10 * 31556952000)
    assert decode(then[:32] + bytes(8) + then[40:], cookie) is None


def test_every_millisecond_survives():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    for ms in range(1000):
        assert decode(reply(request, T0 + ms, T0 + ms), cookie) == T0 + ms


def test_the_era_of_2036():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    rollover = (ERA - _1970) * 1000
    assert rollover == 2085978496000  # 2036-02-07T06:28:16Z
    for ms in (rollover - 1000, rollover - 1, rollover + 1000, rollover + 10 * 365 * 86400000):
        assert decode(reply(request, ms, ms), cookie) == ms
    # Even where the two timestamps lie in two eras.
    assert decode(reply(request, rollover - 500, rollover + 1500), cookie) == rollover + 500


async def test_silence_is_cut_by_the_deadline_and_leaves_no_socket():
    peer = UdpPeer(lambda data: ())
    before = descriptors()
    error = await failure(within(100, "the answer", query(HOST, peer.port, uptime.ms)))
    assert "the answer took longer" in str(error)
    assert peer.asked == 1
    assert descriptors() == before


async def test_a_name_that_nobody_knows_is_named():
    error = await failure(query("no.such.host.invalid", 123, uptime.ms))
    assert "no.such.host.invalid" in str(error)


async def test_a_closed_port_is_told_at_once():
    port, _sock = refusing(socket.SOCK_DGRAM)
    before = descriptors()
    error = await failure(within(2000, "it", query(HOST, port, uptime.ms)))
    assert "does not answer" in str(error)
    assert descriptors() == before


# Keeping the clock right


async def at_once(step):
    return await step()


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
        self._real = sntp.asyncio
        sntp.asyncio = self
        return self

    async def __aexit__(self, *_):
        sntp.asyncio = self._real


def server(ms=T0):
    return UdpPeer(lambda data: (reply(data, ms, ms),))


def name(peer):
    return "%s:%d" % (HOST, peer.port)


async def test_the_clock_is_set_and_asked_for_again_in_an_hour():
    peer = server()
    clock = Clock()
    async with Pauses() as pauses:
        task = asyncio.create_task(keep(clock, [name(peer)]))
        await until(lambda: pauses.asked, "the answer")
        assert clock.known
        assert 0 <= clock.now() - T0 <= 500
        assert pauses.asked == [3600]
        pauses.over()
        await until(lambda: peer.asked == 2, "the next question")
        task.cancel()


async def test_the_second_server_is_asked_where_the_first_fails():
    port, _sock = refusing(socket.SOCK_DGRAM)
    peer = server()
    unused = server()
    clock = Clock()
    servers = ["no.such.host.invalid", "%s:%d" % (HOST, port), name(peer), name(unused)]
    async with Pauses() as pauses:
        task = asyncio.create_task(keep(clock, servers))
        await until(lambda: pauses.asked, "the answer")
        assert clock.known
        assert pauses.asked == [3600]
        assert unused.asked == 0
        task.cancel()


async def test_with_no_answer_the_pauses_grow_from_15_s_and_less_while_the_time_is_unknown():
    port, _sock = refusing(socket.SOCK_DGRAM)
    for known, pauses_s in (
        (False, [15, 30, 60, 60, 60] + 20 * [60]),
        (True, [15, 30, 60, 120, 240, 480, 960, 1920] + 17 * [3600]),
    ):
        clock = Clock()
        if known:
            clock.set(T0, 0)
        async with Pauses() as pauses:
            task = asyncio.create_task(keep(clock, ["%s:%d" % (HOST, port)]))
            for count in range(1, len(pauses_s) + 1):
                await until(lambda count=count: len(pauses.asked) == count, "the next try")
                pauses.over()
            task.cancel()
        assert clock.known == known
        assert within_growing(pauses.asked, pauses_s), pauses.asked
        last = pauses.asked[-17:]
        assert max(last) - min(last) > pauses_s[-1] // 4, "not all devices at the same moment"


async def test_nobody_is_asked_before_the_network_is_joined_and_then_at_once():
    class Wifi:
        joined = False

        def connected(self):
            return self.joined

    peer = server()
    clock = Clock()
    wifi = Wifi()
    async with Pauses() as pauses:
        task = asyncio.create_task(keep(clock, [name(peer)], wifi=wifi))
        await asyncio.sleep_ms(600)
        assert peer.asked == 0 and not pauses.asked
        wifi.joined = True
        await until(lambda: clock.known, "the time")
        # What has no network meanwhile is asked when it is there again, however long that takes.
        wifi.joined = False
        pauses.over()
        await asyncio.sleep_ms(600)
        assert peer.asked == 1
        wifi.joined = True
        await until(lambda: peer.asked == 2, "the next question")
        task.cancel()
        # The operating system's clock needs none.
        wifi.joined = False
        clock = Clock()
        task = asyncio.create_task(keep(clock, [], wifi=wifi))
        await until(lambda: clock.known, "the time")
        task.cancel()


async def test_without_servers_the_operating_system_is_believed():
    clock = Clock()
    async with Pauses() as pauses:
        task = asyncio.create_task(keep(clock, []))
        await until(lambda: pauses.asked, "the clock")
        assert clock.known
        assert abs(clock.now() - system_ms()) <= 50
        assert pauses.asked == [3600]
        task.cancel()


async def test_whoever_wants_to_know_is_told_the_time_whenever_it_was_set():
    told = []
    for servers, expected in (([name(server())], T0), ([], system_ms())):
        clock = Clock()
        async with Pauses() as pauses:
            task = asyncio.create_task(keep(clock, servers, on_set=told.append))
            for count in (1, 2):
                await until(lambda count=count: len(pauses.asked) == count, "the answer")
                assert len(told) == count
                assert 0 <= told[-1] - expected <= 1000
                pauses.over()
            task.cancel()
        told.clear()


async def test_the_time_that_is_told_is_that_of_the_call():
    clock = Clock()
    differences = []
    peer = UdpPeer(lambda data: (reply(data, T0, T0),), 100, 100)
    async with Pauses() as pauses:
        task = asyncio.create_task(
            keep(clock, [name(peer)], on_set=lambda ms: differences.append(ms - clock.now()))
        )
        await until(lambda: pauses.asked, "the answer")
        task.cancel()
    assert abs(differences[0]) <= 50, differences


# Where there is no time server


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


async def rounds(clock, servers, url, count, after=None, on_set=None):
    """Run `keep` for so many rounds; the pauses between them. `after`: called after each."""
    async with Pauses() as pauses:
        task = asyncio.create_task(keep(clock, servers, url, on_set, None, at_once))
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
            told.append,
        )
        assert known == [False, True, True]
        assert within_growing(pauses, [15, 30, 60]), "time servers are no longer asked"
        assert 0 <= clock.now() - DATE_MS <= 2000
        assert len(told) == 1 and 0 <= told[0] - DATE_MS <= 2000
        # Requests, with nothing in them that were a secret.
        assert len(web.heads) == 2
        lines = web.heads[0].split(b"\r\n")
        assert lines[0] == b"HEAD /v3 HTTP/1.1"
        assert [line.split(b":")[0] for line in lines[1:-2]] == [b"Host"]


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
    pauses = await rounds(clock, servers, web.url, 6, after, told.append)
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
            task = asyncio.create_task(keep(clock, [name(peer)], web.url, None, None, alone))
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

        await rounds(clock, ["%s:%d" % (HOST, port)], web.url, 3, after, told.append)
        assert len(web.heads) == 2
        assert len(told) == 1 + taken, (second, told)


async def test_no_memory_for_a_date_is_only_a_failed_try_once_the_time_is_known():
    """The link's own connection may be all that there is room for."""
    port, _sock = refusing(socket.SOCK_DGRAM)
    servers = ["%s:%d" % (HOST, port)]
    real = http.Http

    class Short:
        """An Http that finds no room for a connection."""

        def __init__(self, trust):
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
            task = asyncio.create_task(keep(Clock(), servers, web.url, alone=at_once))
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
            servers[0] = "%s:%d" % (HOST, port)

    pauses = await rounds(clock, servers, web.url, 6, after)
    assert within_growing(pauses, [15, 30] + 4 * [3600]) and pauses[2] == 3600
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
        await rounds(clock, servers, web.url, 3, on_set=told.append)
        assert not clock.known and not told, answer
        assert len(web.heads) == 2, "it is asked again in each round"
        web._peer.close()
    assert descriptors() == before

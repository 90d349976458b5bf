"""TCP streams: every step is waited for without blocking, and every end is told in words."""

import asyncio
import errno
import gc
import socket

from firmware.link import LinkError
from firmware.link import stream as stream_module
from firmware.link.reasons import words
from firmware.link.stream import Network, within
from peers import (
    HOST,
    NETWORK,
    PAUSE_MS,
    Peer,
    Ticks,
    bind,
    descriptors,
    failure,
    narrow,
    refusing,
    trusting,
    until,
)
from skip import Skip
from world import Shorter


async def silent(conn):
    await conn.silence()


async def open_to(script, **kw):
    """(stream, peer)"""
    peer = Peer(script, **kw)
    return await NETWORK.connect(HOST, peer.port), peer


async def test_bytes_go_both_ways():
    async def script(conn):
        await conn.write(bytes(reversed(await conn.read(5))))

    stream, peer = await open_to(script)
    await stream.write(b"hello")
    answer = bytearray(5)
    await stream.read_exactly(memoryview(answer))
    assert answer == b"olleh"
    stream.close()
    peer.close()


async def test_what_arrives_in_pieces_is_read_whole():
    async def script(conn):
        await conn.drip(b"0123456789", 2)

    stream, _ = await open_to(script)
    answer = bytearray(12)
    await stream.read_exactly(memoryview(answer)[1:11])
    assert answer == b"\x000123456789\0"


async def test_at_least_a_byte_is_read_and_not_more_than_fits():
    async def script(conn):
        await conn.write(b"abcdef")
        await conn.silence()

    stream, _ = await open_to(script)
    view = memoryview(bytearray(4))
    assert await stream.read_into(view[:1]) == 1
    assert await stream.read_into(view[:1]) == 1
    n = await stream.read_into(view)
    assert bytes(view[:n]) == b"cdef"


async def test_a_refused_connection_says_so():
    port, _sock = refusing()

    async def attempt():
        stream = await NETWORK.connect(HOST, port)
        try:
            await stream.write(b"x")
        finally:
            stream.close()

    error = await failure(attempt())
    assert "the connection was refused" in str(error)
    assert not error.refused  # that word is for credentials


async def test_a_reset_says_so():
    async def script(conn):
        await conn.read(1)
        conn.reset()

    stream, _ = await open_to(script)
    await stream.write(b"xx")
    error = await failure(stream.read_into(bytearray(1)))
    assert "was reset" in str(error)


async def test_an_end_in_the_middle_says_so():
    async def script(conn):
        await conn.write(b"abc")

    stream, _ = await open_to(script)
    error = await failure(stream.read_exactly(memoryview(bytearray(4))))
    assert "was closed by the other side" in str(error)


async def test_writing_to_a_closed_connection_says_so():
    async def script(conn):
        conn.reset()

    stream, peer = await open_to(script)
    await peer.finished()

    async def write():
        for _ in range(100):
            await stream.write(b"x")
            await asyncio.sleep_ms(1)

    error = await failure(write())
    assert str(error) and str(error)[0] not in "([0123456789", str(error)


def test_errors_in_words():
    assert "refused" in words(OSError(errno.ECONNREFUSED))
    assert "reset" in words(OSError(errno.ECONNRESET))
    assert "reset" in words(OSError(errno.ENOTCONN))
    assert "aborted" in words(OSError(errno.ECONNABORTED))
    assert "cannot be reached" in words(OSError(errno.EHOSTUNREACH))
    assert "does not answer" in words(OSError(errno.ETIMEDOUT))
    for number in (23, 24):
        assert words(OSError(number)) == "no socket is free"
    # What has no words of ours keeps its own.
    assert words(OSError(4321)) == "error 4321"
    assert words(OSError(-202)) == "-202"
    # As of mbedTLS, some of whose builds have no sentences.
    error = ValueError("The certificate is signed with an unacceptable hash.\n")
    assert words(error, "h", "c") == (
        "the certificate of h was refused: The certificate is signed with an unacceptable hash."
    )
    refused = words(OSError(-9984, "MBEDTLS_ERR_X509_CERT_VERIFY_FAILED"), "h", "c")
    assert refused == "the certificate of h was refused by c; are tls.ca and the clock right?"


async def test_a_reader_that_is_slow_blocks_nobody_else():
    total = 400000
    taken = []

    async def script(conn):
        n = 0
        while n < total:
            n += len(await conn.stream.read(4096))
            await asyncio.sleep_ms(2)
        taken.append(n)

    stream, peer = await open_to(script, window=4096)
    narrow(stream._sock)
    async with Ticks() as ticks:
        await stream.write(bytes(total))
        assert not taken, "the reader was not slow"
        await peer.finished()
    assert taken == [total]
    assert ticks.longest_ms <= PAUSE_MS


async def test_a_writer_that_is_fast_blocks_nobody_else():
    """Were there always something to read, reading would never wait, and nobody else run."""

    class Torrent:
        """A socket whose every read finds something: what a peer of any speed cannot keep up."""

        def readinto(self, view):
            return len(view)

    stream = stream_module.Stream(Torrent())
    view = memoryview(bytearray(64))

    async def swallow():
        while True:
            await stream.read_into(view)

    async with Ticks() as ticks:
        error = await failure(within(150, "all of it", swallow()))
        assert "all of it" in str(error)
    assert ticks.longest_ms <= PAUSE_MS


async def test_a_total_deadline_is_kept_against_a_peer_that_drips():
    async def script(conn):
        try:
            await conn.drip(bytes(1000), 20)
        except OSError:
            pass

    stream, peer = await open_to(script)
    error = await failure(
        within(200, "the whole", stream.read_exactly(memoryview(bytearray(1000))))
    )
    assert str(error) == "the whole took longer than 0 s"
    stream.close()
    await peer.finished()


async def test_a_deadline_gives_the_result_and_the_error_of_what_it_is_around():
    async def result():
        await asyncio.sleep_ms(1)
        return 42

    async def error():
        await asyncio.sleep_ms(1)
        raise LinkError("mine", refused=True)

    assert await within(1000, "it", result()) == 42
    found = await failure(within(1000, "it", error()))
    assert str(found) == "mine"
    assert found.refused


async def test_what_it_ran_is_forgotten_with_its_result():
    """MicroPython's queue keeps a task that has ended while others go on."""

    class Result:
        def __init__(self):
            self.large = bytearray(20000)

    async def run(failing):
        large = bytearray(20000)
        await asyncio.sleep_ms(1)
        if failing:
            raise LinkError("it failed")
        return Result() if large else None

    async def use(failing):
        return len((await within(1000, "it", run(failing))).large)

    async def beside():
        while True:
            await asyncio.sleep_ms(2)

    others = [asyncio.create_task(beside()) for _ in range(4)]
    await asyncio.sleep_ms(5)
    try:
        for failing in (False, True):
            scrub(30)
            gc.collect()
            before = gc.mem_alloc()
            try:
                assert await use(failing) == 20000
            except LinkError:
                assert failing
            scrub(30)
            gc.collect()
            assert gc.mem_alloc() - before < 10000, failing
    finally:
        for task in others:
            task.cancel()


def scrub(n):
    """The collector takes what is left on the C stack for pointers."""
    return n and scrub(n - 1)


async def test_sockets_are_closed_whatever_ends_them():
    async def script(conn):
        await conn.gone()

    peer = Peer(script)
    port, _sock = refusing()
    (await NETWORK.connect(HOST, peer.port)).close()
    await peer.finished()
    before = descriptors()

    async def read_for_ever():
        stream = await NETWORK.connect(HOST, peer.port)
        try:
            await stream.read_into(bytearray(1))
        finally:
            stream.close()

    async def refused():
        stream = await NETWORK.connect(HOST, port)
        try:
            await stream.write(b"x")
        finally:
            stream.close()

    for i in range(30):
        reading = asyncio.create_task(read_for_ever())
        await until(lambda i=i: len(peer.conns) == 2 + i, "the connection")
        await failure(within(5, "reading", reading))
        await failure(refused())
        await peer.finished(2 + i)
    await failure(NETWORK.connect("no.such.host.invalid", 1))
    assert descriptors() == before


async def test_a_connection_that_is_never_made_is_closed_by_its_deadline():
    # A listening socket whose queue is full answers no SYN any more.
    listener = socket.socket()
    port = bind(listener)
    listener.listen(0)
    before = descriptors()
    streams = []
    try:
        for _ in range(20):
            streams.append(await within(300, "connecting", NETWORK.connect(HOST, port)))
    except LinkError as error:
        assert "connecting took longer" in str(error)
    else:
        raise Skip("this system accepts connections beyond the listening queue")
    for stream in streams:
        stream.close()
    assert descriptors() == before


async def test_a_tcp_connection_that_is_late_is_named_as_such():
    listener = socket.socket()
    port = bind(listener)
    listener.listen(0)
    before = descriptors()
    streams = []
    with Shorter("TCP_MS", 200):
        try:
            for _ in range(20):
                streams.append(await NETWORK.connect(HOST, port))
        except LinkError as error:
            assert str(error) == "the TCP connection to %s:%d took longer than 0 s" % (HOST, port)
        else:
            raise Skip("this system accepts connections beyond the listening queue")
    for stream in streams:
        stream.close()
    assert descriptors() == before


async def test_a_name_that_is_looked_up_for_too_long_is_named_as_such():
    class Slow:
        async def find(self, host, port, kind):
            await asyncio.sleep(60)

    with Shorter("DNS_MS", 50):
        error = await failure(Network(Slow(), "", False).connect("mqtt.csip.io", 8883))
    assert str(error) == "looking up mqtt.csip.io took longer than 0 s"


async def test_cancelling_what_connects_closes_its_socket():
    listener = socket.socket()
    port = bind(listener)
    listener.listen(5)
    before = descriptors()
    for _ in range(10):
        task = asyncio.create_task(NETWORK.connect(HOST, port))
        await asyncio.sleep_ms(0)
        task.cancel()
        try:
            (await task).close()
        except asyncio.CancelledError:
            pass
    assert descriptors() == before


async def test_a_connection_that_cannot_even_be_tried_leaves_no_socket():
    before = descriptors()
    for _ in range(5):
        await failure(NETWORK.connect("255.255.255.255", 1))
        peer = Peer(silent)
        error = await failure(trusting("missing.pem").connect(HOST, peer.port, True))
        assert "tls.ca" in str(error)
        peer.close()
    assert descriptors() == before

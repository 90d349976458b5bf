"""What a connection does where memory or sockets are short: it says so, and leaves nothing open.

A lack of memory is for the supervisor, which makes room; no handler of the link's may take it for
one more failure of the network.
"""

import asyncio
import errno
import gc
import socket
import time

from firmware.link import sntp, timekeeper
from firmware.link import stream as stream_module
from firmware.link.http import Http
from firmware.link.mqtt_client import MqttClient
from firmware.link.reasons import words
from firmware.link.stream import Network, Stream
from peers import DATA, HOST, NETWORK, Peer, descriptors, failure, trusting, until
from world import configured

CA = DATA + "tls/ca.der"

# As MicroPython tells them: by mbedTLS's name or sentence, as the build has it, and by -0x10 of
# MBEDTLS_ERR_MPI_ALLOC_FAILED taken for an error of the socket.
SHORT = (
    OSError(errno.ENOMEM),
    OSError(-0x7F00, "MBEDTLS_ERR_SSL_ALLOC_FAILED"),
    OSError(-0x7F00, "SSL - Memory allocation failed"),
    OSError(-0x2880, "X509 - Allocation of memory failed"),
    OSError(-0x4290, "MBEDTLS_ERR_RSA_PUBLIC_FAILED+MBEDTLS_ERR_MPI_ALLOC_FAILED"),
    OSError(16),
)


async def quiet(conn):
    await conn.gone()


async def lacks_memory(awaitable):
    try:
        await awaitable
    except MemoryError:
        return True
    return False


class Failing:
    """A TLS socket that raises, whatever is asked of it; closing it closes what it is on."""

    def __init__(self, error, sock=None):
        self._error = error
        self._sock = sock

    def write(self, _):
        raise self._error

    readinto = write

    def close(self):
        if self._sock:
            self._sock.close()


class Context:
    """An SSLContext that has room for its certificates, and no more."""

    def __init__(self, error, wrapped=False):
        self._error = error
        self._wrapped = wrapped

    def wrap_socket(self, sock, **_):
        if self._wrapped:
            return Failing(self._error, sock)
        raise self._error


class Prepared(Network):
    """A Network with that context."""

    def __init__(self, context):
        super().__init__(NETWORK.names, "", False)
        self.context = context

    async def load(self):
        pass


def test_a_lack_of_memory_is_put_into_no_words():
    for error in SHORT:
        for ca in (None, "ca.pem"):
            try:
                raise AssertionError(words(error, "h", ca))
            except MemoryError:
                pass


async def test_no_memory_to_write_or_read_is_a_lack_of_memory():
    for error in SHORT:
        for ca in (None, CA):
            assert await lacks_memory(Stream(Failing(error), "h", ca).write(b"x"))
            assert await lacks_memory(Stream(Failing(error), "h", ca).read_into(bytearray(1)))


async def test_no_memory_for_tls_is_one_both_ways_and_every_socket_is_closed():
    peer = Peer(quiet)
    settings = configured(mqtt={"url": "mqtts://localhost:%d" % peer.port})
    before = descriptors()
    for error in SHORT:
        for wrapped in (False, True):
            network = Prepared(Context(error, wrapped))
            get = Http(network).get("https://localhost:%d/v3" % peer.port)
            assert await lacks_memory(get), (error, wrapped)
            client = MqttClient(settings, network, None, None, None, None)
            assert await lacks_memory(client.serve()), (error, wrapped)
    await until(lambda: peer.ended == 4 * len(SHORT), "the ends of the connections")
    assert descriptors() == before
    peer.close()


async def test_no_memory_for_the_file_of_certificates_is_one():
    class Short:
        def stat(self, _):
            raise OSError(errno.ENOMEM)

    real = stream_module.os
    stream_module.os = Short()
    try:
        assert await lacks_memory(trusting(CA).connect(HOST, 1, True))
    finally:
        stream_module.os = real


async def test_room_is_made_before_tls_takes_its_own():
    """On a board TLS's buffers are outside of the heap, which has to be as small as it can be."""
    told = []

    class Told:
        def wrap_socket(self, sock, **_):
            told.append(gc.mem_free())
            raise OSError(errno.ENOMEM)

    peer = Peer(quiet)
    gc.collect()
    free = gc.mem_free()
    for _ in range(20):
        bytearray(4000)  # let go of at once
    assert await lacks_memory(Prepared(Told()).connect(HOST, peer.port, True))
    assert told[0] > free - 20000, (told, free)
    peer.close()


# Sockets


class NoSocket:
    """In place of the module `socket`: `with NoSocket(24): …`."""

    def __init__(self, number):
        self._number = number

    def __getattr__(self, name):
        return getattr(socket, name)

    def socket(self, *_):
        raise OSError(self._number)

    def __enter__(self):
        stream_module.socket = sntp.socket = self

    def __exit__(self, *_):
        stream_module.socket = sntp.socket = socket


async def test_where_no_socket_is_free_a_connection_fails_with_words():
    for number in (23, 24):
        for opening in (
            NETWORK.connect(HOST, 1),
            trusting(CA).connect(HOST, 1, True),
            sntp.query(NETWORK.names, HOST, 123, time.ticks_ms),
        ):
            with NoSocket(number):
                assert "no socket is free" in str(await failure(opening))


async def test_where_no_socket_is_free_the_clock_is_kept_all_the_same():
    class Clock:
        known = True

        def uptime_ms(self):
            return 0

    rounds = []

    class Hasty:
        """In place of asyncio: its pauses are none."""

        async def sleep(self, seconds):
            rounds.append(seconds)
            await asyncio.sleep_ms(1)

    class Wifi:
        def connected(self):
            return True

    timekeeper.asyncio = Hasty()
    try:
        with NoSocket(24):
            keeper = timekeeper.Timekeeper(Clock(), [HOST], NETWORK, Wifi(), "", None)
            task = asyncio.create_task(keeper.run(None))
            await until(lambda: len(rounds) >= 3 or task.done(), "three rounds")
        assert not task.done()
        task.cancel()
    finally:
        timekeeper.asyncio = asyncio

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

# As MicroPython tells them: by mbedTLS's name or sentence, as the build has it, or by its number
# alone where there was no memory for that. Numbers of its lower half come as errors of a socket:
# ALLOC_FAILED of MPI and of ASN1, and CTR_DRBG's source that had no memory.
SHORT = (
    OSError(errno.ENOMEM),
    OSError(errno.ENOBUFS),
    OSError(106),
    OSError(52),
    OSError(-0x7F00),
    OSError(-0x2880),
    OSError(-0x3F80),
    OSError(-0x1180),
    OSError(-0x4D80),
    OSError(-0x5180),
    OSError(-0x6180),
    OSError(-0x4290),
    OSError(-0x21EA),
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
            return Failing(self._error, sock.sock)
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


def test_other_errors_are_none():
    for error in (
        OSError(errno.ECONNRESET),
        OSError(errno.EHOSTUNREACH),
        OSError(errno.ETIMEDOUT),
        OSError(-202),
        OSError("[addrinfo error -2]"),
        OSError(-0x7200),
        OSError(-0x7780),
        OSError(-0x2700),
        ValueError("invalid cert"),
    ):
        assert words(error, "h", "ca.pem"), error


async def told(awaitable):
    """What the MemoryError says with which it ends."""
    try:
        await awaitable
    except MemoryError as error:
        return str(error)


class Ssl:
    """The module `ssl` where memory is short: `with Ssl(…):`."""

    PROTOCOL_TLS_CLIENT = CERT_NONE = CERT_REQUIRED = 0

    def __init__(self, making=None, loading=None):
        self._making = making
        self._loading = loading

    def SSLContext(self, _):  # noqa: N802 its own name
        if self._making:
            raise self._making
        return self

    def load_verify_locations(self, cadata):
        raise self._loading

    def __enter__(self):
        self._real = stream_module.ssl
        stream_module.ssl = self

    def __exit__(self, *_):
        stream_module.ssl = self._real


def tight():
    return True


async def test_too_little_memory_for_the_certificates_is_not_told_as_wrong_ones():
    # The random numbers' source has no memory; then a certificate, which has one error for all.
    for short in (Ssl(OSError(52)), Ssl(OSError(12)), Ssl(None, ValueError("invalid cert"))):
        with short:
            network = Network(NETWORK.names, CA, True, tight)
            assert await told(network.load()) == "not enough memory for TLS"
        assert network.context is None
        await network.load()  # there is memory again
        assert network.context
    with Ssl(None, ValueError("invalid cert")):
        assert "is no certificate" in str(await failure(trusting(CA).load()))


async def test_the_authorities_are_read_while_the_heap_is_whole():
    """A certificate of 1.4 KB is a text of 1.9 KB first: later there may be no such block."""
    network = Network(NETWORK.names, CA, True)
    context = network.context
    assert context
    with Ssl(AssertionError("another context is made")):
        await network.load()
    assert network.context is context


async def test_too_little_memory_for_a_signature_is_not_told_as_a_wrong_one():
    wrong = OSError(-0x2700, "The certificate is not correctly signed by the trusted CA")
    stream = Stream(Failing(wrong), "h", CA, tight=True)
    assert await told(stream.write(b"x")) == "not enough memory for TLS"
    assert "not signed by" in str(await failure(Stream(Failing(wrong), "h", CA).write(b"x")))
    # TCP has no use for that memory.
    stream = Stream(Failing(OSError(errno.ECONNREFUSED)), "h", CA, tight=True)
    assert "refused" in str(await failure(stream.write(b"x")))


async def test_a_connection_knows_how_much_memory_there_was_when_it_began():
    peer = Peer(quiet)
    for short in (True, False):
        network = Network(NETWORK.names, CA, True, lambda short=short: short)
        stream = await network.connect(HOST, peer.port, True)
        wrong = OSError(-0x2700, "not correctly signed")
        stream._sock.close()
        stream._sock = Failing(wrong)
        if short:
            assert await lacks_memory(stream.write(b"x"))
        else:
            assert "not signed" in str(await failure(stream.write(b"x")))
        stream.close()
    peer.close()


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

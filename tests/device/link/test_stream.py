"""TCP streams: every step is waited for without blocking, and every end is told in words."""

import asyncio
import errno
import os
import socket
import ssl
import sys
import time

from firmware.link import LinkError
from firmware.link import stream as stream_module
from firmware.link.reasons import words
from firmware.link.stream import Network, Trust, within
from peers import (
    DATA,
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

TLS = DATA + "tls/"


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
        error = await failure(Network(Slow(), None).connect("mqtt.csip.io", 8883))
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


# Whom to believe


class FakeContext:
    """Collects what an SSLContext would be given."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.verify_mode = None
        self.loaded = []
        self.wrapped = None

    def load_verify_locations(self, cafile=None, cadata=None):
        self.loaded.append(cadata)

    def wrap_socket(self, sock, **kw):
        self.wrapped = kw
        return sock


async def context_of(path, verify=True):
    """What Trust does with a context, for a file whose certificates nobody parses."""
    real = sys.modules["ssl"]

    class Ssl:
        PROTOCOL_TLS_CLIENT = real.PROTOCOL_TLS_CLIENT
        CERT_NONE = real.CERT_NONE
        CERT_REQUIRED = real.CERT_REQUIRED
        SSLContext = FakeContext

    stream_module.ssl = Ssl
    try:
        trust = Trust(path, verify)
        await trust.load()
        trust.wrap(None, "host.example")
        return trust._context
    finally:
        stream_module.ssl = real


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


async def refusal(path):
    return str(await failure(Trust(path, True).load()))


PEM = b"-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n"
DER = b"0\x03\x02\x01\x01"


# TLS, with real handshakes


def tls_server(certificate):
    """A script: answers five bytes with themselves, if the handshake comes to its end."""

    async def script(conn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS + certificate + ".der", TLS + "key.der")
        sock = context.wrap_socket(conn.sock, server_side=True, do_handshake_on_connect=False)
        stream = asyncio.StreamReader(sock)
        try:
            stream.write(await stream.readexactly(5))
            await stream.drain()
        except OSError:
            return  # the client did not believe it

    return script


async def echoed(peer, network, host="localhost"):
    """What comes back of `hello` over TLS. Raises LinkError."""
    stream = await network.connect(host, peer.port, True)
    try:
        await stream.write(b"hello")
        answer = bytearray(5)
        await stream.read_exactly(memoryview(answer))
        return bytes(answer)
    finally:
        stream.close()


async def test_a_server_whose_certificate_the_ca_has_signed_is_believed():
    for host in ("localhost", HOST):
        peer = Peer(tls_server("good"))
        assert await echoed(peer, trusting(TLS + "ca.der"), host) == b"hello"
        peer.close()


async def test_why_a_server_is_not_believed_is_told_in_words_and_by_name():
    ca = TLS + "ca.der"
    before = descriptors()
    for certificate, text in (
        ("stranger", "the certificate of localhost is not signed by %s; is tls.ca right?" % ca),
        ("other-name", "the certificate of localhost is for another name; is the URL right?"),
        ("expired", "the certificate of localhost has expired; is the clock right?"),
        ("future", "the certificate of localhost is not valid yet; is the clock right?"),
    ):
        peer = Peer(tls_server(certificate))
        assert str(await failure(echoed(peer, trusting(ca)))) == text
        peer.close()
        # Nobody is asked to prove anything where tls.verify is false.
        peer = Peer(tls_server(certificate))
        assert await echoed(peer, trusting(ca, False)) == b"hello"
        peer.close()
    assert descriptors() == before


async def test_a_handshake_that_fails_says_so():
    async def html(conn):
        await conn.read(5)
        await conn.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await conn.gone()

    async def cut(conn):
        await conn.read(50)

    async def reset(conn):
        await conn.read(50)
        conn.reset()

    async def alert(conn):
        await conn.read(5)
        await conn.write(b"\x15\x03\x03\0\2\2\x28")
        await conn.gone()

    # Some builds of mbedTLS have sentences in place of names, and they come as they are.
    for script, text, code in (
        (html, "localhost speaks no TLS there; are the URL's scheme and port right?", -0x7200),
        (cut, "the connection was ", 0),
        (reset, "the connection was reset", 0),
        (alert, "localhost refused it", -0x7780),
    ):
        peer = Peer(script)
        error = str(await failure(echoed(peer, trusting(TLS + "ca.der"))))
        assert error.startswith("the TLS handshake with localhost: "), error
        why = error[len("the TLS handshake with localhost: ") :]
        assert why.startswith((text, "(%d, 'SSL - " % code)), error
        peer.close()


async def test_a_connection_that_is_refused_is_no_handshake_that_failed():
    port, _sock = refusing()

    class Refusing:
        """As much of a Peer as is needed."""

    peer = Refusing()
    peer.port = port
    error = str(await failure(echoed(peer, trusting(TLS + "ca.der"))))
    assert error.startswith("the connection was refused"), error


async def test_a_handshake_that_is_late_is_named_as_such():
    async def dripping(conn):
        try:
            await conn.drip(b"\x16\x03\x03\x40\0" + bytes(1000), 10)
        except OSError:
            pass

    before = descriptors()
    for script in (silent, dripping):
        peer = Peer(script)
        with Shorter("TLS_MS", 100):
            error = await failure(echoed(peer, trusting(TLS + "ca.der")))
        assert str(error) == "the TLS handshake with localhost took longer than 0 s"
        peer.close()
    assert descriptors() == before


async def test_the_deadline_of_the_handshake_is_not_that_of_what_follows():
    class Slow:
        """A TLS socket whose handshake is over at once, and that then takes a byte in 20 ms."""

        def __init__(self):
            self.next_ms = time.ticks_ms()

        def write(self, view):
            if time.ticks_diff(time.ticks_ms(), self.next_ms) < 0:
                return None
            self.next_ms = time.ticks_add(time.ticks_ms(), 20)
            return 1

    stream = stream_module.Stream(Slow(), "h", "ca.pem")
    with Shorter("TLS_MS", 50):
        await stream.write(b"x")
        await stream.write(b"0123456789")


def copy(name, path):
    with open(TLS + name, "rb") as file:
        write(path, file.read())


async def test_a_ca_file_that_was_exchanged_is_read_again():
    trust = Trust("ca.der", True)
    network = Network(NETWORK.names, trust)
    copy("stranger-ca.der", "ca.der")
    peer = Peer(tls_server("good"))
    assert "not signed by ca.der" in str(await failure(echoed(peer, network)))
    copy("ca.der", "ca.der")
    assert await echoed(peer, network) == b"hello"
    context = trust._context
    assert await echoed(peer, network) == b"hello"
    assert trust._context is context, "it was read again without a reason"
    write("ca.der", b"torn")
    assert "ca.der is no certificate" in str(await failure(echoed(peer, network)))
    os.remove("ca.der")
    assert "ca.der cannot be read" in str(await failure(echoed(peer, network)))
    copy("ca.der", "ca.der")
    assert await echoed(peer, network) == b"hello"
    peer.close()


# What a file of certificates may hold


async def test_verification_is_required_and_for_the_host():
    write("ca.pem", PEM)
    context = await context_of("ca.pem")
    assert context.protocol == (await context_of("ca.pem")).protocol
    assert context.verify_mode == sys.modules["ssl"].CERT_REQUIRED
    assert context.wrapped["server_hostname"] == "host.example"
    assert context.wrapped["do_handshake_on_connect"] is False


async def test_without_verification_no_file_is_read():
    context = await context_of("no-such-file", verify=False)
    assert context.verify_mode == sys.modules["ssl"].CERT_NONE
    assert context.loaded == []


async def test_every_certificate_of_a_bundle_is_loaded():
    write("one.pem", PEM)
    assert (await context_of("one.pem")).loaded == [DER]
    # As they are found in the wild: with comments, keys and Windows' line ends.
    other = PEM.replace(b"AQE=", b"AQI=").replace(b"\n", b"\r\n")
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    write("bundle.pem", b"# GlobalSign\n" + PEM + b"\n" + key + b"\n" + other)
    assert (await context_of("bundle.pem")).loaded == [DER, DER[:-1] + b"\x02"]


async def test_others_get_their_turn_between_two_certificates_of_a_bundle():
    write("bundle.pem", PEM * 20)
    turns = [0]

    async def others():
        while True:
            turns[0] += 1
            await asyncio.sleep_ms(0)

    task = asyncio.create_task(others())
    context = await context_of("bundle.pem")
    task.cancel()
    assert len(context.loaded) == 20
    assert turns[0] >= 19


async def test_a_der_file_is_loaded_as_it_is():
    write("ca.der", DER)
    assert (await context_of("ca.der")).loaded == [DER]


async def test_real_certificates_are_accepted():
    for path in ("ca.pem", "bundle.pem", "ca.der"):
        await Trust(DATA + path, True).load()


async def test_what_is_no_certificate_is_refused_with_its_path():
    with open(DATA + "ca.pem", "rb") as file:
        real = file.read()
    for data, why in (
        (b"", "empty"),
        (b"hello\n", "no BEGIN CERTIFICATE"),
        (os.urandom(1000).replace(b"\x30", b"x").replace(b"-", b"x"), "no BEGIN CERTIFICATE"),
        (PEM[:40], "ends inside"),
        (real + PEM[:40], "ends inside"),
        (real[:-30], "ends inside"),
        (real[:200] + real[210:], ""),
        (PEM.replace(b"AQE=", b"AQE"), ""),
        (PEM.replace(b"AQE=", b"\xff\xfe"), ""),
        (PEM, ""),  # base64, but of no certificate
        (DER, ""),
        (DER[:2], ""),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", ""),
        (b"-----END CERTIFICATE-----\n", "no BEGIN CERTIFICATE"),
    ):
        write("bad.pem", data)
        text = await refusal("bad.pem")
        assert text.startswith("tls.ca: bad.pem is no certificate"), text
        assert why in text, text


async def test_a_file_that_is_not_there_is_named_and_looked_for_again():
    trust = Trust("missing.pem", True)
    for _ in range(2):
        error = await failure(trust.load())
        assert str(error).startswith("tls.ca: missing.pem cannot be read")
    with open(DATA + "ca.pem", "rb") as file:
        write("missing.pem", file.read())
    await trust.load()

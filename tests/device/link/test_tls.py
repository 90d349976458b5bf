"""TLS with real handshakes: who is believed, and why not."""

import asyncio
import errno
import os
import ssl
import time

from firmware.link import stream as stream_module
from peers import (
    DATA,
    HOST,
    Peer,
    descriptors,
    failure,
    refusing,
    trusting,
)
from world import Shorter

TLS = DATA + "tls/"


async def silent(conn):
    await conn.silence()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


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


async def test_others_get_their_turn_between_the_records_of_a_handshake():
    peer = Peer(tls_server("good"))
    stream = await trusting(TLS + "ca.der").connect("localhost", peer.port, True)
    records = stream._below
    read = records.readinto
    pauses = []

    def readinto(buffer):
        n = read(buffer)
        pauses.append(records.paused)
        return n

    records.readinto = readinto
    await stream.write(b"hello")
    # The server's hello and its certificate are records of their own, at least, and its end.
    assert pauses.count(True) >= 3, pauses
    pauses.clear()
    answer = bytearray(5)
    await stream.read_exactly(memoryview(answer))
    assert answer == b"hello" and pauses and not any(pauses), pauses
    stream.close()
    peer.close()


async def test_who_waits_for_tls_waits_for_the_socket_below():
    peer = Peer(tls_server("good"))
    stream = await trusting(TLS + "ca.der").connect("localhost", peer.port, True)
    await stream.write(b"hell")  # which it does not answer yet
    waiting = asyncio.create_task(stream.read_into(bytearray(5)))
    await asyncio.sleep_ms(50)
    waited_for = [entry[2] for entry in asyncio.core._io_queue.map.values()]
    assert stream._below.sock in waited_for and stream._sock not in waited_for, waited_for
    waiting.cancel()
    stream.close()
    peer.close()


async def test_a_name_that_ends_with_its_dot_is_that_of_the_certificate():
    peer = Peer(tls_server("good"))
    assert await echoed(peer, trusting(TLS + "ca.der"), "localhost.") == b"hello"
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


async def test_a_reset_before_anything_was_sent_is_a_refusal():
    """As an ESP32 tells of a port where nobody listens: at the first write, as ECONNRESET."""

    class Wire:
        def __init__(self, *answers):
            self.answers = list(answers)

        def write(self, view):
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def fileno(self):
            return -1

    refused = "the connection was refused; is the service running, the port right?"
    reset = OSError(errno.ECONNRESET)
    with Shorter("TLS_MS", 500):
        for ca in (None, "ca.pem"):
            for error in (reset, OSError(errno.ENOTCONN), OSError(errno.ECONNREFUSED)):
                stream = stream_module.Stream(Wire(error), "h", ca)
                assert str(await failure(stream.write(b"x"))) == refused
            # What breaks off later is no refusal.
            stream = stream_module.Stream(Wire(1, reset), "h", ca)
            await stream.write(b"x")
            assert str(await failure(stream.write(b"x"))) == "the connection was reset"
        stream = stream_module.Stream(Wire(None, reset), "h", "ca.pem")
        error = str(await failure(stream.write(b"x")))
        assert error == "the TLS handshake with h: the connection was reset"


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
    network = trusting("ca.der")
    copy("stranger-ca.der", "ca.der")
    peer = Peer(tls_server("good"))
    assert "not signed by ca.der" in str(await failure(echoed(peer, network)))
    copy("ca.der", "ca.der")
    assert await echoed(peer, network) == b"hello"
    context = network.context
    assert await echoed(peer, network) == b"hello"
    assert network.context is context, "it was read again without a reason"
    write("ca.der", b"torn")
    assert "ca.der is no certificate" in str(await failure(echoed(peer, network)))
    os.remove("ca.der")
    assert "ca.der cannot be read" in str(await failure(echoed(peer, network)))
    copy("ca.der", "ca.der")
    assert await echoed(peer, network) == b"hello"
    peer.close()

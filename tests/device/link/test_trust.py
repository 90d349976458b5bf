"""What a file of certificates may hold, and what is made of it."""

import asyncio
import os
import ssl
import sys

from firmware.link import stream as stream_module
from logs import Logged
from peers import (
    DATA,
    Peer,
    failure,
    trusting,
)


class FakeContext:
    """Collects what an SSLContext would be given; `made` is the last one."""

    made = None

    def __init__(self, protocol):
        FakeContext.made = self
        self.protocol = protocol
        self.verify_mode = None
        self.loaded = []
        self.wrapped = None

    flaws = []  # what the next certificates are met with

    def load_verify_locations(self, cafile=None, cadata=None):
        flaw = FakeContext.flaws.pop(0) if FakeContext.flaws else None
        if flaw:
            raise flaw
        self.loaded.append(cadata)

    def wrap_socket(self, sock, **kw):
        self.wrapped = kw
        return sock.sock


class FakeSsl:
    PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
    CERT_NONE = ssl.CERT_NONE
    CERT_REQUIRED = ssl.CERT_REQUIRED
    SSLContext = FakeContext


async def gone(conn):
    await conn.gone()


async def context_of(path, verify=True):
    """What a Network does with a context, for a file whose certificates nobody parses."""
    stream_module.ssl = FakeSsl
    try:
        peer = Peer(gone)
        (await trusting(path, verify).connect("localhost", peer.port, True)).close()
        peer.close()
        return FakeContext.made
    finally:
        stream_module.ssl = ssl


async def logged(awaitable) -> list:
    """The lines of the log meanwhile."""
    lines = []
    module = sys.modules["firmware.base.log"]
    module.print = lines.append
    try:
        await awaitable
    finally:
        del module.print
    return lines


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


async def refusal(path):
    return str(await failure(trusting(path).load()))


PEM = b"-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n"


DER = b"0\x03\x02\x01\x01"


async def test_verification_is_required_and_for_the_host():
    write("ca.pem", PEM)
    context = await context_of("ca.pem")
    assert context.protocol == (await context_of("ca.pem")).protocol
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.wrapped["server_hostname"] == "localhost"
    assert context.wrapped["do_handshake_on_connect"] is False


async def test_without_verification_no_file_is_read():
    context = await context_of("no-such-file", verify=False)
    assert context.verify_mode == ssl.CERT_NONE
    assert context.loaded == []


async def test_every_certificate_of_a_bundle_is_loaded():
    write("one.pem", PEM)
    assert (await context_of("one.pem")).loaded == [DER]
    # As they are found in the wild: with comments, keys and Windows' line ends.
    other = PEM.replace(b"AQE=", b"AQI=").replace(b"\n", b"\r\n")
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    write("bundle.pem", b"# GlobalSign\n" + PEM + b"\n" + key + b"\n" + other)
    assert (await context_of("bundle.pem")).loaded == [DER, DER[:-1] + b"\x02"]


async def test_a_byte_order_mark_is_forgiven():
    """Some editors write one."""
    with open(DATA + "ca.pem", "rb") as file:
        write("marked.pem", b"\xef\xbb\xbf" + file.read())
    await trusting("marked.pem").load()
    write("marked.pem", b"\xef\xbb\xbf" + PEM)
    assert (await context_of("marked.pem")).loaded == [DER]


async def test_a_certificate_that_cannot_be_read_is_left_out_of_a_bundle():
    """Of a kind that this mbedTLS does not know, as it looks to us, or damaged."""
    with open(DATA + "ca.pem", "rb") as file:
        good = file.read()
    damaged = PEM.replace(b"AQE=", b"AQE")
    for number, bundle in ((1, PEM + good), (2, good + PEM + good), (3, good * 2 + damaged)):
        write("bundle.pem", bundle)
        with Logged(13) as lines:
            network = trusting("bundle.pem")
            await network.load()
        (line,) = lines
        assert "W stream: tls.ca: certificate %d of bundle.pem cannot be read" % number in line
        context = network.context
        assert await logged(network.load()) == [] and network.context is context
    # It was a lack of memory, perhaps: then the next time all of them are there.
    write("bundle.pem", PEM * 3)
    flaws = [None, ValueError("invalid cert"), None]
    FakeContext.flaws = flaws.copy()
    stream_module.ssl = FakeSsl
    try:
        with Logged(13) as lines:
            network = trusting("bundle.pem")
        assert len(lines) == 1 and len(network.context.loaded) == 2
        assert await logged(network.load()) == []
        assert len(network.context.loaded) == 3
        context = network.context
        await network.load()
        assert network.context is context
    finally:
        stream_module.ssl = ssl
        FakeContext.flaws = []
    write("bundle.pem", PEM + damaged)
    assert (await refusal("bundle.pem")).startswith("tls.ca: bundle.pem is no certificate")


async def test_others_get_their_turn_between_two_certificates_of_a_bundle():
    write("bundle.pem", PEM * 100)
    turns = [0]

    async def others():
        while True:
            turns[0] += 1
            await asyncio.sleep_ms(0)

    task = asyncio.create_task(others())
    context = await context_of("bundle.pem")
    task.cancel()
    assert len(context.loaded) == 100
    assert turns[0] >= 99


async def test_a_der_file_is_loaded_as_it_is():
    write("ca.der", DER)
    assert (await context_of("ca.der")).loaded == [DER]


async def test_real_certificates_are_accepted():
    for path in ("ca.pem", "bundle.pem", "ca.der"):
        await trusting(DATA + path).load()


async def test_what_is_no_certificate_is_refused_with_its_path():
    with open(DATA + "ca.pem", "rb") as file:
        real = file.read()
    for data, why in (
        (b"", "empty"),
        (b"hello\n", "no BEGIN CERTIFICATE"),
        (os.urandom(1000).replace(b"\x30", b"x").replace(b"-", b"x"), "no BEGIN CERTIFICATE"),
        (PEM[:40], "ends inside"),
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


async def test_a_certificate_without_an_end_is_left_out_of_those_that_have_one():
    with open(DATA + "ca.pem", "rb") as file:
        real = file.read()
    for data, number in (
        (real + PEM[:40], 2),
        (PEM[:40] + b"\n" + real, 1),
        (real + PEM[:40] + b"\n" + real, 2),
    ):
        write("cut.pem", data)
        with Logged(13) as lines:
            await trusting("cut.pem").load()
        said = "tls.ca: certificate %d of cut.pem cannot be read, and is left out"
        assert lines and said % number in lines[0], (number, lines)


async def test_a_file_that_is_not_there_is_named_and_looked_for_again():
    network = trusting("missing.pem")
    for _ in range(2):
        error = await failure(network.load())
        assert str(error).startswith("tls.ca: missing.pem cannot be read")
    with open(DATA + "ca.pem", "rb") as file:
        write("missing.pem", file.read())
    await network.load()

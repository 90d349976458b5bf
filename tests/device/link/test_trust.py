"""What a file of certificates may hold, and what is made of it."""

import asyncio
import os
import sys

from firmware.link import stream as stream_module
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

    def load_verify_locations(self, cafile=None, cadata=None):
        self.loaded.append(cadata)

    def wrap_socket(self, sock, **kw):
        self.wrapped = kw
        return sock


async def gone(conn):
    await conn.gone()


async def context_of(path, verify=True):
    """What a Network does with a context, for a file whose certificates nobody parses."""
    real = sys.modules["ssl"]

    class Ssl:
        PROTOCOL_TLS_CLIENT = real.PROTOCOL_TLS_CLIENT
        CERT_NONE = real.CERT_NONE
        CERT_REQUIRED = real.CERT_REQUIRED
        SSLContext = FakeContext

    stream_module.ssl = Ssl
    try:
        peer = Peer(gone)
        (await trusting(path, verify).connect("localhost", peer.port, True)).close()
        peer.close()
        return FakeContext.made
    finally:
        stream_module.ssl = real


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
    assert context.verify_mode == sys.modules["ssl"].CERT_REQUIRED
    assert context.wrapped["server_hostname"] == "localhost"
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
        await trusting(DATA + path).load()


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
    network = trusting("missing.pem")
    for _ in range(2):
        error = await failure(network.load())
        assert str(error).startswith("tls.ca: missing.pem cannot be read")
    with open(DATA + "ca.pem", "rb") as file:
        write("missing.pem", file.read())
    await network.load()

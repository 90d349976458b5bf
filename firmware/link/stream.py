"""TCP and TLS connections for asyncio, none of whose steps can block the program.

Every call may wait for as long as the peer likes: the caller puts a deadline around the whole of
what it wants (`within`), because a deadline for each read is kept by a peer that drips.
"""

import asyncio
import binascii
import errno
import os
import socket
import ssl
import time
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware.link import LinkError
from firmware.link.dns import resolve

# A TLS step that has to wait may wait to read or to write, and the socket can't say which.
_TLS_PAUSE_MS = const(5)

# A peer that sends faster than we read never lets us wait: others get their turn all the same.
_TURN_MS = const(10)

_WORDS = {
    errno.ECONNREFUSED: "the connection was refused; is the service running, the port right?",
    errno.ECONNRESET: "the connection was reset",
    errno.ECONNABORTED: "the connection was aborted",
    errno.ENOTCONN: "the connection was reset",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.ETIMEDOUT: "the host does not answer",
    errno.ENOMEM: "not enough memory for a connection",
}


def readable(sock) -> Any:
    """Awaitable: until there is something to read."""
    yield core._io_queue.queue_read(sock)


def writable(sock) -> Any:
    """Awaitable: until there is room to write, or the connection was made or refused."""
    yield core._io_queue.queue_write(sock)


def close(sock):
    """Close a socket that somebody may have been waiting for."""
    core._io_queue.remove(sock)
    sock.close()


class Trust:
    """Whom to believe: the certificate authorities of one PEM or DER file."""

    def __init__(self, path: str, verify: bool):
        self._path = path
        self._verify = verify
        self._context: Any = None

    def wrap(self, sock, host: str):
        """The socket with TLS on it; the handshake happens in the first write."""
        if self._context is None:
            self._context = self._load()
        return self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)

    def _load(self):
        context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self._verify:
            context.verify_mode = ssl.CERT_NONE
            return context
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            for certificate in _certificates(self._path):
                context.load_verify_locations(cadata=certificate)
        except OSError as e:
            raise LinkError("tls.ca: %s cannot be read (%s); put the CA there" % (self._path, e))
        except ValueError as e:
            why = str(e).strip()
            raise LinkError("tls.ca: %s is no certificate, PEM or DER (%s)" % (self._path, why))
        return context


def _certificates(path: str):
    """Yield every certificate of a PEM bundle in DER, or the one that a DER file is.

    PEM is decoded here: not every port's mbedTLS can.
    """
    with open(path, "rb") as file:
        if not os.stat(path)[6]:
            raise ValueError("it is empty")
        if file.read(1) == b"\x30":  # an ASN.1 sequence: DER
            file.seek(0)
            yield file.read()
            return
        file.seek(0)
        text = None
        found = False
        for line in file:
            line = line.strip()
            if line == b"-----BEGIN CERTIFICATE-----":
                text = []
            elif line == b"-----END CERTIFICATE-----" and text is not None:
                found = True
                yield binascii.a2b_base64(b"".join(text))
                text = None
            elif text is not None:
                text.append(line)
        if text is not None:
            raise ValueError("it ends inside a certificate")
        if not found:
            raise ValueError("no BEGIN CERTIFICATE line in it")


class Stream:
    """One connection. Owned, and closed, by whoever opened it."""

    def __init__(self, sock, tls: bool):
        self._sock = sock
        self._tls = tls
        self._turn_ms = time.ticks_ms()  # since when nobody else had the loop, as far as we know

    async def read_into(self, view) -> int:
        """Read at least one byte into the buffer; return how many. Raises LinkError at the end."""
        while True:
            try:
                n = self._sock.readinto(view)
            except (OSError, ValueError) as e:
                raise LinkError(words(e))
            if n == 0:
                raise LinkError("the connection was closed by the other side")
            if n is None:
                await readable(self._sock)
                self._turn_ms = time.ticks_ms()
                continue
            if time.ticks_diff(time.ticks_ms(), self._turn_ms) >= _TURN_MS:
                await asyncio.sleep_ms(0)
                self._turn_ms = time.ticks_ms()
            return n

    async def read_exactly(self, view):
        """Fill the whole buffer (a memoryview)."""
        at = 0
        while at < len(view):
            at += await self.read_into(view[at:])

    async def write(self, data):
        """Write all of it. The first write on a TLS stream makes the handshake."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            try:
                n = self._sock.write(view[at:])
            except (OSError, ValueError) as e:
                raise LinkError(words(e))
            if n:
                at += n
            elif self._tls:
                await asyncio.sleep_ms(_TLS_PAUSE_MS)
            else:
                await writable(self._sock)

    def close(self):
        close(self._sock)


async def connect(host: str, port: int, trust=None) -> Stream:
    """Open a TCP connection, with TLS on it if `trust` says whom to believe."""
    family, kind, proto, _, address = await resolve(host, port, socket.SOCK_STREAM)
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        try:
            sock.connect(address)
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                raise
        await writable(sock)
        if trust:
            return Stream(trust.wrap(sock, host), True)
        return Stream(sock, False)
    except OSError as e:
        close(sock)
        raise LinkError(words(e))
    except BaseException:
        close(sock)
        raise


async def within(ms: int, what: str, awaitable):
    """Await something under a total deadline; LinkError says what took too long."""
    try:
        return await asyncio.wait_for_ms(awaitable, ms)
    except asyncio.TimeoutError:
        raise LinkError("%s took longer than %d s" % (what, ms // 1000))


def words(error) -> str:
    """What a person can do something with, for an error of a socket or of TLS."""
    if isinstance(error, ValueError) or "X509" in str(error):
        return "the server's certificate was refused: %s; is tls.ca the right one?" % (
            str(error).strip() or "verification failed"
        )
    return _WORDS.get(error.errno) or str(error)

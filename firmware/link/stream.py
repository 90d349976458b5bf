"""TCP and TLS connections for asyncio, none of whose steps can block the program.

`Network.connect` has a deadline for each of its steps. Every other call may wait as long as the
peer likes: the caller puts one deadline around all that it wants (`within`), because a peer that
drips keeps a deadline for each read.
"""

import asyncio
import binascii
import errno
import gc
import io
import os
import select
import socket
import ssl
import time
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.link import LinkError, deadlines
from firmware.link.reasons import NO_ROOM, words

# A TLS step that has to wait may wait to read or to write, and the socket can't say which.
_TLS_PAUSE_MS = const(5)
# A peer that sends faster than we read never lets us wait: others get their turn all the same.
_TURN_MS = const(10)
_HEADER = const(5)  # bytes of a record's (RFC 8446, section 5.1)
_FEW = const(4096)  # bytes of certificates that are read at the start
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_TCP = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT)
_RESET = (errno.ECONNRESET, errno.ENOTCONN)


def readable(sock) -> Any:
    """Awaitable: until there is something to read."""
    yield core._io_queue.queue_read(sock)


def writable(sock) -> Any:
    """Awaitable: until there is room to write, or the connection was made or refused."""
    yield core._io_queue.queue_write(sock)


def close(sock):
    """Close a socket that somebody may have been waiting for."""
    try:
        core._io_queue.remove(sock)
    finally:
        sock.close()


@rare
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
            line = line.strip(b" \t\r\n\xef\xbb\xbf")  # the byte order mark, too
            if line == b"-----BEGIN CERTIFICATE-----":
                if text is not None:
                    yield b""  # the one before has no end
                text = []
            elif line == b"-----END CERTIFICATE-----" and text is not None:
                found = True
                try:
                    yield binascii.a2b_base64(b"".join(text))
                except ValueError:
                    yield b""  # which is no certificate either
                text = None
            elif text is not None:
                text.append(line)
        if text is not None:
            if not found:
                raise ValueError("it ends inside a certificate")
            yield b""
        if not found:
            raise ValueError("no BEGIN CERTIFICATE line in it")


class _Records(io.IOBase):
    """The socket below TLS. Before each record of the handshake it once has nothing to read, and
    others get their turn: or all steps whose records have arrived would be one.
    """

    def __init__(self, sock):
        self.sock = sock
        self.paused: "bool | None" = False  # None: the handshake is over

    def readinto(self, buffer):
        if self.paused is not None and len(buffer) == _HEADER:
            self.paused = not self.paused
            if self.paused:
                return None
        try:
            return self.sock.readinto(buffer)
        except OSError as e:
            return -e.errno

    def write(self, data):
        try:
            return self.sock.write(data)
        except OSError as e:
            return -e.errno

    def ioctl(self, request, argument):
        return 0  # who has made the socket closes it


class Stream:
    """One connection. Owned, and closed, by whoever opened it."""

    def __init__(self, sock, host: str = "", ca=None, below=None, on_open=None, tight=False):
        """`ca`: the file that certificates are checked by, for TLS; `below`: the _Records that it
        is on. `on_open`: called once, when the connection is made and the TLS handshake over.
        `tight`: there is less memory than that handshake needs.
        """
        self._sock = sock
        self._below = below
        self._host = host
        self._ca = ca
        self._on_open = on_open
        self._new = True  # nothing was taken yet: the TLS handshake, if any, is not over
        self._tight = tight
        self._turn_ms = time.ticks_ms()  # since when nobody else had the loop, as far as we know

    async def read_into(self, view) -> int:
        """Read at least one byte into the buffer; return how many. Raises LinkError at the end."""
        while True:
            try:
                n = self._sock.readinto(view)
            except (OSError, ValueError) as e:
                raise LinkError(words(e, self._host, self._ca))
            if n == 0:
                raise LinkError("the connection was closed by the other side")
            if n is None:
                # TLS has nothing left. Its own socket would have to be asked each millisecond.
                await readable(self._below.sock if self._below else self._sock)
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
        """Write all of it. The first write on a TLS stream makes the handshake, in its time."""
        view = memoryview(data)
        at = 0
        waited = False
        began = time.ticks_ms()
        while at < len(view):
            try:
                n = self._sock.write(view[at:])
            except (OSError, ValueError) as e:
                if self._new and not waited and isinstance(e, OSError) and e.errno in _RESET:
                    e = OSError(errno.ECONNREFUSED)  # as an ESP32's lwIP tells of it
                text = words(e, self._host, self._ca)
                # That TCP has failed is told here, too.
                tcp = self._ca is None or (isinstance(e, OSError) and e.errno in _TCP)
                if self._new and self._tight and not tcp:
                    # A signature for which it lacked memory is one that is not right.
                    raise MemoryError(NO_ROOM)
                if self._new and not tcp and "certificate" not in text:
                    text = "the TLS handshake with %s: %s" % (self._host, text)
                raise LinkError(text)
            if n:
                at += n
                # Nothing is taken before the connection is made, and the handshake over.
                self._new = False
                if self._below:
                    self._below.paused = None
                if self._on_open:
                    self._on_open()
                    self._on_open = None
                continue
            waited = True
            if self._ca is None:
                await writable(self._sock)
            else:
                if self._new and time.ticks_diff(time.ticks_ms(), began) >= deadlines.TLS_MS:
                    raise _late("the TLS handshake with %s" % self._host, deadlines.TLS_MS)
                paused = self._below and self._below.paused
                await asyncio.sleep_ms(0 if paused else _TLS_PAUSE_MS)

    def write_at_once(self, data):
        """Write as much as there is room for now. Raises what the socket raises."""
        self._sock.write(data)

    def heard(self) -> bool:
        """Whether there is something to read: data, or the end."""
        poll = select.poll()
        poll.register(self._below.sock if self._below else self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self):
        try:
            close(self._sock)
        finally:
            if self._below:
                # A handshake that failed has let go of it, and left it open.
                self._below.sock.close()


class Network:
    """Opens connections: it knows how hosts are found, and whom to believe."""

    @rare
    def __init__(self, names, ca: str, verify: bool, tight=bool):
        """`names`: a dns.Resolver. `ca`: the file of the authorities, PEM or DER, that are
        believed; unless `verify`, everybody is; "" where there is no TLS. `tight()`: is there less
        memory than TLS needs?
        """
        self.names = names
        self.secure = bool(ca)
        self._ca = ca
        self._verify = verify
        self._tight = tight
        self.context: Any = None
        self._version: tuple | None = None  # of the file that the context is made of
        self._left_out: list = []  # the numbers of its certificates that are not in the context
        # The context and the authorities take the largest blocks of the heap after the start, so
        # they are made while the heap is whole.
        self._spare: Any = None
        try:
            if ca:
                self._spare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                if not verify or os.stat(ca)[6] <= _FEW:
                    for _ in self._loading():
                        pass
        except (LinkError, OSError, MemoryError):
            pass  # `load` tells

    @rare
    async def connect(self, host: str, port: int, tls: bool = False) -> Stream:
        """Open a TCP connection; with TLS on it the first write makes the handshake.

        Each step has its deadline. Raises LinkError; MemoryError where only memory was short.
        """
        host = host.rstrip(".")  # it is in no certificate, nor in SNI (RFC 6066, section 3)
        if tls:
            await self.load()
        family, kind, proto, found, address = await within(
            deadlines.DNS_MS,
            "looking up %s" % host,
            self.names.find(host, port, socket.SOCK_STREAM),
        )
        sock = opened(family, kind, proto)
        try:
            # No small write waits for the acknowledgement of the one before (RFC 896).
            sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except (OSError, ValueError, TypeError):
            pass  # it is slower
        try:
            try:
                sock.connect(address)
            except OSError as e:
                if e.errno != errno.EINPROGRESS:
                    raise
            await within(
                deadlines.TCP_MS, "the TCP connection to %s:%d" % (host, port), writable(sock)
            )

            def reached():
                self.names.remember(host, found)

            if not tls:
                return Stream(sock, host, on_open=reached)
            gc.collect()  # a board's TLS takes its memory from what the heap leaves
            tight = self._tight()
            records = _Records(sock)
            wrapped = self.context.wrap_socket(
                records, server_hostname=host, do_handshake_on_connect=False
            )
            return Stream(wrapped, host, self._ca, records, reached, tight)
        except BaseException as e:
            close(sock)
            if isinstance(e, OSError):
                raise LinkError(words(e, host, self._ca if tls else None))
            raise

    @rare
    async def load(self):
        """Read the CA file, unless it was read and has not changed since. Raises LinkError.

        A bundle may have a hundred certificates: other tasks get their turn between two of them.
        """
        for _ in self._loading():
            await asyncio.sleep_ms(0)

    @rare
    def _loading(self):
        version = None
        try:
            if self._verify:
                stat = os.stat(self._ca)
                version = stat[6], stat[8]
            if self.context and version == self._version:
                return
            self.context = None  # before the new one is made: there is no room for two
            gc.collect()
            context: Any = self._spare or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_mode = ssl.CERT_REQUIRED if self._verify else ssl.CERT_NONE
            number = 0
            left_out = []
            flaw = ""
            for certificate in _certificates(self._ca) if self._verify else ():
                number += 1
                self._spare = None  # it is spent, also where what follows fails
                try:
                    context.load_verify_locations(cadata=certificate)
                except ValueError as e:
                    left_out.append(number)
                    flaw = str(e)
                yield
            if number and len(left_out) == number:
                raise ValueError(flaw)
        except OSError as e:
            text = "tls.ca: %s cannot be read (%s); put the CA there"
            raise LinkError(text % (self._ca, words(e, "", self._ca)))
        except ValueError as e:
            if self._tight():
                raise MemoryError(NO_ROOM)  # it is the same error
            text = "tls.ca: %s is no certificate, PEM or DER (%s)"
            raise LinkError(text % (self._ca, str(e).strip()))
        self.context = context
        if not left_out or left_out == self._left_out:
            self._version = version
            return
        # Of a kind that this mbedTLS does not know; or memory was short, so it is read once more.
        self._left_out = left_out
        for number in left_out:
            text = "tls.ca: certificate %d of %s cannot be read, and is left out"
            Log("stream").warning(text, number, self._ca)


def opened(family: int, kind: int, proto: int):
    """A new non-blocking socket. Raises LinkError."""
    try:
        sock = socket.socket(family, kind, proto)
    except OSError as e:
        raise LinkError(words(e))
    sock.setblocking(False)
    return sock


async def within(ms: int, what: str, awaitable):
    """Await something under a total deadline; LinkError says `what` took too long."""
    try:
        box = [awaitable, None]
        await asyncio.wait_for_ms(handed(box), ms)
        return box.pop()
    except asyncio.TimeoutError:
        raise _late(what, ms)


async def handed(box: list):
    """Await the first of the two things in a list, and leave its result there alone; to be a task
    in its place.

    MicroPython's queue keeps a task that has ended until others have gone through it, and with it
    what the task ran and returned: whole modules that were only to pass. Here that is nothing.
    """
    box[0] = await box.pop(0)


def _late(what: str, ms: int) -> LinkError:
    return LinkError("%s took longer than %d s" % (what, ms // 1000))

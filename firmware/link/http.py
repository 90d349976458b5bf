"""HTTP/1.1 over the same verified, non-blocking stream as MQTT, behind the call of `urequests`.

Only what the platform's API needs: small answers, no redirects (they would carry the password to
whoever asks for it), one connection that is kept between two requests.
"""

import binascii
import json

from micropython import const

from firmware.base.url import parse_url
from firmware.link import LinkError, send
from firmware.link.http_head import LONGEST_LINE, question, read_head
from firmware.link.stream import within

# Receipts are a few dozen bytes. More than this is nothing that we asked for.
MAX_BODY = const(8192)
# A body that is not kept takes no memory, but time: a board scans some 30 KiB in a second. So the
# deadline is its limit, and this is more than comes before any.
_ENDLESS = const(0x3FFFFFFF)
_HEADERS = (
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "location",
    "retry-after",
    "transfer-encoding",
)
_ACCEPT = "Accept: application/json\r\nAccept-Encoding: identity\r\n"
_CHUNK = const(128)


class Response:
    """An answer; the content of one that is no success (300 and above) is not waited for."""

    def __init__(self, status_code: int, headers: dict, content: bytes):
        self.status_code = status_code
        self.headers = headers  # by names in lower case; only those of _HEADERS
        self.content = content

    @property
    def text(self) -> str:
        return str(self.content, "utf-8")

    def json(self):
        """Raises ValueError where the answer is no JSON."""
        return json.loads(self.content)

    def close(self):
        """Nothing is held; urequests' users call it."""


class Http:
    """A client with at most one connection open."""

    def __init__(self, network):
        self._network = network  # a stream.Network
        self._stream = None
        self._peer = None  # the scheme, host and port that the connection leads to
        self._buffer = bytearray()
        self._heard = False  # something of the answer has come
        self._bodiless = False  # no body belongs to this answer
        self.date = ""  # of the answer whose body is coming

    async def post(
        self, url, data=b"", headers=None, auth=None, timeout=10, once=False
    ) -> Response:
        """POST `data` (str, bytes-like or a feed); the timeout, in seconds, is for all of it.

        `auth`: (user, password). `once`: never repeat it on a new connection. Raises LinkError.
        """
        return await self.request("POST", url, data, headers, auth, timeout, None, once)

    async def get(self, url, headers=None, auth=None, timeout=10, sink=None) -> Response:
        """`sink`: called with each piece of the body of a 200 or 206, instead of keeping it: a
        memoryview that is valid until the call returns. What the call raises ends the exchange.
        """
        return await self.request("GET", url, None, headers, auth, timeout, sink)

    async def head(self, url, timeout=10) -> Response:
        """Ask for the head of an answer alone, and for nothing that needs credentials."""
        return await self.request("HEAD", url, None, None, None, timeout)

    async def request(
        self, method, url, data, headers, auth, timeout, sink=None, once=False
    ) -> Response:
        url, mark, query = url.partition("?")
        scheme, host, port, path = parse_url(url)
        peer = (scheme, host, port)
        if isinstance(data, str):
            data = data.encode()
        target = (path or "/") + mark + query
        head = [question(method, target, host, port, scheme == "https"), _ACCEPT]
        if auth:
            credentials = binascii.b2a_base64(("%s:%s" % auth).encode()).strip().decode()
            head.append("Authorization: Basic %s\r\n" % credentials)
        if data is not None:
            head.append("Content-Length: %d\r\n" % len(data))
        for name, value in (headers or {}).items():
            head.append("%s: %s\r\n" % (name, value))
        head.append("\r\n")
        self._bodiless = method == "HEAD"
        return await within(
            round(timeout * 1000),
            "the answer of %s" % host,
            self._exchange(peer, "".join(head).encode(), data, sink, once),
        )

    def close(self):
        stream = self._stream
        self._stream = None
        if stream:
            stream.close()

    async def _exchange(self, peer, head: bytes, data, sink, once) -> Response:
        # What came while nothing was asked is a goodbye, and no answer to what is asked now.
        if self._peer != peer or (self._stream and self._stream.heard()):
            self.close()
        kept = self._stream is not None
        self._heard = False
        try:
            try:
                return await self._attempt(peer, head, data, sink)
            except LinkError:
                if not kept or self._heard or once:
                    raise
                # The server may have closed a connection that was idle: once more on a new one.
                # To repeat a feed is harmless, since points carry their own milliseconds.
                self.close()
                return await self._attempt(peer, head, data, sink)
        except BaseException:
            self.close()
            raise

    async def _attempt(self, peer, head: bytes, data, sink) -> Response:
        if self._stream is None:
            scheme, host, port = peer
            self._stream = await self._network.connect(host, port, scheme == "https")
            self._peer = peer
        self._buffer = bytearray()
        await self._stream.write(head)
        if data is not None:
            await send(self._stream, data)
        status = 100
        while 100 <= status < 200:
            what = "HTTP server; is https.url right?"
            status, headers = await read_head(self._line, _HEADERS, what)
        self.date = headers.get("date", "")
        content = bytearray()
        packing = headers.get("content-encoding", "identity").lower()
        if status >= 300:
            self.close()  # the status is what counts, and not the page that explains it
        elif packing not in ("", "identity") and not self._bodiless:
            text = "the answer is compressed (%s), which was not asked for; does a proxy do it?"
            raise LinkError(text % packing)
        elif sink and status in (200, 206):
            await self._body(headers, sink, _ENDLESS)
        elif status != 204 and not self._bodiless:
            await self._body(headers, content.extend, MAX_BODY)
        # What follows an answer would be taken for the next one.
        if "close" in headers.get("connection", "").lower() or self._buffer:
            self.close()
        return Response(status, headers, bytes(content))

    async def _body(self, headers: dict, sink, most: int):
        length = headers.get("content-length")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            await self._chunks(sink, most)
        elif length is None:
            await self._to_the_end(sink, most)
        elif not length.isdigit():
            raise LinkError("the answer's Content-Length is no number")
        else:
            _limit(int(length), most)
            await self._pass(int(length), sink)

    async def _chunks(self, sink, most: int):
        total = 0
        while True:
            line = (await self._line()).split(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                size = -1
            if size < 0:
                raise LinkError("the answer's chunks are malformed")
            if size == 0:
                while await self._line():
                    pass
                return
            total += size
            _limit(total, most)
            await self._pass(size, sink)
            if await self._line():
                raise LinkError("the answer's chunks are malformed")

    async def _to_the_end(self, sink, most: int):
        total = 0
        while True:
            if not self._buffer:
                try:
                    await self._fill()
                except LinkError:
                    self.close()
                    return
            total += len(self._buffer)
            _limit(total, most)
            await self._pass(len(self._buffer), sink)

    async def _pass(self, size: int, sink):
        """The next bytes of the body to the sink."""
        while size:
            if not self._buffer:
                await self._fill()
            n = min(size, len(self._buffer))
            sink(memoryview(self._buffer)[:n])
            self._buffer = self._buffer[n:]
            size -= n

    async def _line(self) -> bytes:
        """One line, without its end; of a long one the beginning."""
        line = b""
        while True:
            end = self._buffer.find(b"\n")
            size = len(self._buffer) if end < 0 else end
            line += self._buffer[: min(size, LONGEST_LINE - len(line))]
            self._buffer = self._buffer[size + 1 :]
            if end >= 0:
                return line[:-1] if line.endswith(b"\r") else line
            await self._fill()

    async def _fill(self):
        chunk = bytearray(_CHUNK)
        n = await self._stream.read_into(chunk)
        self._heard = True
        self._buffer.extend(memoryview(chunk)[:n])


def _limit(size: int, most: int):
    if size > most:
        raise LinkError("the answer is longer than %d bytes" % most)

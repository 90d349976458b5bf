"""HTTP/1.1 over the same verified, non-blocking stream as MQTT, behind the call of `urequests`.

Only what the platform's API needs: small answers, no redirects (they would carry the password to
whoever asks for it), one connection that is kept between two requests.
"""

import binascii
import json

from micropython import const

from firmware.link import LinkError
from firmware.link.stream import connect, within
from firmware.url import parse_url

# Receipts and states are a few hundred bytes. More than this is nothing that we asked for.
MAX_BODY = const(8192)
_MAX_HEAD = const(4096)
_MAX_HEADERS = const(64)  # each takes far more RAM than its bytes
_CHUNK = const(128)


class Response:
    """An answer that was received whole."""

    def __init__(self, status_code: int, headers: dict, content: bytes):
        self.status_code = status_code
        self.headers = headers  # by names in lower case
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

    def __init__(self, trust):
        self._trust = trust
        self._stream = None
        self._peer = None  # the scheme, host and port that the connection leads to
        self._buffer = bytearray()
        self._most = None

    async def post(self, url, data=b"", headers=None, auth=None, timeout=10) -> Response:
        """POST `data` (str or bytes-like); the timeout, in seconds, is for everything together.

        `auth`: (user, password) for basic authentication. Raises LinkError.
        """
        return await self.request("POST", url, data, headers, auth, timeout)

    async def get(self, url, headers=None, auth=None, timeout=10, most=None) -> Response:
        """`most`: of a body that is longer, take so many bytes, and leave the rest unread."""
        return await self.request("GET", url, None, headers, auth, timeout, most)

    async def request(self, method, url, data, headers, auth, timeout, most=None) -> Response:
        self._most = most
        url, mark, query = url.partition("?")
        scheme, host, port, path = parse_url(url)
        peer = (scheme, host, port)
        if isinstance(data, str):
            data = data.encode()
        target = (path or "/") + mark + query
        head = ["%s %s HTTP/1.1\r\nHost: %s:%d\r\n" % (method, target, host, port)]
        if auth:
            credentials = binascii.b2a_base64(("%s:%s" % auth).encode()).strip().decode()
            head.append("Authorization: Basic %s\r\n" % credentials)
        if data is not None:
            head.append("Content-Length: %d\r\n" % len(data))
        for name, value in (headers or {}).items():
            head.append("%s: %s\r\n" % (name, value))
        head.append("\r\n")
        return await within(
            int(timeout * 1000),
            "the answer of %s" % host,
            self._exchange(peer, "".join(head).encode(), data),
        )

    def close(self):
        if self._stream:
            self._stream.close()
        self._stream = None

    async def _exchange(self, peer, head: bytes, data) -> Response:
        if self._peer != peer:
            self.close()
        kept = self._stream is not None
        try:
            try:
                return await self._attempt(peer, head, data)
            except LinkError:
                if not kept:
                    raise
                # The server may have closed a connection that was idle: once more on a new one.
                # To repeat a request is harmless, since points carry their own milliseconds.
                self.close()
                return await self._attempt(peer, head, data)
        except BaseException:
            self.close()
            raise

    async def _attempt(self, peer, head: bytes, data) -> Response:
        if self._stream is None:
            scheme, host, port = peer
            self._stream = await connect(host, port, self._trust if scheme == "https" else None)
            self._peer = peer
        self._buffer = bytearray()
        await self._stream.write(head)
        if data is not None:
            await self._stream.write(data)
        status = 100
        while 100 <= status < 200:
            status, headers = await self._head()
        content = await self._body(status, headers)
        # What follows an answer would be taken for the next one.
        if "close" in headers.get("connection", "").lower() or self._buffer:
            self.close()
        return Response(status, headers, content)

    async def _head(self) -> tuple:
        line = await self._line()
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise LinkError("what answers is no HTTP server; is https.url right?")
        # The older version's connections end with the answer.
        headers = {"connection": "close"} if words[0] == b"HTTP/1.0" else {}
        size = len(line)
        while True:
            line = await self._line()
            size += len(line)
            if size > _MAX_HEAD or len(headers) > _MAX_HEADERS:
                raise LinkError(
                    "the answer's head has more than %d bytes or %d lines"
                    % (_MAX_HEAD, _MAX_HEADERS)
                )
            if not line:
                return int(words[1]), headers
            name, _, value = line.partition(b":")
            headers[_text(name).lower()] = _text(value)

    async def _body(self, status: int, headers: dict) -> bytes:
        if status in (204, 304):
            return b""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self._chunks()
        length = headers.get("content-length")
        if length is None:
            return await self._to_the_end()
        if not length.isdigit():
            raise LinkError("the answer's Content-Length is no number")
        if self._most and int(length) > self._most:
            return await self._start_of(self._most)
        return await self._take(int(length))

    async def _start_of(self, size: int) -> bytes:
        """The next bytes of a body whose rest nobody wants, which ends the connection."""
        body = await self._take(size)
        self.close()
        return body

    async def _chunks(self) -> bytes:
        body = b""
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
                return body
            if self._most and len(body) + size > self._most:
                return body + await self._start_of(self._most - len(body))
            if len(body) + size > MAX_BODY:
                raise LinkError("the answer is longer than %d bytes" % MAX_BODY)
            body += await self._take(size)
            if await self._line():
                raise LinkError("the answer's chunks are malformed")

    async def _to_the_end(self) -> bytes:
        while True:
            try:
                await self._fill(MAX_BODY)
            except LinkError:
                if len(self._buffer) > MAX_BODY:
                    raise
                body = bytes(self._buffer)
                self.close()
                return body

    async def _take(self, size: int) -> bytes:
        if size > MAX_BODY:
            raise LinkError("the answer is longer than %d bytes" % MAX_BODY)
        while len(self._buffer) < size:
            await self._fill(MAX_BODY)
        body = bytes(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return body

    async def _line(self) -> bytes:
        """One line, without its end."""
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                self._buffer = self._buffer[end + 1 :]
                return line[:-1] if line.endswith(b"\r") else line
            await self._fill(_MAX_HEAD)

    async def _fill(self, limit: int):
        if len(self._buffer) > limit:
            raise LinkError("the answer is longer than %d bytes" % limit)
        chunk = bytearray(_CHUNK)
        n = await self._stream.read_into(chunk)
        self._buffer.extend(memoryview(chunk)[:n])


def _text(data: bytes) -> str:
    try:
        return str(data, "utf-8").strip()
    except UnicodeError:
        raise LinkError("the answer's head is no text")

"""What stands before a real API, and asks more of a client than the API itself: proxies,
firewalls, content delivery networks.
"""

from api import Platform
from firmware import VERSION
from firmware.link import LinkError
from firmware.link.http import Http
from peers import NETWORK, PAUSE_MS, Ticks, failure
from web import CHUNKED, EMPTY, OK, Server, get, get_failure
from websockets import ANSWER, client_of, open_to, server

AGENT = "csipio-thermostat/" + VERSION


class Overheard(LinkError):
    """Ends an exchange once it is known what was to be sent."""


class Wire:
    """A Network and its only connection, which keeps what is written to it."""

    async def connect(self, host, port, tls):
        self.peer = (host, port, tls)
        return self

    async def write(self, data):
        self.sent = bytes(data)
        raise Overheard("enough")

    def close(self):
        pass

    def header(self, name):
        (line,) = [line for line in self.sent.split(b"\r\n") if line.startswith(name + b": ")]
        return line[len(name) + 2 :].decode()


HOSTS = (
    # scheme, the rest of the address, the port, the header
    ("http", "h", 80, "h"),
    ("http", "h:80", 80, "h"),
    ("http", "h:443", 443, "h:443"),
    ("http", "h:8080", 8080, "h:8080"),
    ("https", "h", 443, "h"),
    ("https", "h:443", 443, "h"),
    ("https", "h:80", 80, "h:80"),
    ("https", "h.", 443, "h"),
    ("https", "h.:8443", 8443, "h:8443"),
)


async def test_a_default_port_does_not_belong_into_host():
    """RFC 9110, section 7.2; some front ends know no such host."""
    for scheme, rest, port, told in HOSTS:
        wire = Wire()
        await failure(Http(wire).get("%s://%s/v3" % (scheme, rest)))
        assert wire.peer == (told.split(":")[0], port, scheme == "https"), rest
        assert wire.header(b"Host") == told, rest
        wire = Wire()
        scheme = "wss" if scheme == "https" else "ws"
        assert type((await client_of("%s://%s/x" % (scheme, rest), wire).serve()).error) is (
            Overheard
        )
        assert wire.header(b"Host") == told, (scheme, rest)


async def test_who_asks_and_what_is_understood_is_said():
    for client in ("get", "post", "head"):
        wire = Wire()
        await failure(getattr(Http(wire), client)("http://h/"))
        assert wire.header(b"User-Agent") == AGENT
        assert wire.header(b"Accept") == "application/json"
        assert wire.header(b"Accept-Encoding") == "identity"
    wire = Wire()
    await client_of("ws://h", wire).serve()
    assert wire.header(b"User-Agent") == AGENT


async def test_an_answer_that_is_compressed_all_the_same_is_refused_with_words():
    packed = b"\x1f\x8b\x08" + bytes(20)
    length = b"Content-Length: %d\r\n\r\n" % len(packed)
    for header in (b"Content-Encoding: gzip\r\n", b"content-encoding: BR\r\n"):
        for status in (OK, b"HTTP/1.1 201 Created\r\n"):
            text = await get_failure(status + header + length + packed)
            assert text.startswith("the answer is compressed ("), text
            assert "does a proxy do it?" in text
    sunk = []
    front = Server(OK + b"Content-Encoding: gzip\r\n" + length + packed, keep=False)
    await failure(Http(NETWORK).get(front.url, sink=sunk.append))
    assert not sunk
    for header in (b"Content-Encoding: identity\r\n", b"Content-Encoding:\r\n"):
        answer, _ = await get(OK + header + b"Content-Length: 2\r\n\r\n{}")
        assert answer.content == b"{}"
    # Its status counts, whatever its page is; and a head alone has no body.
    answer, _ = await get(b"HTTP/1.1 503 x\r\nContent-Encoding: gzip\r\n" + length + packed)
    assert answer.status_code == 503
    front = Server(OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n")
    assert (await Http(NETWORK).head(front.url)).status_code == 200


HEADS = (
    b"X-Policy: " + b"p" * 20000 + b"\r\n",
    b"".join([b"Set-Cookie: c%d=%s; Path=/\r\n" % (i, b"v" * 60) for i in range(300)]),
    b"n" * 5000 + b": v\r\n",
    b"Connection: keep-alive" + b", x" * 3000 + b"\r\n",
)


async def test_a_long_head_is_passed_over_but_for_what_is_needed():
    for head in HEADS:
        answer, front = await get(OK + head + b"Content-Length: 2\r\n" + head + b"\r\n{}")
        assert answer.content == b"{}"
        assert sum([len(value) for value in answer.headers.values()]) < 600
        assert front.connections == 1
    reason = b"HTTP/1.1 200 " + b"o" * 6000 + b"\r\nContent-Length: 2\r\n\r\n{}"
    assert (await get(reason))[0].content == b"{}"


async def test_long_trailers_and_extensions_of_chunks_are_passed_over():
    for head in HEADS:
        answer, _ = await get(
            CHUNKED + b"2;x=" + b"y" * 6000 + b"\r\n{}\r\n0\r\n" + head + b"\r\n"
        )
        assert answer.content == b"{}"


async def test_what_follows_a_long_head_is_the_next_answer():
    front = Server(OK + HEADS[0] + b"Content-Length: 1\r\n\r\na", EMPTY)
    client = Http(NETWORK)
    assert (await client.get(front.url)).content == b"a"
    assert (await client.get(front.url)).content == b""
    assert front.connections == 1


async def test_a_websockets_server_may_say_much_too():
    for head in (b"X-Policy: " + b"p" * 6000 + b"\r\n", b"Set-Cookie: a=b\r\n" * 400):
        answer = ANSWER.replace(b"Upgrade: web", head + b"Upgrade: web")
        web, peer = await open_to(server(answer=answer))
        web.close()
        peer.close()


async def test_a_long_head_holds_nobody_up():
    async def answer(conn):
        await conn.write(OK)
        for _ in range(20):
            await conn.write(HEADS[0])
        await conn.write(b"Content-Length: 0\r\n\r\n")

    async with Ticks() as ticks:
        await get(answer)
    assert ticks.longest_ms <= PAUSE_MS


HTML = b"Content-Type: text/html; charset=UTF-8\r\n"
JSON = b"Content-Type: application/json; charset=utf-8\r\n"


async def test_only_the_platform_knows_which_credentials_are_wrong():
    def answer(status, *headers):
        head = b"HTTP/1.1 %d x\r\n" % status
        return head + b"".join(headers) + b"Content-Length: 2\r\n\r\n{}"

    for status, headers, refused, words in (
        (401, (), True, "refused device.key_id and device.key_secret (401)"),
        (401, (HTML,), True, "refused device.key_id and device.key_secret (401)"),
        (403, (JSON,), True, "refused this device (403); is it disabled"),
        (403, (b"Content-Type: application/problem+json\r\n",), True, "refused this device"),
        (403, (HTML,), False, "what stands before the API refused the request (403, text/html"),
        (403, (), False, "what stands before the API refused the request (403)"),
    ):
        platform = Platform(answer(status, *headers))
        error = await failure(platform.api.read_state(None))
        assert words in str(error), error
        assert error.refused is refused, (status, headers)
        platform.api.close()
        platform.peer.close()

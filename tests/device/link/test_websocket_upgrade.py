"""The upgrade of a stream to a WebSocket: what is asked, and which answers are refused."""

import binascii
import sys

from firmware import VERSION
from firmware.link import LinkError
from firmware.link.stream import within
from firmware.link.websocket import upgrade
from peers import HOST, NETWORK, PAUSE_MS, Peer, Ticks, failure
from websockets import (
    ANSWER,
    accept_for,
    client_of,
    frame,
    open_to,
    server,
)
from world import Shorter


async def refused(answer) -> str:
    return str(await failure(open_to(server(answer=answer))))


async def test_the_request_to_the_byte():
    heads = []
    web, peer = await open_to(server(heads=heads), path="/mqtt")
    web.close()
    lines = heads[0].decode().split("\r\n")
    key = lines.pop(5).split(": ")
    assert key[0] == "Sec-WebSocket-Key" and len(binascii.a2b_base64(key[1])) == 16
    assert lines == [
        "GET /mqtt HTTP/1.1",
        "Host: %s:%d" % (HOST, peer.port),
        "User-Agent: csipio-thermostat/" + VERSION,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
        "",
        "",
    ]


async def test_each_request_has_a_key_of_its_own_and_a_path():
    heads = []
    for _ in range(2):
        web, _ = await open_to(server(heads=heads))
        web.close()
    assert heads[0].startswith(b"GET / HTTP/1.1\r\n")
    assert accept_for(heads[0]) != accept_for(heads[1])


def test_the_standards_own_example():
    """RFC 6455, section 1.3"""
    head = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert accept_for(head) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_names_of_headers_in_any_case_and_order_and_others_amid_them():
    answer = (
        b"HTTP/1.1 101\r\nSERVER: x\r\nSEC-WEBSOCKET-PROTOCOL:mqtt\r\nconnection: a, UPGRADE\r\n"
        b"sec-websocket-accept:   %s  \r\nno header at all\r\nupgrade: WebSocket\r\n\r\n"
    )
    web, _ = await open_to(server(answer=answer))
    web.close()


async def test_a_frame_right_behind_the_answer_is_not_lost():
    web, _ = await open_to(server(answer=ANSWER + frame(b"early")))
    view = memoryview(bytearray(5))
    await web.read_exactly(view)
    assert bytes(view) == b"early"
    web.close()


async def test_a_refusal_is_told_in_words():
    for status, words in (
        (b"301 Moved", "redirections are not followed"),
        (b"400 Bad Request", "is mqtt.url right, with its path?"),
        (b"404 Not Found", "is mqtt.url right, with its path?"),
        (b"503 Unavailable", "is the broker behind it running?"),
        (b"200 OK", "is mqtt.url right, with its path?"),
    ):
        error = await refused(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        start = "the server refused the WebSocket (HTTP status %s); " % str(status[:3], "utf-8")
        assert error.startswith(start) and words in error, error


async def test_an_answer_that_breaks_the_rules():
    def without(line):
        return b"\r\n".join([row for row in ANSWER.split(b"\r\n") if not row.startswith(line)])

    for answer, words in (
        (without(b"Upgrade"), "did not switch"),
        (without(b"Connection"), "did not switch"),
        (ANSWER.replace(b"websocket", b"h2c"), "did not switch"),
        (ANSWER.replace(b": Upgrade", b": keep-alive"), "did not switch"),
        (without(b"Sec-WebSocket-Accept"), "Sec-WebSocket-Accept is wrong"),
        (ANSWER.replace(b"%s", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "Accept is wrong"),
        (ANSWER.replace(b"%s", b"x%s"), "Accept is wrong"),
        (without(b"Sec-WebSocket-Protocol"), "does not speak MQTT"),
        (ANSWER.replace(b"mqtt", b"mqttv3.1"), "does not speak MQTT"),
        (ANSWER.replace(b"mqtt", b"mqtt\r\nSec-WebSocket-Extensions: x"), "extension"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no WebSocket server"),
        (b"HTTP/1.1\r\n\r\n", "no WebSocket server"),
        (b"HTTP/1.1 one\r\n\r\n", "no WebSocket server"),
        (b"\r\n\r\n", "no WebSocket server"),
        (b"\xff\xfe\r\n\r\n", "no WebSocket server"),
        (b"x" * 5000 + b"\r\n", "no WebSocket server"),
    ):
        error = await refused(answer)
        assert words in error, (answer[:40], error)


async def test_an_answer_that_ends_early():
    for size in range(0, len(ANSWER), 7):

        async def then(_conn):
            pass

        error = await failure(open_to(server(then, answer=ANSWER[:size].replace(b"%s", b""))))
        assert "closed" in str(error) or "reset" in str(error), error


async def test_an_answer_that_has_no_end_is_given_up():
    async def dripping(conn):
        await conn.drip(b"HTTP/1.1 101 Switching Protocols\r\n" * 100, 5)

    async def flooding(conn):
        while True:
            await conn.write(b"X: y\r\n" * 100)

    for then in (dripping, flooding):

        async def script(conn, then=then):
            try:
                await conn.write(b"HTTP/1.1 101 \r\n")
                await then(conn)
            except OSError:
                pass

        peer = Peer(script)
        stream = await NETWORK.connect(HOST, peer.port)
        async with Ticks() as ticks:
            error = await failure(within(200, "the upgrade", upgrade(stream, HOST, 80, "")))
        assert "took longer" in str(error)
        assert ticks.longest_ms <= PAUSE_MS
        stream.close()


async def test_an_upgrade_without_an_answer_is_named():
    async def silent(conn):
        await conn.silence()

    peer = Peer(silent)
    client = client_of("ws://%s:%d" % (HOST, peer.port))
    with Shorter("UPGRADE_MS", 100):
        error = (await within(3000, "all", client.serve())).error
    assert str(error).startswith("the upgrade to a WebSocket took longer")
    peer.close()


# The choice of it


class Refused(LinkError):
    pass


class Asked:
    """A Network that is asked for TLS or not, and refuses."""

    async def connect(self, host, port, tls):
        self.tls = tls
        raise Refused("no")


async def test_only_its_schemes_import_it_and_wss_has_tls():
    name = "firmware.link.websocket"
    kept = sys.modules.pop(name)
    try:
        for url, imported, tls in (
            ("mqtt://h", False, False),
            ("mqtts://h", False, True),
            ("ws://h", True, False),
            ("wss://h/x", True, True),
        ):
            network = Asked()
            client = client_of(url, network)
            assert (name in sys.modules) is imported, url
            assert type((await client.serve()).error) is Refused
            assert network.tls is tls, url
    finally:
        sys.modules[name] = kept


async def test_a_refused_upgrade_leaves_no_connection():
    peer = Peer(server(answer=b"HTTP/1.1 404 Not Found\r\n\r\n"))
    outcome = await client_of("ws://%s:%d" % (HOST, peer.port)).serve()
    assert "HTTP status 404" in str(outcome.error)
    await peer.finished()

"""The fallback's HTTP: every answer that a server can give, and every way it can fail to."""

import asyncio
import binascii
import time

from firmware import VERSION
from firmware.link import LinkError
from firmware.link.http import MAX_BODY, Http
from peers import NETWORK, PAUSE_MS, Peer, Ticks, descriptors, failure
from web import CHUNKED, EMPTY, OK, Server, get, get_failure, request

# What is asked


async def test_a_request_to_the_byte():
    received = []

    async def script(conn):
        received.append(await conn.read_until(b"\r\n\r\n{}"))
        await conn.write(EMPTY)

    peer = Peer(script)
    url = "http://127.0.0.1:%d/v3/data/devices/_this_/properties" % peer.port
    await Http(NETWORK).post(
        url, data=b"{}", headers={"Content-Type": "application/json"}, auth=("_key_1", "s")
    )
    assert received[0] == (
        b"POST /v3/data/devices/_this_/properties HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"User-Agent: csipio-thermostat/%s\r\n"
        b"Accept: application/json\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Authorization: Basic X2tleV8xOnM=\r\n"
        b"Content-Length: 2\r\n"
        b"Content-Type: application/json\r\n"
        b"\r\n{}" % (peer.port, VERSION.encode())
    )


async def test_a_get_has_no_body_and_asks_for_the_root():
    answer, server = await get(EMPTY)
    line, headers, body = server.requests[0]
    assert line == b"GET / HTTP/1.1"
    assert sorted(headers) == [b"Accept", b"Accept-Encoding", b"Host", b"User-Agent"]
    assert body == b""
    assert answer.status_code == 200


async def test_a_query_is_asked_for_as_it_is():
    server = Server(EMPTY)
    await Http(NETWORK).get(server.url + "/v3/state?header=true&u=http://x/")
    assert server.requests[0][0] == b"GET /v3/state?header=true&u=http://x/ HTTP/1.1"


async def test_credentials_are_utf_8_and_on_one_line_however_long():
    server = Server(EMPTY)
    await Http(NETWORK).post(server.url, auth=("°key", "s" * 200))
    _, headers, _ = server.requests[0]
    scheme, _, credentials = headers[b"Authorization"].partition(b" ")
    assert scheme == b"Basic"
    assert binascii.a2b_base64(credentials) == "°key:".encode() + b"s" * 200


async def test_data_of_every_kind_is_sent_with_its_length_in_bytes():
    block = bytearray([i % 256 for i in range(5120)])
    for data, sent in (
        (b"\0\xff", b"\0\xff"),
        (block, bytes(block)),
        (memoryview(block)[100:3000], bytes(block[100:3000])),
        ("21 °C", "21 °C".encode()),
        (b"", b""),
    ):
        server = Server(EMPTY)
        await Http(NETWORK).post(server.url + "/x", data=data)
        _, headers, body = server.requests[0]
        assert int(headers[b"Content-Length"]) == len(sent)
        assert body == sent


# What is answered


async def test_a_body_of_a_known_length():
    answer, _ = await get(OK + b"content-LENGTH:2\r\nRETRY-after: \xc2\xb0C \r\n\r\n{}")
    assert answer.status_code == 200
    assert answer.content == b"{}"
    assert answer.text == "{}"
    assert answer.json() == {}
    assert answer.headers == {"content-length": "2", "retry-after": "°C"}
    answer.close()


async def test_line_ends_without_carriage_returns():
    answer, _ = await get(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab")
    assert answer.content == b"ab"


async def test_an_answer_that_comes_byte_by_byte():
    async def answer(conn):
        await conn.drip(OK + b"Content-Length: 5\r\n\r\nabcde", 1)

    assert (await get(answer))[0].content == b"abcde"


async def test_chunks_with_extensions_and_trailers():
    answer, _ = await get(
        OK + b"Transfer-Encoding: Chunked\r\n\r\n"
        b'5;name="v;w"\r\nabcde\r\n'
        b"00A\r\n0123456789\r\n"
        b"0;last\r\nExpires: never\r\nX: y\r\n\r\n"
    )
    assert answer.content == b"abcde0123456789"


async def test_a_body_until_the_connection_is_closed():
    answer, _ = await get(OK + b"\r\n" + b"abc" * 1000, keep=False)
    assert answer.content == b"abc" * 1000


async def test_an_answer_that_has_no_body_by_its_status():
    for status in (b"204 No Content", b"304 Not Modified"):
        answer, _ = await get(b"HTTP/1.1 " + status + b"\r\n\r\n")
        assert answer.content == b""


async def test_interim_answers_are_passed_over():
    answer, _ = await get(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nDate: x\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\nx"
    )
    assert answer.status_code == 200
    assert answer.content == b"x"
    assert "date" not in answer.headers


async def test_statuses_are_results_and_not_errors():
    for status in (301, 400, 401, 404, 413, 429, 500, 503):
        answer, _ = await get(b"HTTP/1.1 %d\r\nContent-Length: 0\r\n\r\n" % status)
        assert answer.status_code == status


async def test_what_explains_a_status_is_not_waited_for():
    async def dripping(conn):
        await conn.write(b"HTTP/1.1 401 x\r\nContent-Length: 999999\r\n\r\n")
        try:
            await conn.drip(bytes(1000), 1000)
        except OSError:
            pass

    for answer in (
        b"HTTP/1.1 401 x\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 403 x\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 429 x\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 503 x\r\n\r\n" + b"x" * 9000,
        b"HTTP/1.1 302 x\r\n\r\n",
        dripping,
    ):
        server = Server(answer, EMPTY)
        client = Http(NETWORK)
        found = await client.get(server.url, timeout=5)
        assert found.status_code >= 300 and found.content == b""
        assert (await client.get(server.url)).status_code == 200
        assert server.connections == 2


async def test_a_redirect_is_not_followed():
    target = Server(EMPTY)
    head = b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: %s/\r\n\r\n"
    server = Server(head % target.url.encode())
    client = Http(NETWORK)
    answer = await client.post(server.url + "/a", data=b"x", auth=("user", "password"))
    assert answer.status_code == 307
    client.close()
    await server.peer.finished()
    assert target.connections == 0
    assert len(server.requests) == 1


async def test_what_is_no_json_is_a_value_error():
    for body in (b"<html>", b"", b"\xff\xfe", b"[" * 3000, b'{"a":x'):
        answer, _ = await get(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        try:
            answer.json()
        except ValueError:
            continue
        raise AssertionError("JSON: %r" % body)


# A body that is not kept


class Sink:
    """Collects what it is given, piece by piece."""

    def __init__(self):
        self.data = b""
        self.longest = 0

    def __call__(self, piece):
        self.data += piece
        self.longest = max(self.longest, len(piece))


async def test_a_body_of_any_kind_is_passed_on_piece_by_piece():
    body = bytes([i % 251 for i in range(20000)])
    chunks = b"5\r\n" + body[:5] + b"\r\n4e1b\r\n" + body[5:] + b"\r\n0\r\n\r\n"
    for answer in (
        OK + b"Content-Length: 20000\r\n\r\n" + body,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        OK + b"\r\n" + body,
    ):
        server = Server(answer, keep=False)
        sink = Sink()
        found = await Http(NETWORK).get(server.url, sink=sink)
        assert (found.status_code, found.content) == (200, b"")
        assert sink.data == body and sink.longest <= 1024


async def test_what_is_no_success_is_not_passed_on():
    for status, body in ((b"404 Not Found", b""), (b"301 Moved", b""), (b"201 Created", b"{}")):
        server = Server(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        sink = Sink()
        found = await Http(NETWORK).get(server.url, sink=sink)
        assert (sink.data, found.content) == (b"", body)


async def test_a_body_that_is_not_kept_may_have_any_length():
    size = 700000
    for head, tail in (
        (OK + b"Content-Length: %d\r\n\r\n" % size, b""),
        (CHUNKED + b"%x\r\n" % size, b"\r\n0\r\n\r\n"),
        (OK + b"\r\n", b""),
    ):
        taken = [0]

        def count(piece, taken=taken):
            taken[0] += len(piece)

        async def answer(conn, head=head, tail=tail):
            await conn.write(head)
            block = bytes(10000)
            for _ in range(size // len(block)):
                await conn.write(block)
            await conn.write(tail)

        server = Server(answer, keep=False)
        found = await Http(NETWORK).get(server.url, timeout=30, sink=count)
        assert (found.status_code, taken[0]) == (200, size)


async def test_a_body_that_is_not_kept_has_its_end_in_time():
    for start, block in (
        (OK + b"\r\n", b"z" * 1000),
        (CHUNKED, b"400\r\n" + b"z" * 1024 + b"\r\n"),
    ):
        server = Server(flood(start, block), keep=False)
        async with Ticks() as ticks:
            error = await failure(Http(NETWORK).get(server.url, timeout=0.3, sink=len))
        assert "took longer than" in str(error)
        assert ticks.longest_ms <= PAUSE_MS


async def test_what_the_sink_raises_ends_the_exchange():
    def sink(piece):
        raise LinkError("no state")

    before = descriptors()
    server = Server(OK + b"Content-Length: 2\r\n\r\n{}")
    client = Http(NETWORK)
    assert str(await failure(client.get(server.url, sink=sink))) == "no state"
    server.peer.close()
    assert descriptors() == before


async def test_an_answer_that_broke_off_is_not_asked_for_again():
    """Half of it was passed on already, and a server that breaks off does so again."""
    server = Server(EMPTY, OK + b"Content-Length: 5\r\n\r\nab", EMPTY)

    async def cut(conn):
        await conn.write(OK + b"Content-Length: 5\r\n\r\nab")
        await asyncio.sleep_ms(50)
        conn.reset()

    server.answers[1] = cut
    client = Http(NETWORK)
    await client.get(server.url)
    sink = Sink()
    await failure(client.get(server.url, sink=sink))
    assert sink.data == b"ab"
    assert len(server.requests) == 2


async def test_the_head_alone():
    server = Server(
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 401 x\r\nContent-Length: 99\r\nDate: today\r\n\r\n",
    )
    client = Http(NETWORK)
    assert (await client.head(server.url + "/v3")).status_code == 200
    answer = await client.head(server.url + "/v3")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["date"] == "today"
    line, headers, _ = server.requests[0]
    assert line == b"HEAD /v3 HTTP/1.1"
    assert b"Authorization" not in headers and b"Content-Length" not in headers
    assert server.connections == 1


# What is no answer


async def test_what_is_no_http_is_told():
    for answer in (
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 -20 x\r\n\r\n",
        b"\0\xff\xfe\r\n\r\n",
    ):
        assert "no HTTP server" in await get_failure(answer), answer


async def test_a_connection_that_ends_too_early_is_told():
    whole = OK + b"Content-Length: 5\r\n\r\nabcde"
    for length in (0, 1, len(OK), len(OK) + 20, len(whole) - 1):
        assert "closed by the other side" in await get_failure(whole[:length])
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    for length in (len(chunked) - 1, len(chunked) - 6, len(chunked) - 10, len(chunked) - 14):
        assert "closed by the other side" in await get_failure(chunked[:length])


async def test_lengths_that_are_none():
    for length in (b"x", b"-1", b"1.5", b"1, 1", b"", b"\xff5", b"5\xa0"):
        text = await get_failure(OK + b"Content-Length: " + length + b"\r\n\r\nx")
        assert "Content-Length is no number" in text, length
    for size in (b"x", b"-5", b"", b"5 5"):
        text = await get_failure(OK + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n\r\n")
        assert "chunks are malformed" in text, size
    text = await get_failure(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n")
    assert "chunks are malformed" in text


async def test_a_head_need_not_be_utf_8():
    """RFC 9110, section 5.5: it was Latin-1 once, and any byte is allowed still."""
    answer, _ = await get(
        b"HTTP/1.1 200 Tr\xe8s bien\r\nDate: caf\xe9\r\n\xff\xfe: \xff\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    assert answer.content == b"{}"
    assert answer.headers["date"] == "café"


async def test_the_largest_body_is_accepted_and_no_larger_one():
    for size in (MAX_BODY, MAX_BODY + 1, 10**30):
        head = OK + b"Content-Length: %d\r\n\r\n" % size
        if size == MAX_BODY:
            answer, _ = await get(head + bytes(size))
            assert len(answer.content) == size
            answer, _ = await get(OK + b"\r\n" + bytes(size), keep=False)
            assert len(answer.content) == size
        else:
            assert "longer than %d bytes" % MAX_BODY in await get_failure(head)


def flood(start, block):
    """An answer that never ends."""

    async def answer(conn):
        await conn.write(start)
        try:
            while True:
                await conn.write(block)
        except OSError:
            pass

    return answer


async def test_what_never_ends_is_cut_off_at_its_limit():
    for start, block, why in (
        (OK + b"\r\n", b"z" * 100, "longer than"),
        (CHUNKED, b"400\r\n" + b"z" * 1024 + b"\r\n", "longer than"),
        (CHUNKED + b"FFFFFFFFFFFF\r\n", b"z" * 100, "longer than"),
    ):
        text = await get_failure(flood(start, block))
        assert why in text, (start[:40], block[:10], text)


async def test_a_head_of_many_short_lines_is_passed_over():
    """Each header takes far more RAM than its bytes: only those that are used are kept."""
    head = b"".join([b"h%d:\r\n" % i for i in range(200)])
    answer, _ = await get(OK + head + b"Content-Length: 1\r\n\r\nx")
    assert answer.content == b"x"
    assert answer.headers == {"content-length": "1"}


async def test_what_never_ends_and_needs_no_memory_is_cut_off_in_time():
    for start, block in (
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 ", b"x" * 100),
        (OK, b"X: " + b"y" * 100 + b"\r\n"),
        (OK + b"X: ", b"y" * 100),
        (CHUNKED, b"1" * 100),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
    ):
        async with Ticks() as ticks:
            text = await get_failure(flood(start, block), timeout=0.3)
        assert "took longer than" in text
        assert ticks.longest_ms <= PAUSE_MS


async def test_the_timeout_is_for_everything_together():
    async def dripping_head(conn):
        await conn.drip(OK + b"X: " + b"y" * 1000, 20)

    async def dripping_body(conn):
        await conn.write(OK + b"Content-Length: 1000\r\n\r\n")
        await conn.drip(bytes(1000), 20)

    async def silent(conn):
        await conn.silence()

    before = descriptors()
    for answer in (dripping_head, dripping_body, silent):

        async def script(conn, answer=answer):
            await request(conn)
            try:
                await answer(conn)
            except OSError:
                pass

        peer = Peer(script)
        start = time.ticks_ms()
        error = await failure(Http(NETWORK).get("http://127.0.0.1:%d/" % peer.port, timeout=0.2))
        took_ms = time.ticks_diff(time.ticks_ms(), start)
        assert "the answer of 127.0.0.1 took longer than" in str(error)
        assert 190 <= took_ms <= 1000
        peer.close()
    assert descriptors() == before

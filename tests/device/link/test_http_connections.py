"""Which connections HTTP keeps, and what becomes of those that went stale."""

import asyncio

from firmware.link.http import Http
from peers import NETWORK, Peer, descriptors, failure
from web import CHUNKED, EMPTY, OK, Server


async def test_the_connection_is_kept():
    server = Server(
        OK + b"Content-Length: 1\r\n\r\na",
        CHUNKED + b"1\r\nb\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        OK + b"Content-Length: 1\r\n\r\ne",
    )
    client = Http(NETWORK)
    found = []
    for _ in range(4):
        found.append((await client.get(server.url)).content)
    assert found == [b"a", b"b", b"", b"e"]
    assert server.connections == 1


async def test_the_connection_is_closed_where_the_answer_says_so():
    for answer in (
        OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na",
        OK + b"Connection: Foo, Close\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    ):
        server = Server(answer, answer)
        client = Http(NETWORK)
        for count in (1, 2):
            assert (await client.get(server.url)).content == b"a"
            assert server.connections == count, answer


async def test_an_older_server_may_keep_the_connection():
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"
    server = Server(answer, answer)
    client = Http(NETWORK)
    for _ in range(2):
        assert (await client.get(server.url)).content == b"a"
    assert server.connections == 1


async def test_what_follows_an_answer_is_not_taken_for_the_next_one():
    planted = OK + b'Content-Length: 14\r\n\r\n{"accepted":9}'
    server = Server(
        OK + b"Content-Length: 1\r\n\r\na" + planted, OK + b"Content-Length: 1\r\n\r\nb"
    )
    client = Http(NETWORK)
    assert (await client.get(server.url)).content == b"a"
    assert (await client.get(server.url)).content == b"b"
    assert server.connections == 2


async def test_a_kept_connection_that_went_stale_is_tried_once_more():
    answer = OK + b"Content-Length: 1\r\n\r\na"
    server = Server(answer, answer, answer, keep=False)
    client = Http(NETWORK)
    for count in (1, 2, 3):
        assert (await client.post(server.url, data=b"body")).content == b"a"
        await server.peer.finished(count)
    assert server.connections == 3
    assert [body for _, _, body in server.requests] == [b"body"] * 3


async def test_a_new_connection_that_fails_is_not_tried_again():
    server = Server(b"", b"", keep=False)
    await failure(Http(NETWORK).get(server.url))
    assert server.connections == 1


async def test_what_came_while_nothing_was_asked_is_no_answer():
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"

    async def answer(conn):
        await conn.write(EMPTY)
        await asyncio.sleep_ms(20)
        await conn.write(late)

    server = Server(answer, OK + b"Content-Length: 1\r\n\r\na")
    client = Http(NETWORK)
    assert (await client.get(server.url)).status_code == 200
    await asyncio.sleep_ms(60)
    assert (await client.get(server.url)).content == b"a"
    assert server.connections == 2


async def test_a_stale_connection_is_tried_only_once_more():
    server = Server(OK + b"Content-Length: 0\r\n\r\n", b"", b"", keep=False)
    client = Http(NETWORK)
    await client.get(server.url)
    await failure(client.get(server.url))
    assert server.connections == 2


async def test_another_host_is_another_connection():
    one = Server(EMPTY, EMPTY)
    other = Server(EMPTY)
    client = Http(NETWORK)
    await client.get(one.url)
    await client.get(other.url)
    await one.peer.finished()  # its connection was closed: there is only one at a time
    assert (one.connections, other.connections) == (1, 1)


async def test_closing_closes_and_the_next_request_connects_again():
    server = Server(EMPTY, EMPTY)
    client = Http(NETWORK)
    before = descriptors()
    await client.get(server.url)
    client.close()
    await server.peer.finished()
    assert descriptors() == before
    client.close()
    await client.get(server.url)
    assert server.connections == 2


async def test_a_cancelled_request_leaves_no_connection():
    async def script(conn):
        await conn.gone()

    peer = Peer(script)
    client = Http(NETWORK)
    task = asyncio.create_task(client.get("http://127.0.0.1:%d/" % peer.port, timeout=60))
    before = descriptors()
    while not peer.conns:
        await asyncio.sleep_ms(1)
    task.cancel()
    await peer.finished()
    assert descriptors() == before

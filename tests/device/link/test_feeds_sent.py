"""Feeds on their way out, over both transports: piece by piece, whole, and never a wrong byte."""

import asyncio

import broker
from firmware.link import LinkError
from firmware.link.http import Http
from firmware.link.mqtt_session import Session
from model import Time, make_queue, points, text
from peers import HOST, NETWORK, Peer, failure

HEAP = "2M"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Pipe:
    """A stream that takes everything, and calls `between` after each write but the first."""

    def __init__(self, between=lambda: None):
        self.sent = b""
        self.writes = []
        self._between = between

    async def write(self, data):
        self.sent += bytes(data)
        self.writes.append(len(data))
        await asyncio.sleep_ms(0)
        if len(self.writes) > 1:
            self._between()


def filled(count, slots=1500, **kw):
    """A queue of so many readings, of three properties by turns."""
    time = Time()
    names = ("temperature", "humidity", "setpoint")
    queue = make_queue(time, names, slots=slots, max_points=1000, **kw)
    for n in range(count):
        queue.put(n % 3, n / 10)
        time.ms += 5000
    return queue


def published(pipe):
    """[(packet id, payload)] of what is on the wire, to its last byte."""
    found = [broker.read_publish(body) for _, body in broker.packets(pipe.sent)]
    return [(pid, payload) for _, pid, payload in found]


async def test_a_small_feed_goes_out_in_one_write_with_what_stands_before_it():
    """The second of two small writes would wait for the acknowledgement of the first."""
    queue = filled(3)
    feed = queue.take()
    pipe = Pipe()
    session = Session(pipe, b"_dev_1", None)
    session.publish(b"feeds", feed, 7)
    await session.flush()
    assert len(pipe.writes) == 1, pipe.writes
    assert published(pipe) == [(7, text(feed))]


async def test_a_feed_of_a_thousand_points_is_one_publish():
    for compact in (False, True):
        queue = filled(1000, compact=compact)
        feed = queue.take()
        assert feed.points == 1000
        pipe = Pipe()
        session = Session(pipe, b"_dev_1", None)
        session.publish(b"feeds", feed, 7)
        await session.flush()
        [(pid, payload)] = published(pipe)
        assert (pid, payload) == (7, text(feed))
        assert max(pipe.writes) <= 1408
        assert [v for _, _, v in points(payload)] == [n / 10 for n in range(1000)]


async def test_feeds_that_were_published_together_are_sent_one_after_the_other():
    queue = filled(600)
    pipe = Pipe()
    session = Session(pipe, b"_dev_1", None)
    feeds = [queue.take(size) for size in (200, 1, 150, 1)]
    for pid, feed in enumerate(feeds):
        session.publish(b"feeds", feed, pid + 1)
        session.ping()
    # Both who publishes and who answers the broker flush.
    await asyncio.gather(session.flush(), session.flush(), session.flush())
    found = [body for first, body in broker.packets(pipe.sent) if first == 0x32]
    assert [broker.read_publish(body)[2] for body in found] == [text(feed) for feed in feeds]


async def test_readings_that_come_while_a_feed_is_sent_are_not_in_it():
    queue = filled(300)
    feed = queue.take()
    before = text(feed)
    pipe = Pipe(lambda: queue.put(0, 1.5))
    session = Session(pipe, b"_dev_1", None)
    session.publish(b"feeds", feed, 1)
    await session.flush()
    assert published(pipe) == [(1, before)]


async def test_a_feed_whose_points_go_to_flash_meanwhile_is_sent_to_its_end():
    queue = filled(300, flash_kib=64)
    feed = queue.take()
    before = text(feed)
    pipe = Pipe(queue.flush)
    session = Session(pipe, b"_dev_1", None)
    session.publish(b"feeds", feed, 1)
    await session.flush()
    assert queue.spilled == 300
    assert published(pipe) == [(1, before)]


def overrun(queue, count):
    """What happens meanwhile: so many readings more."""

    def put():
        for _ in range(count):
            queue.put(0, 1.5)

    return put


def shortage(when_full):
    """A full queue, a feed of it, and what then changes its points."""
    queue = filled(500, slots=501, when_full=when_full)
    return queue, queue.take(300), overrun(queue, 200)


async def test_a_publish_that_is_overrun_ends_the_session_with_nothing_behind_it():
    for when_full in ("oldest", "thin"):
        queue, feed, meanwhile = shortage(when_full)
        whole = text(feed)
        pipe = Pipe(meanwhile)
        session = Session(pipe, b"_dev_1", None)
        session.publish(b"feeds", feed, 1)
        session.publish(b"feeds", b"x" * 100, 2)
        error = await failure(session.flush())
        assert "overran a feed" in str(error)
        at = pipe.sent.find(b"{")
        sent = pipe.sent[at:]
        assert 1408 >= len(sent) > 1000 and whole.startswith(sent), when_full
        # Nor does anybody else send anything on this connection.
        session.ping()
        assert isinstance(await failure(session.flush()), LinkError)
        assert pipe.sent[at:] == sent
        # What is still there is sent again, as it was.
        queue.release()
        known = points(whole)
        again = points(queue.take(50))
        if when_full == "oldest":
            assert again == known[queue.dropped :][:50]
        assert all(point in known or point[2] == 1.5 for point in again)


async def test_an_overrun_before_the_first_piece_sends_none():
    _, feed, meanwhile = shortage("oldest")
    pipe = Pipe()
    session = Session(pipe, b"_dev_1", None)
    session.publish(b"feeds", feed, 1)
    meanwhile()
    error = await failure(session.flush())
    assert "overran a feed" in str(error)
    assert b"{" not in pipe.sent


async def test_where_nothing_is_overwritten_newest_sends_to_the_end():
    _, feed, meanwhile = shortage("newest")
    pipe = Pipe(meanwhile)
    session = Session(pipe, b"_dev_1", None)
    session.publish(b"feeds", feed, 1)
    await session.flush()
    assert published(pipe) == [(1, text(feed))]


# HTTP


async def request(conn):
    """(Content-Length, body) of a POST that arrives whole."""
    head = await conn.read_until(b"\r\n\r\n")
    size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    return size, await conn.read(size)


async def test_a_feed_is_posted_with_its_length():
    bodies = []

    async def script(conn):
        for _ in range(3):
            bodies.append(await request(conn))
            await conn.write(OK)

    peer = Peer(script)
    http = Http(NETWORK)
    queue = filled(800)
    feeds = [queue.take(size) for size in (700, 1, 99)]
    for feed in feeds:
        await http.post("http://%s:%d/" % (HOST, peer.port), data=feed)
    await peer.finished()
    http.close()
    assert bodies == [(len(feed), text(feed)) for feed in feeds]


async def test_a_post_that_is_repeated_on_a_new_connection_begins_at_the_first_piece():
    bodies = []

    async def script(conn):
        if not bodies:
            bodies.append(await request(conn))
            await conn.write(OK)
            # It closes once something more has come, as if it had been about to all the time.
            await conn.read(3000)
            conn.reset()
            return
        bodies.append(await request(conn))
        await conn.write(OK)

    peer = Peer(script)
    http = Http(NETWORK)
    queue = filled(800)
    url = "http://%s:%d/" % (HOST, peer.port)
    await http.post(url, data=queue.take(10))
    feed = queue.take(700)
    answer = await http.post(url, data=feed)
    assert answer.status_code == 200
    http.close()
    assert bodies[1] == (len(feed), text(feed))
    assert len(peer.conns) == 2


async def test_a_post_that_is_overrun_is_an_error_and_a_body_that_never_ends():
    received = []

    async def script(conn):
        try:
            await conn.gone()
        finally:
            received.append(conn.received)

    class Overrun:
        """A feed; the buffer overruns it after the first piece."""

        def __init__(self, feed, meanwhile):
            self._feed = feed
            self._meanwhile = meanwhile

        def __len__(self):
            return len(self._feed)

        def __iter__(self):
            for piece in self._feed:
                yield piece
                self._meanwhile()

    queue, feed, meanwhile = shortage("oldest")
    whole = text(feed)
    peer = Peer(script)
    http = Http(NETWORK)
    error = await failure(
        http.post("http://%s:%d/" % (HOST, peer.port), data=Overrun(feed, meanwhile))
    )
    assert "overran a feed" in str(error)
    await peer.finished()
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % len(whole))
    assert 1000 < len(body) <= 1408 and whole.startswith(body)
    queue.release()
    assert points(queue.take(50)) == points(whole)[queue.dropped :][:50]

"""What an MQTT session sends: CONNECT and its answer, packets to the byte, never mixed."""

import asyncio

import broker
from firmware.link import mqtt_session as mqtt
from firmware.link.mqtt_session import Session
from firmware.link.stream import within
from peers import failure, narrow, until
from sessions import TOPIC, session
from world import Shorter

HEAP = "2M"

# CONNECT


async def connecting(user, password, keepalive_s, answer):
    """(bytes sent, LinkError or None)"""
    sent = []

    async def script(conn):
        first, body = await broker.read_packet(conn)
        sent.append(broker.packet(first, body))
        await conn.write(answer)
        await conn.gone()

    link = await session(script)
    try:
        error = None
        await within(1000, "connecting", link.session.connect(user, password, keepalive_s))
    except mqtt.LinkError as e:
        error = e
    link.stream.close()
    await link.peer.finished()
    return sent[0], error


async def test_connect_to_the_byte():
    sent, error = await connecting(b"_key_1", b"secret", 25, broker.connack())
    assert error is None
    assert sent == (
        b"\x10\x22"  # CONNECT, 34 bytes follow
        b"\x00\x04MQTT\x04"  # protocol level 4: 3.1.1
        b"\xc2"  # user name, password, clean session
        b"\x00\x19"  # keep-alive
        b"\x00\x06_dev_1"
        b"\x00\x06_key_1"
        b"\x00\x06secret"
    )


async def test_a_connect_of_more_than_127_bytes():
    for size in (94, 95, 96, 500):
        secret = b"s" * size
        sent, error = await connecting(b"_key_1", secret, 300, broker.connack())
        assert error is None
        assert sent == broker.packet(
            0x10,
            b"\0\4MQTT\x04\xc2\x01\x2c"
            + broker.field(b"_dev_1")
            + broker.field(b"_key_1")
            + broker.field(secret),
        )


async def test_a_session_present_makes_no_difference():
    _, error = await connecting(b"u", b"p", 25, b"\x20\x02\x01\x00")
    assert error is None


async def test_each_refusal_has_its_words_and_those_of_the_credentials_say_so():
    for code, words, refused in (
        (1, "3.1.1", False),
        (2, "device.id", True),
        (3, "not available", False),
        (4, "device.key_secret", True),
        (5, "this device; is it disabled, or is the key not that of device.id?", True),
        (6, "code 6", False),
        (255, "code 255", False),
    ):
        _, error = await connecting(b"user", b"hunter2", 25, broker.connack(code))
        assert words in str(error), code
        assert error.refused is refused
        assert "hunter2" not in str(error)


async def test_what_answers_may_be_no_broker():
    for answer in (
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100),
        b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(100),
        broker.PINGRESP,
        b"\x20\x00",
        b"\x20\x03\0\0\0",
        b"\x20\x81\0\0",
        broker.publish(b"t", b"x"),
        broker.publish(b"t", bytes(5000)),
        b"\x20\x80\x80\x80\x02" + bytes(10),
    ):
        _, error = await connecting(b"u", b"p", 25, answer)
        assert "no MQTT broker" in str(error) or "malformed" in str(error), (answer, error)
        assert not error.refused


async def test_a_broker_that_closes_instead_of_answering():
    async def script(conn):
        await broker.read_packet(conn)

    link = await session(script)
    error = await failure(link.session.connect(b"u", b"p", 25))
    assert "closed by the other side" in str(error)


async def test_a_broker_that_does_not_answer_is_named():
    async def script(conn):
        await broker.read_packet(conn)
        for byte in b"\x20\x02\x00":  # and never the last one
            await conn.write(bytes((byte,)))
            await asyncio.sleep_ms(60)
        await conn.silence()

    with Shorter("CONNACK_MS", 150):
        link = await session(script)
        error = await failure(within(2000, "all", link.session.connect(b"u", b"p", 25)))
    assert str(error).startswith("the broker's answer to CONNECT took longer")


async def test_a_broker_that_does_not_take_connect_is_named():
    class Full:
        async def write(self, data):
            await asyncio.Event().wait()

    with Shorter("TLS_MS", 50), Shorter("PACKET_OUT_MS", 50):
        found = Session(Full(), b"_dev_1", None)
        error = await failure(within(2000, "all", found.connect(b"u", b"p", 25)))
    assert str(error).startswith("sending CONNECT took longer")


# Out


async def test_a_packet_that_nobody_takes_is_named():
    async def script(conn):
        await conn.silence()

    for feed in (True, False):
        link = await session(script, window=4096)
        narrow(link.stream._sock)
        link.session.publish(b"feeds", bytes(200000), 1)
        with Shorter("PACKET_OUT_MS", 150):
            if not feed:
                # Who waits for its turn waits no longer.
                other = asyncio.create_task(link.session._flush())
                await asyncio.sleep_ms(20)
            error = await failure(within(2000, "all", link.session.flush()))
        assert str(error).startswith("sending to the broker took longer"), feed
        if not feed:
            other.cancel()
        link.stream.close()


async def test_a_publish_that_is_sent_again_says_so():
    received = []

    async def script(conn):
        received.append(await conn.read_to_end())

    link = await session(script)
    for pid, again in ((1, False), (2, True), (3, False), (4, True)):
        link.session.publish(b"t", bytes(300 * (pid // 4)), pid, again)
    link.session.ping()
    await link.session.flush()
    link.stream.close()
    await link.peer.finished()
    found = broker.packets(received[0])
    assert [first for first, _ in found] == [0x32, 0x3A, 0x32, 0x3A, 0xC0]
    assert [broker.read_publish(body) for _, body in found[:4]] == [
        (b"t", 1, b""),
        (b"t", 2, b""),
        (b"t", 3, b""),
        (b"t", 4, bytes(300)),
    ]


async def test_subscribe_and_publish_to_the_byte():
    received = []

    async def script(conn):
        received.append(await conn.read_to_end())

    link = await session(script)
    link.session.subscribe(b"csipio/data/in/devices/_dev_1/properties/#", 7)
    link.session.publish(b"t/\xc2\xb0C", b'{"v":1}', 258)
    link.session.ping()
    assert link.session.unsent
    await link.session.flush()
    assert not link.session.unsent
    link.stream.close()
    await link.peer.finished()
    assert received[0] == (
        b"\x82\x2f\x00\x07\x00\x2acsipio/data/in/devices/_dev_1/properties/#\x01"
        b'\x32\x10\x00\x05t/\xc2\xb0C\x01\x02{"v":1}'
        b"\xc0\x00"
    )


async def test_payloads_of_every_size_arrive_as_they_are():
    received = []

    async def script(conn):
        while True:
            try:
                received.append(await broker.read_packet(conn))
            except EOFError:
                return

    link = await session(script)
    block = memoryview(bytearray([i % 251 for i in range(20000)]))
    sizes = (0, 1, 63, 64, 65, 113, 114, 127, 128, 511, 512, 513, 8192, 16376, 16377, 20000)
    for i, size in enumerate(sizes):
        link.session.publish(b"topic", block[:size], i + 1)
        await link.session.flush()
    link.stream.close()
    await link.peer.finished()
    for i, size in enumerate(sizes):
        assert received[i][0] == 0x32
        assert broker.read_publish(received[i][1]) == (b"topic", i + 1, bytes(block[:size]))


async def test_what_was_written_before_a_flush_is_sent_in_order():
    received = []

    async def script(conn):
        received.append(await conn.read_to_end())

    link = await session(script)
    small = bytearray(b"small")
    for pid in range(1, 200):
        link.session.publish(b"t", memoryview(small), pid)
        small[0] = 0x53  # small pieces are taken at once
        link.session.publish(b"t", b"L" * 100, 1000 + pid)
    await link.session.flush()
    link.stream.close()
    await link.peer.finished()
    found = [broker.read_publish(body) for _, body in broker.packets(received[0])]
    assert len(found) == 398
    for i in range(199):
        assert found[2 * i] == (b"t", i + 1, b"small" if i == 0 else b"Small")
        assert found[2 * i + 1] == (b"t", 1001 + i, b"L" * 100)


async def test_a_header_and_its_topic_are_one_write():
    """Each write is a TLS record, of some 25 bytes, and without TLS possibly a packet."""
    link = await session(lambda conn: conn.silence())
    link.session.publish(b"csipio/data/out/devices/_dev_571692235317590466/json", bytes(200), 1)
    assert [len(piece) for piece in link.session._wire.out] == [59, 200]


async def test_packet_ids_to_the_last_one_and_round():
    received = []

    async def script(conn):
        for _ in range(4):
            received.append(await broker.read_packet(conn))

    link = await session(script)
    for pid in (65534, 65535, 1, 2):
        link.session.publish(b"t", b"x", pid)
        await link.session.flush()
    await link.peer.finished()
    assert [broker.read_publish(body)[1] for _, body in received] == [65534, 65535, 1, 2]


async def test_when_something_was_sent_is_known():
    link = await session(lambda conn: conn.silence())
    before = link.session.sent_ms
    await asyncio.sleep_ms(20)
    link.session.ping()
    await link.session.flush()
    assert 15 <= link.session.sent_ms - before <= 200
    assert not link.session.unsent


# Both


async def test_a_command_amid_a_feed_that_is_half_sent_mixes_no_packets():
    """The acknowledgement of a command waits until the feed is out; so do further feeds."""
    feed = bytes(range(256)) * 235
    received = []

    async def script(conn):
        head = await conn.read(1000)
        # The feed is half out, and nobody takes the rest.
        for pid in range(50, 55):
            await conn.write(broker.publish(TOPIC, b"22", pid))
        await until(lambda: len(link.messages) == 1, "the first command")
        await asyncio.sleep_ms(20)
        await conn.read_to_end()
        received.append(head + conn.received)

    link = await session(script, window=4096)
    narrow(link.stream._sock)
    link.listen()
    link.session.publish(b"feeds", memoryview(feed), 1)
    half = asyncio.create_task(link.session.flush())
    await until(lambda: link.messages, "a command")
    assert not half.done(), "the peer was not slow"
    link.session.publish(b"feeds", memoryview(feed)[:5000], 2)
    await link.session.flush()
    await half
    await until(lambda: len(link.messages) == 5, "the other commands")
    await link.session.flush()
    link.stream.close()
    await link.peer.finished()
    found = broker.packets(received[0])
    feeds = [broker.read_publish(body) for first, body in found if first == 0x32]
    assert feeds == [(b"feeds", 1, feed), (b"feeds", 2, feed[:5000])]
    acks = [body[1] for first, body in found if first == 0x40]
    assert acks == [50, 51, 52, 53, 54]
    assert len(found) == 7

"""MQTT sessions against a scripted broker on a real socket."""

import asyncio

import broker
from firmware.link import mqtt_session as mqtt
from firmware.link.mqtt_session import MAX_PACKET, PINGRESP, PUBACK, SUBACK, Session
from firmware.link.stream import within
from peers import HOST, NETWORK, PAUSE_MS, Peer, Ticks, failure, narrow, until
from world import Shorter

HEAP = "2M"

TOPIC = b"csipio/data/in/devices/_dev_1/properties/setpoint"
_PUBLISH = 0x30


class Link:
    """A session, and what it was told."""

    async def open(self, script, **kw):
        self.messages = []
        self.received = []  # (kind, packet id) of every packet
        self.error = None
        self.peer = Peer(script, **kw)
        self.stream = await NETWORK.connect(HOST, self.peer.port)
        self.session = Session(self.stream, b"_dev_1", self.take)
        return self

    def take(self, topic, payload):
        self.messages.append((topic, payload))

    def listen(self):
        self.task = asyncio.create_task(self._listen())

    async def _listen(self):
        try:
            while True:
                self.received.append(await self.session.receive())
        except Exception as error:
            self.error = error


async def session(script, **kw):
    return await Link().open(script, **kw)


async def told(data):
    """The Link after the broker sent this and closed."""

    async def script(conn):
        await conn.write(data)

    link = await session(script)
    link.listen()
    await until(lambda: link.error, "the end of the session")
    link.stream.close()
    link.peer.close()
    return link


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
        (5, "device.id", True),
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


# In


async def test_acknowledgements_in_any_order():
    async def script(conn):
        for _ in range(3):
            await broker.read_packet(conn)
        await conn.write(broker.puback(3) + broker.puback(1) + broker.PINGRESP + broker.puback(2))

    link = await session(script)
    for pid in (1, 2, 3):
        link.session.publish(b"t", b"x", pid)
    await link.session.flush()
    link.listen()
    await until(lambda: link.error, "the end")
    assert link.received == [(PUBACK, 3), (PUBACK, 1), (PINGRESP, 0), (PUBACK, 2)]


async def test_acknowledgements_that_nobody_waits_for_change_nothing():
    link = await told(
        broker.puback(9) + broker.puback(9) + broker.puback(65535) + broker.publish(b"t", b"x")
    )
    assert link.received == [(PUBACK, 9), (PUBACK, 9), (PUBACK, 65535), (_PUBLISH, 0)]
    assert link.messages == [(b"t", b"x")]


async def test_a_body_that_nobody_reads_leaves_the_stream_in_step():
    link = await told(
        b"\x40\x04\x00\x05zz"  # PUBACK with two bytes too many
        b"\xd0\x03abc"  # PINGRESP with a body
        b"\x90\x05\x00\x01\x01\x01\x01" + broker.publish(b"t", b"x")
    )
    assert link.received == [(PUBACK, 5), (PINGRESP, 0), (SUBACK, 1), (_PUBLISH, 0)]
    assert link.messages == [(b"t", b"x")]


async def test_lengths_in_more_bytes_than_need_be_are_understood():
    link = await told(
        b"\x40\x82\x00\x01\x02"
        b"\x90\x83\x80\x00\x03\x04\x01"
        b"\xd0\x80\x00"
        b"\x30\x84\x80\x80\x00\x00\x01tx" + broker.puback(5)
    )
    assert link.received == [
        (PUBACK, 0x102),
        (SUBACK, 0x304),
        (PINGRESP, 0),
        (_PUBLISH, 0),
        (PUBACK, 5),
    ]
    assert link.messages == [(b"t", b"x")]


async def exchange(data, answers):
    """The Link, and what it sent until there were so many packets of answer."""
    sent = []

    async def script(conn):
        await conn.write(data)
        for _ in range(answers):
            sent.append(await broker.read_packet(conn))

    link = await session(script)
    link.listen()
    await link.peer.finished()
    return link, sent


async def test_a_message_is_delivered_and_acknowledged():
    link, sent = await exchange(broker.publish(TOPIC, b"21.5", 4660), 1)
    assert link.messages == [(TOPIC, b"21.5")]
    assert sent == [(0x40, b"\x12\x34")]


async def test_messages_of_qos_0_are_not_acknowledged():
    link, sent = await exchange(broker.publish(b"a", b"0") + broker.publish(b"b", b"1", 1), 1)
    assert link.messages == [(b"a", b"0"), (b"b", b"1")]
    assert sent == [(0x40, b"\0\1")]


async def test_retained_and_repeated_messages_are_messages():
    data = b"\x3b" + broker.publish(b"t", b"x", 5)[1:]  # DUP and RETAIN
    link, sent = await exchange(data, 1)
    assert link.messages == [(b"t", b"x")]
    assert sent == [(0x40, b"\0\5")]


async def test_payloads_are_bytes_of_any_kind_and_may_be_missing():
    payload = bytes(range(256))
    link, _ = await exchange(
        broker.publish(b"\xff\0", payload, 1) + broker.publish(b"t", b"", 2), 2
    )
    assert link.messages == [(b"\xff\0", payload), (b"t", b"")]


async def test_a_packet_in_pieces_is_received_whole():
    async def script(conn):
        await conn.drip(broker.publish(TOPIC, b"x" * 150, 1), 1)
        sent.append(await broker.read_packet(conn))

    sent = []
    link = await session(script)
    link.listen()
    await link.peer.finished()
    assert link.messages == [(TOPIC, b"x" * 150)]


async def test_what_a_message_does_may_raise_and_is_acknowledged_all_the_same():
    link = await session(lambda conn: conn.silence())

    sent = []

    async def script(conn):
        for pid in (1, 2):
            await conn.write(broker.publish(b"t", b"x", pid))
            sent.append(await broker.read_packet(conn))

    def take(topic, payload):
        link.messages.append(payload)
        raise KeyError("setpoint")

    link = await session(script)
    link.session._on_message = take
    link.listen()
    await link.peer.finished()
    assert sent == [(0x40, b"\0\1"), (0x40, b"\0\2")]
    assert link.messages == [b"x", b"x"]


async def test_a_refused_subscription_is_an_error():
    link = await told(broker.suback(1, 0x80))
    assert "refused the subscription" in str(link.error)
    assert not link.error.refused


async def test_a_granted_subscription_is_told():
    for code in (0, 1):
        link = await told(broker.suback(1, code))
        assert link.received == [(SUBACK, 1)]


async def test_qos_2_is_refused_before_it_is_obeyed():
    for qos in (2, 3):
        link = await told(broker.publish(TOPIC, b"99", 1, qos=qos))
        assert "QoS 2" in str(link.error)
        assert link.messages == []


# Too large


def said(link):
    """The messages, as text: no two ranges are the same."""
    return str(link.messages)


async def test_the_largest_packet_is_stored_and_of_a_larger_one_the_size_is_told():
    payload = b"p" * (MAX_PACKET - 5)
    largest = broker.publish(b"t", payload, 1)
    assert len(largest) == MAX_PACKET + 3
    larger = broker.publish(b"t", payload + b"p", 2)
    link, sent = await exchange(largest + larger + broker.publish(b"t", b"x", 3), 3)
    size = range(len(payload) + 1)
    assert said(link) == str([(b"t", payload), (b"t", size), (b"t", b"x")])
    assert sent == [(0x40, b"\0\1"), (0x40, b"\0\2"), (0x40, b"\0\3")]
    assert link.received[1] == (_PUBLISH, 0)


async def test_what_is_too_large_is_configured():
    sent = []

    async def script(conn):
        for size, pid in ((251, 1), (252, 2)):
            await conn.write(broker.publish(b"t", b"p" * size, pid))
            sent.append(await broker.read_packet(conn))

    link = await session(script)
    link.session = Session(link.stream, b"_dev_1", link.take, 256)
    link.listen()
    await link.peer.finished()
    assert said(link) == str([(b"t", b"p" * 251), (b"t", range(252))])
    assert sent == [(0x40, b"\0\1"), (0x40, b"\0\2")]


async def test_of_a_large_message_of_qos_0_the_size_is_told_without_an_answer():
    link, sent = await exchange(
        broker.publish(b"t", bytes(10000)) + broker.publish(b"u", b"x", 1), 1
    )
    assert said(link) == str([(b"t", range(10000)), (b"u", b"x")])
    assert sent == [(0x40, b"\0\1")]


async def test_of_a_message_larger_than_all_memory_the_size_is_told():
    """3 MB, three times the heap of this test, and nobody waits for it."""
    block = bytes(8192)
    blocks = 3 * 128

    async def script(conn):
        size = 3 + 2 + blocks * len(block)
        await conn.write(broker.packet(0x32, b"")[:1])
        n = size
        while True:
            await conn.write(bytes((n & 0x7F | (0x80 if n > 0x7F else 0),)))
            n >>= 7
            if not n:
                break
        await conn.write(b"\0\1t\0\7")
        for _ in range(blocks):
            await conn.write(block)
        await conn.write(broker.publish(b"u", b"after", 8))
        sent.append(await broker.read_packet(conn))
        sent.append(await broker.read_packet(conn))

    sent = []
    link = await session(script)
    link.listen()
    async with Ticks() as ticks:
        await link.peer.finished()
    assert sent == [(0x40, b"\0\7"), (0x40, b"\0\x08")]
    assert said(link) == str([(b"t", range(blocks * len(block))), (b"u", b"after")])
    assert ticks.longest_ms <= PAUSE_MS


async def test_of_a_large_topic_the_beginning_is_told():
    link, sent = await exchange(
        broker.publish(b"t" * 5000, b"x", 300) + broker.publish(b"u", b"y", 1), 2
    )
    assert said(link) == str([(b"t" * 256, range(1)), (b"u", b"y")])
    assert sent == [(0x40, b"\x01\x2c"), (0x40, b"\0\1")]


# Malformed


async def test_malformed_packets_end_the_session():
    for data in (
        b"\x30\x80\x80\x80\x80\x01",  # a remaining length of five bytes
        b"\x30\xff\xff\xff\xff\x7f",
        b"\x30\x00",  # PUBLISH without a topic
        b"\x30\x01\x00",
        b"\x30\x05\x00\x09abc",  # a topic longer than its packet
        b"\x32\x03\x00\x01t",  # QoS 1 without a packet id
        b"\x32\x04\x00\x01t\x00",
        b"\x40\x00",  # PUBACK for nothing
        b"\x40\x01\x00",
        b"\x90\x01\x00",
        b"\x90\x02\x00\x01",  # SUBACK without what was granted
        b"\x32\xff\x3f\xff\xff" + bytes(16381),  # too large, with a topic longer than it
        b"\x30\xff\x3f\xff\xff" + bytes(16381),
        b"\x30\xff\x3f\x3f\xfe" + bytes(16381),  # by one byte
        b"\x32\xff\x3f\x3f\xfc" + bytes(16381),  # without all of a packet id
        b"\x40\xff\x3f" + bytes(16383),  # too large for what it is
        b"\x34\xff\x3f\x00\x01" + bytes(16381),  # and with QoS 2
    ):
        link = await told(data + broker.publish(b"t", b"x"))
        assert "malformed packet" in str(link.error), (data[:10], link.error)
        assert link.messages == []


async def test_packets_that_only_a_server_gets_end_the_session():
    for first in (0x00, 0x10, 0x20, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xB0, 0xC0, 0xE0, 0xF0):
        link = await told(bytes((first, 2, 0, 0)) + broker.publish(b"t", b"x"))
        assert "nobody asked for" in str(link.error), first
        assert link.messages == []


async def test_an_end_at_every_byte_of_every_packet_is_told():
    for whole in (
        broker.publish(TOPIC, b"21.5", 1),
        broker.publish(b"t", b"x" * 200),
        broker.puback(1),
        broker.suback(1),
        broker.PINGRESP,
    ):
        for length in range(len(whole)):
            if 60 < length < 190:
                continue
            link = await told(whole[:length])
            assert "closed by the other side" in str(link.error)
            assert link.messages == []


async def test_a_packet_that_never_ends_is_cut_by_the_deadline():
    async def script(conn):
        await conn.write(broker.publish(b"t", b"xyz")[:-1])
        await conn.silence()

    link = await session(script)
    error = await failure(within(100, "the packet", link.session.receive()))
    assert "the packet took longer" in str(error)
    assert link.messages == []


async def test_a_broker_that_floods_blocks_nobody_else():
    async def script(conn):
        try:
            while True:
                await conn.write(broker.PINGRESP * 500)
        except OSError:
            pass

    link = await session(script)

    async def listen():
        for _ in range(10000):
            await link.session.receive()

    async with Ticks() as ticks:
        await within(5000, "the flood", listen())
    assert ticks.longest_ms <= PAUSE_MS


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

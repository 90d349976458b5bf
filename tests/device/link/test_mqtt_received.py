"""What an MQTT session makes of the packets that a broker sends."""

import broker
from firmware.link.mqtt_session import MAX_PACKET, Session
from firmware.link.packets import PINGRESP, PUBACK, SUBACK
from firmware.link.stream import within
from peers import PAUSE_MS, Ticks, failure, until
from sessions import PUBLISH, TOPIC, exchange, session, told

HEAP = "2M"


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
    assert link.received == [(PUBACK, 9), (PUBACK, 9), (PUBACK, 65535), (PUBLISH, 0)]
    assert link.messages == [(b"t", b"x")]


async def test_a_body_that_nobody_reads_leaves_the_stream_in_step():
    link = await told(
        b"\x40\x04\x00\x05zz"  # PUBACK with two bytes too many
        b"\xd0\x03abc"  # PINGRESP with a body
        b"\x90\x05\x00\x01\x01\x01\x01" + broker.publish(b"t", b"x")
    )
    assert link.received == [(PUBACK, 5), (PINGRESP, 0), (SUBACK, 1), (PUBLISH, 0)]
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
        (PUBLISH, 0),
        (PUBACK, 5),
    ]
    assert link.messages == [(b"t", b"x")]


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


async def test_it_is_known_which_messages_are_retained():
    large = broker.publish(b"t", b"x" * 5000)[1:]
    data = b"".join(
        (bytes((first,)) + rest)
        for first, rest in (
            (0x32, broker.publish(b"t", b"x", 5)[1:]),
            (0x33, broker.publish(b"t", b"x", 6)[1:]),
            (0x30, broker.publish(b"t", b"x")[1:]),
            (0x31, large),
            (0x30, large),
            (0x3B, broker.publish(b"t", b"x", 7)[1:]),
        )
    )
    link, sent = await exchange(data, 3)
    assert link.retained == [False, True, False, True, False, True]
    assert sent == [(0x40, b"\0" + bytes((pid,))) for pid in (5, 6, 7)]


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
    assert link.received[1] == (PUBLISH, 0)


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

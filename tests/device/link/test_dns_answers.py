"""What of a name server's answer is believed, and what it may cost."""

import asyncio
import random
import socket

from dns_packets import (
    AAAA,
    BROKEN,
    CNAME,
    NAME,
    NS,
    POINTER,
    QUERY,
    A,
    a,
    address,
    asking,
    record,
    reply,
    says,
    wire,
)
from firmware.link.dns import decode
from firmware.link.stream import readable
from peers import (
    UdpPeer,
    bind,
    failure,
)


async def test_the_address_is_the_servers():
    peer = UdpPeer(says("192.0.2.7"))
    assert await address(asking(peer)) == "192.0.2.7"
    assert peer.asked == 1


async def test_the_question_is_one_for_an_address_and_cannot_be_guessed():
    asked = []

    def answer(data):
        asked.append(data)
        return (reply(data, a("192.0.2.7")),)

    resolver = asking(UdpPeer(answer))
    for _ in range(4):
        await address(resolver)
    for data in asked:
        assert data[2:12] == b"\x01\0\0\x01\0\0\0\0\0\0"
        assert data[12:] == wire(NAME) + b"\0\x01\0\x01"
    assert len({data[:2] for data in asked}) > 1


async def test_capitals_make_no_difference():
    def answer(data):
        return (reply(data, a("192.0.2.7"), question=data[12:].upper()),)

    assert await address(asking(UdpPeer(answer))) == "192.0.2.7"


async def test_nothing_but_the_answer_is_believed():
    wrong = a("203.0.113.9")

    def answers(data):
        other = wire("mqtt.csip.ro") + data[-4:]
        return (
            b"\0",
            b"\0",
            data,  # the question itself
            reply(data, wrong, number=bytes((data[0] ^ 1, data[1]))),
            reply(data, wrong, number=bytes((data[0], data[1] ^ 1))),
            reply(data, wrong, question=other),
            reply(data, wrong, question=data[12:-3] + b"\x1c\0\x01"),
            reply(data, wrong, flags=0x0180),  # not a response
            reply(data, wrong, flags=0x9180),  # an answer to something else than a query
            reply(data, flags=0x8183, question=other),  # another name does not exist
            reply(data, a("192.0.2.7")),
        )

    peer = UdpPeer(answers)
    assert await address(asking(peer, again_ms=2000, silence_ms=3000)) == "192.0.2.7"


async def test_an_empty_answer_is_not_waited_behind():
    """After one, an ESP32's socket finds nothing any more but its end, again and again."""
    peer = UdpPeer(lambda data: (b"",))
    error = await failure(address(asking(peer, silence_ms=600000)))
    assert "its answer is empty" in str(error)


async def test_who_was_not_asked_is_not_heard():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = bind(server)
    server.setblocking(False)

    async def serve():
        await readable(server)
        data, asker = server.recvfrom(512)
        stranger.sendto(reply(data, a("203.0.113.9")), asker)
        await asyncio.sleep_ms(60)
        server.sendto(reply(data, a("192.0.2.7")), asker)

    task = asyncio.create_task(serve())
    assert await address(asking(port, again_ms=500, silence_ms=1000)) == "192.0.2.7"
    await task
    server.close()
    stranger.close()


def test_aliases_are_followed_in_any_order():
    chain = (
        record(POINTER, CNAME, wire("a.example")),
        record(wire("A.Example"), CNAME, b"\x01b\xc0\x11"),  # b.csip.io, partly the question's
        a("192.0.2.8", wire("b.csip.io")),
    )
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)):
        assert decode(reply(QUERY, *[chain[i] for i in order]), QUERY) == "192.0.2.8", order


def test_only_what_belongs_to_the_name_counts():
    own = a("192.0.2.7")
    for other in (
        a("203.0.113.9", wire("other.example")),
        record(POINTER, AAAA, bytes(16)),
        record(POINTER, A, bytes(4), group=3),
        record(POINTER, 46, b"a signature"),
        record(POINTER, A, b"\xcb\0"),
        record(wire("x"), CNAME, POINTER),
    ):
        assert decode(reply(QUERY, other), QUERY) == 0
        assert decode(reply(QUERY, other, own), QUERY) == "192.0.2.7"
    # What stands behind the answers, as the name servers' own addresses do, is no answer.
    assert decode(reply(QUERY, own, count=0), QUERY) == 0


def test_of_several_addresses_it_is_any():
    """The first one may be that of a server which is down, for as long as it likes."""
    addresses = ["192.0.2.%d" % n for n in (7, 8, 9)]
    packet = reply(QUERY, *[a(address) for address in addresses])
    assert {decode(packet, QUERY) for _ in range(200)} == set(addresses)


def test_circles_have_an_end():
    start = len(QUERY)

    def pointer(to):
        return bytes((0xC0 | to >> 8, to & 255))

    circles = (
        pointer(start),
        pointer(start + 2) + pointer(start),
        b"\x01a" + pointer(start),
        b"\x3f" + bytes(63) + pointer(start),
        pointer(0x3FFF),
        b"\x40" + bytes(64),
        b"\x80\0",
    )
    for circle in circles:
        packet = reply(QUERY, circle + bytes(10), a("192.0.2.7"))
        assert decode(packet, QUERY) == BROKEN
    to_itself = record(POINTER, CNAME, POINTER)
    assert decode(reply(QUERY, to_itself), QUERY) == 0
    there = record(POINTER, CNAME, wire("b"))
    back = record(wire("b"), CNAME, POINTER)
    assert decode(reply(QUERY, there, back), QUERY) == 0


def test_what_an_answer_may_cost_is_bounded():
    def after(*owners):
        return decode(reply(QUERY, *[record(o, NS, b"") for o in owners], a("192.0.2.7")), QUERY)

    assert after(b"\x01a" * 31 + b"\0") == "192.0.2.7"
    assert after(b"\x01a" * 32 + b"\0") == BROKEN
    label = b"\x3f" + b"a" * 63
    assert after(label * 3 + b"\x3d" + b"a" * 61 + b"\0") == "192.0.2.7"
    assert after(label * 4 + b"\0") == BROKEN
    assert after(b"\x40" + b"a" * 64 + b"\0") == BROKEN
    assert after(*[POINTER] * 15) == "192.0.2.7"
    assert after(*[POINTER] * 16) == 0


def test_an_answer_that_ends_anywhere():
    packet = reply(
        QUERY, record(POINTER, CNAME, wire("a.example")), a("192.0.2.8", wire("a.example"))
    )
    for end in range(len(packet)):
        found = decode(packet[:end], QUERY)
        assert found is None if end < len(QUERY) else found == BROKEN, (end, found)
    assert decode(packet, QUERY) == "192.0.2.8"


def test_a_few_thousand_damaged_answers():
    random.seed(4)
    whole = reply(
        QUERY,
        record(POINTER, CNAME, b"\x03www\xc0\x11"),
        record(b"\x03www\xc0\x11", CNAME, wire("edge.example")),
        a("192.0.2.8", wire("edge.example")),
        a("192.0.2.9", wire("edge.example")),
    )
    kinds = {}
    for _ in range(6000):
        packet = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            at = random.randint(0, len(packet) - 1)
            # Mostly behind the question, or it would mostly be ignored.
            if at < len(QUERY) and random.randint(0, 3):
                at = random.randint(len(QUERY), len(packet) - 1)
            packet[at] = random.choice((0, 1, 0xC0, 0xFF, random.getrandbits(8)))
        if not random.randint(0, 3):
            packet = packet[: random.randint(0, len(packet))]
        found = decode(bytes(packet), QUERY)
        kind = "address" if isinstance(found, str) else found
        assert kind in ("address", None) or 0 <= kind <= BROKEN
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind in ("address", None, 0, BROKEN):
        assert kinds.get(kind, 0) > 50, kinds

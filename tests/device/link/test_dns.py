"""Names become addresses while the program goes on, whatever the name servers do."""

import asyncio
import os
import random
import socket
import struct
import sys
import time

import fake_esp32

fake_esp32.install()

from firmware.base.log import Log
from firmware.board import esp32, unix  # noqa: E402 needs the stand-ins
from firmware.link import LinkError, sntp
from firmware.link.dns import Resolver, _query, decode
from firmware.link.stream import Network, Trust, readable, within
from peers import (
    HOST,
    PAUSE_MS,
    Peer,
    Ticks,
    UdpPeer,
    bind,
    descriptors,
    failure,
    refusing,
)

NAME = "mqtt.csip.io"
A, NS, CNAME, AAAA = 1, 2, 5, 28
ANSWERED = 0x8180  # a response, recursion desired and available
BROKEN = 17  # what `decode` calls an answer that cannot be read
POINTER = b"\xc0\x0c"  # to the question's name
QUERY = _query(NAME)


def wire(name):
    return b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0"


def record(owner, kind, data, group=1, ttl=300):
    return owner + struct.pack("!HHIH", kind, group, ttl, len(data)) + data


def a(address, owner=POINTER):
    return record(owner, A, bytes(int(part) for part in address.split(".")))


def reply(query, *records, flags=ANSWERED, count=None, question=None, number=None):
    """The datagram that answers a query."""
    return (
        (query[:2] if number is None else number)
        + struct.pack("!HHHHH", flags, 1, len(records) if count is None else count, 0, 0)
        + (query[12:] if question is None else question)
        + b"".join(records)
    )


def silent(_):
    return ()


def says(address):
    return lambda data: (reply(data, a(address)),)


def answers_with(flags, *records):
    return lambda data: (reply(data, *records, flags=flags),)


def asking(*peers, again_ms=60, silence_ms=180):
    """A resolver that asks these; ports may stand for peers."""
    ports = [peer if isinstance(peer, int) else peer.port for peer in peers]
    return Resolver(lambda: ["%s:%d" % (HOST, port) for port in ports], again_ms, silence_ms)


async def address(resolver, name=NAME):
    return await within(5000, "it", resolver.address(name))


# The answer


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


# What servers refuse


async def test_a_name_that_does_not_exist_is_told():
    peer = UdpPeer(answers_with(0x8183))
    other = UdpPeer(says("192.0.2.7"))
    error = await failure(address(asking(peer, other)))
    assert str(error) == "the name mqtt.csip.io does not exist"
    assert other.asked == 0


async def test_an_alias_of_a_name_that_does_not_exist():
    gone = record(POINTER, CNAME, wire("gone.example"))
    peer = UdpPeer(answers_with(0x8183, gone))
    error = await failure(address(asking(peer)))
    assert str(error) == "the name mqtt.csip.io does not exist"


async def test_a_name_without_an_ipv4_address_is_told():
    six = record(POINTER, AAAA, bytes(16))
    peer = UdpPeer(answers_with(ANSWERED, six))
    error = await failure(address(asking(peer)))
    assert str(error) == "the name mqtt.csip.io has no IPv4 address"


async def test_every_refusal_has_words():
    for flags, records, words in (
        (0x8181, (), "does not understand the question"),
        (0x8182, (), "failed"),
        (0x8184, (), "does not answer such questions"),
        (0x8185, (), "refused to answer"),
        (0x8189, (), "answered with the error 9"),
        (0x8185, (a("203.0.113.9"),), "refused to answer"),
        (0x8380, (), "cut its answer short"),
        (0x8180, (b"\x05ab",), "gave an answer that cannot be read"),
    ):
        peer = UdpPeer(answers_with(flags, *records))
        error = await failure(address(asking(peer)))
        told = "the name mqtt.csip.io cannot be resolved: the name server %s:%d: it %s"
        assert str(error) == told % (HOST, peer.port, words)
        peer.close()


async def test_an_answer_cut_short_is_used_if_an_address_is_in_it():
    peer = UdpPeer(answers_with(0x8380, a("192.0.2.7")))
    assert await address(asking(peer)) == "192.0.2.7"


async def test_after_a_refusal_the_next_server_is_asked_at_once():
    dead, _sock = refusing(socket.SOCK_DGRAM)
    for bad in (UdpPeer(answers_with(0x8182)), dead):
        good = UdpPeer(says("192.0.2.7"))
        before = descriptors()
        began = time.ticks_ms()
        assert await address(asking(bad, good, again_ms=2000, silence_ms=3000)) == "192.0.2.7"
        assert time.ticks_diff(time.ticks_ms(), began) < 1000
        assert descriptors() == before


# Silence


async def test_a_lost_question_is_asked_again():
    lost = [1]
    peer = UdpPeer(lambda data: () if lost and lost.pop() else (reply(data, a("192.0.2.7")),))
    assert await address(asking(peer)) == "192.0.2.7"
    assert peer.asked == 2


async def test_when_a_server_is_silent_the_next_is_asked_and_either_may_answer():
    mute = UdpPeer(silent)
    good = UdpPeer(says("192.0.2.7"))
    assert await address(asking(mute, good)) == "192.0.2.7"
    assert mute.asked == 1
    late = UdpPeer(says("192.0.2.6"), before_ms=100)
    other = UdpPeer(silent)
    assert await address(asking(late, other)) == "192.0.2.6"
    assert other.asked == 1


async def test_silence_of_all_is_told_and_holds_nobody_up():
    first, second = UdpPeer(silent), UdpPeer(silent)
    before = descriptors()
    async with Ticks() as ticks:
        error = await failure(address(asking(first, second, again_ms=200, silence_ms=600)))
    assert "cannot be resolved: no answer from the name server" in str(error)
    assert NAME in str(error) and str(first.port) in str(error) and str(second.port) in str(error)
    assert (first.asked, second.asked) == (2, 1)
    assert ticks.longest_ms <= PAUSE_MS
    assert descriptors() == before


async def test_where_the_host_was_last_reached_is_used_when_no_server_knows_it_and_not_before():
    answers = [says("192.0.2.7")]
    peer = UdpPeer(lambda data: answers[0](data))
    resolver = asking(peer)
    resolver.remember(NAME, "192.0.2.6")
    assert await address(resolver) == "192.0.2.7"  # it has moved
    resolver.remember(NAME, "192.0.2.7")
    answers[0] = says("203.0.113.9")  # a false one, where nobody is reached
    assert await address(resolver) == "203.0.113.9"
    answers[0] = silent
    began = time.ticks_ms()
    assert await address(resolver) == "192.0.2.7"
    assert time.ticks_diff(time.ticks_ms(), began) >= 180
    error = await failure(address(resolver, "other.example"))
    assert "other.example cannot be resolved" in str(error)
    # Also where it is denied, as by a router that has no way out itself.
    for denied in (answers_with(0x8182), answers_with(0x8183), answers_with(ANSWERED)):
        warnings = Log.warnings
        answers[0] = denied
        assert await address(resolver) == "192.0.2.7"
        assert Log.warnings == warnings + 1
    peer.close()
    assert await address(resolver) == "192.0.2.7"


async def test_only_a_few_addresses_are_kept():
    resolver = asking()
    for i in range(20):
        resolver.remember("host%d.example" % i, "192.0.2.7")
    assert len(resolver.known) == 8
    assert "host19.example" in resolver.known


async def test_the_servers_are_those_of_the_moment():
    first, second = UdpPeer(says("192.0.2.1")), UdpPeer(says("192.0.2.2"))
    now = [first.port]
    resolver = Resolver(lambda: ["%s:%d" % (HOST, port) for port in now])
    assert await address(resolver) == "192.0.2.1"
    now[0] = second.port
    assert await address(resolver) == "192.0.2.2"


async def test_without_a_server_the_name_is_not_asked_for():
    error = await failure(address(Resolver(list)))
    assert "mqtt.csip.io cannot be resolved: no name server is known" in str(error)
    for odd in ("dns.example", "fe80--1%eth0", "1.2.3", "1.2.3.4:x"):
        error = await failure(address(Resolver([odd].copy)))
        assert "cannot be resolved: the name server %s: " % odd in str(error)


async def test_what_is_no_name_is_not_asked_for():
    resolver = asking(UdpPeer(silent))
    for name in ("", "a..b", ".a", "a" * 64 + ".example"):
        assert "no name of a host" in str(await failure(address(resolver, name)))


async def test_a_cancelled_look_up_leaves_no_socket_open():
    resolver = asking(UdpPeer(silent), UdpPeer(silent), silence_ms=60000)
    before = descriptors()
    error = await failure(within(100, "the look-up", resolver.address(NAME)))
    assert "the look-up took longer" in str(error)
    assert descriptors() == before
    for _ in range(20):
        await failure(within(1, "it", resolver.address(NAME)))
    assert descriptors() == before


async def test_an_answer_leaves_no_socket_open():
    resolver = asking(UdpPeer(says("192.0.2.7")), UdpPeer(silent))
    before = descriptors()
    for _ in range(20):
        await address(resolver)
    assert descriptors() == before


async def test_garbage_from_a_server_raises_nothing_but_a_link_error():
    def answers(data):
        return [data[:2] + b"\x81\x80\0\x01\0\x05\0\0\0\0" + data[12:] + os.urandom(60)]

    resolver = asking(UdpPeer(answers))
    for _ in range(50):
        try:
            await address(resolver)
        except LinkError:
            pass


# Through those who connect


def network_of(resolver):
    return Network(resolver, Trust("", False))


async def test_connections_are_made_by_name():
    async def script(conn):
        await conn.write(b"hello")
        await conn.silence()

    peer = Peer(script)
    network = network_of(asking(UdpPeer(says(HOST))))
    stream = await within(2000, "it", network.connect("MQTT.csip.io.", peer.port))
    answer = bytearray(5)
    await stream.read_exactly(memoryview(answer))
    assert answer == b"hello"
    stream.close()
    network = network_of(asking(UdpPeer(answers_with(0x8183))))
    for step in (
        network.connect(NAME, peer.port),
        sntp.query(network.names, NAME, 123, time.ticks_ms),
    ):
        assert str(await failure(step)) == "the name mqtt.csip.io does not exist"


async def test_an_address_is_remembered_when_the_host_was_reached_there():
    async def gone(conn):
        await conn.gone()

    async def attempt(port, tls=False):
        stream = await network_of(resolver).connect(NAME.upper(), port, tls)
        try:
            await stream.write(b"hello")
        finally:
            stream.close()

    closed, _sock = refusing()
    peer = Peer(gone)
    resolver = asking(UdpPeer(says(HOST)))
    await failure(attempt(closed))
    # It accepts connections, and speaks no TLS.
    mute = Peer(lambda conn: conn.read(1))
    await failure(attempt(mute.port, True))
    assert resolver.known == {}
    await attempt(peer.port)
    assert resolver.known == {NAME: HOST}
    mute.close()
    peer.close()


async def test_the_address_of_a_time_server_is_remembered_when_it_has_answered():
    def answer(data):
        stamp = b"\xed\0\0\0\0\0\0\0"  # 2026
        return (b"\x24\2" + bytes(22) + data[40:48] + stamp + stamp,)

    for answers, remembered in ((answer, {NAME: HOST}), (lambda data: (b"no",), {})):
        resolver = asking(UdpPeer(says(HOST)))
        peer = UdpPeer(answers)
        try:
            await within(300, "it", sntp.query(resolver, NAME, peer.port, time.ticks_ms))
        except LinkError:
            pass
        assert resolver.known == remembered


async def test_addresses_and_localhost_are_not_asked_for():
    peer = UdpPeer(silent)
    resolver = asking(peer)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        family, kind, proto, _, plain = socket.getaddrinfo(HOST, 80, 0, kind)[0]
        for name in (HOST, "localhost", "LocalHost."):
            assert await resolver.find(name, 80, kind) == (family, kind, proto, HOST, plain)
    assert peer.asked == 0
    await failure(resolver.find("1.2.3", 80, socket.SOCK_STREAM))
    await failure(resolver.find("256.1.1.1", 80, socket.SOCK_STREAM))
    assert peer.asked >= 2


# The boards


def test_name_servers_of_a_computer():
    with open("resolv.conf", "w") as file:
        file.write(
            "# nameserver 192.0.2.1\nsearch example\nnameserver\nnameserver 2001:db8::1\n"
            "nameserver 192.0.2.2\n\tnameserver  192.0.2.3 # the other\noptions ndots:1\n"
        )
    assert unix.name_servers("resolv.conf") == ["192.0.2.2", "192.0.2.3"]
    assert unix.name_servers("missing") == []


def test_name_servers_of_a_board():
    wlan = sys.modules["network"].WLAN
    wlan.ifconfig = lambda self: ("192.0.2.9", "255.255.255.0", "192.0.2.1", "192.0.2.53")
    assert esp32.name_servers() == ["192.0.2.53"]
    wlan.ifconfig = lambda self: ("0.0.0.0",) * 4
    assert esp32.name_servers() == []

"""Names become addresses while the program goes on, whatever the name servers do."""

import os
import socket
import time

from dns_packets import (
    AAAA,
    ANSWERED,
    CNAME,
    NAME,
    POINTER,
    a,
    address,
    answers_with,
    asking,
    record,
    reply,
    says,
    silent,
    wire,
)
from firmware.base.log import Log
from firmware.link import LinkError, sntp
from firmware.link.dns import Resolver
from firmware.link.stream import Network, within
from peers import (
    HOST,
    PAUSE_MS,
    Peer,
    Ticks,
    UdpPeer,
    descriptors,
    failure,
    refusing,
)

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


async def test_configured_servers_come_before_others_of_the_network_but_the_first():
    mute = UdpPeer(silent)
    good, last = UdpPeer(says("192.0.2.7")), UdpPeer(says("192.0.2.8"))
    first, more, rest = ["%s:%d" % (HOST, peer.port) for peer in (mute, good, last)]
    resolver = Resolver([first, rest].copy, 60, 600, more=[more])
    assert await address(resolver) == "192.0.2.7"
    assert (mute.asked, last.asked) == (1, 0)
    # They are all that there is where the network gives none.
    assert await address(Resolver(list, 60, 600, more=[more])) == "192.0.2.7"


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
    return Network(resolver, "", False)


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

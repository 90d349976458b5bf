"""The time from the network: right to the millisecond, or not at all."""

import socket
import time

from firmware.base import uptime
from firmware.link.sntp import decode, query
from firmware.link.stream import within
from peers import (
    HOST,
    NETWORK,
    UdpPeer,
    descriptors,
    failure,
    refusing,
)
from time_servers import (
    ERA,
    T0,
    _1970,
    reply,
)


class Fixed:
    """An uptime whose distance to the server's time is known."""

    def __init__(self):
        self.start = time.ticks_ms()

    def utc(self):
        return T0 + time.ticks_diff(time.ticks_ms(), self.start)


async def measured(before_ms, after_ms):
    """The error, in ms, of one query over ways of these lengths."""
    fixed = Fixed()
    peer = UdpPeer(lambda data: (reply(data, fixed.utc(), fixed.utc()),), before_ms, after_ms)
    utc_ms, at_ms = await within(2000, "it", query(NETWORK.names, HOST, peer.port, uptime.ms))
    there = fixed.utc() - uptime.ms()  # the right difference between the two
    peer.close()
    return utc_ms - at_ms - there


async def test_the_time_is_right_to_half_the_difference_of_the_two_ways():
    for before_ms, after_ms in ((0, 0), (20, 20), (0, 40), (40, 0), (10, 30)):
        # A way back that is longer makes the clock slow. A machine that is busy with something
        # else lengthens a way now and then, but not each time.
        found = []
        for _ in range(5):
            found.append(await measured(before_ms, after_ms) - (before_ms - after_ms) / 2)
            if abs(found[-1]) <= 5:
                break
        else:
            raise AssertionError((before_ms, after_ms, found))


async def test_what_the_server_needs_is_not_taken_for_a_way():
    fixed = Fixed()

    def answer(data):
        got = fixed.utc()
        time.sleep_ms(60)
        return (reply(data, got, fixed.utc()),)

    peer = UdpPeer(answer)
    utc_ms, at_ms = await within(2000, "it", query(NETWORK.names, HOST, peer.port, uptime.ms))
    assert abs(utc_ms - at_ms - (fixed.utc() - uptime.ms())) <= 15  # were it one, it would be 30


async def test_the_question_is_a_clients_and_gives_nothing_away():
    asked = []

    def answer(data):
        asked.append(data)
        return (reply(data, T0, T0),)

    peer = UdpPeer(answer)
    for _ in range(2):
        await within(2000, "it", query(NETWORK.names, HOST, peer.port, uptime.ms))
    for data in asked:
        assert len(data) == 48
        assert data[0] == 0x23  # no leap warning, version 4, client
        assert data[1:40] == bytes(39)
    assert asked[0][40:] != asked[1][40:], "anybody could answer"


async def test_nothing_but_the_answer_is_believed():
    wrong = T0 + 86400000

    def answers(data):
        good = reply(data, T0, T0)
        return (
            reply(data, wrong, wrong, cookie=b"12345678"),
            reply(data, wrong, wrong, cookie=bytes(8)),
            good[:1],
            good[:47],
            reply(data, wrong, wrong, mode=3),
            reply(data, wrong, wrong, mode=5),
            reply(data, wrong, wrong, stratum=0),  # a kiss-o'-death
            reply(data, wrong, wrong, stratum=16),
            reply(data, wrong, wrong, leap=3),  # not in step
            data,
            bytes(48),
            good,
        )

    peer = UdpPeer(answers)
    utc_ms, _ = await within(2000, "it", query(NETWORK.names, HOST, peer.port, uptime.ms))
    assert utc_ms == T0


async def test_an_empty_datagram_is_not_waited_behind():
    """After one, an ESP32's socket finds nothing any more but its end, again and again."""
    peer = UdpPeer(lambda data: (b"",))
    error = await failure(within(60000, "it", query(NETWORK.names, HOST, peer.port, uptime.ms)))
    assert "does not answer" in str(error)


def test_each_check_by_itself():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie

    def answer(**kw):
        return decode(reply(request, T0, T0, **kw), cookie)

    assert answer() == T0
    assert decode(reply(request, T0, T0) + b"authenticator", cookie) == T0
    for leap in (0, 1, 2):
        assert answer(leap=leap) == T0
    for stratum in (1, 15):
        assert answer(stratum=stratum) == T0
    for version in (1, 3, 4):
        assert answer(version=version) == T0
    assert answer(leap=3) is None
    assert answer(stratum=0) is None
    assert answer(stratum=16) is None
    for mode in (0, 1, 2, 3, 5, 6, 7):
        assert answer(mode=mode) is None, mode
    assert answer(cookie=b"abcdefgi") is None
    assert decode(b"", cookie) is None


def test_a_clock_that_was_never_set_is_not_believed():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    for years in (10, 30, 56):  # 2016, 1996, 1970
        then = T0 - years * 31556952000
        assert decode(reply(request, then, then), cookie) is None, years


def test_timestamps_that_do_not_belong_together_are_refused():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    good = reply(request, T0, T0 + 10)
    assert decode(good, cookie) == T0 + 5
    assert decode(reply(request, T0, T0 + 4999), cookie) == T0 + 2499
    assert decode(reply(request, T0 + 10, T0), cookie) is None  # sent before it was asked
    assert decode(reply(request, T0, T0 + 60000), cookie) is None
    # A zero is no time. RFC 4330 asks for the one of sending only.
    assert decode(good[:32] + bytes(8) + good[40:], cookie) == T0 + 10
    assert decode(good[:32] + bytes(7) + b"\1" + good[40:], cookie) is None
    assert decode(good[:40] + bytes(8), cookie) is None
    assert decode(good[:32] + bytes(16), cookie) is None
    then = reply(request, T0, T0 - 10 * 31556952000)
    assert decode(then[:32] + bytes(8) + then[40:], cookie) is None


def test_every_millisecond_survives():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    for ms in range(1000):
        assert decode(reply(request, T0 + ms, T0 + ms), cookie) == T0 + ms


def test_the_era_of_2036():
    cookie = b"abcdefgh"
    request = bytes(40) + cookie
    rollover = (ERA - _1970) * 1000
    assert rollover == 2085978496000  # 2036-02-07T06:28:16Z
    for ms in (rollover - 1000, rollover - 1, rollover + 1000, rollover + 10 * 365 * 86400000):
        assert decode(reply(request, ms, ms), cookie) == ms
    # Even where the two timestamps lie in two eras.
    assert decode(reply(request, rollover - 500, rollover + 1500), cookie) == rollover + 500


async def test_silence_is_cut_by_the_deadline_and_leaves_no_socket():
    peer = UdpPeer(lambda data: ())
    before = descriptors()
    error = await failure(
        within(100, "the answer", query(NETWORK.names, HOST, peer.port, uptime.ms))
    )
    assert "the answer took longer" in str(error)
    assert peer.asked == 1
    assert descriptors() == before


async def test_a_name_that_nobody_knows_is_named():
    error = await failure(query(NETWORK.names, "no.such.host.invalid", 123, uptime.ms))
    assert "no.such.host.invalid" in str(error)


async def test_a_closed_port_is_told_at_once():
    port, _sock = refusing(socket.SOCK_DGRAM)
    before = descriptors()
    error = await failure(within(2000, "it", query(NETWORK.names, HOST, port, uptime.ms)))
    assert "does not answer" in str(error)
    assert descriptors() == before

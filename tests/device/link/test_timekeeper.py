"""When time servers are asked, and what becomes of their answers."""

import asyncio
import socket

from firmware.times.clock import Clock, system_ms
from peers import (
    HOST,
    UdpPeer,
    refusing,
    until,
)
from time_servers import (
    T0,
    Pauses,
    Wifi,
    keeping,
    name,
    reply,
    server,
    within_growing,
)


async def test_the_clock_is_set_and_asked_for_again_in_an_hour():
    peer = server()
    clock = Clock()
    async with Pauses() as pauses:
        task = keeping(clock, [name(peer)])
        await until(lambda: pauses.asked, "the answer")
        assert clock.known
        assert 0 <= clock.now() - T0 <= 500
        # With a wrong time the platform might never be reached.
        assert pauses.asked == [60] and not clock.sure
        clock.sure = True
        for count in (2, 3):
            pauses.over()
            await until(lambda count=count: peer.asked == count, "the next question")
        assert pauses.asked[:2] == [60, 3600]
        task.cancel()


async def test_the_second_server_is_asked_where_the_first_fails():
    port, _sock = refusing(socket.SOCK_DGRAM)
    peer = server()
    unused = server()
    clock = Clock()
    servers = ["no.such.host.invalid", "%s:%d" % (HOST, port), name(peer), name(unused)]
    async with Pauses() as pauses:
        task = keeping(clock, servers)
        await until(lambda: pauses.asked, "the answer")
        assert clock.known
        assert unused.asked == 0
        task.cancel()


async def test_with_no_answer_the_pauses_grow_from_15_s_and_less_while_the_time_is_unknown():
    port, _sock = refusing(socket.SOCK_DGRAM)
    for known, pauses_s in (
        (False, [15, 30, 60, 60, 60] + 20 * [60]),
        (True, [15, 30, 60, 120, 240, 480, 960, 1920] + 17 * [3600]),
    ):
        clock = Clock()
        if known:
            clock.set(T0, 0)
        async with Pauses() as pauses:
            task = keeping(clock, ["%s:%d" % (HOST, port)])
            for count in range(1, len(pauses_s) + 1):
                await until(lambda count=count: len(pauses.asked) == count, "the next try")
                pauses.over()
            task.cancel()
        assert clock.known == known
        assert within_growing(pauses.asked, pauses_s), pauses.asked
        last = pauses.asked[-17:]
        assert max(last) - min(last) > pauses_s[-1] // 4, "not all devices at the same moment"


async def test_nobody_is_asked_before_the_network_is_joined_and_then_at_once():
    peer = server()
    clock = Clock()
    wifi = Wifi()
    wifi.joined = False
    async with Pauses() as pauses:
        task = keeping(clock, [name(peer)], wifi=wifi)
        await asyncio.sleep_ms(600)
        assert peer.asked == 0 and not pauses.asked
        wifi.joined = True
        await until(lambda: clock.known, "the time")
        # What has no network meanwhile is asked when it is there again, however long that takes.
        wifi.joined = False
        pauses.over()
        await asyncio.sleep_ms(600)
        assert peer.asked == 1
        wifi.joined = True
        await until(lambda: peer.asked == 2, "the next question")
        task.cancel()
        # The operating system's clock needs none.
        wifi.joined = False
        clock = Clock()
        task = keeping(clock, [], wifi=wifi)
        await until(lambda: clock.known, "the time")
        task.cancel()


async def test_without_servers_the_operating_system_is_believed():
    clock = Clock()
    async with Pauses() as pauses:
        task = keeping(clock, [])
        await until(lambda: pauses.asked, "the clock")
        assert clock.known
        assert abs(clock.now() - system_ms()) <= 50
        assert pauses.asked == [3600]
        task.cancel()


async def test_whoever_wants_to_know_is_told_the_time_whenever_it_was_set():
    told = []
    for servers, expected in (([name(server())], T0), ([], system_ms())):
        clock = Clock()
        async with Pauses() as pauses:
            task = keeping(clock, servers, told=told)
            for count in (1, 2):
                await until(lambda count=count: len(pauses.asked) == count, "the answer")
                assert len(told) == count
                assert 0 <= told[-1] - expected <= 1000
                pauses.over()
            task.cancel()
        told.clear()


async def test_the_time_that_is_told_is_that_of_the_call():
    clock = Clock()
    differences = []

    class Told:
        def append(self, ms):
            differences.append(ms - clock.now())

    peer = UdpPeer(lambda data: (reply(data, T0, T0),), 100, 100)
    async with Pauses() as pauses:
        task = keeping(clock, [name(peer)], told=Told())
        await until(lambda: pauses.asked, "the answer")
        task.cancel()
    assert abs(differences[0]) <= 50, differences

"""The time from an SNTP server (RFC 4330), to the millisecond.

The server's two timestamps lie between our sending and our receiving; the middle of theirs is
taken to be the middle of ours, which is right to half of the difference between the two ways.
"""

import asyncio
import errno
import os
import socket
import struct

from micropython import const

from firmware.link import LinkError
from firmware.link.dns import resolve
from firmware.link.stream import close, readable, within
from firmware.log import Log
from firmware.points.clock import system_ms
from firmware.url import parse_host

# RFC 4330, section 4: the NTP era begins in 1900, and the next one in 2036. Seconds whose highest
# bit is not set belong to the next one.
_UNIX_S = 2208988800
_ERA_S = 1 << 32
_MODE_CLIENT = const(0x23)  # version 4
_MODE_SERVER = const(4)

_PORT = const(123)
_ANSWER_MS = const(5000)
# RFC 4330, section 10: never ask more often than once in 15 s.
_FIRST_PAUSE_S = const(15)
# An ESP32's crystal drifts by up to 40 ms in an hour.
_EVERY_S = const(3600)


async def keep(clock, hosts: list):
    """Task: keep the clock right, by the first server that answers; never returns.

    `hosts`: `host` or `host:port`; none means that the operating system's clock is right.
    """
    log = Log("time")
    pause_s = _FIRST_PAUSE_S
    while True:
        if not hosts:
            clock.set(system_ms(), clock.uptime_ms())
            await asyncio.sleep(_EVERY_S)
            continue
        for entry in hosts:
            host, port = parse_host(entry, _PORT)
            try:
                utc_ms, at_ms = await within(
                    _ANSWER_MS,
                    "the answer of the time server %s" % host,
                    query(host, port, clock.uptime_ms),
                )
            except LinkError as error:
                log.warning("%s", error)
                continue
            clock.set(utc_ms, at_ms)
            pause_s = _EVERY_S
            break
        else:
            log.warning("no time yet; next try in %d s", pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _EVERY_S)


async def query(host: str, port: int, uptime_ms) -> tuple:
    """Ask once; return (ms since 1970, at which uptime). Waits for the answer without end."""
    family, kind, proto, _, address = await resolve(host, port, socket.SOCK_DGRAM)
    cookie = os.urandom(8)
    request = bytearray(48)
    request[0] = _MODE_CLIENT
    request[40:48] = cookie
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.connect(address)
        sent = uptime_ms()
        sock.send(request)
        while True:
            await readable(sock)
            received = uptime_ms()
            try:
                utc = decode(sock.recv(64), cookie)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    continue
                raise
            if utc is not None:
                return utc, (sent + received) // 2
    except OSError as e:
        raise LinkError("the time server %s does not answer (%s)" % (host, e))
    finally:
        close(sock)


def decode(packet: bytes, cookie: bytes):
    """Milliseconds since 1970 half-way between receiving and answering; None if it is no answer.

    RFC 4330, section 5: the server's mode, a stratum of 1 to 15 (0 is a refusal), clocks that are
    in step, our own timestamp (here a random cookie) sent back, timestamps that belong together.
    """
    if len(packet) < 48 or packet[24:32] != cookie:
        return None
    if packet[0] & 7 != _MODE_SERVER or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        return None
    got_s, got_f, sent_s, sent_f = struct.unpack_from("!4I", packet, 32)
    if not sent_s:
        return None
    got = _ms(got_s, got_f)
    sent = _ms(sent_s, sent_f)
    # It cannot have kept the question for longer than we waited.
    return (got + sent) // 2 if 0 <= sent - got <= _ANSWER_MS else None


def _ms(seconds: int, fraction: int) -> int:
    if not seconds & 0x80000000:
        seconds += _ERA_S
    return (seconds - _UNIX_S) * 1000 + (fraction * 1000 >> 32)

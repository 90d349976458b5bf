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

from firmware.base.log import Log
from firmware.base.url import parse_host
from firmware.link import LinkError, deadlines
from firmware.link.dns import resolve, works
from firmware.link.pacing import draw
from firmware.link.stream import close, opened, readable, within
from firmware.times.calendar import EARLIEST_MS
from firmware.times.clock import system_ms

# RFC 4330, section 4: the NTP era begins in 1900, and the next one in 2036. Seconds whose highest
# bit is not set belong to the next one.
_UNIX_S = 2208988800
_ERA_S = 1 << 32
_MODE_CLIENT = const(0x23)  # version 4
_MODE_SERVER = const(4)

_PORT = const(123)
# RFC 4330, section 10: never ask more often than once in 15 s.
_FIRST_PAUSE_S = const(15)
# Without the time nothing can be sent, and the network may come at any moment.
_LONGEST_COLD_S = const(60)
_ROUNDS = const(2)  # without an answer, then another way to the time is looked for
# An ESP32's crystal drifts by up to 40 ms in an hour.
_EVERY_S = const(3600)
_JOINED_MS = const(250)  # between two looks at the Wi-Fi


async def keep(clock, hosts: list, api_url=None, on_set=None, wifi=None, alone=None):
    """Task: keep the clock right, by the first server that answers; never returns.

    `hosts`: `host` or `host:port`; none means that the operating system's clock is right.
    `api_url`: whose HTTP `Date` gives the time as long as no server has done so. It may be wrong,
    and is asked for again at each round. on_set(ms since 1970, now) is called whenever the clock
    was set. `wifi`: nobody is asked while it is not connected. alone(step): a coroutine that
    awaits `step()` when no other connection is open; without it there is no `api_url`.
    """
    log = Log("time")
    pause_s = _FIRST_PAUSE_S
    unanswered = 0  # rounds
    dated = False  # the time is that of a `Date`
    while True:
        while hosts and wifi and not wifi.connected():
            await asyncio.sleep_ms(_JOINED_MS)
        found = None
        if hosts:
            found = await _first(hosts, clock, log)
            unanswered = 0 if found else unanswered + 1
        else:
            found = (system_ms(), clock.uptime_ms())
        wait_s = pause_s
        if unanswered:
            # Not all of those that lost their network together at the same moment.
            wait_s = _FIRST_PAUSE_S + draw(pause_s - _FIRST_PAUSE_S)
            log.warning("no time server answers; next try in %d s", wait_s)
        if found:
            wait_s = pause_s = _EVERY_S
            dated = False
        elif api_url and unanswered >= _ROUNDS and (dated or not clock.known):
            try:
                # A session over MQTT lasts for hours, and a time server may answer before its end.
                asking = alone(lambda: _of_api(api_url, clock, log))
                found = await asyncio.wait_for(asking, wait_s)
            except asyncio.TimeoutError:
                wait_s = 0
            dated = dated or found is not None
        if found:
            clock.set(*found)
            if on_set:
                utc_ms, at_ms = found
                on_set(utc_ms + clock.uptime_ms() - at_ms)
        await asyncio.sleep(wait_s)
        pause_s = min(2 * pause_s, _EVERY_S if clock.known else _LONGEST_COLD_S)


async def _of_api(url: str, clock, log):
    """What `date.ask` says; None also where it fails."""
    from firmware.link import http_date

    try:
        return await http_date.ask(url, clock)
    except LinkError as error:
        log.warning("%s", error)
        return None


async def _first(hosts: list, clock, log):
    """What the first time server says that answers, as `query`; None if none does."""
    for entry in hosts:
        host, port = parse_host(entry, _PORT)
        try:
            return await within(
                deadlines.SNTP_MS,
                "the answer of the time server %s" % host,
                query(host, port, clock.uptime_ms),
            )
        except LinkError as error:
            log.warning("%s", error)
    return None


async def query(host: str, port: int, uptime_ms) -> tuple:
    """Ask once; return (ms since 1970, at which uptime). Waits for the answer without end."""
    family, kind, proto, found, address = await resolve(host, port, socket.SOCK_DGRAM)
    cookie = os.urandom(8)
    request = bytearray(48)
    request[0] = _MODE_CLIENT
    request[40:48] = cookie
    sock = opened(family, kind, proto)
    try:
        sock.connect(address)
        sent = uptime_ms()
        sock.send(request)
        while True:
            await readable(sock)
            received = uptime_ms()
            try:
                packet = sock.recv(64)
                if not packet:  # an ESP32's socket hears nothing more after it
                    raise OSError(errno.ECONNABORTED)
                utc = decode(packet, cookie)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    continue
                raise
            if utc is not None:
                works(host, found)
                return utc, (sent + received) // 2
    except OSError as e:
        raise LinkError("the time server %s does not answer (%s)" % (host, e))
    finally:
        close(sock)


def decode(packet: bytes, cookie: bytes):
    """Milliseconds since 1970 half-way between receiving and answering; None if it is no answer.

    RFC 4330, section 5: the server's mode, a stratum of 1 to 15 (0 is a refusal), clocks that are
    in step, our own timestamp (here a random cookie) sent back, timestamps that belong together.
    The one of receiving may be missing.
    """
    if len(packet) < 48 or packet[24:32] != cookie:
        return None
    if packet[0] & 7 != _MODE_SERVER or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        return None
    got_s, got_f, sent_s, sent_f = struct.unpack_from("!4I", packet, 32)
    if not sent_s:
        return None
    sent = _ms(sent_s, sent_f)
    got = _ms(got_s, got_f) if got_s or got_f else sent
    if got < EARLIEST_MS:
        return None
    # It cannot have kept the question for longer than we waited.
    return (got + sent) // 2 if 0 <= sent - got <= deadlines.SNTP_MS else None


def _ms(seconds: int, fraction: int) -> int:
    if not seconds & 0x80000000:
        seconds += _ERA_S
    return (seconds - _UNIX_S) * 1000 + (fraction * 1000 >> 32)

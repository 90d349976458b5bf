"""Keeps the clock right: by time servers, or the operating system's clock where none is named.

The `Date` of the API's answers gives the time as long as no time server has answered. Nobody
vouches for it, so it is asked for again at each round.
"""

import asyncio

from micropython import const

from firmware.base.log import Log
from firmware.base.url import parse_host
from firmware.link import LinkError, deadlines
from firmware.link.pacing import draw
from firmware.link.stream import within
from firmware.times.clock import system_ms

_PORT = const(123)
# RFC 4330, section 10: never ask more often than once in 15 s.
_FIRST_PAUSE_S = const(15)
# Without the time nothing can be sent, and the network may come at any moment.
_LONGEST_COLD_S = const(60)
_ROUNDS = const(2)  # without an answer, then the API is asked
# An ESP32's crystal drifts by up to 40 ms in an hour.
_EVERY_S = const(3600)
_JOINED_MS = const(250)  # between two looks at the Wi-Fi


async def keep(clock, hosts: list, network, wifi, api_url: str, alone, on_set):
    """Task: keep the clock right; never returns.

    `hosts`: time servers, `host` or `host:port`; none means that the operating system's clock is
    right. `network`: a stream.Network. `wifi`: nobody is asked while it is not connected. `alone`:
    the Uplink's. on_set(ms since 1970): called whenever the clock was set.
    """
    if hosts:
        from firmware.link import http_date, sntp
    log = Log("timekeeper")
    pause_s = _FIRST_PAUSE_S
    unanswered = 0  # rounds
    by_date = False  # the time is that of a `Date`
    while True:
        if hosts:
            while not wifi.connected():
                await asyncio.sleep_ms(_JOINED_MS)
            found = await _first(sntp.query, network.names, hosts, clock, log)
        else:
            found = (system_ms(), clock.uptime_ms())
        if found:
            unanswered = 0
            wait_s = pause_s = _EVERY_S
            by_date = False
        else:
            unanswered += 1
            # Devices that lost their network together do not all ask at the same moment.
            wait_s = _FIRST_PAUSE_S + draw(pause_s - _FIRST_PAUSE_S)
            log.warning("no time server answers; next try in %d s", wait_s)
            if unanswered >= _ROUNDS and (by_date or not clock.known):
                asking = alone(lambda: http_date.ask(api_url, network.names, clock))
                try:
                    # A session over MQTT lasts for hours; a time server may answer before its end.
                    found = await asyncio.wait_for(asking, wait_s)
                    by_date = by_date or found is not None
                except asyncio.TimeoutError:
                    wait_s = 0
                except LinkError as error:
                    log.warning("%s", error)
        if found:
            clock.set(*found)
            utc_ms, at_ms = found
            on_set(utc_ms + clock.uptime_ms() - at_ms)
        await asyncio.sleep(wait_s)
        pause_s = min(2 * pause_s, _EVERY_S if clock.known else _LONGEST_COLD_S)


async def _first(query, names, hosts: list, clock, log):
    """(ms since 1970, at which uptime) of the first time server that answers, or None."""
    for address in hosts:
        host, port = parse_host(address, _PORT)
        try:
            return await within(
                deadlines.SNTP_MS,
                "the answer of the time server %s" % host,
                query(names, host, port, clock.uptime_ms),
            )
        except LinkError as error:
            log.warning("%s", error)
    return None

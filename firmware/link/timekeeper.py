"""Keeps the clock right: by time servers, or the operating system's clock where none is named.

Anybody can be wrong: a server that came out of a power cut, a router that takes local time for
UTC, an era that begins anew. So an answer counts only if nothing that is known contradicts it.

    the first one   counts if it is of these years, and readings are dated by it for good only when
                    the platform has accepted this device
    a later one     counts if it is near the platform's `Date`, or the clock that is kept
    any other       is asked for again, first elsewhere; it counts if another server says the same,
                    or this one says so three times; never against the platform's `Date`

The `Date` of the platform's state comes over a connection that is verified. The clock follows it
where a time server is off by as much as time zones are. Where the two are further apart, or where
the platform says nothing, the server is asked once more. It is right if it says the same again.

The `Date` of any other answer of the API gives the time as long as no time server has answered.
Nobody vouches for it, so it is asked for again at each round.
"""

import asyncio

from micropython import const

from firmware.base.log import Log
from firmware.base.passing import passing
from firmware.base.rare import rare
from firmware.base.url import parse_host
from firmware.link import LinkError, deadlines
from firmware.link.pacing import draw
from firmware.link.stream import handed, within
from firmware.times.calendar import EARLIEST_MS, iso
from firmware.times.clock import WRONG_MS, system_ms

_PORT = const(123)
# RFC 4330, section 10: never ask more often than once in 15 s.
_FIRST_PAUSE_S = const(15)
# Without the time nothing can be sent, and the network may come at any moment.
_LONGEST_COLD_S = const(60)
_ROUNDS = const(2)  # without an answer, then the API is asked
# An ESP32's crystal drifts by up to 40 ms in an hour.
_EVERY_S = const(3600)
_JOINED_MS = const(250)  # between two looks at the Wi-Fi
_YEARS_MS = 5 * 365 * 86400000  # from EARLIEST_MS: what is later needs somebody else who says so
_ZONES_MS = const(50400000)  # 14 h, the most by which local time is ahead of UTC
_REPEATS = const(3)  # of one that nobody else contradicts
_MOST_DOUBTS = const(6)


class Timekeeper:
    """Asks, judges what is answered, and sets the clock."""

    @rare
    def __init__(self, clock, hosts: list, network, wifi, api_url: str, on_set):
        """`hosts`: time servers, `host` or `host:port`; none means that the operating system's
        clock is right. `network`: a stream.Network. `wifi`: nobody is asked while it is not
        connected. on_set(ms since 1970): called whenever the clock was set.
        """
        self._clock = clock
        self._hosts = hosts
        self._names = network.names
        self._wifi = wifi
        self._url = api_url
        self._on_set = on_set
        self._log = Log("timekeeper")
        self._by_date = False  # the time is that of a `Date` for which nobody vouches
        self._platform: int | None = None  # the offset of the uptime by the platform's clock
        self._doubts = []  # (server, offset) of what did not count, since something did
        self._asking = False  # whether the platform or the server is right
        if hosts:
            from firmware.link import sntp

            self._query = sntp.query

    async def run(self, alone):
        """Task: keep the clock right; never returns. `alone`: the Uplink's."""
        clock = self._clock
        pause_s = _FIRST_PAUSE_S
        unanswered = 0  # rounds
        unsure = 0  # rounds
        while True:
            if self._hosts:
                while not self._wifi.connected():
                    await asyncio.sleep_ms(_JOINED_MS)
                found = await self._ask()
            else:
                found = (system_ms(), clock.uptime_ms())
            ask_api = False
            if found:
                unanswered = 0
                self._by_date = False
                wait_s = pause_s = _EVERY_S
                if self._hosts and not clock.sure:
                    # With a wrong time no certificate is valid, and the platform is not reached.
                    wait_s = _LONGEST_COLD_S
                    unsure += 1
                    ask_api = unsure > _ROUNDS
            else:
                unanswered += 1
                # Devices that lost their network together do not all ask at the same moment.
                wait_s = _FIRST_PAUSE_S + draw(pause_s - _FIRST_PAUSE_S)
                what = "is believed" if self._doubts else "answers"
                self._log.warning("no time server %s; next try in %d s", what, wait_s)
                if unanswered >= _ROUNDS or self._doubts:
                    ask_api = self._by_date or not clock.known
            if ask_api:
                asking = alone(lambda: passing(_http_date).ask(self._url, self._names, clock))
                try:
                    # A session over MQTT lasts for hours; a time server may answer before its end.
                    box = [asking, None]
                    await asyncio.wait_for(handed(box), wait_s)
                    date = box.pop()
                    self._by_date = self._by_date or date is not None
                    found = date or found
                except asyncio.TimeoutError:
                    wait_s = 0
                except LinkError as error:
                    self._log.warning("%s", error)
            if found:
                self._set(*found)
            await asyncio.sleep(wait_s)
            pause_s = min(2 * pause_s, _EVERY_S if clock.known else _LONGEST_COLD_S)

    def dated(self, text: str) -> None:
        """The platform accepts this device, and dates its answer so; "": it does not say when."""
        clock = self._clock
        if not self._hosts or not clock.known or (self._asking and not text):
            return
        at_ms = clock.uptime_ms()
        try:
            utc_ms = passing(_http_date).from_http(text)
        except ValueError:
            utc_ms = 0
        again = self._platform is None and not clock.sure
        if utc_ms >= EARLIEST_MS:
            self._platform = utc_ms - at_ms
            self._by_date = again = False
            apart_ms = abs(utc_ms - clock.now())
            clock.vouched = apart_ms < WRONG_MS
            if not clock.vouched:
                text = "the clock and the platform's are %d s apart"
                self._log.warning(text, apart_ms // 1000)
                again = apart_ms > _ZONES_MS
                if not again:
                    self._set(utc_ms, at_ms)
        if not self._asking:
            if again:
                self._asking = True
                asyncio.create_task(self._ask_again())
            else:
                clock.sure = True

    async def _ask_again(self):
        try:
            found = None
            for _ in range(1 + _REPEATS):
                found = found or await self._ask()
            if not found and self._platform is not None:
                at_ms = self._clock.uptime_ms()
                found = (self._platform + at_ms, at_ms)
            if found:
                self._set(*found)
        except Exception as error:  # `run` asks again later
            self._log.warning("%s", error)
        self._asking = False
        self._clock.sure = True

    @rare
    def _set(self, utc_ms, at_ms):
        clock = self._clock
        near = self._near(self._platform, utc_ms - at_ms)
        clock.set(utc_ms, at_ms, near or not self._hosts)
        clock.vouched = near or not self._hosts
        self._on_set(utc_ms + clock.uptime_ms() - at_ms)

    @rare
    async def _ask(self):
        """(ms since 1970, at which uptime) of the first time server whose answer counts."""
        for address in self._hosts:
            host, port = parse_host(address, _PORT)
            try:
                found = await within(
                    deadlines.SNTP_MS,
                    "the answer of the time server %s" % host,
                    self._query(self._names, host, port, self._clock.uptime_ms),
                )
            except LinkError as error:
                self._log.warning("%s", error)
                continue
            if self._counts(address, *found):
                self._doubts.clear()
                return found
            self._log.warning("the time server %s is in doubt: it says %s", host, iso(found[0]))
        return None

    @rare
    def _counts(self, server, utc_ms, at_ms) -> bool:
        """Whether this answer is to be believed; see above. One that is not is remembered."""
        clock = self._clock
        offset = utc_ms - at_ms
        if self._near(self._platform, offset):
            return True
        if clock.known and not self._by_date:
            if self._near(clock.now() - clock.uptime_ms(), offset):
                return True
        elif utc_ms < EARLIEST_MS + _YEARS_MS:
            return True
        if self._platform is not None:
            return False
        doubts = self._doubts
        said = [other for other, doubt in doubts if self._near(doubt, offset)]
        if len(said) >= _REPEATS - 1 or any(other != server for other in said):
            return True
        if len(doubts) == _MOST_DOUBTS:
            doubts.pop(0)
        doubts.append((server, offset))
        return False

    @rare
    def _near(self, offset, other) -> bool:
        return offset is not None and abs(offset - other) < WRONG_MS


def _http_date():
    """What only the `Date` of an answer needs."""
    from firmware.link import http_date

    return http_date

"""Which way to the platform now: MQTT, or HTTPS while MQTT is down. One connection at a time.

A feed stays in the queue until its acknowledgement is here. Whatever fails puts all that is in
flight back, and the next way sends it again; the points keep their milliseconds, so that this
changes nothing on the platform.

    no clock ──► Wi-Fi ──► MQTT ──fails──► wait, and after mqtt.grace_s deliver over HTTPS ─┐
                   ▲                                                                        │
                   └────────────── when the back-off says that MQTT is to be tried again ◄──┘

Where HTTPS has taken over, MQTT gets the feeds back only when it has held for a time: a broker
that comes and goes does not make the ways alternate.
"""

import asyncio

from micropython import const

from firmware import uptime
from firmware.link import LinkError
from firmware.link.api import Api
from firmware.link.broker import Broker
from firmware.link.pacing import Backoff, Pace
from firmware.link.stream import Trust
from firmware.log import Log

_REFUSED_MS = const(60000)  # between two attempts with credentials that were refused
_SHORTEST_PROBATION_MS = const(3000)
_STABLE_MS = const(30000)  # a session this long forgets the failures before it
_LIMITS_MS = const(3600000)  # between two questions for the platform's limits
_JOIN_MS = const(1000)  # between two attempts to join the Wi-Fi
_TICK_MS = const(50)


class Uplink:
    """Brings the queue's feeds to the platform, and the platform's commands to their door.

    on_command: called with a property's name (str) and the payload (bytes); may not raise.
    """

    def __init__(self, settings: dict, queue, clock, wifi, on_command):
        self._queue = queue
        self._clock = clock
        self._wifi = wifi
        self._log = Log("link")
        trust = Trust(settings["tls"]["ca"], settings["tls"]["verify"])
        self._pace = Pace(settings["feed"]["per_minute"], settings["feed"]["max_points"])
        self._broker = Broker(settings, trust, queue, self._pace, on_command)
        self._api = Api(settings, trust, queue, self._pace)
        self._grace_ms = int(1000 * settings["mqtt"]["grace_s"])
        self._mqtt_backoff = Backoff()
        self._https_backoff = Backoff()
        self._down_since = uptime.ms()  # since when MQTT carries no feeds, if it does not
        self._https = False  # it has taken over
        self._limits_at = 0  # when to ask for the platform's limits
        if not settings["tls"]["verify"]:
            self._log.warning("tls.verify is false: anybody can pose as the platform")

    @property
    def transport(self) -> str:
        """Which way the feeds go: mqtt, https or none."""
        if self._broker.carries:
            return "mqtt"
        return "https" if self._https else "none"

    @property
    def reconnections(self) -> int:
        return max(0, self._broker.sessions - 1)

    @property
    def rejected(self) -> int:
        """Points that the platform did not accept."""
        return self._api.rejected

    async def run(self):
        """Never returns. Cancelling it closes its connection."""
        while not self._clock.known:
            # Without it no point can be dated, and no certificate be checked.
            await asyncio.sleep_ms(_TICK_MS)
        try:
            while True:
                await self._join()
                await self._ask_limits()
                await self._try_mqtt()
                await self._bridge()
        finally:
            self._api.close()

    async def _join(self):
        while not self._wifi.connected():
            try:
                await self._wifi.connect()
            except OSError as error:
                self._log.warning("%s", error)
                await asyncio.sleep_ms(_JOIN_MS)

    async def _ask_limits(self):
        """Once in a while, before MQTT: the limits hold for both ways, and only this one tells."""
        now = uptime.ms()
        if now < self._limits_at or now < self._https_backoff.at_ms:
            return
        try:
            await self._api.ask_limits()
            self._limits_at = now + _LIMITS_MS
        except LinkError as error:
            self._failed("HTTPS", self._https_backoff, error)
        finally:
            self._api.close()

    async def _try_mqtt(self):
        probation_ms = max(self._grace_ms, _SHORTEST_PROBATION_MS) if self._https else 0
        try:
            await self._broker.serve(probation_ms)
        except LinkError as error:
            now = uptime.ms()
            lasted_ms = now - self._broker.connected_ms if self._broker.connected_ms else 0
            unanswered_ms = self._broker.unanswered_ms
            if self._broker.carried:
                # A feed without an answer has waited for as long as the grace lasts, or longer.
                self._down_since = now if unanswered_ms is None else unanswered_ms
                self._https = False
            if lasted_ms >= _STABLE_MS and unanswered_ms is None:
                self._mqtt_backoff.succeeded()
            self._failed("MQTT", self._mqtt_backoff, error)

    async def _bridge(self):
        """Until MQTT is to be tried again; once it has been down for long enough, over HTTPS."""
        try:
            while True:
                now = uptime.ms()
                if now >= self._mqtt_backoff.at_ms:
                    return
                if (
                    now - self._down_since >= self._grace_ms
                    and now >= self._https_backoff.at_ms
                    and self._pace.ready(now)
                    and self._queue.due()
                ):
                    await self._deliver()
                await asyncio.sleep_ms(_TICK_MS)
        finally:
            self._api.close()

    async def _deliver(self):
        try:
            await self._api.deliver()
            self._https_backoff.succeeded()
            if not self._https:
                self._https = True
                self._log.info("HTTPS carries the feeds")
        except LinkError as error:
            self._https = False
            self._failed("HTTPS", self._https_backoff, error)

    def _failed(self, way: str, backoff, error):
        delay_ms = backoff.failed(uptime.ms(), _REFUSED_MS if error.refused else 0)
        self._log.warning("%s: %s; next try in %d s", way, error, (delay_ms + 999) // 1000)

"""Which way the feeds go now: MQTT, or HTTPS while MQTT is down. One connection at a time.

A feed stays in the queue until its acknowledgement is here. Whatever fails puts all that is in
flight back, and the next way sends it again; the points keep their milliseconds, so that this
changes nothing on the platform.

    wifi ──► time ──► asking ──► mqtt ──fails──► waiting ◄──► https
     ▲                  ▲                           │
     │                  └─ the back-off is over ◄───┤
     └──────────────────── the Wi-Fi is gone ◄──────┘

    wifi      the network is joined
    time      nothing can be dated, and no certificate be checked, before the time is known
    asking    the platform's state: limits, and the commands that were missed
    mqtt      connecting to the broker, then feeds and commands
    waiting   until MQTT is to be tried again
    https     the same, but after mqtt.grace_s the feeds go this way meanwhile

Each change of the state is a line of the log. Where HTTPS has taken over, MQTT gets the feeds back
only when it has held for a time: a broker that comes and goes does not make the ways alternate.
"""

import asyncio
import os

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import LinkError
from firmware.link.https_api import Api
from firmware.link.mqtt_client import Broker
from firmware.link.pacing import Backoff, Pace
from firmware.link.stream import Trust

_REFUSED_MS = const(60000)  # between two attempts with credentials that were refused
_SHORTEST_PROBATION_MS = const(3000)
_STABLE_MS = const(30000)  # a session this long forgets the failures before it
# The platform's state holds the commands that were missed, and can't be had during a session. So a
# session that began without it is left after the first of these times to ask for it; and any other
# after the second, for commands that came between the question and the subscription. Where those
# were further apart than _GAP_MS, once after the third.
_UNASKED_MS = const(900000)
_ASK_AGAIN_MS = const(21600000)
_GAP_MS = const(2000)
_ASK_SOON_MS = const(60000)
# HTTPS that works again makes MQTT's back-off begin anew, but not more often than this: an API
# that fails now and then says nothing about the broker.
_HOPE_MS = const(300000)
# A network whose access point died may look joined for long. If nothing was heard for this time,
# and a part of five minutes more, that not all devices do it at once, it is joined anew.
_UNHEARD_MS = const(600000)
_JOIN_MS = const(1000)  # between two attempts to join the Wi-Fi
_TICK_MS = const(50)


class Uplink:
    """Brings the queue's feeds to the platform, and the platform's commands to their door.

    on_command: called with a property's name (str) and the payload (bytes); may not raise.
    on_state: called with the name, value and time (ms since 1970) of each property of the
    platform's state; may not raise. Of what is too large to be kept both get a range of its size.
    on_recovered: called when a whole state was told; may not raise.
    """

    def __init__(self, settings: dict, queue, clock, wifi, on_command, on_state, on_recovered):
        self._queue = queue
        self._clock = clock
        self._wifi = wifi
        self._on_state = on_state
        self._on_recovered = on_recovered
        self._log = Log("link")
        trust = Trust(settings["tls"]["ca"], settings["tls"]["verify"])
        self._pace = Pace(settings["feed"]["per_minute"], settings["feed"]["max_points"])
        self._broker = Broker(settings, trust, queue, self._pace, on_command)
        self._broker.tick = self._tick
        self._broker.listening = self._listening  # type: ignore[assignment]
        self._api = Api(settings, trust, queue, self._pace)
        self._direct = None
        if any(sensor["send"] != "feed" for sensor in settings["sensors"]):
            from firmware.link.single_values import Direct

            device_id = settings["device"]["id"].encode()
            self._direct = Direct(settings["sensors"], device_id, queue, clock)
            self._broker.direct = self._direct  # type: ignore[assignment]
        self._grace_ms = round(1000 * settings["mqtt"]["grace_s"])
        self._poll_ms = 1000 * settings["https"]["poll_s"]
        self._mqtt_backoff = Backoff()
        self._https_backoff = Backoff()
        self._down_since = uptime.ms()  # since when MQTT carries no feeds, if it does not
        self._https = False  # it has taken over
        self._asked = False  # the state was had since MQTT's last session
        self._asked_ms = 0  # when it was asked for
        self._soon = False  # it was asked for a second time since MQTT last failed
        self._poll_at = 0  # when to ask for it again, while HTTPS carries the feeds
        self._left = 0  # sessions that ended on purpose
        self._hope_ms = 0  # not before this HTTPS says again that MQTT may work, too
        self._heard_ms = uptime.ms()  # when somebody of the platform last answered
        self._unheard_ms = _UNHEARD_MS + 5 * int.from_bytes(os.urandom(2), "little")
        self._turn = asyncio.Lock()  # of who may have a connection open
        self.state = ""
        self.alive_ms = uptime.ms()  # when it last got on
        self.unverified = not settings["tls"]["verify"]
        if self.unverified:
            self._log.warning("tls.verify is false: anybody can pose as the platform")

    @property
    def transport(self) -> str:
        """Which way the feeds go: mqtt, https or none."""
        if self._broker.carries:
            return "mqtt"
        return "https" if self._https else "none"

    @property
    def mqtt_ok(self) -> bool:
        """The broker has accepted a session since this run began."""
        return self._broker.accepted

    @property
    def https_ok(self) -> bool:
        """The API has taken a feed, or told something of this device, since this run began."""
        return self._api.worked

    @property
    def reconnections(self) -> int:
        """Sessions after the first one, unless the one before was left on purpose."""
        return max(0, self._broker.sessions - 1 - self._left)

    @property
    def rejected(self) -> int:
        """Points that the platform did not accept."""
        return self._api.rejected + self._queue.rejected

    def offer(self, index: int, name: str, value) -> bool:
        """Send one raw value of a property at once, or call its sensor's method with it.

        `index`: the property's in the queue. False: it can't go now, so the caller buffers it.
        True: if it is not acknowledged, it will be put into the queue, with the time it has now.
        Only for the properties of sensors whose `send` is not "feed".
        """
        direct = self._direct
        if direct is None:
            return False
        if (
            (self._broker.carries or (self._https and self.state == "https"))
            and self._pace.ahead(uptime.ms())
            and direct.offer(index, name, value)
        ):
            return True
        # Those that are still on their way are older, and must not come into the queue after it.
        direct.release()
        return False

    @property
    def in_flight(self) -> int:
        """Values sent by themselves that are neither acknowledged nor in the queue."""
        return self._direct.waiting if self._direct else 0

    def release(self):
        """They will not be acknowledged any more: into the queue with them."""
        if self._direct:
            self._direct.release()

    async def run(self):
        """Never returns. Cancelling it closes its connection."""
        self._broker.accepted = self._api.worked = False
        try:
            while True:
                await self._join()
                async with self._turn:
                    if uptime.ms() >= self._mqtt_backoff.at_ms:
                        await self._ask()
                        self._api.close()
                        if self._asked:
                            self._on_recovered()
                        await self._try_mqtt()
                    await self._bridge()
        finally:
            self._api.close()
            self.state = ""

    async def alone(self, step):
        """Await `step()` while this has no connection open: between two tries of MQTT."""
        async with self._turn:
            self._api.close()
            return await step()

    def _tick(self) -> int:
        """The uptime; and a sign of life to the supervisor."""
        self.alive_ms = uptime.ms()
        return self.alive_ms

    def _enter(self, state: str, what: str):
        """Tell once that this is what is going on now."""
        self._tick()
        if state != self.state:
            self.state = state
            self._log.info("state: %s: %s", state, what)

    async def _join(self):
        """Until the network is joined and the time is known."""
        lost = False
        while True:
            self._tick()
            if not self._wifi.connected():
                self._enter("wifi", "joining the network")
                lost = True
                try:
                    await self._wifi.connect()
                except OSError as error:
                    self._log.warning("%s", error)
                    await asyncio.sleep_ms(_JOIN_MS)
            elif self._clock.known:
                break
            else:
                self._enter("time", "waiting for the time")
            await asyncio.sleep_ms(_TICK_MS)
        if lost:
            now = uptime.ms()
            self._mqtt_backoff.restart(now)
            self._https_backoff.restart(now)

    async def _ask(self):
        """For the state, before each attempt at MQTT: during a session no other one may be open.

        Even while HTTPS is to be left alone for having failed: if both ways come back together,
        a session without the state would miss the commands of the time before.
        """
        self._asked = False
        if self._https_backoff.refused and uptime.ms() < self._https_backoff.at_ms:
            return
        self._enter("asking", "the platform for limits and missed commands")
        await self._over_https(self._read_state())

    async def _try_mqtt(self):
        probation_ms = max(self._grace_ms, _SHORTEST_PROBATION_MS) if self._https else 0
        self._enter("mqtt", "connecting to the broker")
        broker = self._broker
        try:
            await broker.serve(probation_ms, _ASK_AGAIN_MS if self._asked else _UNASKED_MS)
            self._left += 1
            self._log.info("MQTT is left to ask for the state")
        except LinkError as error:
            if self._lasted(_STABLE_MS):
                self._mqtt_backoff.succeeded()
            self._failed("MQTT", self._mqtt_backoff, error)
            self._soon = False
        now = uptime.ms()
        if broker.connected_ms is not None:
            self._heard_ms = now
        # A session that ends before it has taken anything is none, however many of them there are.
        if broker.carried and (broker.answered or self._lasted(self._grace_ms)):
            # A feed without an answer has waited for as long as the grace lasts, or longer.
            self._down_since = now if broker.unanswered_ms is None else broker.unanswered_ms
            self._https = False

    def _lasted(self, ms: int) -> bool:
        """Whether MQTT's last session did, and left nothing unanswered."""
        broker = self._broker
        if broker.connected_ms is None or broker.unanswered_ms is not None:
            return False
        return uptime.ms() - broker.connected_ms >= ms

    def _listening(self):
        """Commands can come now."""
        now = uptime.ms()
        if self._asked and not self._soon and now - self._asked_ms > _GAP_MS:
            self._soon = True
            self._broker.leave_ms = now + _ASK_SOON_MS

    async def _bridge(self):
        """Until MQTT is to be tried again; once it has been down for long enough, over HTTPS."""
        try:
            while self._wifi.connected():
                now = self._tick()
                if now >= self._mqtt_backoff.at_ms:
                    return
                if now - self._heard_ms >= self._unheard_ms:
                    self._heard_ms = now
                    self._log.warning("nothing was heard for long; the network is joined anew")
                    self._wifi.disconnect()
                    return
                if self._https:
                    self._enter("https", "HTTPS carries the feeds until MQTT is back")
                else:
                    self._enter("waiting", "for the next try")
                step = self._due(now)
                if step:
                    await self._over_https(step)
                await asyncio.sleep_ms(_TICK_MS)
        finally:
            self.release()

    def _due(self, now: int):
        """What is to be done over HTTPS next: a coroutine, or None."""
        if now - self._down_since < self._grace_ms or now < self._https_backoff.at_ms:
            return None
        if self._direct and self._direct.waiting:
            return self._direct.post(self._api)
        if now >= self._poll_at:
            return self._poll()
        if self._pace.ready(now) and self._queue.due():
            return self._deliver()
        return None

    async def _poll(self):
        await self._read_state()
        self._on_recovered()

    async def _deliver(self):
        await self._api.deliver()
        self._https = True

    async def _read_state(self):
        # However it ends: a platform that can't tell its state may take feeds all the same.
        self._asked_ms = uptime.ms()
        self._poll_at = self._asked_ms + self._poll_ms
        await self._api.read_state(self._on_state)
        self._asked = True

    async def _over_https(self, step):
        """Await something of the API, and learn from how it ends."""
        try:
            taken = await step
        except LinkError as error:
            self._https = False
            self._failed("HTTPS", self._https_backoff, error)
            self.release()
            return
        now = self._tick()
        if taken is False:
            # A value by itself was not, which says little about the way: a feed will tell.
            self._https = False
            return
        self._heard_ms = now
        if self._https_backoff.succeeded() and now >= self._hope_ms:
            # What made HTTPS fail may have made MQTT fail.
            self._hope_ms = now + _HOPE_MS
            self._mqtt_backoff.restart(now)

    def _failed(self, way: str, backoff, error):
        now = self._tick()
        if error.refused:
            self._heard_ms = now
        delay_ms = backoff.failed(now, _REFUSED_MS if error.refused else 0)
        self._log.warning("%s: %s; next try in %d s", way, error, (delay_ms + 999) // 1000)

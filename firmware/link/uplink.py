"""The link's task: joins the network, brings the feeds to the platform, and its commands home.

A failure puts all that is in flight back into the queue, and the next way sends it again: the
points keep their milliseconds, so this changes nothing on the platform. `failover` decides which
way that is. One connection is open at a time: the memory of a board holds one TLS session.
"""

import asyncio

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.passing import passing
from firmware.base.pause import Pause
from firmware.base.rare import rare
from firmware.link import LinkError
from firmware.link.failover import Failover
from firmware.link.pacing import Pace
from firmware.link.reasons import entry

_JOIN_MS = const(1000)  # between two attempts to join the Wi-Fi
_RADIO_MS = const(10000)  # the same, where the driver fails
_TICK_MS = const(100)  # at the latest
# An identity that the broker refuses is tried again so often, after so long, and then given up.
_RETRIES = const(3)
_RETRY_MS = const(120000)

_STATES = const(
    """
wifi joining the network
time waiting for the time
asking the platform for limits and missed commands
provisioning asking who this device is
mqtt connecting to the broker
waiting for the next try
https HTTPS carries the feeds until MQTT is back
"""
)


class Uplink:
    """alive_ms: when it last got on, for the supervisor; unverified: anybody is believed. errand:
    None, or a coroutine function that is called again and again to use the API, behind readings
    and commands; HTTPS carries them meanwhile. It raises nothing. sent, asked: whether the
    platform took a feed, and whether it could tell a command, in this run.
    """

    @rare
    def __init__(
        self,
        settings: dict,
        network,
        queue,
        clock,
        wifi,
        on_command,
        on_state,
        on_recovered,
        on_date=None,
    ):
        """on_command: see MqttClient. on_state: see Api.read_state. on_recovered(): a whole state
        was told. on_date(text): the platform accepts this device, with the `Date` of its answer or
        "". None of them may raise.
        """
        device = settings["device"]
        mqtt = settings["mqtt"]
        self._device = device  # without an identity its `id` is None
        self._refusals = 0  # of that identity, in a row
        if device["provision"]:
            passing(_provisioning).recall(device)
        self._queue = queue
        self._clock = clock
        self._wifi = wifi
        self._on_state = on_state
        self._on_recovered = on_recovered
        self._on_date = on_date or (lambda text: None)
        self._log = Log("uplink")
        self._began_ms = self.alive_ms = uptime.ms()
        values = any(sensor["send"] != "feed" for sensor in settings["sensors"])
        feed = settings["feed"]
        self._pace = Pace(feed["per_minute"], feed["max_points"], self._began_ms, values)
        self._values = None
        if values:
            from firmware.link.single_values import SingleValues

            self._values = SingleValues(settings["sensors"], device, queue, clock)
        self.failover = Failover(
            self._began_ms, round(1000 * mqtt["grace_s"]), 1000 * settings["https"]["poll_s"]
        )
        self._on_command = on_command
        self._network = network
        # What both ways need of them.
        self._way = {"device": device, "mqtt": mqtt, "https": settings["https"]}
        self._mqtt = self._api = None
        self._learnt_mqtt = self._learnt_https = None
        self._mqtt_ms = -1  # uptime when a session over MQTT was last open
        self._https_ms = -1  # these two as of the Api, and of those before it
        self._rejected = 0
        self._pause = Pause()
        self.errand = None
        self.sent = self.asked = False
        self._turn = asyncio.Lock()  # of who may have a connection open
        self.unverified = not settings["tls"]["verify"]
        if self.unverified:
            self._log.warning("tls.verify is false: anybody can pose as the platform")

    @property
    def api(self):
        """The platform's HTTPS API. It is loaded when it is used, until MQTT is tried."""
        if not self._api:
            given = self._way, self._network, self._queue, self._pace
            self._api = passing(_https_api)(*given, self._learnt_https)
        return self._api

    @property
    def mqtt(self):
        """The client of MQTT. It is loaded when it is used, until its session ends."""
        if not self._mqtt:
            given = self._way, self._network, self._queue, self._pace
            calls = self._on_command, self._watch
            self._mqtt = passing(_mqtt_client)(*given, *calls, self._values, self._learnt_mqtt)
        return self._mqtt

    @property
    def rejected(self) -> int:
        """Points that the platform did not accept."""
        rejected = self._rejected + self._queue.rejected
        return rejected + self._api.rejected if self._api else rejected

    def reached(self) -> list:
        """The ways over which the platform accepted this device since `run` began."""
        https_ms = self._https_ms
        if self._api:
            https_ms = max(https_ms, self._api.accepted_ms)
        ways = (("mqtt", self._mqtt_ms), ("https", https_ms))
        return [way for way, at_ms in ways if at_ms >= self._began_ms]

    def offer(self, index: int, name: str, value) -> bool:
        """Send one value of a sensor whose `send` is not "feed" at once.

        `index`: the property's in the queue. False: it cannot go now, so the caller buffers it.
        True: if it is not acknowledged, it will be put into the queue, with the time it has now.
        """
        if self._values is None:
            return False
        if (
            # In another state there is no connection to send it over.
            self.failover.carrier == self.failover.state
            and self._pace.ahead(uptime.ms())
            and self._values.offer(index, name, value)
        ):
            self._wake()
            return True
        # Those that are still on their way are older, and must not come into the queue after it.
        self._values.release(index)
        return False

    def hurry(self):
        """What was put into the queue is not to wait for a feed's age."""
        self._pace.hurried = True
        self._wake()

    def _wake(self):
        self._pause.cut()
        if self._mqtt:
            self._mqtt.wake()

    @property
    def in_flight(self) -> int:
        """Values sent by themselves that are neither acknowledged nor in the queue."""
        return len(self._values or ())

    def release(self):
        """Put those values into the queue: they will not be acknowledged any more."""
        if self._values:
            self._values.release()

    def stop(self):
        """What `release` does, and a goodbye to the broker, when the event loop has ended."""
        if self._mqtt:
            self._mqtt.leave()
        self.release()

    async def run(self):
        """Never returns. Cancelling it closes its connection."""
        self._began_ms = uptime.ms()
        try:
            while True:
                state = self._step()
                if state == "wifi":
                    try:
                        await self._wifi.connect()
                        await asyncio.sleep_ms(_TICK_MS)
                    except OSError as error:
                        self._log.warning("%s", error)
                        await asyncio.sleep_ms(_JOIN_MS)
                    except RuntimeError as error:  # the radio itself, which is in no hurry
                        self._log.warning("%s", error)
                        await asyncio.sleep_ms(_RADIO_MS)
                elif state in ("asking", "provisioning", "mqtt"):
                    async with self._turn:
                        if state == "provisioning":
                            await self._provision()
                        elif state == "asking":
                            await self._exchange(self._read_state())
                            state = self._step()
                        self._leave_api()
                        if state == "mqtt":
                            await self._serve()
                else:
                    wait_ms = _TICK_MS
                    if state != "time":
                        async with self._turn:
                            wait_ms = await self._exchange_due(uptime.ms())
                    await self._pause.wait(wait_ms)
        finally:
            self._close_api()
            self.release()
            self.failover.stopped()

    async def alone(self, step):
        """Await `step()` while this has no connection open: between two steps of its own."""
        async with self._turn:
            self._close_api()
            return await step()

    def _close_api(self):
        if self._api:
            self._api.close()

    def _leave_api(self):
        """Forget it, but for what it has counted and learnt: a session needs its memory."""
        api = self._api
        if api:
            api.close()
            self._learnt_https = api.learnt()
            self._https_ms = max(self._https_ms, api.accepted_ms)
            self._rejected += api.rejected
            self._api = None

    def _leave_mqtt(self):
        """Forget it, but for what it has learnt: HTTPS needs its memory."""
        if self._mqtt:
            self._learnt_mqtt = self._mqtt.learnt()
            self._mqtt = None

    def _step(self) -> str:
        """Go to the state that the failover decides on; each change is a line of the log."""
        self.alive_ms = uptime.ms()
        before = self.failover.state
        joined = self._wifi.connected() and not self._wifi.better()
        identified = self._identified()
        errand = identified and self.errand
        state = self.failover.next(self.alive_ms, joined, self._clock.known, identified, errand)
        if state != before:
            self.release()
            if state == "wifi" and joined:
                self._log.warning("nothing was heard for long; the network is joined anew")
                self._wifi.disconnect()
            self._log.info("state: %s: %s", state, entry(_STATES, state))
        return state

    def _watch(self, outcome, now: int) -> bool:
        self.alive_ms = self._mqtt_ms = now
        if not self._clock.sure:
            self._on_date("")
        self.sent = self.sent or outcome.acknowledged
        self.asked = self.asked or outcome.listening_ms is not None
        moving = self._wifi.better()
        return self.failover.watch(outcome, now) or moving or self.errand is not None

    def _identified(self) -> bool:
        return self._device["id"] is not None

    @rare
    async def _provision(self):
        asking = passing(_provisioning).ask(self._device, self.mqtt, self._on_command)
        try:
            outcome = await asking
        finally:
            self._leave_mqtt()
        self._ended("provisioning", outcome)

    async def _serve(self):
        try:
            outcome = await self.mqtt.serve()
        finally:
            self._leave_mqtt()
        if self._device["provision"]:
            self._judge(outcome)
        self._ended("MQTT", outcome)
        if not outcome.error:
            self._log.info("MQTT is left to ask for the state")

    @rare
    def _judge(self, outcome):
        """Is an identity that was provisioned good for another attempt?"""
        if outcome.connected_ms is not None:
            self._refusals = 0
        elif outcome.error.refused:
            self._refusals += 1
            outcome.floor_ms = _RETRY_MS
            if self._refusals > _RETRIES:
                self._refusals = outcome.floor_ms = 0
                self.failover.carrier = "none"
                passing(_provisioning).forget(self._device)

    def _ended(self, way, outcome):
        self.alive_ms = uptime.ms()
        self.failover.ended(outcome, self.alive_ms)
        if outcome.error:
            self._failed(way, outcome.error, self.failover.mqtt.at_ms)

    async def _exchange_due(self, now: int) -> int:
        """Do what is due over HTTPS, once MQTT has been down for long enough; return after how
        many ms there may be more to do.
        """
        failover, errand = self.failover, self.errand
        may = failover.may_deliver(now) or (errand and now >= failover.https.at_ms)
        if not (may and self._identified()):
            return _TICK_MS
        due = self._pace.hurried or self._queue.due()
        if self._values:
            await self._exchange(self._values.post(self.api))
        elif failover.may_poll(now):
            await self._exchange(self._read_state())
        elif due and self._pace.ready(now):
            await self._exchange(self.api.deliver())
        elif errand:
            await errand()
        else:
            return min(_TICK_MS, self._pace.wait_ms(now)) if due else _TICK_MS
        return 0

    async def _exchange(self, step):
        """Await an exchange with the API, and tell the failover how it ended."""
        try:
            taken = await step
            self.alive_ms = uptime.ms()
            self.sent = self.sent or bool(taken)
            self.failover.exchanged(self.alive_ms, taken)
        except LinkError as error:
            self.alive_ms = uptime.ms()
            self.failover.failed(error, self.alive_ms)
            self._failed("HTTPS", error, self.failover.https.at_ms)

    async def _read_state(self):
        began_ms = uptime.ms()
        told = False
        try:
            await self.api.read_state(self._on_state, self._on_date)
            told = True
        finally:
            self.failover.asked(began_ms, told)
        self.asked = True
        self._on_recovered()

    def _failed(self, way: str, error, next_ms: int):
        self._pace.hurried = True  # whatever works next begins with what is there
        delay_ms = next_ms - self.alive_ms
        self._log.warning("%s: %s; next try in %d s", way, error, (delay_ms + 999) // 1000)


def _https_api():
    from firmware.link.https_api import Api

    return Api


def _mqtt_client():
    from firmware.link.mqtt_client import MqttClient

    return MqttClient


def _provisioning():
    """What only a device that is provisioned needs, and only now and then."""
    from firmware.link import provisioning

    return provisioning

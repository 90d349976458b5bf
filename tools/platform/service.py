"""The stand-in as a whole: one control file, one store, and two transports that use them."""

import asyncio
import hmac
import json
import logging
from pathlib import Path

from amqtt.errors import BrokerError
from amqtt.mqtt.connack import BAD_USERNAME_PASSWORD, CONNECTION_ACCEPTED, NOT_AUTHORIZED

from . import ports
from .api import Api
from .authority import Authority
from .broker import DeviceBroker
from .control import LISTENERS, Control
from .feed import FeedError, Point, parse_feed, parse_json
from .ingest import DEVICE, Ingest, Refused
from .store import Store, now_ms

log = logging.getLogger(__name__)

_CONTROL_EVERY_S = 0.1


class Platform:
    """The stand-in in the running event loop: `async with Platform(directory) as platform:`.

    Everything it keeps is under `directory`, which must exist. A port of 0 means a free one,
    chosen once: listeners that are stopped and started again are on the ports they had.
    """

    def __init__(
        self, directory: Path, mqtt: int = 0, mqtts: int = 0, ws: int = 0, https: int = 0
    ):
        self._directory = Path(directory).resolve()
        wanted = {"mqtt": mqtt, "mqtts": mqtts, "ws": ws, "https": https}
        self._ports = ports.choose(wanted)
        self._stopped: set[str] = set()  # by stop_mqtt and stop_https, besides the control file
        self._change = asyncio.Lock()
        self._broker: DeviceBroker | None = None
        self._https_up = False
        self._watcher: asyncio.Task | None = None

    async def __aenter__(self) -> "Platform":
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make or read what is in the directory, and listen. Raises OSError, ControlError."""
        self.control = Control(self._directory)
        self._authority = Authority(self._directory)
        self._tls = self._authority.server_context()
        self._store = Store(self._directory / "platform.sqlite")
        self._ingest = Ingest(self.control, self._store, self._send)
        self._api = Api(self.control, self._store, self._ingest, self._ports["https"], self._tls)
        try:
            await self._settle()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop listening, cut the connections, close the database."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._stopped.update(LISTENERS)
        await self._settle()
        self._store.close()

    @property
    def info(self) -> dict:
        """Ports, CA file and credentials: all that a device or a client needs."""
        device, client = self.control.device, self.control.client
        return {
            **self._ports,
            "host": "localhost",
            "ca": str(self._authority.ca),
            "device": {name: device[name] for name in ("id", "key_id", "key_secret")},
            "client": {name: client[name] for name in ("key_id", "key_secret")},
            "api": f"https://localhost:{self._ports['https']}/v3",
        }

    async def stop_mqtt(self) -> None:
        """Take the broker down: connections are cut, and new ones refused."""
        self._stopped.add("mqtt")
        await self._settle()

    async def start_mqtt(self) -> None:
        """Bring the broker back on the same ports, unless the control file has it down."""
        self._stopped.discard("mqtt")
        await self._settle()

    async def stop_https(self) -> None:
        """Take the API down: connections are cut, and new ones refused."""
        self._stopped.add("https")
        await self._settle()

    async def start_https(self) -> None:
        """Bring the API back on the same port, unless the control file has it down."""
        self._stopped.discard("https")
        await self._settle()

    async def refresh(self) -> None:
        """Obey the control file now, rather than within a tenth of a second."""
        self.control.refresh()
        await self._settle()

    @property
    def connected(self) -> bool:
        """Whether the device is connected over MQTT."""
        return self._broker is not None and self._broker.connected(self.control.device["id"])

    def points(self, prop: str | None = None) -> list[tuple[str, int, object]]:
        """The time series as `(prop, t_ms, value)`, sorted by time; of one property if given."""
        return self._store.points(self.control.device["id"], prop)

    def latest(self, prop: str) -> tuple[int, object] | None:
        """`(t_ms, value)` of the most recent point of a property, or None."""
        return self._store.latest(self.control.device["id"], prop)

    def writes(self, after: int = 0) -> list[dict]:
        """The journal of every accepted point in the order of arrival, from row `after` on.

        Keys: received_ms, transport (mqtt, https), key (device, client), device, prop, t_ms,
        value.
        """
        return self._store.writes(after)

    def log(self) -> list[str]:
        """The lines of the device's log, oldest first."""
        return self._store.log()

    # -- what the broker asks (broker.Gate)

    def admit(self, client_id: str, key_id: str | None, secret: str | None) -> int:
        """The CONNACK return code for these credentials."""
        self.control.refresh()
        device = self.control.device
        given = f"{key_id}:{secret}".encode()
        if not hmac.compare_digest(given, f"{device['key_id']}:{device['key_secret']}".encode()):
            client = self.control.client
            known = hmac.compare_digest(
                given, f"{client['key_id']}:{client['key_secret']}".encode()
            )
            return NOT_AUTHORIZED if known else BAD_USERNAME_PASSWORD
        if client_id != device["id"] or device["status"] == "disabled":
            return NOT_AUTHORIZED
        return CONNECTION_ACCEPTED

    def may_subscribe(self, client_id: str, topic_filter: str) -> bool:
        """Whether the filter is within what the platform sends to this device."""
        return topic_filter.startswith(f"csipio/data/in/devices/{client_id}/")

    def take(self, client_id: str, topic: str, payload: bytes) -> None:
        """Store what a publish carries. Raises sqlite3.Error, and then it is not acknowledged."""
        self.control.refresh()
        prefix = f"csipio/data/out/devices/{client_id}/"
        if not topic.startswith(prefix):
            self._drop(f"{topic} is not a topic that this device may publish to")
            return
        try:
            self._ingest.admit(DEVICE)
            self._ingest.write(
                self._published(topic.removeprefix(prefix), payload), DEVICE, "mqtt"
            )
        except (FeedError, Refused) as error:
            self._drop(f"{topic}: {error}")

    def _published(self, topic: str, payload: bytes) -> list[Point]:
        kind, _, name = topic.partition("/")
        if topic == "json":
            return parse_feed(payload, now_ms())
        if kind == "properties" and name:
            if name != name.lower():
                raise FeedError("expected the property's name in lower case")
            return [Point(name, now_ms(), parse_json(payload))]
        if kind == "methods" and name:
            raise FeedError("the device has no methods")
        raise FeedError("expected json, properties/{name} or methods/{name}")

    def _drop(self, reason: str) -> None:
        log.warning("publish dropped: %s", reason)
        self._ingest.note(f"mqtt: publish dropped: {reason}")

    # -- commands, and obeying the control file

    def _send(self, prop: str, value: object) -> None:
        device = self.control.device["id"]
        if not self.connected:
            log.info("command %s is lost: the device is not connected", prop)
            return
        payload = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        self._broker.send(f"csipio/data/in/devices/{device}/properties/{prop}", payload)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_CONTROL_EVERY_S)
            before = self.control.device
            self.control.refresh()
            device = self.control.device
            if device is not before and self._broker is not None:
                same = all(device[name] == before[name] for name in ("id", "key_id", "key_secret"))
                if not same or device["status"] == "disabled":
                    self._broker.disconnect(before["id"])
            try:
                await self._settle()
            except OSError as error:  # someone has taken the port meanwhile; try again
                log.error("%s", error)

    async def _settle(self) -> None:
        """Make what listens match what shall. Raises OSError naming the port that is taken."""
        async with self._change:
            down = self._stopped | self.control.down
            if (self._broker is None) != ("mqtt" in down):
                await self._set_mqtt("mqtt" not in down)
            if self._https_up != ("https" not in down):
                await self._set_https("https" not in down)

    async def _set_mqtt(self, up: bool) -> None:
        if not up:
            broker, self._broker = self._broker, None
            await broker.shutdown()
            log.info("mqtt is down")
            return
        broker = DeviceBroker(self, self._ports, self._tls)
        try:
            await broker.start()
        except BrokerError as error:
            cause = error.__cause__ or error
            message = f"cannot listen for mqtt, mqtts and ws: {cause}; port 0 takes a free one"
            raise OSError(message) from error
        self._broker = broker
        log.info("mqtt is up on %(mqtt)d, %(mqtts)d (TLS) and %(ws)d (WebSocket)", self._ports)

    async def _set_https(self, up: bool) -> None:
        if up:
            try:
                await self._api.start()
            except OSError as error:
                message = f"cannot listen for https: {error}; port 0 takes a free one"
                raise OSError(message) from error
        else:
            await self._api.stop()
        self._https_up = up
        log.info("https is %s on %d", "up" if up else "down", self._ports["https"])

"""The stand-in as a whole: one control file, one store, and two transports that use them."""

import asyncio
import fcntl
import json
import logging
import os
from pathlib import Path

from amqtt.errors import BrokerError
from amqtt.mqtt.connack import BAD_USERNAME_PASSWORD, CONNECTION_ACCEPTED, NOT_AUTHORIZED

from tools import ToolError

from . import ports
from .api import Api
from .authority import Authority
from .broker import DeviceBroker
from .control import LISTENERS, Control, is_key
from .feed import FeedError, Point, parse_feed, parse_json
from .ingest import DEVICE, DISABLED, Ingest, Refused
from .provisions import Provisions, is_asking
from .releases import Releases
from .store import Store, now_ms

log = logging.getLogger(__name__)

_CONTROL_EVERY_S = 0.1
_IDENTITY = ("id", "key_id", "key_secret")


class InUseError(ToolError):
    """Another stand-in uses the directory."""


class Platform:
    """The stand-in in the running event loop: `async with Platform(directory) as platform:`.

    Everything it keeps is under `directory`, which must exist. A port of 0 means a free one,
    chosen once: listeners that are stopped and started again are on the ports they had.
    """

    def __init__(
        self,
        directory: Path,
        mqtt: int = 0,
        mqtts: int = 0,
        ws: int = 0,
        https: int = 0,
        releases: Path | None = None,
    ):
        """releases: the folder of what is served below /releases, none without it.

        Raises OSError for a port that is taken, ToolError for releases that are no folder.
        """
        self._directory = Path(directory).resolve()
        self.releases = Releases(releases)
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
        """Make or read what is in the directory, and listen.

        Raises OSError, ControlError, StoreError, AuthorityError, InUseError.
        """
        self._lock = _locked(self._directory)
        try:
            await self._start()
        except BaseException:
            os.close(self._lock)
            raise

    async def _start(self) -> None:
        self.control = Control(self._directory)
        self._admitted = self.control.devices
        self._authority = Authority(self._directory)
        self._tls = self._authority.server_context()
        self._store = Store(self._directory / "platform.sqlite")
        self._ingest = Ingest(self.control, self._store, self._send)
        self._provisions = Provisions(self.control, self._publish, self._hang_up)
        self._api = Api(
            *(self.control, self._store, self._ingest),
            *(self._ports["https"], self._tls, self.releases),
        )
        try:
            await self._settle()
        except BaseException:
            await self._end()
            raise
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop listening, cut the connections, close the database."""
        try:
            await self._end()
        finally:
            os.close(self._lock)

    async def _end(self) -> None:
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
        fleets = [
            {name: fleet[name] for name in ("name", "key_id", "key_secret")}
            for fleet in self.control.fleets
        ]
        more = {"fleets": fleets} if fleets else {}
        return {
            **more,
            **self._ports,
            "host": "localhost",
            "ca": str(self._authority.ca),
            "device": {name: device[name] for name in _IDENTITY},
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
        self._put_out()
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

    def written(self) -> int:
        """How many rows the journal has had so far."""
        return self._store.written()

    def count(self) -> int:
        """How many points the first device's time series has."""
        return self._store.count(self.control.device["id"])

    def forget(self, rows: int) -> None:
        """Keep only the last `rows` of the journal and of the log."""
        self._store.forget(rows)

    def wire(self) -> list[tuple[int, str, int, bytes]]:
        """The first device's last feeds as they came, oldest first (ingest.Ingest.overhear)."""
        return list(self._ingest.wire)

    def log(self) -> list[str]:
        """The lines of the first device's log, oldest first."""
        return [text for _, text in self._store.log(self.control.device["id"])]

    # -- what the broker asks (broker.Gate)

    def admit(self, client_id: str, key_id: str | None, secret: str | None) -> int:
        """The CONNACK return code for these credentials."""
        self.control.refresh()
        given = f"{key_id}:{secret}".encode()
        if is_asking(client_id) and (code := self._provisions.admit(client_id, given)) is not None:
            return code
        device = next((d for d in self.control.devices if is_key(given, d)), None)
        if device is None:
            if not is_key(given, self.control.client):
                log.warning("refused %r: wrong key id or secret", client_id)
                return BAD_USERNAME_PASSWORD
            log.warning("refused %r: a client's key is for HTTPS only", client_id)
        elif client_id != device["id"]:
            log.warning("refused %r: the key is that of %s", client_id, device["id"])
        elif device["status"] == "disabled":
            log.warning("refused %r: %s", client_id, DISABLED)
        else:
            return CONNECTION_ACCEPTED
        return NOT_AUTHORIZED

    def may_subscribe(self, client_id: str, topic_filter: str) -> bool:
        """Whether the filter is within what the platform sends to this device."""
        if is_asking(client_id):
            return self._provisions.may_subscribe(client_id, topic_filter)
        return topic_filter.startswith(f"csipio/data/in/devices/{client_id}/")

    def take(self, client_id: str, topic: str, payload: bytes) -> None:
        """Store what a publish carries. Raises sqlite3.Error, and then it is not acknowledged."""
        self.control.refresh()
        if is_asking(client_id):
            self._provisions.take(client_id, topic, payload)
            return
        prefix = f"csipio/data/out/devices/{client_id}/"
        device = self.control.find(client_id)
        if device is None:  # its id has just been changed, and its connection will be ended
            return
        if not topic.startswith(prefix):
            self._drop(device, f"{topic} is not a topic that this device may publish to")
            return
        self._ingest.overhear(device, DEVICE, "mqtt", payload)
        try:
            self._ingest.admit(device, DEVICE)
            points = self._published(topic.removeprefix(prefix), payload)
            self._ingest.write(device, points, DEVICE, "mqtt")
        except (FeedError, Refused) as error:
            self._drop(device, f"{topic}: {error}")

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

    def _drop(self, device: dict, reason: str) -> None:
        log.warning("publish dropped: %s", reason)
        self._ingest.note(device, f"mqtt: publish dropped: {reason}")

    # -- commands, and obeying the control file

    def _send(self, device: dict, prop: str, value: object) -> None:
        if self._broker is None or not self._broker.connected(device["id"]):
            log.info("command %s is lost: %s is not connected", prop, device["name"])
            return
        self._broker.send(_command_topic(device, prop), _command_payload(value))

    def _publish(self, topic: str, payload: bytes) -> None:
        if self._broker is not None:
            self._broker.send(topic, payload)

    def _hang_up(self, client_id: str) -> None:
        if self._broker is not None:
            self._broker.disconnect(client_id)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_CONTROL_EVERY_S)
            self.control.refresh()
            self._put_out()
            try:
                await self._settle()
            except OSError as error:  # someone has taken the port meanwhile; try again
                log.error("%s", error)

    def _put_out(self) -> None:
        """End the connections of devices that may not be connected any more."""
        before, self._admitted = self._admitted, self.control.devices
        for device in before:
            now = self.control.find(device["id"])
            same = now and all(now[name] == device[name] for name in _IDENTITY)
            if self._broker is not None and not (same and now["status"] != "disabled"):
                self._broker.disconnect(device["id"])

    def _retain(self) -> None:
        """Let the broker have what the control file says is retained."""
        for device in self.control.devices:
            values = {
                _command_topic(device, prop): _command_payload(value)
                for prop, value in self.control.retained.items()
            }
            self._broker.retain(_command_topic(device, ""), values)

    async def _settle(self) -> None:
        """Make what listens match what shall. Raises OSError naming the port that is taken."""
        async with self._change:
            down = self._stopped | self.control.down
            if (self._broker is None) != ("mqtt" in down):
                await self._set_mqtt("mqtt" not in down)
            if self._broker is not None:
                self._retain()
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


def _command_topic(device: dict, prop: str) -> str:
    return f"csipio/data/in/devices/{device['id']}/properties/{prop}"


def _command_payload(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _locked(directory: Path) -> int:
    """The directory, opened and locked for as long as this process has it open.

    Raises InUseError, OSError.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUseError(
            f"{directory}: another csipio platform uses it; stop that one, or name another --dir"
        ) from None
    return descriptor

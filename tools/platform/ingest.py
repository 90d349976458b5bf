"""The door for data: limits, properties, access, types; then the store, then commands.

Both transports come through here, so a point has the same fate over either.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from .control import Control
from .feed import Point
from .properties import Property
from .store import Store, now_ms

_FEEDS = 8  # kept as they came
_EXCERPT = 2048  # bytes of each

DEVICE, CLIENT = "device", "client"  # the two kinds of keys
DISABLED = "the device is disabled"

# A feed rate counted over a whole minute would refuse a sender that keeps to it exactly, for a
# millisecond of jitter on the network. A second less does not.
_WINDOW_S = 59.0


class Refused(Exception):
    """A whole write is refused: the HTTP status, the reason, and seconds to wait if any."""

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None):
        super().__init__(reason)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Receipt:
    """What became of the points of one write."""

    accepted: int
    rejected: int


class Ingest:
    """`device` is its section of the control file; `key`, the kind of key that a write came with.

    `send(device, prop, value)` is called for every value that is a command to a device.
    """

    def __init__(self, control: Control, store: Store, send: Callable[[dict, str, object], None]):
        self._control = control
        self._store = store
        self._send = send
        self.wire: deque[tuple[int, str, int, bytes]] = deque(maxlen=_FEEDS)
        self._recent: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def overhear(self, device: dict, key: str, transport: str, body: bytes) -> None:
        """Keep in `wire` what the first device sent: received_ms, transport, bytes, excerpt."""
        if key == DEVICE and device["id"] == self._control.device["id"]:
            self.wire.append((now_ms(), transport, len(body), body[:_EXCERPT]))

    def admit(self, device: dict, key: str) -> None:
        """Count one feed against the rate of device and key. Raises Refused, 403 or 429."""
        if key == DEVICE and device["status"] == "disabled":
            raise Refused(403, DISABLED)
        limit = self._control.limits["rateLimit"]
        recent = self._recent[device["id"], key]
        now = time.monotonic()
        while recent and now - recent[0] >= _WINDOW_S:
            recent.popleft()
        if len(recent) >= limit:
            wait_s = max(1, math.ceil(recent[len(recent) - limit] + _WINDOW_S - now))
            raise Refused(429, f"more than {limit} feeds per minute", wait_s)
        recent.append(now)

    def write(self, device: dict, points: list[Point], key: str, transport: str) -> Receipt:
        """Store what can be taken; when this returns, it is committed.

        Raises Refused, 413, when the feed has too many points, and sqlite3.Error.
        """
        limit = self._control.limits["maxNrOfDpPerFeed"]
        if len(points) > limit:
            raise Refused(413, f"{len(points)} points in one feed, more than {limit}")
        taken: list[tuple[Property, Point]] = []
        for point in points:
            prop = None if point.problem else self._control.property(device, point.prop)
            if refusal := point.problem or self._refusal(prop, point.value, key):
                self.note(device, f"{transport}: {point.prop} rejected: {refusal}")
            else:
                taken.append((prop, point))
        commands = self._commands(device, taken) if key == CLIENT else []
        rows = [(prop.name, point.t_ms, point.value) for prop, point in taken]
        self._store.write(device["id"], transport, key, rows)
        for prop, value in commands:
            self._send(device, prop, value)
        return Receipt(len(taken), len(points) - len(taken))

    def note(self, device: dict, text: str) -> None:
        """Add a line to the device's log, while its status is `debug`."""
        if device["status"] == "debug":
            self._store.note(device["id"], text)

    def _refusal(self, prop: Property | None, value: object, key: str) -> str | None:
        if prop is None:
            return "unknown property"
        if key == CLIENT and prop.access != "public":
            return f"a {prop.access} property is written with the device key only"
        return prop.refusal(value)

    def _commands(
        self, device: dict, taken: list[tuple[Property, Point]]
    ) -> list[tuple[str, object]]:
        commands, last = [], {}
        for prop, point in taken:
            if prop.publish == "never":
                continue
            if prop.publish == "changed":
                if prop.name not in last:
                    latest = self._store.latest(device["id"], prop.name)
                    last[prop.name] = latest[1] if latest else None
                if point.value == last[prop.name]:
                    continue
                last[prop.name] = point.value
            commands.append((prop.name, point.value))
        return commands

"""What can happen to the device, each as a button that is on or off.

Two proxies stand before the broker and the API; the room obeys a file
(`firmware/sensors/room.py`).
"""

import asyncio
import contextlib
import json
import os
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import trustme

from tools.faults.faults import Fault, Silent
from tools.faults.proxy import UP, Loop, Proxy, Somebody

_DELAY_S = 0.1  # each way
_RESENT_S = 1.0  # what a lost packet costs until it is sent again
_LOST = 50  # one in so many
_RECENT_S = 2.0


class _Ends(Fault):
    """What is open ends, so that the device meets it at once."""

    lasts = False

    async def begin(self, proxy) -> None:
        for link in list(proxy.links):
            link.reset()


class Gone(_Ends):
    """Nothing listens."""

    listens = False


class Stranger(_Ends):
    """Somebody else answers, with a certificate that the device's CA has not signed."""

    def __init__(self, port: int):
        super().__init__("stranger")
        self.server = ("127.0.0.1", port, None)


class Slow(Fault):
    """200 ms there and back; one piece in 50 comes only after it was sent again."""

    lasts = False

    def __init__(self):
        super().__init__("slow")
        self._out: deque[tuple[float, int]] = deque(maxlen=100)  # (until when, bytes)

    async def passing(self, link, way: str, unit: bytes) -> None:
        self.met += 1
        delay_s = _DELAY_S + (0 if self.met % _LOST else _RESENT_S)
        if way == UP:
            self._out.append((time.monotonic() + delay_s, len(unit)))
        await asyncio.sleep(delay_s)
        await link.send(way, unit)

    def in_flight(self) -> int:
        """Bytes of the device that were on their way within the last 2 s."""
        since = time.monotonic() - _RECENT_S
        return sum(size for until, size in list(self._out) if until > since)


@dataclass(frozen=True)
class Button:
    """`watch`: what to look at, in a line. `group`: only one of a group is on."""

    name: str
    label: str
    watch: str
    group: str


BUTTONS = (
    Button("mqtt", "Cut MQTT", "After 3 s the points come by HTTPS; none is missing.", "net"),
    Button("all", "Cut everything", "The room stays warm. Later the hole closes.", "net"),
    Button("slow", "Slow network", "200 ms, 2 % loss: later, and still all of it.", "net"),
    Button("silent", "Broker never answers", "It gives up waiting and goes on by HTTPS.", "net"),
    Button("stranger", "Wrong certificate", "It tells a stranger nothing, and uses HTTPS.", "net"),
    Button("broken", "Break the sensor", "The relay goes off, and a fault is told.", "sensor"),
    Button("frozen", "Freeze the sensor", "The same digit: how long is it believed?", "sensor"),
    Button("hot", "85 °C", "A DS18B20's power-on value: it is not believed.", "sensor"),
    Button("window", "Open the window", "The room cools twelve times as fast.", "room"),
    Button("day", "A day in a minute", "The room is 1440 times as fast, not the clocks.", "room"),
)  # fmt: skip


class Faults:
    """Owns the proxies, the stranger and the room's file: `with Faults(info, world):`."""

    def __init__(self, info: dict, world: Path):
        self._info = info
        self._world = world
        self.on: dict[str, str] = {}  # group: the button that is on
        self._slow: tuple[Slow, ...] = ()
        self._changes = threading.Lock()  # two browsers may press at once

    def __enter__(self) -> "Faults":
        with contextlib.ExitStack() as stack:
            self._loop = stack.enter_context(Loop())
            host = "127.0.0.1"
            self._mqtt = stack.enter_context(Proxy(self._loop, (host, self._info["mqtts"], None)))
            self._https = stack.enter_context(Proxy(self._loop, (host, self._info["https"], None)))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trustme.CA().issue_cert("localhost").configure_cert(context)
            self._stranger = stack.enter_context(Somebody(self._loop, context))
            self._stack = stack.pop_all()
        self._change_room()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def lead(self, settings: dict) -> dict:
        """`settings` of a device that comes through the proxies and lives in this room."""
        settings["mqtt"]["url"] = f"mqtts://localhost:{self._mqtt.port}"
        settings["https"]["url"] = f"https://localhost:{self._https.port}/v3"
        settings["sensors"][0]["world"] = str(self._world)
        settings["thermostat"]["stale_after_s"] = 10
        return settings

    def toggle(self, name: str) -> None:
        """Switch a button on, and the others of its group off; or off again."""
        group = next(button.group for button in BUTTONS if button.name == name)
        with self._changes:
            if self.on.get(group) == name:
                del self.on[group]
            else:
                self.on[group] = name
            if group == "net":
                self._change_network()
            else:
                self._change_room()

    def in_flight(self) -> int:
        """Bytes between the device and the platform; a fast network holds none."""
        return sum(slow.in_flight() for slow in self._slow)

    @property
    def outside(self) -> float:
        return 5.0

    def _change_network(self) -> None:
        self._mqtt.heal()
        self._https.heal()
        name = self.on.get("net")
        self._slow = (Slow(), Slow()) if name == "slow" else ()
        if name in ("mqtt", "all"):
            self._mqtt.inject(Gone("gone"))
        if name == "all":
            self._https.inject(Gone("gone"))
        for proxy, slow in zip((self._mqtt, self._https), self._slow, strict=False):
            proxy.inject(slow)
        if name == "silent":
            self._mqtt.inject(Silent("silent"))
        if name == "stranger":
            self._mqtt.inject(Stranger(self._stranger.port))

    def _change_room(self) -> None:
        shows = {"broken": "nothing", "frozen": "frozen", "hot": 85}
        room = self.on.get("room")
        world = {
            "outside": self.outside,
            "tau_s": 900 if room == "window" else 10800,
            "speed": 1440 if room == "day" else 120,
            "shows": shows.get(self.on.get("sensor", "")),
        }
        new = self._world.with_suffix(".new")
        new.write_text(json.dumps(world))
        os.replace(new, self._world)

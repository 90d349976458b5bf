"""Bytes on the wire: what MQTT sessions write for readings of one property, taken every 5 s.

    wire.py

The link's own session and umqtt.simple's client write to streams that count. The packets of the
points only: neither TLS and TCP around them, nor CONNECT and acknowledgements.
"""

import asyncio
import json

from umqtt.simple import MQTTClient

from firmware.link.mqtt_session import Session
from firmware.points.properties import Properties
from firmware.points.queue import Queue
from firmware.times.calendar import iso
from firmware.times.clock import Clock

_DEVICE = "_dev_571692235317590466"
_TOPIC = b"csipio/data/out/devices/%s/json" % _DEVICE.encode()
_EVERY_MS = 5000
_START_MS = 1795389431178


class Stream:
    """What the link writes to."""

    size = 0

    async def write(self, data):
        self.size += len(data)


class Socket:
    """What umqtt.simple writes to; it reads the acknowledgement of what it sent last."""

    size = 0
    pid = 0

    def write(self, data, size=None):
        self.size += len(data) if size is None else size

    def setblocking(self, flag):
        pass

    def read(self, size):
        if size == 2:
            self.pid += 1
            return self.pid.to_bytes(2, "big")
        self._reads = not getattr(self, "_reads", False)
        return b"\x40" if self._reads else b"\x02"


def readings(number):
    """A room's temperature: some tenths up and down around 21 °C."""
    for n in range(number):
        yield _START_MS + _EVERY_MS * n, 21 + (n * 7 % 60 - 30) / 100


def ours(compact, number):
    """Bytes of a point, in a feed of so many."""
    now = [0]
    clock = Clock(lambda: now[0])
    clock.set(_START_MS, 0)
    queue = Queue(
        properties=Properties([("temperature", 2)]),
        clock=clock,
        slots=1024,
        compact=compact,
        max_points=number,
        max_age_ms=10000,
        when_full="oldest",
        flash_kib=0,
        spill_after_ms=30000,
        survived=False,
        lost=0,
    )
    for t, value in readings(number):
        now[0] = t - _START_MS
        queue.put(0, value)
    batch = queue.take()
    document = b"".join([bytes(piece) for piece in batch])
    if batch.points != number or len(json.loads(document)["dps"]) != number:
        raise ValueError(f"the feed holds {batch.points} points")
    stream = Stream()
    session = Session(stream, _DEVICE.encode(), None)
    session.publish(_TOPIC, batch, 1)
    asyncio.run(session.flush())
    return stream.size / number


def one_by_one(number):
    """Bytes of a point that umqtt.simple publishes by itself, with QoS 1."""
    client = MQTTClient(_DEVICE, None)
    client.sock = Socket()
    for t, value in readings(number):
        point = {"t": iso(t), "v": round(value, 2), "prop": "temperature"}
        client.publish(_TOPIC, json.dumps({"dps": [point]}).encode(), qos=1)
    return client.sock.size / number


print(
    json.dumps(
        {
            "compact": ours(True, 100),
            "plain": ours(False, 100),
            "compact_3": ours(True, 3),
            "one_by_one": one_by_one(100),
        }
    )
)

"""Runs inside MicroPython: a great many publishes in one session with a broker.

Usage: micropython long_session.py ours|umqtt SETTINGS COUNT, with a file of JSON: the device and
the port of a broker. The last line that it prints is JSON.

`ours` is the link's MqttClient with all that it does for a feed; but its queue is of numbers, and
there is no pause between two of them. (No TLS: MicroPython's unix port waits for a millisecond
each time that it looks for something to read there.) `umqtt` is umqtt.simple's client as its own
examples use it, when it has COUNT packet ids of its 65,535 left.
"""

import asyncio
import json
import sys

from umqtt.simple import MQTTClient

from firmware.link import mqtt_client
from firmware.link.dns import Resolver
from firmware.link.stream import Network

_ROUND = 65535  # packet ids


class Feed:
    """A points.in_flight.Feed of one piece."""

    repeated = False
    prop = None
    points = 1

    def __init__(self, number):
        self.number = number
        self.data = b'{"dps":[{"n":%d}]}' % number

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        yield self.data


class Numbers:
    """A queue whose feeds are 0, 1, 2, …"""

    wait_ms = 1000
    numbers = (0, -1)  # of points in RAM: a feed never ends with the newest one

    def __init__(self, count):
        self._count = count
        self._taken = 0
        self._pending = set()
        self.acknowledged = 0
        self.most_pending = 0
        self.done = asyncio.Event()

    def due(self):
        return self._taken < self._count

    def take(self, _most):
        batch = Feed(self._taken)
        self._pending.add(batch.number)
        self._taken += 1
        self.most_pending = max(self.most_pending, len(self._pending))
        return batch

    def acknowledge(self, batch):
        self._pending.remove(batch.number)  # KeyError: it was acknowledged before
        self.acknowledged += 1
        if self.acknowledged == self._count:
            self.done.set()

    def release(self):
        pass


class Pace:
    """None."""

    most_points = 1
    hurried = False

    def ready(self, _now):
        return True

    def sent(self, _now, _feed, _newest):
        self.hurried = False

    def arrived(self, _now, _sent):
        pass

    def accepted(self):
        pass


class Hurry:
    """What the client takes for asyncio: its tick is only a turn for the others."""

    create_task = asyncio.create_task

    @staticmethod
    async def sleep_ms(_ms):
        await asyncio.sleep_ms(0)


async def ours(settings, count):
    mqtt_client.asyncio = Hurry
    queue = Numbers(count)
    device = settings["device"]
    url = f"mqtt://localhost:{settings['port']}"
    mqtt = {"url": url, "keepalive_s": 25, "grace_s": 10, "max_packet": 4096}
    network = Network(Resolver(list), "", False)
    sessions = []
    error = None

    def carry(outcome, _now):
        if not outcome.carried:
            sessions.append(outcome)
        outcome.carried = True  # and it is not to be left within the test

    link = mqtt_client.MqttClient(
        {"device": device, "mqtt": mqtt}, network, queue, Pace(), None, carry
    )

    async def serve():
        nonlocal error
        try:
            error = repr((await link.serve()).error)
        except Exception as e:
            error = repr(e)
        queue.done.set()

    serving = asyncio.create_task(serve())
    await queue.done.wait()
    serving.cancel()
    return {
        "acknowledged": queue.acknowledged,
        "in_flight": queue.most_pending,
        "sessions": len(sessions),
        "error": error,
    }


def umqtt(settings, count):
    device = settings["device"]
    credentials = (device["key_id"], device["key_secret"])
    client = MQTTClient(device["id"], "localhost", settings["port"], *credentials, 25)
    client.connect()
    client.pid = _ROUND - count
    topic = f"csipio/data/out/devices/{device['id']}/json"
    acknowledged = 0
    error = None
    try:
        for number in range(2 * count):
            client.publish(topic, Feed(number).data, qos=1)
            acknowledged += 1
    except Exception as e:
        error = repr(e)
    return {"acknowledged": acknowledged, "error": error}


def main(who, settings, count):
    with open(settings) as file:
        settings = json.load(file)
    if who == "umqtt":
        return umqtt(settings, int(count))
    return asyncio.run(ours(settings, int(count)))


print(json.dumps(main(*sys.argv[1:])))

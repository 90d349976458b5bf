"""How long everything else stands still while a TLS connection to the broker is made.

    pause.py INFO N

INFO: a file with the stand-in's line of JSON. N connections are made each way. Of the link's it
prints the longest time, ms, between two beats of a task that wants one each millisecond; of
umqtt.simple's own, during which no task runs, how long it takes.
"""

import asyncio
import json
import sys
import time

import verified

from firmware.link.dns import Resolver
from firmware.link.mqtt_session import Session
from firmware.link.stream import Network


class Heart:
    """A task that notes the longest time between two of its beats."""

    longest_us = 0

    async def beat(self):
        last = time.ticks_us()
        while True:
            await asyncio.sleep_ms(1)
            now = time.ticks_us()
            self.longest_us = max(self.longest_us, time.ticks_diff(now, last))
            last = now


async def ours(info):
    """The longest pause, ms."""
    device = info["device"]
    heart = Heart()
    beats = asyncio.create_task(heart.beat())
    await asyncio.sleep_ms(20)
    network = Network(Resolver(list), info["ca"], True)
    stream = await network.connect(info["host"], info["mqtts"], True)
    session = Session(stream, device["id"].encode(), None)
    user, password = device["key_id"].encode(), device["key_secret"].encode()
    await session.connect(user, password, verified.KEEPALIVE_S)
    await asyncio.sleep_ms(20)
    beats.cancel()
    stream.close()
    return heart.longest_us / 1000


def umqtt(info):
    """The one pause, ms."""
    client = verified.client(info)
    start = time.ticks_us()
    client.connect()
    took = time.ticks_diff(time.ticks_us(), start)
    client.disconnect()
    return took / 1000


info = verified.told()
repetitions = range(int(sys.argv[2]))
print(
    json.dumps(
        {
            "ours": [asyncio.run(ours(info)) for _ in repetitions],
            "umqtt": [umqtt(info) for _ in repetitions],
        }
    )
)

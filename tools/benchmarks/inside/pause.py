"""How long everything else stands still while a TLS connection to the broker is made.

    pause.py INFO N

INFO: a file with the stand-in's line of JSON. N connections are made each way. Of the link's it
prints the longest time, ms, between two beats of a task that wants one each millisecond; of
umqtt.simple's own, during which no task runs, how long it takes.
"""

import asyncio
import binascii
import json
import ssl
import sys
import time

from umqtt.simple import MQTTClient

from firmware.link.dns import Resolver
from firmware.link.mqtt_session import Session
from firmware.link.stream import Network

# MicroPython's newer names for what umqtt.simple 1.3.4 imports.
sys.modules["ussl"] = ssl

_KEEPALIVE_S = 25


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
    await session.connect(user, password, _KEEPALIVE_S)
    await asyncio.sleep_ms(20)
    beats.cancel()
    stream.close()
    return heart.longest_us / 1000


def umqtt(info):
    """The one pause, ms."""
    device = info["device"]
    with open(info["ca"]) as file:
        lines = [line for line in file if not line.startswith("-----")]
    verified = {
        "server_hostname": info["host"],
        "cert_reqs": ssl.CERT_REQUIRED,
        "cadata": b"".join([binascii.a2b_base64(line) for line in lines]),
    }
    client = MQTTClient(
        device["id"],
        info["host"],
        info["mqtts"],
        device["key_id"],
        device["key_secret"],
        _KEEPALIVE_S,
        True,
        verified,
    )
    start = time.ticks_us()
    client.connect()
    took = time.ticks_diff(time.ticks_us(), start)
    client.disconnect()
    return took / 1000


with open(sys.argv[1]) as file:
    info = json.load(file)
repetitions = range(int(sys.argv[2]))
print(
    json.dumps(
        {
            "ours": [asyncio.run(ours(info)) for _ in repetitions],
            "umqtt": [umqtt(info) for _ in repetitions],
        }
    )
)

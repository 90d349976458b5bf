"""A thermometer as one writes it with umqtt.robust: ten readings and a feed a second, for ever.

    live.py INFO

INFO: a file with the stand-in's line of JSON.
"""

import json
import time

import verified
from umqtt.robust import MQTTClient

import peers

_EVERY_MS = 100
_FEED = 10  # points

info = verified.told()
client = verified.client(info, MQTTClient)
client.connect()
points = []
number = 0
while True:
    time.sleep_ms(_EVERY_MS)
    points.append({"t": peers.iso(time.time_ns() // 1000000), "v": number})
    number += 1
    if len(points) == _FEED:
        feed = {"prop": "c0", "dps": points}
        client.publish(peers.topic(info), json.dumps(feed).encode(), qos=1)
        points = []

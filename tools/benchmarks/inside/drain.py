"""Points delivered by umqtt.simple as one writes it: dicts, json.dumps, publish and wait.

    drain.py INFO POINTS FEED

INFO: a file with the stand-in's line of JSON. It prints the µs that a point takes.
"""

import json
import sys
import time

import verified

info = verified.told()
count, size = int(sys.argv[2]), int(sys.argv[3])
client = verified.client(info)
client.connect()
topic = "csipio/data/out/devices/" + info["device"]["id"] + "/json"
started = time.ticks_us()
for first in range(0, count, size):
    points = [
        {"t": f"2026-11-23T03:{n // 600 % 60:02d}:{n // 10 % 60:02d}.{n % 1000:03d}Z", "v": n}
        for n in range(first, min(first + size, count))
    ]
    feed = {"prop": "c0", "dps": points}
    client.publish(topic, json.dumps(feed).encode(), False, 1)
print(json.dumps({"us": time.ticks_diff(time.ticks_us(), started) / count}))

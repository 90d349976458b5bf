"""Points delivered by umqtt.simple as one writes it: dicts, json.dumps, publish and wait.

    drain.py INFO POINTS FEED

INFO: a file with the stand-in's line of JSON. It prints the µs that a point takes.
"""

import binascii
import json
import ssl
import sys
import time

from umqtt.simple import MQTTClient

# MicroPython's newer names for what umqtt.simple 1.3.4 imports.
sys.modules["ussl"] = ssl

with open(sys.argv[1]) as file:
    info = json.load(file)
count, size = int(sys.argv[2]), int(sys.argv[3])
device = info["device"]
with open(info["ca"]) as file:
    lines = [line for line in file if not line.startswith("-----")]
client = MQTTClient(
    device["id"],
    info["host"],
    info["mqtts"],
    device["key_id"],
    device["key_secret"],
    25,
    True,
    {
        "server_hostname": info["host"],
        "cert_reqs": ssl.CERT_REQUIRED,
        "cadata": b"".join([binascii.a2b_base64(line) for line in lines]),
    },
)
client.connect()
topic = "csipio/data/out/devices/" + device["id"] + "/json"
started = time.ticks_us()
for first in range(0, count, size):
    points = [
        {"t": f"2026-11-23T03:{n // 600 % 60:02d}:{n // 10 % 60:02d}.{n % 1000:03d}Z", "v": n}
        for n in range(first, min(first + size, count))
    ]
    feed = {"prop": "c0", "dps": points}
    client.publish(topic, json.dumps(feed).encode(), False, 1)
print(json.dumps({"us": time.ticks_diff(time.ticks_us(), started) / count}))

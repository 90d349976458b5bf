"""A loop of umqtt.simple as one writes it: a dict of each reading, json.dumps, a feed a round.

    cpu.py INFO SENSORS EVERY_MS SECONDS

INFO: a file with the stand-in's line of JSON. It prints the ms of CPU of a second, and the points.
"""

import binascii
import json
import ssl
import sys
import time

from umqtt.simple import MQTTClient

# MicroPython's newer names for what umqtt.simple 1.3.4 imports.
sys.modules["ussl"] = ssl


def spent_ns():
    """CPU that this process has had, by the kernel's own count (proc_pid_schedstat)."""
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[0])


with open(sys.argv[1]) as file:
    info = json.load(file)
sensors, every_ms, seconds = [int(word) for word in sys.argv[2:]]
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
names = [f"c{n}" for n in range(sensors)]
points = 0
spent = spent_ns()
began = due = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), began) < 1000 * seconds:
    year, month, day, hour, minute, second = time.gmtime()[:6]
    stamp = f"{year}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.000Z"
    feed = {"dps": [{"t": stamp, "v": points, "prop": name} for name in names]}
    client.publish(topic, json.dumps(feed).encode(), False, 1)
    points += len(names)
    due = time.ticks_add(due, every_ms)
    # Not sleep_ms, which the unix port does in steps of 1 ms.
    time.sleep(max(0, time.ticks_diff(due, time.ticks_ms())) / 1000)
took_ms = time.ticks_diff(time.ticks_ms(), began)
print(json.dumps({"ms": (spent_ns() - spent) / 1000 / took_ms, "points": points}))

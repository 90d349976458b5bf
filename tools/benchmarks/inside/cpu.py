"""A loop of umqtt.simple as one writes it: a dict of each reading, json.dumps, a feed a round.

    cpu.py INFO SENSORS EVERY_MS WINDOW_MS N

INFO: a file with the stand-in's line of JSON. Of each of N windows it prints the ms of CPU, and
the points, of a second.
"""

import json
import sys
import time

import verified

import peers


def spent_ns():
    """CPU that this process has had, by the kernel's own count (proc_pid_schedstat)."""
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[0])


info = verified.told()
sensors, every_ms, window_ms, count = [int(word) for word in sys.argv[2:]]
client = verified.client(info)
client.connect()
topic = peers.topic(info)
names = [f"c{n}" for n in range(sensors)]
windows = []
due = time.ticks_ms()
for _ in range(count):
    points = 0
    spent = spent_ns()
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < window_ms:
        year, month, day, hour, minute, second = time.gmtime()[:6]
        stamp = f"{year}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.000Z"
        feed = {"dps": [{"t": stamp, "v": points, "prop": name} for name in names]}
        client.publish(topic, json.dumps(feed).encode(), False, 1)
        points += len(names)
        due = time.ticks_add(due, every_ms)
        # Not sleep_ms, which the unix port does in steps of 1 ms.
        time.sleep(max(0, time.ticks_diff(due, time.ticks_ms())) / 1000)
    took_ms = time.ticks_diff(time.ticks_ms(), began)
    spent_ms = (spent_ns() - spent) / 1000000
    windows.append((1000 * spent_ms / took_ms, 1000 * points / took_ms))
print(json.dumps({"windows": windows}))

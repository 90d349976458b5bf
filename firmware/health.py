"""What the device tells of itself: properties that it sends every `health.every_s`."""

import gc

from firmware import VERSION, uptime
from firmware.board import board

# Property, and how its value is found in the App; None is not sent.
REPORT = (
    ("uptime", lambda app: uptime.ms() // 1000),
    ("freeheap", lambda app: _free_heap(app)),
    ("lowheap", lambda app: app.low_heap),
    ("waiting", lambda app: len(app.queue)),
    ("spilled", lambda app: app.queue.spilled),
    ("dropped", lambda app: app.queue.dropped),
    ("thinned", lambda app: app.queue.thinned),
    ("damaged", lambda app: app.queue.damaged),
    ("lost", lambda app: app.queue.lost),
    ("undated", lambda app: app.queue.undated),
    ("rejected", lambda app: app.queue.rejected + app.uplink.rejected),
    ("transport", lambda app: app.uplink.transport),
    ("reconnections", lambda app: app.uplink.reconnections),
    ("unverified", lambda app: app.uplink.unverified),
    ("rssi", lambda app: app.wifi.rssi()),
    ("restarts", lambda app: app.supervisor.restarts),
    ("looppause", lambda app: app.take_pause()),
    ("relayseconds", lambda app: app.regulation and app.regulation.heater.on_s),
    ("relaycycles", lambda app: app.regulation and app.regulation.heater.cycles),
    ("resetcause", lambda app: board.reset_cause()),
    ("firmware", lambda app: VERSION),
)


def _free_heap(app) -> int:
    """Bytes that are free once the garbage is gone: only that tells whether something leaks."""
    gc.collect()
    free = gc.mem_free()
    app.low_heap = min(app.low_heap or free, free)
    return free


def report(app, names):
    """Buffer the present value of each of the properties named."""
    for name, find in REPORT:
        if name in names:
            value = find(app)
            if value is not None:
                app.put(name, value)

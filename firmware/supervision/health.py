"""What the device tells of itself: properties that it sends every `health.every_s`."""

import gc

from firmware import VERSION
from firmware.base import uptime
from firmware.board import board

# Properties, and which part of the App has them, by the same name; or a function of the App.
REPORT = (
    ("uptime", lambda app: uptime.ms() // 1000),
    ("freeheap", lambda app: _free_heap(app)),
    ("lowheap", lambda app: app.low_heap),
    ("waiting", lambda app: len(app.queue)),
    ("spilled", "queue"),
    ("dropped", "queue"),
    ("thinned", "queue"),
    ("damaged", "queue"),
    ("lost", "queue"),
    ("undated", "queue"),
    ("rejected", "uplink"),
    ("transport", lambda app: app.uplink.failover.carrier),
    ("reconnections", lambda app: app.uplink.failover.reconnections),
    ("unverified", "uplink"),
    ("rssi", lambda app: app.wifi.rssi()),
    ("restarts", "supervisor"),
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
    """Buffer the present value of each of the properties named; None is not sent."""
    for name, source in REPORT:
        if name in names:
            if callable(source):
                value = source(app)
            else:
                value = getattr(getattr(app, source), name)
            if value is not None:
                app.put(name, value)

"""What the device tells of itself: properties that it sends every `health.every_s`."""

import gc

from firmware import VERSION, uptime
from firmware.board import board

# Property, and how its value is found: from the queue, the uplink and the Wi-Fi, in this order.
REPORT = (
    ("uptime", lambda queue, uplink, wifi: uptime.ms() // 1000),
    ("freeheap", lambda queue, uplink, wifi: _free_heap()),
    ("waiting", lambda queue, uplink, wifi: len(queue)),
    ("spilled", lambda queue, uplink, wifi: queue.spilled),
    ("dropped", lambda queue, uplink, wifi: queue.dropped),
    ("thinned", lambda queue, uplink, wifi: queue.thinned),
    ("damaged", lambda queue, uplink, wifi: queue.damaged),
    ("lost", lambda queue, uplink, wifi: queue.lost),
    ("undated", lambda queue, uplink, wifi: queue.undated),
    ("rejected", lambda queue, uplink, wifi: queue.rejected + uplink.rejected),
    ("transport", lambda queue, uplink, wifi: uplink.transport),
    ("reconnections", lambda queue, uplink, wifi: uplink.reconnections),
    ("rssi", lambda queue, uplink, wifi: wifi.rssi()),
    ("resetcause", lambda queue, uplink, wifi: board.reset_cause()),
    ("firmware", lambda queue, uplink, wifi: VERSION),
)


def _free_heap() -> int:
    """Bytes that are free once the garbage is gone: only that tells whether something leaks."""
    gc.collect()
    return gc.mem_free()


def report(put, queue, uplink, wifi):
    """Hand the present value of each property to `put(name, value)`; None is not sent."""
    for name, find in REPORT:
        value = find(queue, uplink, wifi)
        if value is not None:
            put(name, value)

"""Milliseconds since the firmware started, which never wrap.

`time.ticks_ms` wraps after 12.4 days on an ESP32 (at 2**30). Its differences are added up here,
which is right as long as somebody asks once in 6.2 days: the regulation does so every second.
"""

import time

_last = time.ticks_ms()
_ms = 0


def ms() -> int:
    global _last, _ms
    now = time.ticks_ms()
    _ms += time.ticks_diff(now, _last)
    _last = now
    return _ms

"""A connection storm: a thousand devices lose their broker together, and come back.

    storm.py

Each device is the link's own back-off. What it would do on a network takes no time here, so that
nothing but the back-off spreads them; or three seconds, as TLS may on a board. The same for three
others: exponential without jitter and with it, and umqtt.robust's two seconds.
"""

import json

from firmware.link.pacing import Backoff, draw

_DEVICES = 1000
_OUTAGES_S = (0, 6, 10, 60, 600)
_TRY_MS = 3000


class Doubling:
    """Exponential back-off with the same limits, without jitter."""

    def __init__(self):
        self._delay_ms = 500

    def failed(self, _now_ms):
        self._delay_ms = min(2 * self._delay_ms, 300000)
        return self._delay_ms


class FullJitter:
    """Exponential back-off, each delay drawn anew from all below the limit."""

    def __init__(self):
        self._limit_ms = 500

    def failed(self, _now_ms):
        self._limit_ms = min(2 * self._limit_ms, 300000)
        return draw(self._limit_ms)


class Robust:
    """umqtt.robust: `DELAY = 2`."""

    def failed(self, _now_ms):
        return 2000


def storm(outage_s, backoff, try_ms):
    """What the broker sees, that is away from second 0 to `outage_s`; a try takes `try_ms`."""
    attempts = [0] * (outage_s + 310)  # in each second
    back = []  # after how many ms of its return a device is back
    for _ in range(_DEVICES):
        device = backoff()
        at = device.failed(0)
        attempts[at // 1000] += 1
        while at < outage_s * 1000:
            at += try_ms
            at += device.failed(at)
            attempts[at // 1000] += 1
        back.append(at - outage_s * 1000)
    back.sort()
    return {
        "busiest_down": max(attempts[:outage_s] or [0]),
        "busiest_back": max(attempts[outage_s:]),
        "tries": sum(attempts) / _DEVICES,
        "half_s": back[_DEVICES // 2] / 1000,
        "most_s": back[_DEVICES * 9 // 10] / 1000,
        "all_s": back[-1] / 1000,
        "attempts": attempts if backoff is Backoff else [],
    }


print(
    json.dumps(
        {
            name: {str(outage_s): storm(outage_s, backoff, ms) for outage_s in _OUTAGES_S}
            for name, backoff, ms in (
                ("ours", Backoff, 0),
                ("slow", Backoff, _TRY_MS),
                ("jitter", FullJitter, 0),
                ("doubling", Doubling, 0),
                ("robust", Robust, 0),
            )
        }
    )
)

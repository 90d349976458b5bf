"""The relay, which itself keeps the minimum and maximum times, so that no caller can get around
them.

A boiler or compressor that is switched too often wears out: once on it stays on for `min_on_s`,
once off it stays off for `min_off_s`. One that never stops may be held on by a sensor that fell
into the cellar: after `max_on_s` it rests for an off time, whatever is asked of it. Nobody knows
what it was before the power went, or before this program was started again. So an off time begins
with the first request. Only `off`, the safe state, waits for nothing.
"""

from firmware.base.rare import rare


class Relay:
    """on: whether it is on; cycles: how often it was switched on; on_s: for how long in all.

    Times in milliseconds are those of base.uptime. Requests are to come once a second or so.
    """

    @rare
    def __init__(self, output, min_on_s: float, min_off_s: float, max_on_s: float = 0):
        """`output`: a board's Output; `max_on_s`: 0 for no limit."""
        self._output = output
        self.min_on_ms = int(1000 * min_on_s)
        self._min_off_ms = int(1000 * min_off_s)
        self._max_on_ms = int(1000 * max_on_s)
        self._off_begins = True  # an off time, with the next request
        self._changed_ms = 0
        self._seen_ms = 0
        self._on_ms = 0
        self.on = False
        self.cycles = 0
        output.set(False)

    @property
    def on_s(self) -> int:
        return self._on_ms // 1000

    def request(self, on: bool, now_ms: int) -> bool:
        """Switches if the times allow it; returns the state that it is in then."""
        if self._off_begins:
            self._off_begins = False
            self._changed_ms = now_ms
        since_ms = now_ms - self._changed_ms
        if self.on:
            self._on_ms += now_ms - self._seen_ms
            if self._max_on_ms and since_ms >= self._max_on_ms:
                on = False
        self._seen_ms = now_ms
        if on != self.on and since_ms >= (self.min_on_ms if self.on else self._min_off_ms):
            self._output.set(on)
            self.on = on
            self._changed_ms = now_ms
            self.cycles += on
        return self.on

    def may_stay_on(self, ms: int, now_ms: int) -> bool:
        """Whether its maximum lets it stay on for so much longer."""
        return not self._max_on_ms or now_ms - self._changed_ms + ms <= self._max_on_ms

    def may_end(self, now_ms: int) -> bool:
        """Whether it is off, or its times let it be switched off."""
        return not self.on or now_ms - self._changed_ms >= self.min_on_ms

    def off(self) -> None:
        """The safe state, at once and always: no clock is asked for it."""
        self._output.set(False)
        self._off_begins = self._off_begins or self.on
        self.on = False

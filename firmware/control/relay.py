"""The relay, which itself keeps the minimum times, so that no caller can get around them.

A boiler or compressor that is switched too often wears out: once on it stays on for `min_on_s`,
once off it stays off for `min_off_s`. What it was before the power went is not known, so an off
time is taken to have begun with the uptime, at 0. Only `off`, the safe state, waits for nothing.
"""


class Relay:
    """on: whether it is on; cycles: how often it was switched on; on_s: for how long in all.

    output: a board's Output; times in milliseconds are those of firmware.uptime.
    """

    def __init__(self, output, min_on_s: float, min_off_s: float):
        self._output = output
        self._min_on_ms = int(1000 * min_on_s)
        self._min_off_ms = int(1000 * min_off_s)
        self._off_asked = False
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
        """Switches if the minimum times allow it; returns the state that it is in now."""
        if self._off_asked:
            self._off_asked = False
            self._changed_ms = now_ms
        if self.on:
            self._on_ms += now_ms - self._seen_ms
        self._seen_ms = now_ms
        if on != self.on:
            shortest_ms = self._min_on_ms if self.on else self._min_off_ms
            if now_ms - self._changed_ms >= shortest_ms:
                self._output.set(on)
                self.on = on
                self._changed_ms = now_ms
                self.cycles += on
        return self.on

    def off(self) -> None:
        """The safe state, at once and always. Its minimum off time counts from the next request,
        as this must work where no clock can be asked.
        """
        self._output.set(False)
        self._off_asked = self._off_asked or self.on
        self.on = False

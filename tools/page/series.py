"""What the page shows of the time series: bounded, however long it is open."""

from collections import deque

WINDOW_MS = 180_000
_GAP_MS = 4_000
_MOST = 4_000  # points of one line

_LINES = ("mqtt", "https", "setpoint", "relay")


class Series:
    """The last three minutes, each point at its own millisecond, by the way that it came."""

    def __init__(self, device: str):
        """device: its id."""
        self._device = device
        self.lines: dict[str, deque] = {name: deque(maxlen=_MOST) for name in _LINES}
        self.latest: dict[str, tuple[int, object]] = {}
        self.delivered = 0

    def add(self, writes: list[dict]) -> None:
        """Take further rows of the journal, in the order of arrival."""
        for write in writes:
            if write["device"] != self._device:
                continue
            prop, t_ms, value = write["prop"], write["t_ms"], write["value"]
            if t_ms >= self.latest.get(prop, (0, None))[0]:
                self.latest[prop] = (t_ms, value)
            if prop == "temperature":
                self.lines[write["transport"]].append([t_ms, value])
            elif prop in ("setpoint", "relay"):
                self.lines[prop].append([t_ms, float(value)])
            if write["key"] == "device":
                self.delivered += 1

    def value(self, prop: str) -> object:
        return self.latest.get(prop, (0, None))[1]

    def line(self, name: str, now_ms: int) -> list:
        """Points of the window by their own time; a step's line begins and ends at its edges."""
        since = now_ms - WINDOW_MS
        points = sorted(self.lines[name])
        shown = [point for point in points if point[0] >= since]
        if name in ("setpoint", "relay") and points:
            before = [point for point in points if point[0] < since]
            shown = [[since, before[-1][1]], *shown] if before else shown
            shown = [*shown, [now_ms, shown[-1][1]]]
        return shown

    def gaps(self, now_ms: int) -> list:
        """All temperatures of the window by their own time, with a break at a hole."""
        points = sorted(self.line("mqtt", now_ms) + self.line("https", now_ms))
        line: list = []
        for point in points:
            if line and point[0] - line[-1][0] > _GAP_MS:
                line.append([point[0] - 1, None])
            line.append(point)
        return line

    def since(self, now_ms: int) -> int:
        """Where the chart begins: with the first point, one to three minutes ago."""
        lines = [line[0][0] for name in ("mqtt", "https") if (line := self.lines[name])]
        first = min(lines, default=now_ms) - 2000
        return min(now_ms - 60_000, max(now_ms - WINDOW_MS, first))

"""What the platform has received, as columns that a person can follow: one line a second."""

import time

# A device that feeds every few seconds and is silent for so long has no way to the platform.
_SILENT_MS = 8000

_HEADER_EVERY = 20
_COLUMNS = (
    ("running", 9),
    ("points", 8),
    ("temperature", 12),
    ("setpoint", 9),
    ("relay", 6),
    ("transport", 10),
    ("waiting", 8),
)


class Tally:
    """The state of the device as the platform knows it, added up from the journal of writes."""

    def __init__(self, device: str | None = None):
        """device: the id of the only one whose points count; without it, all count."""
        self._device = device
        self.received = 0  # points from the device; one that was sent again counts again
        self.by_transport: dict[str, int] = {}
        self.journal_rows = 0
        self._latest: dict[str, tuple[int, object]] = {}  # property: (t_ms, value)
        self._transport = "none"
        self._heard_ms = 0

    def add(self, writes: list[dict]) -> None:
        """Take further rows of the journal, as `Platform.writes` gives them."""
        self.journal_rows += len(writes)
        for write in writes:
            if self._device not in (None, write["device"]):
                continue
            prop, t_ms = write["prop"], write["t_ms"]
            if t_ms >= self._latest.get(prop, (0, None))[0]:
                self._latest[prop] = (t_ms, write["value"])
            if write["key"] != "device":
                continue
            self.received += 1
            self._transport = write["transport"]
            self._heard_ms = write["received_ms"]
            self.by_transport[self._transport] = self.by_transport.get(self._transport, 0) + 1

    def value(self, prop: str) -> object:
        """The most recent value of a property by its own time; None before the first one."""
        return self._latest.get(prop, (0, None))[1]

    def transport(self, now_ms: int) -> str:
        """What the last feed came by; none when there has been no feed for 8 s."""
        return self._transport if now_ms - self._heard_ms < _SILENT_MS else "none"


class Columns:
    """Formats the lines, with the header before the first and then every 20."""

    def __init__(self):
        self._lines = 0

    def lines(self, elapsed_s: float, tally: Tally, now_ms: int) -> list[str]:
        """The next line, after the header where it is due."""
        cells = (
            time.strftime("%H:%M:%S", time.gmtime(elapsed_s)),
            str(tally.received),
            _number(tally.value("temperature"), "%.2f °C"),
            _number(tally.value("setpoint"), "%.1f °C"),
            {True: "on", False: "off"}.get(tally.value("relay"), "-"),
            tally.transport(now_ms),
            _number(tally.value("waiting"), "%d"),
        )
        header = [] if self._lines % _HEADER_EVERY else [_line(name for name, _ in _COLUMNS)]
        self._lines += 1
        return [*header, _line(cells)]


def _line(cells) -> str:
    return "".join(
        cell.rjust(width) + " " for cell, (_, width) in zip(cells, _COLUMNS, strict=True)
    ).rstrip()


def _number(value: object, form: str) -> str:
    return "-" if value is None else form % value

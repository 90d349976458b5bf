"""The page itself: laid out once for each browser that opens it, then filled once a second."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from nicegui import ui

from tools.platform.store import now_ms

from . import chart
from .faults import BUTTONS, Faults
from .fleet import Fleet
from .log import Log
from .pipe import Pipe, write
from .series import Series
from .style import CSS
from .thermostat import Client, Thermostat

_GROUPS = {"net": "Network", "sensor": "Sensor", "room": "Room"}
_LEVELS = {"I": "all levels", "W": "warnings", "E": "errors"}


class Shared:
    """What all browsers see. `power`: pull the device's power, and start it again."""

    def __init__(
        self,
        series: Series,
        faults: Faults,
        log: Log,
        client: Client,
        fleet: Fleet,
        folder: Path,
        power: Callable[[], None],
    ):
        self.series, self.faults, self.log, self.client = series, faults, log, client
        self.fleet, self.folder, self.power = fleet, folder, power
        self.wire: list[tuple[int, str, int, bytes]] = []


class View:
    """What one browser sees."""

    def __init__(self, shared: Shared):
        self._shared = shared
        ui.add_css(CSS)
        with ui.element("header").classes("top"):
            ui.html("<h1>Csipio thermostat, live</h1>", sanitize=False)
            self._link = ui.label().classes("soft").props('data-id="link" role="status"')
        with ui.element("main").classes("board"):
            with ui.element("div").classes("side"):
                self._make_chart()
                self._pipe = Pipe(shared.series, shared.folder)
            self._make_buttons()
            self._make_log()
            self._thermostat = Thermostat(shared.client, shared.series)
        with ui.element("section").classes("card").props('aria-label="Feeds"'):
            ui.html("<h2>The last feeds, as they were on the wire</h2>", sanitize=False)
            self._feeds = ui.element("pre").props(
                'data-id="feeds" tabindex=0 aria-label="last feeds"'
            )
        self._table = None
        if len(shared.fleet) > 1:
            with ui.element("section").classes("card scroll").props('aria-label="Fleet"'):
                ui.html(f"<h2>{len(shared.fleet)} thermostats</h2>", sanitize=False)
                self._table = ui.html("", sanitize=False).props('data-id="fleet"')
        self._fill()
        ui.timer(1.0, self._fill)

    def _options(self) -> dict:
        return chart.options(self._shared.series, now_ms(), self._shared.faults.outside)

    def _make_chart(self) -> None:
        with ui.element("section").classes("card").props('aria-label="Chart of the last minutes"'):
            names = "".join(
                f'<span><i style="background:{colour}"></i>{name}</span>'
                for name, colour in chart.LEGEND
            )
            ui.html(f'<div class="legend">{names}</div>', sanitize=False)
            self._chart = ui.echart(self._options()).style("height:440px;width:100%")

    def _make_buttons(self) -> None:
        self._buttons = {}
        with ui.element("section").classes("card").props('aria-label="What can happen"'):
            ui.html("<h2>What can happen</h2>", sanitize=False)
            for group, title in _GROUPS.items():
                ui.html(f"<h3>{title}</h3>", sanitize=False)
                for button in BUTTONS:
                    if button.group == group:
                        made = self._button(button.name, button.label, button.watch)
                        made.on("click", lambda b=button: self._toggle(b.name))
                        self._buttons[button.name] = made
            watch = "Killed and started again. What was on flash is still sent."
            self._button("power", "Pull the power", watch).classes("once").on("click", self._pull)

    def _button(self, name: str, label: str, watch: str) -> ui.element:
        made = ui.element("button").classes("fault").props(f'type=button data-id="{name}"')
        with made:
            ui.html(f"<b>{label}</b><span>{watch}</span>", sanitize=False)
        return made

    def _toggle(self, name: str) -> None:
        self._shared.faults.toggle(name)
        self._fill()

    def _pull(self) -> None:
        self._shared.power()

    def _make_log(self) -> None:
        with ui.element("section").classes("card").props('aria-label="Log"'):
            ui.html("<h2>The device's log</h2>", sanitize=False)
            with ui.row():
                self._room = ui.select({"": "all rooms"}, value="", label="room")
                self._level = ui.select(_LEVELS, value="I", label="level")
                for field in (self._room, self._level):
                    field.props("outlined dense").style("min-width:140px")
            self._lines = ui.element("pre").style("margin-top:8px")
            self._lines.props('data-id="log" tabindex=0 aria-label="log"')

    def _fill(self) -> None:
        shared, now = self._shared, now_ms()
        self._chart.run_chart_method("setOption", self._options())
        self._link.text = f"The link says: {shared.log.link}"
        self._pipe.fill(now)
        self._thermostat.fill()
        for name, button in self._buttons.items():
            pressed = "true" if name in shared.faults.on.values() else "false"
            if button.props.get("aria-pressed") != pressed:
                button.props(f"aria-pressed={pressed}")
        rooms = {"": "all rooms"} | {name: name for name in sorted(shared.log.rooms)}
        if rooms != self._room.options:
            self._room.set_options(rooms, value=self._room.value)
        lines = shared.log.shown(self._room.value, self._level.value)
        write(self._lines, "\n".join(reversed(lines)))
        write(self._feeds, "\n".join(_feed(*feed) for feed in reversed(shared.wire)))
        if self._table is not None:
            self._table.set_content(shared.fleet.table(now))


def _feed(received_ms: int, transport: str, size: int, body: bytes) -> str:
    """A feed in a line; compact has one whole time, and the points' differences to it."""
    clock = time.strftime("%H:%M:%S", time.localtime(received_ms / 1000))
    text = body.decode(errors="replace")
    try:
        form = "compact" if "t" in json.loads(text) else "plain"
    except ValueError:  # cut off, or no feed
        form = "compact" if '"tt":' in text else "plain"
    more = " …" if size > len(body) else ""
    return f"{clock}  {transport:5}  {size:5} bytes  {form}  {text}{more}"

"""The page itself: laid out once for each browser that opens it, then filled once a second."""

import json
import time
from collections.abc import Callable

from nicegui import ui

from tools.platform.store import now_ms

from . import chart
from .faults import BUTTONS, Faults
from .log import Log
from .series import Series
from .thermostat import Client

_STYLE = """
:root { color-scheme: light dark; --ink:#1c2126; --soft:#626b75; --card:#fff; --back:#f3f5f7;
  --edge:#dfe3e8; --on:#b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8ebee; --soft:#9aa4ae; --card:#1b2026;
  --back:#11151a; --edge:#313943; --on:#ff8a80; } }
@media (prefers-reduced-motion: reduce) {
  * { transition:none !important; animation:none !important } }
body { background:var(--back) !important; color:var(--ink); font-variant-numeric:tabular-nums }
.nicegui-content { max-width:1180px; margin:0 auto; padding:12px; gap:12px }
.card { background:var(--card); border:1px solid var(--edge); border-radius:10px; padding:12px;
  width:100%; box-sizing:border-box; min-width:0 }
.soft { color:var(--soft); font-size:13px }
.grid2 { display:grid; gap:8px;
  grid-template-columns:repeat(auto-fill,minmax(min(100%,210px),1fr)) }
.pipe { display:flex; flex-wrap:wrap; gap:6px; align-items:center }
.node { border:1px solid var(--edge); border-radius:8px; padding:4px 10px; font-size:13px }
.node b { font-size:17px; display:block }
button.fault { text-align:left; background:transparent; border:1px solid var(--edge);
  cursor:pointer;
  border-radius:8px; padding:8px 10px; color:var(--ink); font:inherit; width:100%; height:100% }
button.fault b { display:block } button.fault span { color:var(--soft); font-size:13px }
button.fault[aria-pressed=true] { border-color:var(--on); box-shadow:inset 3px 0 0 var(--on) }
button:focus-visible, input:focus-visible, select:focus-visible { outline:3px solid #2f7ed8 }
pre { margin:0; font-size:12px; overflow:auto; max-height:260px; white-space:pre-wrap;
  overflow-wrap:anywhere }
h1 { font-size:20px; font-weight:600; line-height:1.3; margin:0 }
h2 { font-size:15px; font-weight:600; line-height:1.3; margin:0 0 8px }
@media (prefers-color-scheme: dark) { .card .q-field__native, .card .q-field__label,
  .card .q-field__marginal, .card .q-btn { color:var(--ink) !important } }
"""
_NODES = (
    ("sensor", "temperature", "{:.2f} °C"),
    ("waiting", "waiting", "{}"),
    ("on flash", "spilled", "{}"),
    ("carried by", "transport", "{}"),
    ("delivered", "", "{}"),
    ("rejected", "rejected", "{}"),
    ("lost", "lost", "{}"),
)


class View:
    """What one browser sees. `power`: pull the device's power, and start it again."""

    def __init__(self, series: Series, faults: Faults, log: Log, client: Client, power: Callable):
        self._series, self._faults, self._log = series, faults, log
        self._client, self._power = client, power
        self._answers = 0  # t_ms of the last answer that was shown
        ui.add_css(_STYLE)
        ui.html("<h1>Csipio thermostat, live</h1>", sanitize=False)
        with ui.element("section").classes("card").props('aria-label="Chart"'):
            self._chart = ui.echart(self._options()).style("height:300px;width:100%")
        with ui.element("section").classes("card").props('aria-label="Pipe"'):
            self._link = ui.label().classes("soft").props('data-id="link" role="status"')
            self._pipe()
        with ui.element("section").classes("card"):
            ui.html("<h2>What can happen</h2>", sanitize=False)
            self._make_buttons()
        with ui.element("section").classes("card"):
            ui.html("<h2>The thermostat</h2>", sanitize=False)
            self._make_thermostat()
        with ui.element("section").classes("card"):
            ui.html("<h2>The device's log</h2>", sanitize=False)
            self._make_log()
        with ui.element("section").classes("card"):
            ui.html("<h2>The last points that arrived</h2>", sanitize=False)
            self._feeds = ui.element("pre").props('data-id="feeds"')
        self._fill()
        ui.timer(1.0, self._fill)

    def _options(self) -> dict:
        return chart.options(self._series, now_ms(), self._faults.outside)

    def _pipe(self) -> None:
        self._cells = {}
        with ui.element("div").classes("pipe"):
            for n, (title, prop, form) in enumerate(_NODES):
                if n:
                    ui.label("→").classes("soft").props("aria-hidden=true")
                with ui.element("div").classes("node"):
                    ui.label(title).classes("soft")
                    cell = ui.label("–").props(f'data-id="{title}"').style("font-weight:600")
                    self._cells[prop] = (cell, form)

    def _make_buttons(self) -> None:
        self._buttons = {}
        with ui.element("div").classes("grid2"):
            for button in BUTTONS:
                self._buttons[button.name] = self._button(
                    button.name, button.label, button.watch, lambda b=button: self._toggle(b.name)
                )
            watch = "Killed and started again: what was on flash is still sent."
            self._button("power", "Pull the power", watch, self._power)

    def _button(self, name: str, label: str, watch: str, act: Callable) -> ui.element:
        made = ui.element("button").classes("fault").props(f'type=button data-id="{name}"')
        with made:
            ui.html(f"<b>{label}</b><span>{watch}</span>", sanitize=False)
        return made.on("click", act)

    def _toggle(self, name: str) -> None:
        self._faults.toggle(name)
        self._fill()

    def _make_thermostat(self) -> None:
        with ui.row().classes("items-end"):
            point = ui.number("set point, °C", value=21, step=0.5).props('data-id="setpoint"')
            ui.button("Set", on_click=lambda: self._send("setpoint", point.value)).props(
                'flat data-id="set"'
            )
            for prop, values in (
                ("mode", ["off", "heat"]),
                ("preset", ["manual", "schedule", "eco", "away"]),
            ):
                ui.select(
                    values, label=prop, on_change=lambda e, p=prop: self._send(p, e.value)
                ).style("min-width:110px")
        with ui.row().classes("items-end w-full"):
            plan = ui.input("schedule, JSON", value='{"entries": []}').style("min-width:200px")
            ui.button("Send", on_click=lambda: self._send_json(plan.value)).props("flat")
        self._answer = ui.label().classes("soft").props('data-id="answer" role="status"')
        self._told = ui.label().classes("soft").props('data-id="told" role="status"')

    async def _send_json(self, text: str) -> None:
        try:
            value = json.loads(text)
        except ValueError as error:
            self._answer.text = f"schedule: expected JSON: {error}"
            return
        await self._send("schedule", value)

    async def _send(self, prop: str, value: object) -> None:
        self._answer.text = await self._client.send(prop, value)

    def _make_log(self) -> None:
        with ui.row():
            self._room = ui.select({"": "all rooms"}, value="", label="room")
            levels = {"I": "all", "W": "warnings", "E": "errors"}
            self._level = ui.select(levels, value="I", label="level")
        self._lines = ui.element("pre").props('data-id="log" tabindex=0')

    def _fill(self) -> None:
        series = self._series
        self._chart.run_chart_method("setOption", self._options())
        self._link.text = f"The link says: {self._log.link}"
        for prop, (cell, form) in self._cells.items():
            value = series.value(prop) if prop else series.delivered
            cell.text = "–" if value is None else form.format(value)
        for name, button in self._buttons.items():
            on = name in self._faults.on.values()
            button.props(f"aria-pressed={'true' if on else 'false'}")
        self._told.text = f"device: {json.dumps(series.value('lastcommand'), ensure_ascii=False)}"
        rooms = {"": "all rooms"} | {name: name for name in sorted(self._log.rooms)}
        if rooms != self._room.options:
            self._room.set_options(rooms, value=self._room.value)
        _write(self._lines, "\n".join(self._log.shown(self._room.value, self._level.value)))
        _write(self._feeds, "\n".join(_feed(*feed) for feed in reversed(series.feeds)))


def _write(element: ui.element, text: str) -> None:
    if element.props.get("innerText") != text:
        element.props["innerText"] = text
        element.update()


def _feed(key: tuple, points: list) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(key[0] / 1000))
    words = ", ".join(f"{prop} {json.dumps(value)}" for prop, _, value in points[:8])
    return f"{clock} {key[1]:5} {len(points):3} points: {words}"

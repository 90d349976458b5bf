"""Commands as an application sends them: a client's key, the stand-in's HTTPS API."""

import functools
import json
import ssl
from collections.abc import Callable

import aiohttp
from nicegui import ui

from .series import Series


class Client:
    """`info`: the stand-in's."""

    def __init__(self, info: dict):
        self._url = f"{info['api']}/data/devices/{info['device']['id']}"
        key = info["client"]["key_id"], info["client"]["key_secret"]
        self._headers = {"Authorization": aiohttp.encode_basic_auth(*key)}
        self._tls = ssl.create_default_context(cafile=info["ca"])

    async def send(self, prop: str, value: object) -> str:
        """Write one value; what the platform says of it."""
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers) as session,
                session.post(self._url, json={prop: value}, ssl=self._tls) as answer,
            ):
                return f"Platform: {prop} {answer.status} {await answer.text()}"
        except (OSError, aiohttp.ClientError) as error:
            return f"Platform: {prop}: {error}"


_MODES = ("off", "heat")
_PRESETS = ("home", "away", "sleep", "boost", "manual")
_PLAN = '[{"days": "mon-fri", "at": "06:30", "preset": "home"}]'


class Thermostat:
    """What a person can set, and what became of it."""

    def __init__(self, client: Client, series: Series):
        self._client, self._series = client, series
        self._chips: dict[tuple[str, str], ui.element] = {}
        with ui.element("section").classes("card").props('aria-label="Thermostat"'):
            ui.html("<h2>The thermostat</h2>", sanitize=False)
            with ui.row().classes("items-center"):
                point = ui.number("set point", value=21, step=0.5, suffix="°C")
                point.props('outlined dense data-id="setpoint"').style("width:130px")
                self._button("Set", "set", lambda: self._send("setpoint", point.value))
            for prop, values in (("mode", _MODES), ("preset", _PRESETS)):
                ui.html(f"<h3>{prop}</h3>", sanitize=False)
                with ui.element("div").classes("chips").props(f'role=group aria-label="{prop}"'):
                    for value in values:
                        act = functools.partial(self._send, prop, value)
                        self._chips[prop, value] = self._button(value, f"{prop} {value}", act)
            ui.html("<h3>schedule</h3>", sanitize=False)
            with ui.row().classes("items-center no-wrap w-full"):
                plan = ui.input(value=_PLAN).classes("grow").style("min-width:0")
                plan.props('outlined dense aria-label="schedule, a list in JSON"')
                self._button("Send", "send", lambda: self._send_json(plan.value))
            props = 'role="status" style="margin-top:6px;overflow-wrap:anywhere"'
            self._answer = ui.label().classes("soft").props(f'data-id="answer" {props}')
            self._told = ui.label().classes("soft").props(f'data-id="told" {props}')

    def fill(self) -> None:
        """Show what the device says."""
        for (prop, value), chip in self._chips.items():
            pressed = "true" if self._series.value(prop) == value else "false"
            if chip.props.get("aria-pressed") != pressed:
                chip.props(f"aria-pressed={pressed}")
        if told := self._series.value("lastcommand"):
            taken = "taken" if told.get("ok") else f"refused: {told.get('reason')}"
            self._told.text = f"Device: {told.get('property')} {taken}"

    def _button(self, label: str, name: str, act: Callable) -> ui.element:
        button = ui.element("button").classes("chip").props(f'type=button data-id="{name}"')
        with button:
            ui.label(label)
        return button.on("click", lambda: act())

    async def _send_json(self, text: str) -> None:
        try:
            value = json.loads(text)
        except ValueError as error:
            self._answer.text = f"schedule: expected JSON: {error}"
            return
        # The property is an object; the list of entries is what a person writes.
        await self._send("schedule", {"entries": value} if isinstance(value, list) else value)

    async def _send(self, prop: str, value: object) -> None:
        self._answer.text = f"{prop}: sent …"
        self._answer.text = await self._client.send(prop, value)

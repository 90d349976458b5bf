"""Commands as an application sends them: a client's key, the stand-in's HTTPS API."""

import functools
import ssl

import aiohttp
from nicegui import ui

from .schedule import Schedule, chip
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
                chip("Set", "set", lambda: self._send("setpoint", point.value))
            for prop, values in (("mode", _MODES), ("preset", _PRESETS)):
                ui.html(f"<h3>{prop}</h3>", sanitize=False)
                with ui.element("div").classes("chips").props(f'role=group aria-label="{prop}"'):
                    for value in values:
                        act = functools.partial(self._send, prop, value)
                        self._chips[prop, value] = chip(value, f"{prop} {value}", act)
            Schedule(lambda entries: self._send("schedule", {"entries": entries}))
            props = 'role="status" style="margin-top:6px;overflow-wrap:anywhere"'
            self._answer = ui.label().classes("soft").props(f'data-id="answer" {props}')
            self._told = ui.label().classes("soft").props(f'data-id="told" {props}')

    def fill(self) -> None:
        """Show what the device says."""
        for (prop, value), button in self._chips.items():
            pressed = "true" if self._series.value(prop) == value else "false"
            if button.props.get("aria-pressed") != pressed:
                button.props(f"aria-pressed={pressed}")
        if told := self._series.value("lastcommand"):
            taken = "taken" if told.get("ok") else f"refused: {told.get('reason')}"
            self._told.text = f"Device: {told.get('property')} {taken}"

    async def _send(self, prop: str, value: object) -> None:
        self._answer.text = f"{prop}: sent …"
        self._answer.text = await self._client.send(prop, value)

"""More thermostats beside the first one, and what the page says of each."""

import contextlib
import html
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.platform.control import new_device
from tools.platform.thread import PlatformThread
from tools.simulated import Device, config

from .faults import Faults

_SILENT_MS = 8_000
_COLUMNS = ("name", "temperature", "set point", "relay", "by", "waiting", "lost", "delivered")


class Fleet:
    """`with Fleet(platform, faults, folder, count)`: so many devices run, through the faults."""

    def __init__(self, platform: PlatformThread, faults: Faults, folder: Path, count: int):
        self._devices: list[Device] = []
        self._rows = {platform.info["device"]["id"]: _Row("thermostat")}
        made = [new_device(f"thermostat-{n + 2}") for n in range(count)]
        if made:
            platform.control(lambda tree: tree["devices"].extend(made))
        for n, known in enumerate(made):
            identity = {name: known[name] for name in ("id", "key_id", "key_secret")}
            settings = faults.lead(config(platform.info | {"device": identity}))
            settings["sensors"][0]["start"] = 17 + n % 8
            self._devices.append(Device(folder / known["name"], platform.info, settings=settings))
            self._rows[known["id"]] = _Row(known["name"])

    def __enter__(self) -> "Fleet":
        with contextlib.ExitStack() as stack:
            for device in self._devices:
                stack.enter_context(device)
            stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._devices:
            with ThreadPoolExecutor(len(self._devices)) as pool:
                list(pool.map(lambda device: device.__exit__(*exception), self._devices))

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, writes: list[dict]) -> None:
        """Take further rows of the journal."""
        for write in writes:
            if row := self._rows.get(write["device"]):
                row.add(write)

    def table(self, now_ms: int) -> str:
        """All devices as an HTML table."""
        head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
        rows = "".join(row.cells(now_ms) for row in self._rows.values())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


class _Row:
    def __init__(self, name: str):
        self._name = name
        self._latest: dict[str, tuple[int, object]] = {}
        self._delivered = 0
        self._by, self._heard_ms = "", 0

    def add(self, write: dict) -> None:
        prop, t_ms = write["prop"], write["t_ms"]
        if t_ms >= self._latest.get(prop, (0, None))[0]:
            self._latest[prop] = (t_ms, write["value"])
        if write["key"] == "device":
            self._delivered += 1
            self._by, self._heard_ms = write["transport"], write["received_ms"]

    def cells(self, now_ms: int) -> str:
        by = self._by if now_ms - self._heard_ms < _SILENT_MS else "silent"
        told = [
            _number(self._value("temperature"), "{:.2f} °C"),
            _number(self._value("setpoint"), "{:.1f} °C"),
            {True: "on", False: "off"}.get(self._value("relay"), "–"),
            f'<i class="dot {by}"></i>{by}',
            _number(self._value("waiting"), "{}"),
            _number(self._value("lost"), "{}"),
            str(self._delivered),
        ]
        cells = "".join(f"<td>{cell}</td>" for cell in told)
        return f'<tr><th scope="row">{html.escape(self._name)}</th>{cells}</tr>'

    def _value(self, prop: str) -> object:
        return self._latest.get(prop, (0, None))[1]


def _number(value: object, form: str) -> str:
    return "–" if value is None else form.format(value)

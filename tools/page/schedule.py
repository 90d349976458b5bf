"""The week's schedule, an entry a row."""

from collections.abc import Callable

from nicegui import ui

_DAYS = ("daily", "mon-fri", "sat-sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PRESETS = ("home", "away", "sleep")
_FIRST = (("mon-fri", "06:30", "home"), ("daily", "22:00", "sleep"))
_MOST = 42  # that the device takes


class Schedule:
    """`send(entries)` is awaited when a person sends it."""

    def __init__(self, send: Callable):
        self._entries: dict[ui.element, tuple] = {}  # its row: days, time, preset
        ui.html("<h3>schedule</h3>", sanitize=False)
        self._rows = ui.element("div").classes("plan").props('role=group aria-label="schedule"')
        for entry in _FIRST:
            self._add(*entry)
        with ui.element("div").classes("chips"):
            chip("Add an entry", "add", lambda: self._add("sat-sun", "08:00", "home"))
            chip("Send", "send", lambda: send(self._told()))

    def _add(self, days: str, at: str, preset: str) -> None:
        if len(self._entries) == _MOST:
            return
        with self._rows, ui.element("div").classes("entry") as row:
            fields = (
                ui.select(list(_DAYS), value=days).props('aria-label="days"'),
                ui.input(value=at).props('type=time aria-label="time"'),
                ui.select(list(_PRESETS), value=preset).props('aria-label="preset"'),
            )
            for field in fields:
                field.props("outlined dense")
            chip("×", "remove", lambda: self._remove(row)).props('aria-label="remove the entry"')
        self._entries[row] = fields

    def _remove(self, row: ui.element) -> None:
        del self._entries[row]
        row.delete()

    def _told(self) -> list[dict]:
        names = ("days", "at", "preset")
        values = [[field.value for field in fields] for fields in self._entries.values()]
        return [dict(zip(names, entry, strict=True)) for entry in values]


def chip(label: str, name: str, act: Callable) -> ui.element:
    """A small button."""
    button = ui.element("button").classes("chip").props(f'type=button data-id="{name}"')
    with button:
        ui.label(label)
    return button.on("click", lambda: act())

"""The way of a reading, with the counts that the device tells of it."""

from pathlib import Path

from nicegui import ui

from .series import Series

_NODES = (
    ("sensor", "temperature", "{:.2f} °C"),
    ("in the ring", "waiting", "{}"),
    ("on flash", "spilled", "{}"),
    ("carried by", "transport", "{}"),
    ("delivered", "", "{}"),
    ("rejected", "rejected", "{}"),
    ("lost", "lost", "{}"),
)
_OLD_S = 8  # the health comes every 5 s


class Pipe:
    """`folder`: the device's flash."""

    def __init__(self, series: Series, folder: Path):
        self._series, self._folder = series, folder
        self._cells = {}
        with ui.element("section").classes("card").props('aria-label="Way of the readings"'):
            ui.html("<h2>From the sensor to the platform</h2>", sanitize=False)
            with ui.element("div").classes("pipe"):
                for n, (title, prop, form) in enumerate(_NODES):
                    node = ui.element("div").classes("node next" if n else "node")
                    with node:
                        ui.label(title).classes("soft")
                        cell = ui.element("b").props(f'data-id="{title}"')
                    self._cells[prop] = (node, cell, form)
            self._age = ui.label().classes("soft").style("margin-top:8px").props('data-id="age"')

    def fill(self, now_ms: int) -> None:
        """Show what is known now."""
        for prop, (node, cell, form) in self._cells.items():
            value = self._series.value(prop) if prop else self._series.delivered
            write(cell, "–" if value is None else form.format(value))
            if prop == "transport":
                node.classes(remove="mqtt https", add=value if value in ("mqtt", "https") else "")
        told_ms, _ = self._series.latest.get("waiting", (now_ms, None))
        age_s = (now_ms - told_ms) // 1000
        held = f"Its files hold {self._bytes()} bytes of readings now."
        if age_s > _OLD_S:
            self._age.text = f"Counts as the device last told them, {age_s} s ago. {held}"
        else:
            self._age.text = f"Counts as the device tells them every few seconds. {held}"

    def _bytes(self) -> int:
        sizes = 0
        for path in self._folder.rglob("*.seg"):
            try:
                sizes += path.stat().st_size
            except OSError:  # the device has just removed it
                continue
        return sizes


def write(element: ui.element, text: str) -> None:
    """Change an element's text, if it is another one."""
    if element.props.get("innerText") != text:
        element.props["innerText"] = text
        element.update()

"""`csipio update`: the command `update` to one device, and how that goes."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tools import release
from tools.client import AwayError, Client
from tools.releases import Release, ReleaseError, numbers, parse

CONFIRMED = "confirmed"
_EVERY_S = 2.0


class Going:
    """How an update goes, from what a device has told.

    A device answers a command that it refuses at once in `lastcommand` alone; all else is told by
    `update`.
    """

    def __init__(
        self, version: str, values: dict[str, tuple[object, str]], before: str | None = None
    ):
        """values: what `Client.read` gives. before: `verdict` of before the command was sent;
        without it, no refusal is looked for."""
        told = values.get("update", (None, ""))[0]
        told = told if isinstance(told, dict) and told.get("version") == version else {}
        self.running = str(values.get("firmware", ("", ""))[0])
        # The command itself stands there, too, until the device answers.
        self.asked = "url" in told
        self.result = "" if self.asked else str(told.get("result") or "")
        self.verdict = json.dumps(values.get("lastcommand"))
        last = values.get("lastcommand", (None, ""))[0]
        last = last if isinstance(last, dict) and before not in (None, self.verdict) else {}
        if not self.result and last.get("property") == "update" and last.get("ok") is False:
            self.result = f"refused: {last.get('reason')}"
        self.state = "" if self.asked else str(told.get("state") or "")
        percent = told.get("percent", 0)
        self.percent = percent if isinstance(percent, int | float) else 0

    @property
    def under_way(self) -> bool:
        return not self.result and (self.asked or bool(self.state))


def command(made: Release, url: str) -> dict:
    """The value of the property `update`. Raises ReleaseError for one that is too long."""
    if not url.startswith("https://") or not url.isascii() or " " in url:
        raise ReleaseError(f"--url {url}: expected the image's address, https://…")
    value = replace(made, url=url).manifest()
    parse(json.dumps(value))
    return value


def is_version(running: str, version: str) -> bool:
    """Whether what a device tells as its `firmware` is this version."""
    try:
        return numbers(running) == numbers(version)
    except ReleaseError:
        return False


def update(
    device: str,
    path: Path,
    client: Client,
    url: str | None = None,
    *,
    console: Console | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Send a release to a device, and follow it to its end; whether it is confirmed.

    url: where the device finds the image; without it, the API's own host serves it. Raises
    ToolError, and KeyboardInterrupt with the update going on.
    """
    console = Console(highlight=False, soft_wrap=True) if console is None else console
    made, image = release.read(path)
    value = command(made, url or client.releases(image.name))
    before = Going(made.version, client.read(device))
    if is_version(before.running, made.version) and not before.under_way:
        console.print(f"{device}: runs {made.version} already; nothing was sent")
        return True
    if before.under_way and not before.asked:
        console.print(f"{device}: is at it already; nothing was sent")
    else:
        client.write(device, "update", value)
        console.print(f"{device}: {before.running or 'unknown'} -> {made.version}, sent")
    try:
        result = _follow(device, made.version, before.verdict, client, console, sleep)
    except KeyboardInterrupt:
        console.print(
            f"{device}: not followed any longer. The update goes on; "
            "the same command follows it again."
        )
        raise
    well = result == CONFIRMED
    console.print(f"{device}: {made.version}: {result}", style="green" if well else "red")
    return well


def _follow(device, version, before, client, console, sleep) -> str:
    """The result, in the device's words."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("waits for the device", total=100)
        told = ""
        while True:
            try:
                now = Going(version, client.read(device), before)
            except AwayError as error:
                bar.update(task, description=str(error))
            else:
                if now.result:
                    return now.result
                state = now.state or "waits for the device"
                bar.update(task, description=state, completed=now.percent)
                if state != told and not console.is_terminal:
                    console.print(f"{device}: {state}")
                told = state
            sleep(_EVERY_S)

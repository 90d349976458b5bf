"""`csipio run`: the platform stand-in and one simulated thermostat on it, until Ctrl-C."""

import contextlib
import logging
import os
import queue
import shlex
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from pathlib import Path

from rich.console import Console

from tools import ToolError
from tools.live import Columns, Tally
from tools.page.faults import Faults
from tools.page.fleet import Fleet
from tools.page.page import Page
from tools.platform.control import ControlError, fleet_of
from tools.platform.store import now_ms
from tools.platform.thread import PlatformThread
from tools.simulated import Device, config

_LINE_EVERY_S = 1.0
_FORGET_EVERY = 60  # lines
_JOURNAL_ROWS = 20_000  # kept, so that a day's run does not fill the disk
_MAC = "02:00:00:00:00:01"
_LAST_WORDS = 12  # lines of the device's log that are shown when it has ended by itself

_BANNER = """\
A simulated thermostat reports to a stand-in for the Csipio platform, both on this machine.

  Page               {page}
  API                {api}   CA: {ca}
  device's folder    {device}
  device's log       {log}
  platform's folder  {platform}   its log: {platform_log}

To try in another terminal:

  # Heat to 23 °C: write the setpoint, as an app would.
  {setpoint}

  # Take the broker down: after 3 s the device goes on over HTTPS. Then bring the broker back.
  {down}
  {up}

  # What the device itself says.
  tail -f {log}

Ctrl-C ends it all and removes these files. What the platform has received, live:
"""


def main(
    port: int = 8080,
    provision: bool = False,
    releases: Path | None = None,
    browser: bool = True,
    devices: int = 1,
) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP, the page on `port` or the next free one.

    provision: the device has a fleet's key alone. browser: open the page where there is one.
    devices: how many thermostats; the first is the one that is shown and told of.

    All files are in a temporary folder, which is removed at the end. Exits with 1 if the device
    ends by itself. Raises ToolError if it cannot start. releases: as for the stand-in.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    stop = _stop_event()
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="csipio-run-"))
        ).resolve()
        troubles = _log_to(folder / "platform.log")
        try:
            platform = stack.enter_context(PlatformThread(folder / "platform", releases=releases))
        except (OSError, ControlError) as error:
            raise ToolError(str(error)) from error
        faults = stack.enter_context(Faults(platform.info, folder / "world.json"))
        settings = config(platform.info)
        if provision:
            settings = _provisioned(platform, folder / "device")
        settings = faults.lead(settings)
        with Device(folder / "device", platform.info, settings=settings) as device:
            tally = Tally(platform.info["device"]["id"])
            fleet = stack.enter_context(Fleet(platform, faults, folder, devices - 1))
            try:
                page = stack.enter_context(Page(platform, device, faults, port, fleet))
            except OSError as error:
                raise ToolError(str(error)) from error
            console.print(_banner(platform.info, device, folder, page.url))
            if browser and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
                webbrowser.open(page.url)
            started = time.monotonic()
            _follow(console, tally, platform, device, troubles, stop, page)
        if not stop.is_set():
            console.print(_obituary(device), style="red")
            sys.exit(1)
        tally.add(platform.writes(tally.journal_rows))
        console.print(_totals(tally, time.monotonic() - started, platform.count()))


def _provisioned(platform: PlatformThread, folder: Path) -> dict:
    """The configuration of a device that the stand-in knows by the MAC of that folder."""
    folder.mkdir()
    (folder / "mac").write_text(_MAC)
    board = {"mac": _MAC, "device": platform.info["device"]["id"]}
    platform.control(lambda tree: fleet_of(tree, "fleet")["boards"].append(board))
    (fleet,) = platform.fleets
    key = {name: fleet[name] for name in ("key_id", "key_secret")}
    return config(platform.info) | {"device": {"provision": key}}


def _stop_event() -> threading.Event:
    """An event that is set by whatever signal asks this process to end."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())
    return stop


def _log_to(path: Path) -> queue.SimpleQueue:
    """Let the stand-in log to a file; what is worse than information comes to the queue too."""
    troubles: queue.SimpleQueue = queue.SimpleQueue()
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    inline = logging.Handler(logging.WARNING)
    inline.emit = lambda record: troubles.put(record.getMessage())
    logging.getLogger("tools.platform").addHandler(inline)
    return troubles


def _follow(
    console: Console,
    tally: Tally,
    platform: PlatformThread,
    device: Device,
    troubles: queue.SimpleQueue,
    stop: threading.Event,
    page: Page,
) -> None:
    """Print a line a second, until told to stop or the device has ended by itself."""
    columns = Columns()
    lines = 0
    started = due = time.monotonic()
    while True:
        due += _LINE_EVERY_S
        if stop.wait(max(0.0, due - time.monotonic())) or device.ended is not None:
            return
        for line in device.troubles():
            console.print(f"  ! device: {line}", style="yellow")
        while not troubles.empty():
            console.print(f"  ! platform: {troubles.get()}", style="yellow")
        writes = platform.writes(tally.journal_rows)
        tally.add(writes)
        page.add(writes)
        lines += 1
        if lines % _FORGET_EVERY == 0:
            platform.forget(_JOURNAL_ROWS)
        for line in columns.lines(time.monotonic() - started, tally, now_ms()):
            console.print(line)


def _banner(info: dict, device: Device, folder: Path, page: str) -> str:
    control = shlex.quote(str(folder / "platform" / "control.json"))
    client = f"{info['client']['key_id']}:{info['client']['key_secret']}"
    return _BANNER.format(
        page=page,
        api=info["api"],
        ca=info["ca"],
        device=device.folder,
        log=device.log,
        platform=folder / "platform",
        platform_log=folder / "platform.log",
        setpoint=(
            f"curl --cacert {shlex.quote(info['ca'])} -u {client} --json '{{\"setpoint\": 23}}' "
            f"{info['api']}/data/devices/{info['device']['id']}"
        ),
        down=f"""sed -i.bak 's/"down": .*/"down": ["mqtt"],/' {control}""",
        up=f"""sed -i.bak 's/"down": .*/"down": [],/' {control}""",
    )


def _obituary(device: Device) -> str:
    words = "\n".join(f"  {line}" for line in device.tail(_LAST_WORDS)) or "  (it said nothing)"
    return f"The device has ended by itself ({device.ended}). The end of its log:\n{words}"


def _totals(tally: Tally, elapsed_s: float, stored: int) -> str:
    ways = ", ".join(f"{n} over {name}" for name, n in sorted(tally.by_transport.items()))
    return (
        f"Ended after {elapsed_s:.0f} s: {tally.received} points received"
        f"{f' ({ways})' if ways else ''}, {stored} in the time series."
    )

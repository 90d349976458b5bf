"""`csipio platform`: the stand-in alone, until it is told to stop."""

import asyncio
import json
import logging
import signal
import sys
import tempfile
from pathlib import Path

from tools import ToolError

from .control import ControlError, change, fleet_of
from .service import Platform

_QUIET = ("aiohttp", "transitions")


def main(
    directory: Path | None,
    mqtt: int,
    mqtts: int,
    ws: int,
    https: int,
    fleet: str | None = None,
    releases: Path | None = None,
) -> None:
    """Run until SIGINT or SIGTERM. Without a `directory` everything is in a temporary one.
    `fleet`: the name of a fleet that there is to be.

    Port 0 is a free one. When all listen, one JSON line goes to standard output
    (`Platform.info`); the log goes to standard error. Raises ToolError if it cannot start.
    """
    log_to_stderr()
    ports = (mqtt, mqtts, ws, https)
    if releases is not None and not releases.is_dir():
        raise ToolError(f"{releases}: expected a folder for --releases")
    try:
        if directory is not None:
            if directory.exists() and not directory.is_dir():
                raise ToolError(f"{directory}: expected a folder for --dir, or none yet")
            directory.mkdir(parents=True, exist_ok=True)
            asyncio.run(serve(directory, *ports, fleet, releases))
            return
        with tempfile.TemporaryDirectory(prefix="csipio-platform-") as temporary:
            asyncio.run(serve(Path(temporary), *ports, fleet, releases))
    except (OSError, ControlError) as error:
        raise ToolError(str(error)) from error


async def serve(
    directory: Path,
    mqtt: int,
    mqtts: int,
    ws: int,
    https: int,
    fleet: str | None = None,
    releases: Path | None = None,
) -> None:
    """Run in the current event loop's main thread until SIGINT or SIGTERM."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, told.set)
    async with Platform(directory, mqtt, mqtts, ws, https, releases) as platform:
        if fleet is not None:
            change(directory, lambda tree: fleet_of(tree, fleet))
            await platform.refresh()
        print(json.dumps(platform.info), flush=True)
        await told.wait()


def log_to_stderr() -> None:
    """One line an event on standard error; of the libraries underneath only what breaks them."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)

"""`csipio platform`: the stand-in alone, until it is told to stop."""

import asyncio
import contextlib
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


def main(directory: Path | None, fleet: str | None = None, **options) -> None:
    """Run until SIGINT or SIGTERM. Without a `directory` everything is in a temporary one.

    fleet: the name of a fleet that there is to be. options: as of Platform.

    When all listen, one JSON line goes to standard output (`Platform.info`); the log goes to
    standard error. Raises ToolError if it cannot start.
    """
    log_to_stderr()
    with contextlib.ExitStack() as stack:
        try:
            if directory is None:
                name = tempfile.TemporaryDirectory(prefix="csipio-platform-")
                directory = Path(stack.enter_context(name))
            elif directory.exists() and not directory.is_dir():
                raise ToolError(f"{directory}: expected a folder for --dir, or none yet")
            directory.mkdir(parents=True, exist_ok=True)
            asyncio.run(_serve(directory, fleet, Platform(directory, **options)))
        except (OSError, ControlError) as error:
            raise ToolError(str(error)) from error


async def _serve(directory: Path, fleet: str | None, platform: Platform) -> None:
    """Run in the current event loop's main thread until SIGINT or SIGTERM."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, told.set)
    async with platform:
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

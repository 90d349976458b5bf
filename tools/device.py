"""Run the firmware under MicroPython's unix port, with a folder as the device's file system."""

import os
from pathlib import Path
from typing import NoReturn

from tools import ROOT, ToolError, micropython
from tools.build import build

# What a board does: boot.py and then main.py, and again when the firmware restarts the board, for
# which it ends with the exit code of firmware/board/unix.py. What it had in RAM is forgotten then.
_START = """
import gc, sys
while True:
    try:
        import boot, main
        break
    except SystemExit as end:
        if end.args != (75,):
            raise
    sys.modules.clear()
    boot = main = None
    gc.collect()
"""


class DeviceError(ToolError):
    """The folder cannot be a device; the text says what it lacks."""


def command(heap: str | None = None, root: Path = ROOT) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run the firmware of `root`, freshly built.

    The process is to be started in the device's folder. Raises BuildError, MicroPythonError.
    """
    out = build(root)
    return (
        micropython.command("-c", _START, heap=heap),
        micropython.environment([out, out / "lib"]),
    )


def check(folder: Path) -> None:
    """Raise DeviceError if `folder` is not a device's folder.

    Whether its configuration is valid is for the firmware to say, as on a board, where it goes
    on with the last good one.
    """
    if not folder.is_dir():
        raise DeviceError(f"{folder}: no such folder; make it and put a config.json into it")
    if not any((folder / name).is_file() for name in ("config.json", "config.good.json")):
        raise DeviceError(f"{folder}: no config.json in it; the README says what belongs there")


def run(folder: Path, heap: str | None = None, root: Path = ROOT) -> NoReturn:
    """Become the firmware: this process is replaced by MicroPython, started in `folder`.

    Signals and the exit code are thus MicroPython's own. Raises DeviceError, BuildError,
    MicroPythonError.
    """
    check(folder)
    argv, environ = command(heap, root)
    os.chdir(folder)
    os.execve(argv[0], argv, environ)

"""Run the firmware under MicroPython's unix port, with a folder as the device's file system."""

import os
from pathlib import Path
from typing import Literal, NoReturn

from tools import ROOT, ToolError, micropython
from tools.build import build

# What the firmware runs from: a ROMFS image, where its bytecode lies; .mpy files, which are loaded
# into the heap; or the sources, whose tracebacks have every name and line.
Origin = Literal["romfs", "files", "sources"]

# The image is apart from a board's heap. Here it is in the interpreter's, which is larger by that:
# the image itself, and what the collector's tables take of it (py/gc.c: three bits for each block
# of four words).
_MOUNT = """
import vfs
with open(%r, "rb") as file:
    image = bytearray(%d)
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
del image, file, vfs
"""

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


def command(
    heap: str | None = None, root: Path = ROOT, origin: Origin = "romfs", first: str = ""
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run the firmware of `root`, freshly built.

    The process is to be started in the device's folder. first: Python to be run before.
    Raises BuildError, MicroPythonError.
    """
    path = [root, root / "lib"]
    start = first + _START
    if origin == "files":
        files = build(root).files
        path = [files, files / "lib"]
    elif origin == "romfs":
        image = build(root).image
        size = image.stat().st_size
        path = [Path("/rom"), Path("/rom/lib")]
        start = _MOUNT % (str(image), size) + start
        if heap is not None:
            tables = size * 3 // (8 * 4 * micropython.word_bytes())
            heap = str(micropython.heap_bytes(heap) + size + tables)
    return micropython.command("-c", start, heap=heap), micropython.environment(path)


def check(folder: Path) -> None:
    """Raise DeviceError if `folder` is not a device's folder.

    Whether its configuration is valid is for the firmware to say, as on a board, where it goes
    on with the last good one.
    """
    if not folder.is_dir():
        raise DeviceError(f"{folder}: no such folder; make it and put a config.json into it")
    if not any((folder / name).is_file() for name in ("config.json", "config.good.json")):
        raise DeviceError(f"{folder}: no config.json in it; the README says what belongs there")


def run(
    folder: Path, heap: str | None = None, root: Path = ROOT, origin: Origin = "romfs"
) -> NoReturn:
    """Become the firmware: this process is replaced by MicroPython, started in `folder`.

    Signals and the exit code are thus MicroPython's own. Raises DeviceError, BuildError,
    MicroPythonError.
    """
    check(folder)
    argv, environ = command(heap, root, origin)
    os.chdir(folder)
    os.execve(argv[0], argv, environ)

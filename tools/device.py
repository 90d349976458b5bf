"""Run the firmware under MicroPython's unix port, with a folder as the device's file system."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn

from tools import ROOT, ToolError, console, linker, micropython
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
# which it ends with an exit code. `run` then starts the interpreter anew. Others run it again in
# the same one, where the collector may take a number for a pointer to something of the last run.
#
# A serial line's Ctrl-C is a byte on standard input (tools/console.py). It is read in a task of
# its own, which the firmware's event loop runs beside the firmware's: there it is as safe to stop
# as anywhere.
_START = """
import sys
def keys(core):
    line = sys.stdin.buffer
    key = True
    while key:
        yield core._io_queue.queue_read(line)
        try:
            key = line.read(1)
        except OSError:
            break
        if key == b"\\x03":
            raise KeyboardInterrupt
def from_boot():
    import asyncio
    asyncio.create_task(keys(asyncio.core))
    del asyncio
    __import__("boot")
    del sys.modules["boot"]  # a board forgets it, too
    import main
"""
# Where a restart ends the interpreter.
_ONCE = """
try:
    from_boot()
except MemoryError:
    sys.modules.clear()
    print(%r)
    sys.exit(2)
"""
# Where it does not.
_AGAIN = """
import gc
def scrub(n):
    return n and scrub(n - 1)
def forget():
    sys.modules.clear()
    # The collector looks for pointers on the stack, where the last run's may have been left.
    scrub(50)
    gc.collect()
while True:
    try:
        from_boot()
        break
    except SystemExit as end:
        if end.args != (%d,):
            raise
    except MemoryError:
        forget()
        print(%r)
        sys.exit(2)
    forget()
"""
_TOO_SMALL = "csipio: the heap is too small for the firmware; give it more, as by --heap 256K"
# Of firmware/board/unix.py, for a restart.
_RESTART = 75
# Less than this does not even hold what starts the firmware.
_SMALLEST = 32 * 1024


class DeviceError(ToolError):
    """The folder cannot be a device; the text says what it lacks."""


def command(
    heap: str | None = None,
    root: Path = ROOT,
    origin: Origin = "romfs",
    first: str = "",
    once: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run the firmware of `root`, freshly built.

    The process is to be started in the device's folder. first: Python to be run before.
    once: a restart of the board ends it, with the code _RESTART.
    Raises BuildError, MicroPythonError, DeviceError.
    """
    if heap is not None and micropython.heap_bytes(heap) < _SMALLEST:
        raise DeviceError(
            f"--heap {heap}: expected {_SMALLEST // 1024}K or more, as far more is needed; a "
            "number without K or M is bytes"
        )
    path = [root, root / "lib"]
    again = _ONCE % _TOO_SMALL if once else _AGAIN % (_RESTART, _TOO_SMALL)
    start = first + _START + again
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
    if folder.exists() and not folder.is_dir():
        raise DeviceError(
            f"{folder}: expected a folder, got a file; name the folder that has config.json in it"
        )
    if not folder.is_dir():
        raise DeviceError(f"{folder}: no such folder; make it and put a config.json into it")
    if not any((folder / name).is_file() for name in ("config.json", "config.good.json")):
        raise DeviceError(
            f"{folder}: no config.json in it; docs/configuration.md says what belongs there"
        )


def places(root: Path = ROOT, origin: Origin = "romfs") -> linker.Places:
    """Where the lines of its tracebacks come from."""
    return {} if origin == "sources" else build(root).places(image=origin == "romfs")


def run(
    folder: Path,
    heap: str | None = None,
    root: Path = ROOT,
    origin: Origin = "romfs",
    first: str = "",
) -> NoReturn:
    """Run the firmware in `folder`; this process ends as MicroPython does, or with it.

    SIGINT is Ctrl-C on the board's serial line; other signals are passed on. first: as in
    `command`; it would be run at each restart, so then the interpreter stays the same.
    Raises DeviceError, BuildError, MicroPythonError.
    """
    check(folder)
    argv, environ = command(heap, root, origin, first, once=not first)
    again = None if first else _RESTART
    with _alone_in(folder):
        code = console.attend(argv, environ, folder, places(root, origin), again)
    console.end_like(code)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two devices in one folder would take each other's readings. Raises DeviceError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DeviceError(
            f"{folder}: another csipio device runs in it; stop that one, or name another folder"
        ) from None
    else:
        yield
    finally:
        os.close(descriptor)

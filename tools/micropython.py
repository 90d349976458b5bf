"""Which MicroPython runs the firmware on this machine, and how it is started."""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from tools import ToolError

_HEAP = re.compile(r"([1-9][0-9]*)([KM]?)")


class MicroPythonError(ToolError):
    """The interpreter cannot be started as asked; the text says what to do."""


def interpreter() -> Path:
    """The MicroPython unix port: $MICROPYTHON, or the one installed beside this Python."""
    chosen = os.environ.get("MICROPYTHON")
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise MicroPythonError(
                f"MICROPYTHON={chosen}: no such program; name a MicroPython unix port, "
                "or unset it to use the one that make installed"
            )
        return Path(found).absolute()
    beside = Path(sys.executable).with_name("micropython")
    if not beside.exists():
        raise MicroPythonError(
            f"{beside} is missing: run `make setup`. Where no ready-made MicroPython is published "
            "(it is for Linux on x86-64 and macOS on arm64), build its unix port and name it in "
            "the environment variable MICROPYTHON"
        )
    return beside


def word_bytes() -> int:
    """The size of a pointer in the interpreter: 4 where it is an ELF file of 32 bits, else 8."""
    with interpreter().open("rb") as file:
        return 4 if file.read(5) == b"\x7fELF\x01" else 8


def command(*arguments: str | Path, heap: str | None = None) -> list[str]:
    """The command line that runs the interpreter with `arguments`.

    `heap` is the size of its heap, such as "128K"; without it, the interpreter's own default.
    """
    options = [] if heap is None else ["-X", f"heapsize={heap_bytes(heap)}"]
    return [str(interpreter()), *options, *map(str, arguments)]


def heap_bytes(heap: str) -> int:
    """The size of a heap in bytes. Raises MicroPythonError."""
    found = _HEAP.fullmatch(heap)
    if not found:
        raise MicroPythonError(f"heap: expected bytes, K or M such as 128K or 2M, got {heap!r}")
    return int(found[1]) << {"": 0, "K": 10, "M": 20}[found[2]]


def environment(path: Iterable[Path]) -> dict[str, str]:
    """This process's environment, with `path` as the interpreter's sys.path.

    What the interpreter has frozen in (asyncio, ssl) comes last. Nothing of the user's own
    ~/.micropython/lib is seen.
    """
    return {**os.environ, "MICROPYPATH": ":".join([*map(str, path), ".frozen"])}

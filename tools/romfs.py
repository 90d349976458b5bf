"""The firmware as a ROMFS image: bytecode that a board executes where it lies in flash."""

from pathlib import Path

from mpremote.romfs import VfsRomWriter

from tools import ROOT
from tools.build import build


def image(root: Path = ROOT) -> bytes:
    """The image of firmware/ and lib/ below `root`, freshly built. Raises BuildError."""
    out = build(root)
    writer = VfsRomWriter()
    for name in ("firmware", "lib"):
        if (out / name).is_dir():
            _add(writer, out / name)
    return writer.finalise()


def _add(writer: VfsRomWriter, folder: Path) -> None:
    writer.opendir(folder.name)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            _add(writer, path)
        elif path.suffix == ".mpy":
            writer.mkfile(path.name, path.read_bytes())
    writer.closedir()

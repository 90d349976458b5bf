"""Versions of the firmware to update to: this one, changed, as a signed release."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tools import ROOT, releases
from tools.build import build
from tools.platform.thread import PlatformThread

NEW = "9.9.0"


@cache
def key():
    return releases.new_key()


@dataclass
class Shelf:
    """A stand-in that serves releases, and the folder that they are in."""

    platform: PlatformThread
    folder: Path
    kind: str = "files"

    def put(self, name: str, image: bytes, served: bytes | None = None, **changes) -> dict:
        """The manifest of an image, signed. served: what is at its URL, if not the image."""
        what = releases.Image(self.kind, "unix")
        made = releases.describe(image, what, changes.pop("version", NEW), (1,), 1)
        made = releases.sign(replace(made, **changes), key())
        (self.folder / name).write_bytes(image if served is None else served)
        host = self.platform.info["api"].removesuffix("/v3")
        return json.loads(json.dumps(replace(made, url=f"{host}/releases/{name}").manifest()))


def image(
    folder: Path,
    kind: str = "files",
    changes: dict[str, tuple[str, str]] | None = None,
    version: str = NEW,
) -> bytes:
    """The image of this firmware as that version; changes: (before, after) by module."""
    for name in ("boot.py", "main.py"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("firmware", "lib"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    present = re.search(r'^VERSION = ".*"$', (ROOT / "firmware/__init__.py").read_text(), re.M)[0]
    edits = {"firmware/__init__.py": (present, f'VERSION = "{version}"')}
    for path, (before, after) in (edits | (changes or {})).items():
        text = (folder / path).read_text()
        assert text.count(before) == 1, (path, before)
        (folder / path).write_text(text.replace(before, after))
    if kind == "romfs":
        return build(folder).image.read_bytes()
    made = build(folder).files
    found = {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*.mpy")}
    return releases.files_image(
        {p: d for p, d in found.items() if p not in ("boot.mpy", "main.mpy")}
    )

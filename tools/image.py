"""The board's own image: MicroPython for an ESP32 with the firmware frozen in (`make image`).

image/ holds the board's definition and what is built when (pinned.sh, build.sh). Here its sources
are written, Espressif's container is started, and what it built is described for a release.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT, ToolError, release
from tools.build import linked, sources

CHIP = "esp32"
_BOARD = Path("image/CSIPIO_THERMOSTAT")
_FROZEN = Path("build/frozen")
_OUT = Path("build/image")
_RELEASE = _OUT / "release"

UNITS = "units"  # the folder of the firmware's modules that are outside of its package
NAMES = "firmware/names_of_modules.py"
# What is loaded of MicroPython's own library.
_LIBRARY = ["asyncio.core", "asyncio.funcs", "asyncio.lock", "asyncio.event", "umqtt.simple"]

# What build.sh leaves in build/image: for an empty board, from the bootloader on; and the part of
# it that goes into one of the two slots.
_WHOLE = "firmware.bin"
_SLOT = "micropython.bin"
_WHOLE_OFFSET = 0x1000  # where an ESP32 looks for its bootloader

_NO_DOCKER = """{why}
`make image` builds in Espressif's container, so it needs Docker. Without it:
- take the image of a release, which the workflow "Image" has built, from the project's page; or
- install Docker (https://docs.docker.com/engine/install/), start it, and try again; or
- build by hand, in a shell that has ESP-IDF {idf}:
    .venv/bin/python -m tools.image sources
    . "$IDF_PATH/export.sh" && image/build.sh
    .venv/bin/python -m tools.image describe"""


class ImageError(ToolError):
    """There is no image; the text says why."""


@dataclass
class Partition:
    """A row of the partition table, in bytes."""

    name: str
    type: str
    subtype: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def partitions(root: Path = ROOT) -> list[Partition]:
    """The image's partition table."""
    rows = []
    for line in (root / _BOARD / "partitions.csv").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, type_, subtype, offset, size = (field.strip() for field in line.split(","))
            rows.append(Partition(name, type_, subtype, int(offset, 0), int(size, 0)))
    return rows


def pinned(root: Path = ROOT) -> dict[str, str]:
    """What the image is made with: the assignments of image/pinned.sh."""
    text = (root / "image/pinned.sh").read_text()
    return dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))


def version(root: Path = ROOT) -> str:
    """The firmware's own."""
    text = (root / "firmware/__init__.py").read_text()
    return re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)[1]


def frozen_sources(root: Path = ROOT, out: Path | None = None, key: str = "") -> list[Path]:
    """Write what the manifest freezes into `out`, build/frozen unless given, and nothing else.

    These are boot.py, main.py and the firmware's units (tools/linker). What the firmware needs of
    lib/ is in MicroPython's own library. Returns their paths in `out`. key: the public key of
    updates.
    """
    out = root / _FROZEN if out is None else out
    texts = {
        path: text for path, text in sources(root, key).items() if not path.startswith("lib/")
    }
    starts = {path: text for path, text in texts.items() if "/" not in path}
    made = linked(texts, divide=True)
    units = {path if "/" in path else f"{UNITS}/{path}": made[path].source for path in made}
    units[NAMES] = _names([path for path in made if "/" in path])
    shutil.rmtree(out, ignore_errors=True)
    for path, text in (starts | units).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text, encoding="utf-8")
    return [Path(path) for path in starts | units]


def _names(paths: list[str]) -> str:
    """A module that nobody loads. A name that frozen code has in it is in flash; the names of
    modules are put together as each is loaded, and would take RAM for good.
    """
    modules = [path[: -len(".py")].replace("/", ".") for path in paths]
    modules = [module.removesuffix(".__init__") for module in modules] + _LIBRARY
    lines = [f"import {module}; {module.rpartition('.')[2]}" for module in modules]
    return "\n".join(lines) + "\n"


def build(root: Path = ROOT, key: str = "") -> None:
    """Build the image in Espressif's container, into build/image. Raises ImageError."""
    idf = pinned(root)["IDF_VERSION"]
    _check_docker(idf)
    frozen_sources(root, key=key)
    (root / _OUT).mkdir(parents=True, exist_ok=True)
    command = [
        *("docker", "run", "--rm"),
        # What it writes belongs to who started it, and not to root.
        *("--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp"),
        *("--env", "IDF_GIT_SAFE_DIR=/opt/esp/idf"),
        *("--volume", f"{root}:/project", "--workdir", "/project"),
        *(f"espressif/idf:{idf}", "image/build.sh"),
    ]
    done = subprocess.run(command)
    if done.returncode != 0:
        raise ImageError(f"the build ended with {done.returncode}; its last lines say why")


def _check_docker(idf: str) -> None:
    """Raise ImageError, with what to do, where there is no Docker or its engine does not run."""
    if shutil.which("docker") is None:
        raise ImageError(_NO_DOCKER.format(why="There is no program `docker`.", idf=idf))
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True
    )
    if asked.returncode != 0:
        said = asked.stderr.strip() or asked.stdout.strip()
        why = f"`docker` is there, but its engine does not answer: {said}"
        raise ImageError(_NO_DOCKER.format(why=why, idf=idf))


def describe(root: Path = ROOT) -> Path:
    """Put what was built into build/image/release, with manifest.json and SHA256SUMS.

    Returns that folder. Raises ImageError where nothing was built, or what was built does not
    fit into a slot.
    """
    built, release = root / _OUT, root / _RELEASE
    slot = min(row.size for row in partitions(root) if row.type == "app")
    for name in (_WHOLE, _SLOT):
        if not (built / name).is_file():
            raise ImageError(f"{built / name} is missing: build the image first")
    size = (built / _SLOT).stat().st_size
    if size > slot:
        raise ImageError(f"the image has {size} bytes, {size - slot} more than a slot")
    number = version(root)
    shutil.rmtree(release, ignore_errors=True)
    release.mkdir(parents=True)
    made = pinned(root)
    manifest = {
        "version": number,
        "chip": CHIP,
        "micropython": made["MICROPYTHON_TAG"],
        "idf": made["IDF_VERSION"],
        "image": {
            "offset": _WHOLE_OFFSET,
            **_put(built / _WHOLE, release / f"csipio-thermostat-{number}.bin"),
        },
        "update": {
            "slot": slot,
            **_put(built / _SLOT, release / f"csipio-thermostat-{number}-update.bin"),
        },
    }
    (release / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    sums = [f"{_sha256(path)}  {path.name}\n" for path in sorted(release.iterdir())]
    (release / "SHA256SUMS").write_text("".join(sums))
    return release


def _put(source: Path, target: Path) -> dict:
    shutil.copyfile(source, target)
    return {"file": target.name, "size": target.stat().st_size, "sha256": _sha256(target)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__)
    parser.add_argument(
        "step",
        nargs="?",
        choices=("all", "sources", "describe"),
        default="all",
        help="one step alone, for a build by hand",
    )
    parser.add_argument("--tag", help="the release: refused unless it is v and the version")
    parser.add_argument(
        "--key",
        type=Path,
        help="whose updates the image takes: a file of `csipio keys new`, or its public key",
    )
    options = parser.parse_args(arguments)
    try:
        key = release.public_key(options.key) if options.key else ""
        if options.tag is not None and options.tag != f"v{version(root)}":
            raise ImageError(
                f"the tag is {options.tag}, but VERSION in firmware/__init__.py is {version(root)}"
            )
        if options.step == "sources":
            print(f"{len(frozen_sources(root, key=key))} modules are in {_FROZEN}")
            return 0
        if options.step == "all":
            build(root, key)
        print(f"The image, manifest.json and SHA256SUMS are in {describe(root).relative_to(root)}")
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
